//! Weights that change while requests flow.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::Result;
use crate::check::Check;
use crate::probe::{Call, Probe, Tally};
use crate::stage::Stage;

/// The file that is on when the scenario begins.
pub(super) const FIRST: &str = "live-100-0.yaml";

/// Callers that never pause.
const CALLERS: usize = 8;

/// What the requests of one stretch of time are counted under: those of a change may go either way, those sent when
/// the new weights are in force must follow them.
const CASES: [&str; 5] = ["live-100-0", "live-change-1", "live-50-50", "live-change-2", "live-0-100"];

pub(super) async fn play(stage: &Stage) -> Result<Vec<Check>> {
    let flow = Flow::start(stage);
    let few = stage.requests() / 4;
    flow.wait_for(0, few).await?;
    flow.enter(1);
    stage.put_on("live-50-50.yaml").await?;
    flow.enter(2);
    flow.wait_for(2, stage.requests()).await?;
    flow.enter(3);
    stage.put_on("live-0-100.yaml").await?;
    flow.enter(4);
    flow.wait_for(4, few).await?;
    let tallies = flow.stop().await;

    let mut checks = Vec::new();
    let (mut sent, mut answered, mut reached) = (0, 0, 0);
    for (case, tally) in CASES.into_iter().zip(tallies) {
        let of_case = tally.answers.len() + tally.errors.len();
        let v1 = stage.reviews(1).requests(case).await?;
        let v3 = stage.reviews(3).requests(case).await?;
        sent += of_case;
        answered += tally.with_status(200);
        reached += v1 + v3;
        match case {
            "live-100-0" => checks.push(Check::count("100/0: at reviews v1", of_case, v1)),
            "live-50-50" => checks.push(Check::share("50/50: at reviews v3", 50.0, of_case, v3)),
            "live-0-100" => checks.push(Check::count("0/100: at reviews v3", of_case, v3)),
            _ => {}
        }
    }
    checks.push(Check::count("all, those of the changes included: answered", sent, answered));
    checks.push(Check::count("all, those of the changes included: at reviews", sent, reached));
    Ok(checks)
}

/// Callers in the background, and the case that their requests are sent under now.
struct Flow {
    now: Arc<AtomicUsize>,
    sent: Arc<[AtomicUsize; CASES.len()]>,
    stopped: Arc<AtomicBool>,
    callers: JoinSet<[Tally; CASES.len()]>,
}

impl Flow {
    fn start(stage: &Stage) -> Self {
        let mut flow =
            Self { now: Arc::default(), sent: Arc::default(), stopped: Arc::default(), callers: JoinSet::new() };
        let calls = CASES.map(|case| stage.shop("/api/v1/products/0/reviews").case(case));
        for _ in 0..CALLERS {
            let (probe, calls) = (stage.probe().clone(), calls.clone());
            let (now, sent, stopped) = (Arc::clone(&flow.now), Arc::clone(&flow.sent), Arc::clone(&flow.stopped));
            flow.callers.spawn(async move {
                let mut tallies: [Tally; CASES.len()] = Default::default();
                while !stopped.load(Ordering::Acquire) {
                    let case = now.load(Ordering::Acquire);
                    call_once(&probe, &calls[case], &mut tallies[case]).await;
                    sent[case].fetch_add(1, Ordering::Relaxed);
                }
                tallies
            });
        }
        flow
    }

    fn enter(&self, case: usize) {
        self.now.store(case, Ordering::Release);
    }

    async fn wait_for(&self, case: usize, requests: usize) -> Result<()> {
        let end = Instant::now() + Duration::from_secs(30);
        while self.sent[case].load(Ordering::Relaxed) < requests {
            if Instant::now() > end {
                return Err(format!("{} requests did not come to {requests} in time", CASES[case]).into());
            }
            sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    async fn stop(self) -> [Tally; CASES.len()] {
        self.stopped.store(true, Ordering::Release);
        let mut all: [Tally; CASES.len()] = Default::default();
        for tallies in self.callers.join_all().await {
            for (case, tally) in tallies.into_iter().enumerate() {
                all[case].merge(tally);
            }
        }
        all
    }
}

async fn call_once(probe: &Probe, call: &Call, tally: &mut Tally) {
    tally.merge(probe.line(call, 1).await);
}
