//! Faults that the mesh makes itself.

use std::time::Duration;

use super::AT_ONCE;
use crate::Result;
use crate::check::Check;
use crate::stage::Stage;

const DELAY: Duration = Duration::from_millis(1500);

/// One user waits, the others do not, and everybody is answered.
pub(super) async fn delay(stage: &Stage) -> Result<Vec<Check>> {
    const EACH: usize = 40;
    let call = stage.shop("/api/v1/products/0");
    let (jasons, others) = (call.clone().case("delay-jason").header("end-user", "jason"), call.case("delay-others"));
    let (delayed, quick) =
        tokio::join!(stage.probe().flood(&jasons, EACH, EACH), stage.probe().flood(&others, EACH, AT_ONCE));
    let (mut of_jason, mut of_others) = (0, 0);
    for details in stage.details() {
        of_jason += details.requests("delay-jason").await?;
        of_others += details.requests("delay-others").await?;
    }
    Ok(vec![
        Check::count("jason: answered", EACH, delayed.with_status(200)),
        Check::count("jason: at details", EACH, of_jason),
        Check::took("jason: quickest answer", DELAY..=DELAY * 2, delayed.quickest()),
        Check::took("jason: slowest answer", DELAY..=DELAY * 2, delayed.slowest()),
        Check::count("others: answered", EACH, quick.with_status(200)),
        Check::count("others: at details", EACH, of_others),
        Check::took("others: slowest answer", Duration::ZERO..=Duration::from_millis(1000), quick.slowest()),
    ])
}

/// One user always gets an error, one sometimes, the others never; no aborted request reaches a service.
pub(super) async fn abort(stage: &Stage) -> Result<Vec<Check>> {
    const EACH: usize = 50;
    let requests = stage.requests();
    let (reviews, probe) = (stage.reviews(1), stage.probe());
    let call = stage.shop("/api/v1/products/0/reviews");
    let jason = call.clone().case("abort-jason").header("end-user", "jason");
    let alice = call.clone().case("abort-alice").header("end-user", "alice");
    let jason = probe.flood(&jason, EACH, AT_ONCE).await;
    let alice = probe.flood(&alice, requests, AT_ONCE).await;
    let others = probe.flood(&call.case("abort-others"), EACH, AT_ONCE).await;

    let call = stage.shop("/api/v1/products/0/ratings");
    let grpc = call.clone().case("abort-grpc-jason").header("end-user", "jason");
    let grpc = probe.flood(&grpc, EACH, AT_ONCE).await;
    let grpc_others = probe.flood(&call.case("abort-grpc-others"), EACH, AT_ONCE).await;

    let aborted = jason.count(|answer| answer.status == 500 && answer.text() == "fault filter abort");
    let unavailable = grpc.count(|answer| answer.header("x-grpc-status") == "14");
    let spared = alice.with_status(200);
    Ok(vec![
        Check::count("jason: 500, \"fault filter abort\"", EACH, aborted),
        Check::count("jason: at reviews", 0, reviews.requests("abort-jason").await?),
        Check::share("alice: 503", 25.0, requests, alice.with_status(503)),
        Check::says(
            "alice: at reviews, as many as were answered",
            spared.to_string(),
            reviews.requests("abort-alice").await?.to_string(),
        ),
        Check::count("others: answered", EACH, others.with_status(200)),
        Check::count("others: at reviews", EACH, reviews.requests("abort-others").await?),
        Check::count("gRPC, jason: code 14", EACH, unavailable),
        Check::count("gRPC, jason: at ratings", 0, stage.ratings(1).requests("abort-grpc-jason").await?),
        Check::count("gRPC, others: answered", EACH, grpc_others.with_status(200)),
        Check::count("gRPC, others: at ratings", EACH, stage.ratings(1).requests("abort-grpc-others").await?),
    ])
}
