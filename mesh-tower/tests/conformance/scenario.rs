//! Plays a scenario: its configuration, its endpoints, its requests one after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mesh_tower::{BuildError, Gateway, Mesh, Profile};
use tempfile::TempDir;

use crate::caller::{Callee, Outcome, call};
use crate::compare::{Rules, single};
use crate::counts::{endpoints_are_equal, repeated};
use crate::inbound;
use crate::place::Place;
use crate::record::{Observed, Scenario, Step, Workload};
use crate::script::Act;
use crate::secure::credentials;
use crate::token;
use crate::upstream::{Names, Script, Upstreams};

/// The steps of a scenario, each with what is wrong with it.
pub(crate) type Results = Vec<(String, Option<String>)>;

/// How long the last copies of a step may take to arrive.
const COPIES: Duration = Duration::from_millis(400);

/// How often a single request is sent to see it go where it was recorded to go: enough for a share of one in ten.
const DRAWS: usize = 60;

/// Every step that can be compared.
///
/// # Panics
/// If the harness itself fails.
pub(crate) async fn play(mut scenario: Scenario, place: Place) -> Results {
    token::enter(&mut scenario);
    let config = accepted(&scenario);
    if scenario.inbound.is_some() {
        return inbound::play(&scenario, config, place).await;
    }
    let upstreams = Upstreams::new(place, config.contains("mirror"));
    open_endpoints(&scenario, &config, &upstreams);
    let world = World::build(&scenario, config, place, &upstreams).await;
    let all = |difference: Option<String>| {
        let steps = scenario.steps.iter().filter(|step| is_compared(step));
        steps.map(|step| (step.id.clone(), difference.clone())).collect()
    };
    let results = match world {
        Ok(_) if scenario.refused_by_proxy.is_some() => all(Some("taken, though Envoy refuses it".into())),
        Err(_) if scenario.refused_by_proxy.is_some() => all(None),
        Err(error) => all(Some(error.to_string())),
        Ok(world) => world.play(&scenario).await,
    };
    let trouble = upstreams.close().await;
    assert!(trouble.is_empty(), "{trouble:?}");
    results
}

impl World {
    async fn play(&self, scenario: &Scenario) -> Results {
        let mut results = Results::new();
        for step in &scenario.steps {
            if let Some(pause) = &step.wait {
                tokio::time::sleep(duration(pause)).await;
                continue;
            }
            let difference = self.step(step).await;
            if is_compared(step) {
                results.push((step.id.clone(), difference));
            }
        }
        results
    }
}

pub(crate) fn is_compared(step: &Step) -> bool {
    step.skip.is_none() && step.wait.is_none()
}

fn duration(text: &str) -> Duration {
    let number = |text: &str| text.parse::<f64>().expect("a number");
    match text.strip_suffix("ms") {
        Some(millis) => Duration::from_secs_f64(number(millis) / 1000.0),
        None => Duration::from_secs_f64(number(text.strip_suffix('s').expect("seconds"))),
    }
}

/// Everything that is there while a scenario is played.
struct World {
    /// As it stands in the recording.
    config: String,
    place: Place,
    upstreams: Arc<Upstreams>,
    clients: BTreeMap<String, Mesh>,
    first: String,
    /// Lives as long as the scenario.
    gateway: Option<Gateway>,
    _credentials: TempDir,
    requests: AtomicUsize,
}

impl World {
    async fn build(
        scenario: &Scenario,
        config: String,
        place: Place,
        upstreams: &Arc<Upstreams>,
    ) -> Result<Self, BuildError> {
        let mut clients = BTreeMap::new();
        for workload in scenario.clients.iter().chain(&scenario.gateway) {
            let mut builder = Mesh::builder()
                .config_yaml("config.yaml", place.enter(&config))
                .namespace(&workload.namespace)
                .labels(workload.labels.clone())
                .profile(Profile::Istio)
                .discovery(Names(Arc::clone(upstreams)))
                .seed(7);
            if let Some(locality) = &workload.locality {
                builder = builder.locality(locality);
            }
            if let Some(mesh) = &scenario.mesh {
                builder = builder.mesh_config_yaml(place.enter(&mesh.to_string()));
            }
            clients.insert(workload.id.clone(), builder.build().await?);
        }
        let credentials = credentials(&config);
        let gateway = match &scenario.gateway {
            Some(workload) => Some(open_gateway(&clients[&workload.id], scenario, credentials.path()).await),
            None => None,
        };
        let first = scenario.clients.first().map(|client: &Workload| client.id.clone()).unwrap_or_default();
        Ok(Self {
            config,
            place,
            upstreams: Arc::clone(upstreams),
            clients,
            first,
            gateway,
            _credentials: credentials,
            requests: AtomicUsize::new(0),
        })
    }

    async fn step(&self, step: &Step) -> Option<String> {
        let observed = step.observed.as_ref().expect("what was observed");
        let callee = match &self.gateway {
            Some(gateway) => match gateway.address_of(step.port) {
                Some(address) => Callee::Gateway(address),
                None => return observed.note.is_none().then(|| format!("port {} is not served", step.port)),
            },
            None => {
                Callee::Client(self.clients[step.client.as_ref().unwrap_or(&self.first)].client_for_port(step.port))
            }
        };
        let rules = Rules { config: &self.config, step, varies: &step.varies };
        match &observed.counts {
            None => self.once(&callee, rules, observed).await,
            Some(counts) => {
                let outcomes = self.many(&callee, step).await;
                repeated(rules, observed, counts, &outcomes)
            }
        }
    }

    /// A single request; another one if the draw of a split went to a destination that the recording's did not.
    async fn once(&self, callee: &Callee, rules: Rules<'_>, observed: &Observed) -> Option<String> {
        if let Some(endpoint) = endpoint_that_counts(rules, observed) {
            return self.once_at(callee, rules, observed, endpoint).await;
        }
        let mut first = None;
        for _ in 0..DRAWS {
            let (mark, outcome) = self.request(callee, rules.step, script(rules.step)).await;
            let outcome = self.settled(&mark, outcome, observed).await;
            let difference = single(rules, observed, &outcome)?;
            let drawn = self.config.contains("weight:") && is_elsewhere(observed, &outcome);
            first.get_or_insert(difference);
            if !drawn {
                break;
            }
        }
        first
    }

    /// A single request that goes to the recorded endpoint, which alone does what the step says: what comes after
    /// depends on it.
    async fn once_at(&self, callee: &Callee, rules: Rules<'_>, observed: &Observed, endpoint: &str) -> Option<String> {
        for _ in 0..DRAWS {
            let all = script(rules.step);
            let script = Script { acts: vec![Act::parse("200")], at: [(endpoint.to_owned(), all.acts)].into() };
            let (mark, outcome) = self.request(callee, rules.step, script).await;
            let outcome = self.settled(&mark, outcome, observed).await;
            if outcome.seen.attempts.iter().any(|arrival| arrival.endpoint == endpoint) {
                return single(rules, observed, &outcome);
            }
        }
        Some(format!("never at {endpoint}"))
    }

    async fn request(&self, callee: &Callee, step: &Step, script: Script) -> (String, Outcome) {
        let mark = self.requests.fetch_add(1, Ordering::Relaxed).to_string();
        self.upstreams.expect(&mark, script);
        let outcome = call(callee, step, &mark).await;
        (mark, outcome)
    }

    /// Waits for copies that are still on their way.
    async fn settled(&self, mark: &str, mut outcome: Outcome, observed: &Observed) -> Outcome {
        let expected = observed.mirrored.as_ref().map_or(0, Vec::len);
        let begun = Instant::now();
        if self.config.contains("mirror") {
            while self.upstreams.seen(mark).mirrored.len() < expected.max(1) && begun.elapsed() < COPIES {
                let pause = if expected == 0 { COPIES / 10 } else { Duration::from_millis(2) };
                tokio::time::sleep(pause).await;
                if expected == 0 {
                    break;
                }
            }
        }
        outcome.seen = self.upstreams.seen(mark);
        outcome.leave(self.place)
    }

    /// In the order of sending.
    async fn many(&self, callee: &Callee, step: &Step) -> Vec<Outcome> {
        let repeat = step.repeat.unwrap_or(1);
        let next = AtomicUsize::new(0);
        let begun = tokio::time::Instant::now();
        let worker = || async {
            let mut outcomes = Vec::new();
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= repeat {
                    return outcomes;
                }
                let after = after(step, n);
                if !after.is_zero() {
                    tokio::time::sleep_until(begun + after).await;
                }
                outcomes.push((n, self.request(callee, step, script(step)).await));
            }
        };
        let workers = (0..step.concurrency.unwrap_or(1)).map(|_| worker());
        let mut outcomes: Vec<_> = futures_util::future::join_all(workers).await.into_iter().flatten().collect();
        outcomes.sort_by_key(|(n, _)| *n);
        if self.config.contains("mirror") {
            tokio::time::sleep(COPIES).await;
        }
        let seen = |(_, (mark, outcome)): (usize, (String, Outcome))| {
            let seen = self.upstreams.seen(&mark);
            Outcome { seen, ..outcome }.leave(self.place)
        };
        outcomes.into_iter().map(seen).collect()
    }
}

/// When a request is sent: those of a burst had connections of their own, which come in a few at a time.
fn after(step: &Step, n: usize) -> Duration {
    let burst = step.concurrency.is_some() && step.repeat == step.concurrency;
    let millis = match step.stagger_ms {
        Some(stagger) => stagger * u64::try_from(n).expect("few"),
        None if burst => u64::try_from(n / AT_ONCE).expect("few"),
        None => 0,
    };
    Duration::from_millis(millis)
}

/// Requests of a burst within a millisecond.
const AT_ONCE: usize = 4;

/// The endpoint of a step whose choice was chance but decides what becomes of the steps after it, since endpoints
/// differ by where they are.
fn endpoint_that_counts<'a>(rules: Rules<'_>, observed: &'a Observed) -> Option<&'a str> {
    match observed.upstream.as_deref() {
        Some([arrival]) if arrival.one_of.is_some() && !endpoints_are_equal(rules.config) => Some(&arrival.endpoint),
        _ => None,
    }
}

fn is_elsewhere(observed: &Observed, outcome: &Outcome) -> bool {
    let own = outcome.info.as_ref().and_then(|info| info.cluster.as_deref());
    own.zip(observed.cluster.as_ref()).is_some_and(|(own, cluster)| own != cluster.name())
}

pub(crate) fn script(step: &Step) -> Script {
    let acts = |entries: &Vec<String>| entries.iter().map(|entry| Act::parse(entry)).collect();
    let at = step.upstream_at.iter().map(|(endpoint, entries)| (endpoint.clone(), acts(entries))).collect();
    Script { acts: acts(&step.upstream), at }
}

/// The documents that Istio's webhook takes.
fn accepted(scenario: &Scenario) -> String {
    let documents: Vec<&str> = scenario.config.split("\n---\n").collect();
    let documents: Vec<&str> = documents.into_iter().filter(|document| !document.trim().is_empty()).collect();
    assert_eq!(documents.len(), scenario.validation.len(), "documents and verdicts on them");
    let pairs = documents.into_iter().zip(&scenario.validation);
    let good: Vec<&str> = pairs.filter(|(_, verdict)| verdict.accepted).map(|(document, _)| document).collect();
    good.join("\n---\n")
}

/// Third part of the addresses at which nobody listens.
const CLOSED: u8 = 9;

/// Opens every address that the configuration has, at every port that it could be meant with.
fn open_endpoints(scenario: &Scenario, config: &str, upstreams: &Arc<Upstreams>) {
    let mut ports: BTreeSet<u16> = scenario.steps.iter().map(|step| step.port).collect();
    let all = scenario.steps.iter().flat_map(|step| step.observed.iter().chain(&step.alternatives));
    for observed in all {
        let seen = std::iter::once(observed).chain(&observed.samples);
        let arrivals = seen.flat_map(|observed| observed.upstream.iter().chain(&observed.mirrored).flatten());
        let endpoints =
            arrivals.map(|arrival| arrival.endpoint.as_str()).chain(observed.endpoints.keys().map(String::as_str));
        ports.extend(endpoints.filter_map(|endpoint| endpoint.rsplit_once(':')?.1.parse::<u16>().ok()));
    }
    let addresses: BTreeSet<(u8, u8)> = Place::addresses(config).into_iter().collect();
    for address in addresses.into_iter().filter(|(third, _)| *third != CLOSED) {
        ports.iter().filter(|port| **port != 0).for_each(|port| upstreams.open(address, *port));
    }
}

async fn open_gateway(mesh: &Mesh, scenario: &Scenario, credentials: &Path) -> Gateway {
    let mut ports: BTreeSet<u16> = scenario.steps.iter().map(|step| step.port).collect();
    ports.extend(mesh.snapshot().snapshot().gateway_servers().iter().map(|server| server.port));
    let builder = mesh.gateway().address([127, 0, 0, 1]).credentials(credentials);
    let builder = ports.into_iter().fold(builder, |builder, port| builder.map_port(port, 0));
    builder.start().await.expect("the gateway's ports")
}
