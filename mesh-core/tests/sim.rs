//! Balancing, retries and outlier detection together, over a virtual clock: a run is a seed.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests say what they expect, and start their clock somewhere"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use mesh_config::api::virtual_service::HttpRetry;
use mesh_core::classify::Outcome;
use mesh_core::cluster::endpoint::EndpointState;
use mesh_core::cluster::{EndpointAddress, EndpointSpec};
use mesh_core::lb::{Balance, Cursors, HostSet, LbSpec, Pick};
use mesh_core::outlier::{Detector, OutlierSpec};
use mesh_core::retry::{Attempts, Next, RetryPolicy};
use mesh_core::{Failure, SplitMix64};
use proptest::prelude::*;

/// A time at which an endpoint does not answer as it should.
#[derive(Clone, Copy, Debug)]
struct Outage {
    host: usize,
    from: Duration,
    to: Duration,
    outcome: Outcome,
}

/// What to simulate.
#[derive(Clone, Debug)]
struct Script {
    hosts: usize,
    lb: LbSpec,
    outlier: OutlierSpec,
    outages: Vec<Outage>,
    length: Duration,
}

impl Script {
    fn balance(&self) -> Balance<'static> {
        Balance { panic_threshold: self.outlier.min_health_percent, ..self.lb.into() }
    }
}

/// One cluster of a client that sends a request every ten milliseconds.
struct World {
    script: Script,
    start: Instant,
    now: Duration,
    rng: SplitMix64,
    hosts: Vec<Arc<EndpointState>>,
    set: HostSet,
    cursors: Cursors,
    detector: Detector,
    policy: RetryPolicy,
    report: Report,
}

/// What was observed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Report {
    /// Every try: when, where.
    tries: Vec<(Duration, usize)>,
    /// When requests failed for good.
    failures: Vec<Duration>,
    /// Ejections: when, and how many endpoints are out then.
    ejections: Vec<(Duration, usize)>,
    returns: Vec<Duration>,
}

const BETWEEN_REQUESTS: Duration = Duration::from_millis(10);

impl World {
    fn run(script: Script, seed: u64) -> Report {
        let start = Instant::now();
        let host = |n: usize| {
            let address = EndpointAddress::parse(&format!("10.0.0.{n}"), 80).expect("an IP address");
            Arc::new(EndpointState::new(EndpointSpec::at(address)))
        };
        let hosts: Vec<_> = (0..script.hosts).map(host).collect();
        let detector = Detector::new(script.outlier.clone(), start);
        detector.set_hosts(&hosts);
        let cursors = Cursors::default();
        let retries = HttpRetry { attempts: 3, retry_on: "5xx".into(), ..HttpRetry::default() };
        let mut world = Self {
            set: HostSet::new(&script.balance(), hosts.clone(), &cursors, start),
            policy: RetryPolicy::lower(Some(&retries), None, false).expect("retries are on"),
            now: Duration::ZERO,
            rng: SplitMix64::new(seed),
            report: Report::default(),
            script,
            start,
            hosts,
            cursors,
            detector,
        };
        while world.now < world.script.length {
            world.sweep();
            world.request();
            world.now += BETWEEN_REQUESTS;
        }
        world.report
    }

    fn sweep(&mut self) {
        for _ in self.detector.on_tick(self.start + self.now) {
            self.report.returns.push(self.now);
            self.rebuild();
        }
    }

    /// Whoever ejects an endpoint, or takes it back, builds a new set.
    fn rebuild(&mut self) {
        self.set = HostSet::new(&self.script.balance(), self.hosts.clone(), &self.cursors, self.start + self.now);
    }

    fn request(&mut self) {
        let policy = self.policy.clone();
        let mut attempts = Attempts::new(Some(&policy));
        let mut tried = Vec::new();
        loop {
            let outcome = self.attempt(&mut tried);
            match attempts.next(&outcome, &mut self.rng) {
                Next::RetryAfter(pause) => assert!(pause < Duration::from_millis(250)),
                Next::Done if outcome.is_success() => return,
                Next::Done | Next::Exhausted => return self.report.failures.push(self.now),
            }
        }
    }

    fn attempt(&mut self, tried: &mut Vec<Arc<EndpointState>>) -> Outcome {
        let pick = Pick { tried, avoid_tried: true, ..Pick::first(self.start + self.now) };
        let Some(index) = self.set.pick(&pick, &mut self.rng) else {
            return Outcome::Failed(Failure::NoHealthyUpstream);
        };
        let host = index.0 as usize;
        self.report.tries.push((self.now, host));
        tried.push(Arc::clone(&self.hosts[host]));
        let outcome = self.answer(host);
        if self.detector.on_outcome(self.start + self.now, &self.hosts[host], &outcome).is_some() {
            let out = self.hosts.iter().filter(|host| host.is_ejected()).count();
            self.report.ejections.push((self.now, out));
            self.rebuild();
        }
        outcome
    }

    fn answer(&self, host: usize) -> Outcome {
        let now = self.now;
        let under_way = |outage: &&Outage| outage.host == host && (outage.from..outage.to).contains(&now);
        self.script.outages.iter().find(under_way).map_or(Outcome::status(200), |outage| outage.outcome)
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Five endpoints, of which one refuses connections from the 10th to the 60th second.
fn one_of_five_goes_down(lb: LbSpec) -> Script {
    let outcome = Outcome::Failed(Failure::ConnectFailed);
    Script {
        hosts: 5,
        lb,
        outlier: OutlierSpec { max_ejection_percent: 50, ..OutlierSpec::default() },
        outages: vec![Outage { host: 2, from: seconds(10), to: seconds(60), outcome }],
        length: seconds(200),
    }
}

const ALGORITHMS: [LbSpec; 3] = [LbSpec::LeastRequest, LbSpec::Random, LbSpec::RoundRobin];

#[test]
fn a_broken_endpoint_is_left_out_and_no_caller_notices() {
    for lb in ALGORITHMS {
        let report = World::run(one_of_five_goes_down(lb), 7);
        assert_eq!(report.failures, [Duration::ZERO; 0], "{lb:?}");
        let (ejected_at, _) = report.ejections[0];
        assert!((seconds(10)..seconds(12)).contains(&ejected_at), "{lb:?} {ejected_at:?}");
        let returned_at = report.returns[0];
        assert!(returned_at >= ejected_at + seconds(30) && returned_at <= ejected_at + seconds(40) + BETWEEN_REQUESTS);
        let meanwhile = report.tries.iter().filter(|(at, _)| (ejected_at + BETWEEN_REQUESTS..returned_at).contains(at));
        assert!(meanwhile.clone().count() > 0 && meanwhile.clone().all(|(_, host)| *host != 2), "{lb:?}");
    }
}

#[test]
fn a_second_ejection_lasts_longer_and_afterwards_the_endpoint_has_its_share_again() {
    for lb in ALGORITHMS {
        let report = World::run(one_of_five_goes_down(lb), 7);
        // Out at 10 s, back at 40 s or 50 s and still broken, out again for 60 s at least.
        assert_eq!((report.ejections.len(), report.returns.len()), (2, 2), "{lb:?} {:?}", report.ejections);
        assert!(report.returns[1] - report.ejections[1].0 >= seconds(60), "{lb:?}");
        let end: Vec<_> = report.tries.iter().filter(|(at, _)| *at >= report.returns[1] + seconds(1)).collect();
        let share = end.iter().filter(|(_, host)| *host == 2).count() as f64 / end.len() as f64;
        assert!((share - 0.2).abs() < 0.03, "{lb:?} {share}");
    }
}

#[test]
fn with_all_endpoints_broken_and_ejected_nobody_is_asked() {
    let outcome = Outcome::status(503);
    let outage = |host| Outage { host, from: Duration::ZERO, to: seconds(20), outcome };
    let script = Script {
        hosts: 3,
        lb: LbSpec::LeastRequest,
        outlier: OutlierSpec { max_ejection_percent: 100, ..OutlierSpec::default() },
        outages: (0..3).map(outage).collect(),
        length: seconds(60),
    };
    let report = World::run(script, 1);
    assert_eq!(report.ejections.len(), 3);
    let (last_ejection, first_return) = (report.ejections[2].0, report.returns[0]);
    assert!(!report.tries.iter().any(|(at, _)| *at > last_ejection && *at < first_return));
    assert!(report.failures.iter().all(|at| *at < first_return));
}

fn scripts() -> impl Strategy<Value = Script> {
    let outage = (0_usize..8, 0_u64..90, 1_u64..60, prop::bool::ANY).prop_map(|(host, from, length, refused)| {
        let outcome = if refused { Outcome::Failed(Failure::ConnectFailed) } else { Outcome::status(500) };
        Outage { host, from: seconds(from), to: seconds(from + length), outcome }
    });
    let lb = prop::sample::select(ALGORITHMS.to_vec());
    (1_usize..8, lb, 0_u32..=100, 1_u32..6, prop::collection::vec(outage, 0..8)).prop_map(
        |(hosts, lb, max_ejection_percent, consecutive_5xx, outages)| Script {
            hosts,
            lb,
            outlier: OutlierSpec { max_ejection_percent, consecutive_5xx, ..OutlierSpec::default() },
            outages,
            length: seconds(100),
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_same_seed_gives_the_same_run(script in scripts(), seed in any::<u64>()) {
        prop_assert_eq!(World::run(script.clone(), seed), World::run(script, seed));
    }

    #[test]
    fn no_run_ejects_more_than_allowed_or_asks_more_often_than_allowed(script in scripts(), seed in any::<u64>()) {
        let (hosts, most) = (script.hosts, script.outlier.max_ejection_percent as usize);
        let requests = (script.length.as_millis() / BETWEEN_REQUESTS.as_millis()) as usize;
        let report = World::run(script, seed);
        prop_assert!(report.ejections.iter().all(|(_, out)| 100 * out <= most * hosts));
        prop_assert!(report.tries.len() <= 4 * requests);
    }

    #[test]
    fn without_outages_every_request_is_one_try(seed in any::<u64>()) {
        let script = Script { outages: Vec::new(), ..one_of_five_goes_down(LbSpec::LeastRequest) };
        let report = World::run(script, seed);
        prop_assert_eq!(report.tries.len(), 20_000);
        prop_assert!(report.failures.is_empty() && report.ejections.is_empty());
        prop_assert!((0..5).all(|host| report.tries.iter().any(|(_, asked)| *asked == host)));
    }
}
