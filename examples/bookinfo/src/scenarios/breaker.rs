//! Limits of connections and of waiting requests, and endpoints that are put out after errors.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::Result;
use crate::check::Check;
use crate::ledger::Act;
use crate::probe::{Call, Tally, Upstream};
use crate::stage::{DETAILS, Stage};

const DETAILS_OF_A_BOOK: &str = "/api/v1/products/0";

/// Errors in a row after which an endpoint is put out.
const ERRORS: usize = 5;

/// Connections that the rule allows.
const CONNECTIONS: usize = 100;

/// Requests that may wait for one.
const WAITING: usize = 10;

/// The limits first, while every endpoint is in; then the ejections.
pub(super) async fn play(stage: &Stage) -> Result<Vec<Check>> {
    let mut checks = requests_per_connection(stage).await?;
    checks.extend(overflow(stage).await?);
    checks.extend(ejection(stage).await?);
    checks.extend(half_at_most(stage).await?);
    Ok(checks)
}

async fn requests_per_connection(stage: &Stage) -> Result<Vec<Check>> {
    const CALLS: usize = 400;
    let call = stage.shop(DETAILS_OF_A_BOOK).case("breaker-reuse");
    let answers = stage.probe().flood(&call, CALLS, WAITING - 2).await;
    let (mut most, mut connections) = (0, 0);
    for details in stage.details() {
        let counts = details.counts("breaker-reuse").await?.connections;
        connections += counts.len() as u64;
        most = counts.into_values().chain([most]).max().unwrap_or_default();
    }
    Ok(vec![
        Check::count("2 requests per connection: answered", CALLS, answers.with_status(200)),
        Check::count("most requests on one connection", 2, most),
        Check::at_least(format!("connections for {CALLS} requests"), CALLS as u64 / 2, connections),
    ])
}

/// Fills the connections one handful at a time (one that is being opened waits too), then comes with more.
async fn overflow(stage: &Stage) -> Result<Vec<Check>> {
    const TOO_MANY: usize = 20;
    const HANDFUL: usize = 5;
    let case = "breaker-overflow";
    for details in stage.details() {
        details.order(case, Act::Hold, None).await?;
    }
    let call = stage.shop(DETAILS_OF_A_BOOK).case(case);
    let mut calling = Calling::default();
    for filled in (HANDFUL..=CONNECTIONS).step_by(HANDFUL) {
        calling.start(stage, &call, HANDFUL);
        wait_until_held(stage.details(), case, filled as u64).await?;
    }
    let held = held(stage.details(), case).await?;
    calling.start(stage, &call, WAITING + TOO_MANY);
    let turned_away = calling.finish(TOO_MANY).await?;
    let reached = sum(stage.details(), case).await?;
    for details in stage.details() {
        details.clear(case).await?;
    }
    let served = calling.finish(CONNECTIONS + WAITING).await?;
    let overflowed = turned_away.count(|answer| {
        answer.status == 503 && answer.header("x-envoy-overloaded") == "true" && answer.text().ends_with("overflow")
    });
    Ok(vec![
        Check::count("held at details, one connection each", CONNECTIONS, held),
        Check::count(format!("{} more: 503 overflow at once", WAITING + TOO_MANY), TOO_MANY, overflowed),
        Check::count("at details while the rest wait", CONNECTIONS, reached),
        Check::count("let go: answered", CONNECTIONS + WAITING, served.with_status(200)),
        Check::count("let go: at details altogether", CONNECTIONS + WAITING, sum(stage.details(), case).await?),
    ])
}

/// One of four endpoints fails: after five errors nobody is sent there.
async fn ejection(stage: &Stage) -> Result<Vec<Check>> {
    const CALLS: usize = 300;
    let case = "breaker-ejection";
    let last = &stage.details()[DETAILS - 1];
    last.order(case, Act::Status(503), None).await?;
    let answers = stage.probe().line(&stage.shop(DETAILS_OF_A_BOOK).case(case), CALLS).await;
    Ok(vec![
        Check::count(format!("{} answers 503: requests it gets", last.name()), ERRORS, last.requests(case).await?),
        Check::count("errors that callers see", ERRORS, answers.with_status(503)),
        Check::count("answered by the others", CALLS - ERRORS, answers.with_status(200)),
    ])
}

/// Two more fail: one of them is put out as well, but a third of four would be more than half.
async fn half_at_most(stage: &Stage) -> Result<Vec<Check>> {
    const CALLS: usize = 400;
    let case = "breaker-half";
    let details = stage.details();
    let failing = &details[1..];
    for details in failing {
        details.order(case, Act::Status(503), None).await?;
    }
    stage.probe().line(&stage.shop(DETAILS_OF_A_BOOK).case(case), CALLS).await;
    let mut two = [details[1].requests(case).await?, details[2].requests(case).await?];
    two.sort_unstable();
    let [out, kept] = two;
    let good = details[0].requests(case).await?;
    Ok(vec![
        Check::count("three fail: requests of the one put out before", 0, details[DETAILS - 1].requests(case).await?),
        Check::count("three fail: requests of the next one put out", ERRORS, out),
        Check::at_least("three fail: requests of the one kept by the 50 %", CALLS as u64 / 4, kept),
        Check::at_least("three fail: requests of the good one", CALLS as u64 / 4, good),
    ])
}

/// An endpoint that is well again comes back after the time it was put out for.
pub(super) async fn recovery(stage: &Stage) -> Result<Vec<Check>> {
    const CALLS: usize = 100;
    let case = "recovery";
    let ill = &stage.details()[1];
    ill.order(case, Act::Status(503), Some(ERRORS as u32)).await?;
    let call = stage.shop(DETAILS_OF_A_BOOK).case(case);
    let mut out = Instant::now();
    let mut errors = 0;
    for _ in 0..CALLS {
        if stage.probe().send(&call).await?.status == 503 {
            out = Instant::now();
            errors += 1;
        }
    }
    let while_out = ill.requests(case).await?;
    let (mut back, end) = (out.elapsed(), out + Duration::from_secs(8));
    while ill.requests(case).await? == while_out && Instant::now() < end {
        stage.probe().send(&call).await?;
        back = out.elapsed();
        sleep(Duration::from_millis(10)).await;
    }
    Ok(vec![
        Check::count("errors that callers see", ERRORS, errors),
        Check::count("requests until put out", ERRORS, while_out),
        Check::took("time until it gets requests again", Duration::from_secs(2)..=Duration::from_millis(4000), back),
    ])
}

/// Requests under way.
#[derive(Default)]
struct Calling {
    answers: JoinSet<Tally>,
}

impl Calling {
    fn start(&mut self, stage: &Stage, call: &Call, requests: usize) {
        for _ in 0..requests {
            let (probe, call) = (stage.probe().clone(), call.clone());
            self.answers.spawn(async move { probe.line(&call, 1).await });
        }
    }

    /// The next answers, as many as asked for or as come within a while.
    async fn finish(&mut self, answers: usize) -> Result<Tally> {
        let mut all = Tally::default();
        let patience = sleep(Duration::from_secs(5));
        tokio::pin!(patience);
        while all.answers.len() + all.errors.len() < answers {
            tokio::select! {
                Some(tally) = self.answers.join_next() => all.merge(tally?),
                () = &mut patience => break,
                else => break,
            }
        }
        Ok(all)
    }
}

async fn wait_until_held(details: &[Upstream], case: &str, requests: u64) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(3);
    while held(details, case).await? < requests && Instant::now() < end {
        sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}

async fn held(details: &[Upstream], case: &str) -> Result<u64> {
    let mut held = 0;
    for details in details {
        held += details.counts(case).await?.held;
    }
    Ok(held)
}

async fn sum(details: &[Upstream], case: &str) -> Result<u64> {
    let mut requests = 0;
    for details in details {
        requests += details.requests(case).await?;
    }
    Ok(requests)
}
