//! Clusters of 1 to 1,000 endpoints under load, over a virtual clock: a run is a seed.

#![allow(
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "tests say what they expect, and start their clock somewhere"
)]

use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mesh_core::SplitMix64;
use mesh_core::classify::Outcome;
use mesh_core::cluster::endpoint::{Active, EndpointState};
use mesh_core::cluster::{EndpointAddress, EndpointSpec, Locality};
use mesh_core::lb::locality::Failover;
use mesh_core::lb::{Balance, Cursors, HostSet, LbSpec, LocalitySpec, Pick, WarmUp};
use mesh_core::outlier::{Detector, OutlierSpec};

const SIZES: [usize; 6] = [1, 2, 3, 10, 100, 1000];

fn spec(number: usize) -> EndpointSpec {
    let address = EndpointAddress::parse(&format!("10.{}.{}.{}", number >> 16, (number >> 8) & 255, number & 255), 80);
    EndpointSpec::at(address.expect("an IP address"))
}

fn hosts(count: usize, of: impl Fn(usize) -> EndpointSpec) -> Vec<Arc<EndpointState>> {
    (0..count).map(|number| Arc::new(EndpointState::new(of(number)))).collect()
}

fn set(balance: &Balance<'_>, hosts: &[Arc<EndpointState>]) -> HostSet {
    HostSet::new(balance, hosts.to_vec(), &Cursors::default(), Instant::now())
}

fn eject(hosts: &[Arc<EndpointState>], number: usize) {
    let spec = OutlierSpec { consecutive_5xx: 1, max_ejection_percent: 100, ..OutlierSpec::default() };
    let detector = Detector::new(spec, Instant::now());
    detector.set_hosts(hosts);
    detector.on_outcome(Instant::now(), &hosts[number], &Outcome::status(500)).expect("an ejection");
}

/// Requests that come at a steady pace and take as long as their endpoint takes. Gives how many each got.
fn under_load(set: &HostSet, requests: usize, pace: u64, takes: impl Fn(usize) -> u64) -> Vec<usize> {
    let mut rng = SplitMix64::new(11);
    let mut counts = vec![0; set.iter().len()];
    let mut under_way: BinaryHeap<Ending> = BinaryHeap::new();
    for request in 0..requests as u64 {
        let now = request * pace;
        while under_way.peek().is_some_and(|ending| ending.at <= now) {
            under_way.pop();
        }
        let host = set.pick(&Pick::first(Instant::now()), &mut rng).expect("an endpoint");
        let number = host.0 as usize;
        counts[number] += 1;
        let active = set.host(host).expect("the endpoint").begin();
        under_way.push(Ending { at: now + takes(number), _active: active });
    }
    counts
}

/// The end of a request; the earliest is the greatest.
struct Ending {
    at: u64,
    _active: Active,
}

impl PartialEq for Ending {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Ending {}

impl PartialOrd for Ending {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ending {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.at.cmp(&self.at)
    }
}

fn assert_near(count: usize, expected: f64, what: &str) {
    // Six standard deviations and one.
    let chance = 6.0 * expected.sqrt() + 1.0;
    assert!((count as f64 - expected).abs() <= chance, "{what}: {count}, expected {expected}");
}

#[test]
fn equal_endpoints_get_equal_parts_at_every_size() {
    for count in SIZES {
        let requests = 200 * count.max(10);
        for lb in [LbSpec::RoundRobin, LbSpec::Random, LbSpec::LeastRequest] {
            let counts = under_load(&set(&lb.into(), &hosts(count, spec)), requests, 10, |_| 50);
            for got in counts {
                assert_near(got, requests as f64 / count as f64, &format!("{lb:?} of {count}"));
            }
        }
    }
}

#[test]
fn unequal_endpoints_get_parts_by_their_weight_at_every_size() {
    let weight = |number: usize| 1 + (number % 4) as u32;
    for count in SIZES {
        let hosts = hosts(count, |number| EndpointSpec { weight: weight(number), ..spec(number) });
        let total: u32 = (0..count).map(weight).sum();
        let requests = 200 * count.max(10);
        for lb in [LbSpec::RoundRobin, LbSpec::LeastRequest] {
            let counts = under_load(&set(&lb.into(), &hosts), requests, 10, |_| 5);
            for (number, got) in counts.into_iter().enumerate() {
                let expected = requests as f64 * f64::from(weight(number)) / f64::from(total);
                assert_near(got, expected, &format!("{lb:?} of {count}"));
            }
        }
    }
}

#[test]
fn slow_endpoints_get_less_of_least_request_and_as_much_of_round_robin() {
    // One in ten takes ten times as long, which the load leaves time for.
    let takes = |number: usize| if number.is_multiple_of(10) { 100_000 } else { 10_000 };
    for count in [10, 100, 1000] {
        for weighted in [false, true] {
            let of =
                |number| EndpointSpec { weight: if weighted { 1 + (number % 2) as u32 } else { 1 }, ..spec(number) };
            let part = |lb: LbSpec| {
                let hosts = hosts(count, of);
                let counts = under_load(&set(&lb.into(), &hosts), 300 * count, 40_000 / count as u64, takes);
                let slow: usize = counts.iter().step_by(10).sum();
                slow as f64 / (300 * count) as f64
            };
            // Of two with weights 1 and 2 the slow ones are those of weight 1.
            let fair = if weighted { 0.1 * 2.0 / 3.0 } else { 0.1 };
            assert!((part(LbSpec::RoundRobin) - fair).abs() < 0.01, "{count} {weighted}");
            assert!(part(LbSpec::LeastRequest) < 0.8 * fair, "{count} {weighted} {}", part(LbSpec::LeastRequest));
        }
    }
}

#[test]
fn a_hash_moves_only_where_it_has_to_at_every_size() {
    let mut rng = SplitMix64::new(3);
    for count in [2, 3, 10, 100, 1000] {
        // As many entries each before and after, give or take one: a ring whose minimum stays the same gives more to
        // those that stay.
        let ring = |count: usize| LbSpec::ring_hash(100 * count as u64 - 1);
        let table = |_| LbSpec::maglev(65_537);
        let both: [(&dyn Fn(usize) -> LbSpec, f64); 2] = [(&ring, 0.001), (&table, 0.06)];
        for (lb, most) in both {
            let hosts = hosts(count, spec);
            let before = set(&lb(count).into(), &hosts);
            eject(&hosts, count / 2);
            let after = set(&lb(count - 1).into(), &hosts);
            let at = |set: &HostSet, key: u64, rng: &mut SplitMix64| {
                let hash = Some(key.wrapping_mul(0x9E37_79B9_7F4A_7C15));
                set.pick(&Pick { hash, ..Pick::first(Instant::now()) }, rng).expect("an endpoint").0 as usize
            };
            let keys = 20_000;
            let moved = (0..keys).filter(|key| {
                let old = at(&before, *key, &mut rng);
                old != count / 2 && at(&after, *key, &mut rng) != old
            });
            let part = moved.count() as f64 / keys as f64;
            assert!(part <= most, "{:?}: {part}", lb(count));
        }
    }
}

#[test]
fn the_same_key_goes_to_one_endpoint_and_no_key_to_all() {
    let set = set(&LbSpec::ring_hash(1024).into(), &hosts(3, spec));
    let mut rng = SplitMix64::new(1);
    let mut pick = |hash| set.pick(&Pick { hash, ..Pick::first(Instant::now()) }, &mut rng).expect("an endpoint").0;
    let first = pick(Some(7));
    assert!((0..12).all(|_| pick(Some(7)) == first));
    let spread: std::collections::BTreeSet<u32> = (0..200).map(|_| pick(None)).collect();
    assert_eq!(spread.len(), 3);
}

/// Near endpoints first.
fn near_first(own: &str) -> LocalitySpec {
    let own = Locality::parse(own);
    let failover = Failover { own, labels: Vec::new(), by_locality: true, takes_over: None };
    LocalitySpec { failover: Some(failover), ..LocalitySpec::default() }
}

#[test]
fn one_of_two_near_endpoints_takes_seven_tenths() {
    let zones = ["e/1", "e/1", "e/2"];
    let hosts = hosts(3, |number| EndpointSpec { locality: Locality::parse(zones[number]), ..spec(number) });
    eject(&hosts, 0);
    let locality = near_first("e/1");
    let balance = Balance { locality: &locality, ..LbSpec::LeastRequest.into() };
    let counts = under_load(&set(&balance, &hosts), 300, 10, |_| 5);
    assert_eq!(counts[0], 0);
    assert!((180..=240).contains(&counts[1]), "{counts:?}");
}

#[test]
fn as_a_zone_fails_its_load_moves_to_the_next_and_none_is_lost() {
    let zones = ["e/1", "e/2", "w/1"];
    let locality = near_first("e/1");
    for lb in [LbSpec::RoundRobin, LbSpec::LeastRequest, LbSpec::ring_hash(4096), LbSpec::maglev(65_537)] {
        let hosts = hosts(999, |number| EndpointSpec { locality: Locality::parse(zones[number % 3]), ..spec(number) });
        let balance = Balance { locality: &locality, ..lb.into() };
        let mut ejected = 0;
        for target in [0, 96, 167, 333] {
            (ejected..target).for_each(|number| eject(&hosts, 3 * number));
            ejected = target;
            let counts = under_load(&set(&balance, &hosts), 10_000, 10, |_| 5);
            let health = (140 * (333 - ejected) / 333).min(100);
            let near = counts.iter().step_by(3).sum();
            assert_near(near, 100.0 * health as f64, &format!("{lb:?} with {ejected} ejected"));
            assert_eq!(counts.iter().skip(2).step_by(3).sum::<usize>(), 0);
        }
    }
}

#[test]
fn new_endpoints_of_a_large_cluster_warm_up_together() {
    let start = Instant::now();
    let warm_up = WarmUp { window: Duration::from_secs(60), minimum_percent: 10.0, aggression: 1.0 };
    let added = |number: usize| {
        let at = if number < 900 { start } else { start + Duration::from_secs(600) };
        Arc::new(EndpointState::added(spec(number), at))
    };
    let hosts: Vec<_> = (0..1000).map(added).collect();
    for lb in [LbSpec::RoundRobin, LbSpec::LeastRequest] {
        let balance = Balance { warm_up: Some(warm_up), ..lb.into() };
        for (age, factor) in [(0, 0.1), (30, 0.5), (60, 1.0)] {
            let now = start + Duration::from_secs(600 + age);
            let set = HostSet::new(&balance, hosts.clone(), &Cursors::default(), now);
            let counts = under_load(&set, 50_000, 10, |_| 5);
            let new: usize = counts[900..].iter().sum();
            let expected = 50_000.0 * 100.0 * factor / (900.0 + 100.0 * factor);
            assert_near(new, expected, &format!("{lb:?} at {age} s"));
        }
    }
}
