//! Weighted splits, and the header that goes around them.

use super::AT_ONCE;
use crate::Result;
use crate::check::Check;
use crate::probe::Call;
use crate::stage::Stage;

/// Requests with the header that asks for v2.
const ASKING: usize = 100;

/// 90/10 between two services, decided by the gateway.
pub(super) async fn at_the_gateway(stage: &Stage) -> Result<Vec<Check>> {
    let call = Call::get(stage.gateway(), "/reviews/0").host("reviews.example.com");
    canary(stage, call, "version", "v2", 10.0).await
}

/// 95/5 between two subsets of one service, decided by the product page.
pub(super) async fn between_services(stage: &Stage) -> Result<Vec<Check>> {
    canary(stage, stage.shop("/api/v1/products/0/reviews"), "x-canary", "true", 5.0).await
}

async fn canary(
    stage: &Stage,
    call: Call,
    header: &'static str,
    value: &'static str,
    percent: f64,
) -> Result<Vec<Check>> {
    let (everybody, asking) = (format!("split-{percent}"), format!("split-{percent}-asking"));
    let requests = stage.requests();
    let split = stage.probe().flood(&call.clone().case(&everybody), requests, AT_ONCE).await;
    let asked = stage.probe().flood(&call.case(&asking).header(header, value), ASKING, AT_ONCE).await;
    let (v1, v2) = (stage.reviews(1), stage.reviews(2));
    let at_v1 = v1.requests(&everybody).await?;
    let at_v2 = v2.requests(&everybody).await?;
    Ok(vec![
        Check::count("without header: answered", requests, split.with_status(200)),
        Check::share("without header: at reviews v2", percent, requests, at_v2),
        Check::share("without header: at reviews v1", 100.0 - percent, requests, at_v1),
        Check::count("without header: at both", requests, at_v1 + at_v2),
        Check::count(format!("{header}: {value}: answered"), ASKING, asked.with_status(200)),
        Check::count(format!("{header}: {value}: at reviews v2"), ASKING, v2.requests(&asking).await?),
        Check::count(format!("{header}: {value}: at reviews v1"), 0, v1.requests(&asking).await?),
    ])
}
