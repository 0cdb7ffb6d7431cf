//! Plays a case at both sides at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use mesh_tower::{Mesh, Profile};

use crate::caller::{Callee, Outcome, call};
use crate::case::{Ask, Case, Step};
use crate::compare::compare;
use crate::documents;
use crate::envoy::Envoy;
use crate::place::Place;
use crate::upstream::Upstreams;

/// What all cases share.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) envoy: Envoy,
    pub(crate) upstreams: Arc<Upstreams>,
    pub(crate) place: Place,
    /// Whether to say what each side did.
    pub(crate) telling: bool,
}

/// What became of a request at one side.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) outcome: Outcome,
    pub(crate) flags: String,
    pub(crate) attempts: u32,
    pub(crate) took: Duration,
}

/// How long copies of a request may take to arrive.
const COPIES: Duration = Duration::from_millis(100);

/// Names requests of all cases.
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// What the sides do differently, step by step.
pub(crate) async fn differences(stage: &Stage, case: &Case) -> Vec<String> {
    let mesh = Mesh::builder()
        .config_yaml("case.yaml", stage.place.enter(&documents::of(case)))
        .profile(Profile::Istio)
        .locality(documents::NEAR)
        .build()
        .await
        .unwrap_or_else(|error| panic!("{}: {error}", case.name));
    let own = Callee::Client(mesh.client_for_port(80));
    let envoys = Callee::Gateway(stage.envoy.address);
    let mut differences = Vec::new();
    for step in &case.steps {
        match step {
            Step::Wait(time) => tokio::time::sleep(*time).await,
            Step::Ask(ask) => {
                let (own, envoys) = tokio::join!(all(stage, case, ask, &own), all(stage, case, ask, &envoys));
                if stage.telling {
                    println!("{} / {}\n{}", case.name, ask.name, crate::compare::told(&own, &envoys));
                }
                let found = compare(ask, &own, &envoys);
                differences.extend(found.into_iter().map(|difference| format!("[{}] {difference}", ask.name)));
            }
        }
    }
    differences
}

/// The requests of a step, in the order of sending.
async fn all(stage: &Stage, case: &Case, ask: &Ask, callee: &Callee) -> Vec<Got> {
    let begun = tokio::time::Instant::now();
    let requests = futures_util::stream::iter(0..ask.times).map(|n| async move {
        if !ask.stagger.is_zero() {
            tokio::time::sleep_until(begun + ask.stagger * u32::try_from(n).unwrap()).await;
        }
        one(stage, case, ask, callee, n).await
    });
    requests.buffered(ask.at_once).collect().await
}

async fn one(stage: &Stage, case: &Case, ask: &Ask, callee: &Callee, n: usize) -> Got {
    let mark = NEXT.fetch_add(1, Ordering::Relaxed).to_string();
    stage.upstreams.expect(&mark, ask.script(case));
    let begun = Instant::now();
    let mut outcome = call(callee, &ask.nth(case, n), &mark).await;
    let took = begun.elapsed();
    let (flags, attempts) = match &outcome.info {
        Some(info) => (info.flags.clone(), info.attempts),
        None => {
            let logged = stage.envoy.logged(&mark).await;
            (logged.flags, logged.attempts)
        }
    };
    if case.rule.get("mirror").is_some() {
        tokio::time::sleep(COPIES).await;
    }
    outcome.seen = stage.upstreams.seen(&mark);
    Got { outcome, flags, attempts, took }
}
