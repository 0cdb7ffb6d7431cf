//! Copies of requests for a second version.

use std::time::Duration;

use super::AT_ONCE;
use crate::Result;
use crate::check::Check;
use crate::ledger::Act;
use crate::probe::Tally;
use crate::stage::Stage;

const REVIEWS_OF_A_BOOK: &str = "/api/v1/products/0/reviews";

/// Every request is copied; that the copies fail, or hang, is nobody's trouble.
pub(super) async fn all(stage: &Stage) -> Result<Vec<Check>> {
    const COPIES: usize = 500;
    const HANGING: usize = 40;
    let (v1, v2) = (stage.reviews(1), stage.reviews(2));

    v2.order("mirror-failing", Act::Status(503), None).await?;
    let call = stage.shop(REVIEWS_OF_A_BOOK).case("mirror-failing");
    let failing = stage.probe().flood(&call, COPIES, AT_ONCE).await;
    let copies = v2.requests_soon("mirror-failing", COPIES as u64).await?;

    v2.order("mirror-hanging", Act::Delay(2000), None).await?;
    let call = stage.shop(REVIEWS_OF_A_BOOK).case("mirror-hanging");
    let hanging = stage.probe().flood(&call, HANGING, AT_ONCE).await;

    Ok(vec![
        Check::count("at reviews v1", COPIES, v1.requests("mirror-failing").await?),
        Check::count("copies at reviews v2, which fails them all", COPIES, copies),
        Check::count("answers, all of them v1's", COPIES, from_v1(&failing)),
        Check::count("copies hang for 2 s: answers of v1", HANGING, from_v1(&hanging)),
        Check::took(
            "copies hang for 2 s: slowest answer",
            Duration::ZERO..=Duration::from_millis(1500),
            hanging.slowest(),
        ),
        Check::count(
            "copies hang for 2 s: copies at reviews v2",
            HANGING,
            v2.requests_soon("mirror-hanging", HANGING as u64).await?,
        ),
    ])
}

/// A share of the requests is copied.
pub(super) async fn a_quarter(stage: &Stage) -> Result<Vec<Check>> {
    let requests = stage.requests();
    let call = stage.shop(REVIEWS_OF_A_BOOK).case("mirror-25");
    let answers = stage.probe().flood(&call, requests, AT_ONCE).await;
    Ok(vec![
        Check::count("answers, all of them v1's", requests, from_v1(&answers)),
        Check::count("at reviews v1", requests, stage.reviews(1).requests("mirror-25").await?),
        Check::share("copies at reviews v2", 25.0, requests, stage.reviews(2).requests_settled("mirror-25").await?),
    ])
}

fn from_v1(answers: &Tally) -> u64 {
    answers.count(|answer| answer.status == 200 && answer.text().contains(r#""version":"v1""#))
}
