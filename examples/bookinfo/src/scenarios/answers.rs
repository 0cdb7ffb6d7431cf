//! Answers that the mesh gives itself: redirects and direct responses.

use super::AT_ONCE;
use crate::Result;
use crate::check::Check;
use crate::stage::Stage;

pub(super) async fn play(stage: &Stage) -> Result<Vec<Check>> {
    let mut checks = Vec::new();
    for (path, status, location, body) in [
        ("/index.php?id=1", 301, "http://bookinfo.example.com/productpage?id=1", ""),
        ("/library/shelf?of=plays", 302, "https://library.example.com/library/shelf?of=plays", ""),
        ("/open", 200, "", "from nine to five"),
        ("/closed", 503, "", "taking stock"),
    ] {
        let answer = stage.probe().send(&stage.shop(path).case("answers")).await?;
        checks.push(Check::says(path, format!("{status}"), answer.status.as_u16().to_string()));
        if !location.is_empty() {
            checks.push(Check::says(format!("{path}: location"), location, answer.header("location")));
        }
        if !body.is_empty() {
            checks.push(Check::says(format!("{path}: body"), body, answer.text()));
        }
        if path == "/open" {
            checks.push(Check::says("/open: x-answered-by", "the mesh", answer.header("x-answered-by")));
        }
    }
    checks.push(Check::count("these at the product page", 0, stage.productpage().requests("answers").await?));
    checks.extend(between_services(stage).await?);
    Ok(checks)
}

async fn between_services(stage: &Stage) -> Result<Vec<Check>> {
    const EACH: usize = 20;
    let call = stage.shop("/api/v1/products/0/reviews");
    let auditor = call.clone().case("answers-auditor").header("end-user", "auditor");
    let auditor = stage.probe().flood(&auditor, EACH, AT_ONCE).await;
    let others = stage.probe().flood(&call.case("answers-others"), EACH, AT_ONCE).await;
    let refused = auditor.count(|answer| answer.status == 403 && answer.text() == "not for auditors");
    Ok(vec![
        Check::count("auditor: 403, \"not for auditors\"", EACH, refused),
        Check::count("auditor: at reviews", 0, stage.reviews(1).requests("answers-auditor").await?),
        Check::count("others: answered", EACH, others.with_status(200)),
        Check::count("others: at reviews", EACH, stage.reviews(1).requests("answers-others").await?),
    ])
}
