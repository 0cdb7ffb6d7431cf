use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::SplitMix64;
use crate::classify::Outcome;
use crate::cluster::{EndpointAddress, EndpointSpec};
use crate::outlier::{Detector, OutlierSpec};

fn hosts(weights: &[u32]) -> Vec<Arc<EndpointState>> {
    let host = |(n, weight): (usize, &u32)| {
        let address = EndpointAddress::parse(&format!("10.0.0.{}", n + 1), 80).unwrap();
        Arc::new(EndpointState::new(EndpointSpec { weight: *weight, ..EndpointSpec::at(address) }))
    };
    weights.iter().enumerate().map(host).collect()
}

fn set(spec: LbSpec, hosts: &[Arc<EndpointState>]) -> HostSet {
    balanced(&spec.into(), hosts)
}

fn balanced(balance: &Balance<'_>, hosts: &[Arc<EndpointState>]) -> HostSet {
    HostSet::new(balance, hosts.to_vec(), &Cursors::default(), Instant::now())
}

fn shares(set: &HostSet, tried: &[Arc<EndpointState>], picks: u32) -> BTreeMap<u32, u32> {
    let mut rng = SplitMix64::new(11);
    let pick = Pick { tried, avoid_tried: true, ..Pick::first(Instant::now()) };
    let mut shares = BTreeMap::new();
    for _ in 0..picks {
        *shares.entry(set.pick(&pick, &mut rng).unwrap().0).or_default() += 1;
    }
    shares
}

#[test]
fn round_robin_takes_turns() {
    assert_eq!(shares(&set(LbSpec::RoundRobin, &hosts(&[1, 1, 1])), &[], 300), [(0, 100), (1, 100), (2, 100)].into());
    assert_eq!(shares(&set(LbSpec::RoundRobin, &hosts(&[3, 1])), &[], 400), [(0, 300), (1, 100)].into());
}

#[test]
fn random_and_least_request_spread_evenly() {
    for spec in [LbSpec::Random, LbSpec::LeastRequest] {
        let shares = shares(&set(spec, &hosts(&[1, 1, 1, 1])), &[], 8_000);
        assert!(shares.values().all(|share| (1_850..2_150).contains(share)), "{spec:?} {shares:?}");
    }
}

#[test]
fn least_request_avoids_the_busier_of_two() {
    let hosts = hosts(&[1, 1]);
    let _busy = hosts[0].begin();
    let shares = shares(&set(LbSpec::LeastRequest, &hosts), &[], 4_000);
    // The busy one is only taken where both draws hit it.
    assert!((900..1_100).contains(&shares[&0]), "{shares:?}");
}

#[test]
fn least_request_goes_by_weight_where_weights_differ() {
    let hosts = hosts(&[3, 1]);
    let idle = shares(&set(LbSpec::LeastRequest, &hosts), &[], 4_000);
    assert!((2_850..3_150).contains(&idle[&0]), "{idle:?}");
    let _busy = (hosts[0].begin(), hosts[0].begin());
    let loaded = shares(&set(LbSpec::LeastRequest, &hosts), &[], 4_000);
    assert!((1_850..2_150).contains(&loaded[&0]), "{loaded:?}");
}

#[test]
fn a_host_that_was_tried_is_avoided_while_there_are_others() {
    let hosts = hosts(&[1, 1, 1]);
    let shares = shares(&set(LbSpec::RoundRobin, &hosts), &hosts[..1], 300);
    assert_eq!(shares, [(1, 150), (2, 150)].into());
}

#[test]
fn the_only_host_is_taken_again() {
    let hosts = hosts(&[1]);
    assert_eq!(shares(&set(LbSpec::Random, &hosts), &hosts, 10), [(0, 10)].into());
}

#[test]
fn nothing_is_chosen_from_nothing() {
    let set = set(LbSpec::LeastRequest, &[]);
    assert_eq!(set.pick(&Pick::first(Instant::now()), &mut SplitMix64::new(1)), None);
    assert!(!set.has_choice());
}

/// Ejects one of the hosts.
fn eject(hosts: &[Arc<EndpointState>], host: usize) {
    let spec = OutlierSpec { consecutive_5xx: 1, max_ejection_percent: 100, ..OutlierSpec::default() };
    let detector = Detector::new(spec, Instant::now());
    detector.set_hosts(hosts);
    assert!(detector.on_outcome(Instant::now(), &hosts[host], &Outcome::status(500)).is_some());
}

#[test]
fn an_ejected_host_leaves_its_share_to_the_others() {
    let hosts = hosts(&[2, 1, 1]);
    eject(&hosts, 1);
    for spec in [LbSpec::RoundRobin, LbSpec::Random, LbSpec::LeastRequest] {
        let set = set(spec, &hosts);
        assert_eq!(set.healthy(), 2);
        let shares = shares(&set, &[], 3_000);
        assert!(!shares.contains_key(&1), "{spec:?}");
        let expected = if spec == LbSpec::Random { 1_500 } else { 2_000 };
        assert!(shares[&0].abs_diff(expected) < 120, "{spec:?} {shares:?}");
    }
}

#[test]
fn in_panic_ejected_hosts_get_requests_again() {
    let hosts = hosts(&[1, 1, 1]);
    eject(&hosts, 0);
    eject(&hosts, 1);
    let panicking = balanced(&Balance { panic_threshold: 50, ..LbSpec::RoundRobin.into() }, &hosts);
    assert_eq!(shares(&panicking, &[], 300), [(0, 100), (1, 100), (2, 100)].into());
    eject(&hosts, 2);
    assert!(!set(LbSpec::RoundRobin, &hosts).has_choice());
}

#[test]
fn a_round_goes_on_in_the_next_set() {
    let (hosts, cursors) = (hosts(&[1, 1]), Cursors::default());
    let mut rng = SplitMix64::new(1);
    let mut next = || {
        let set = HostSet::new(&LbSpec::RoundRobin.into(), hosts.clone(), &cursors, Instant::now());
        set.pick(&Pick::first(Instant::now()), &mut rng).unwrap().0
    };
    assert_eq!([next(), next(), next()], [0, 1, 0]);
}

proptest! {
    #[test]
    fn least_request_prefers_the_less_loaded_of_two(light in 0_usize..20, more in 1_usize..20, seed in any::<u64>()) {
        let hosts = hosts(&[1, 1]);
        let _light: Vec<_> = (0..light).map(|_| hosts[0].begin()).collect();
        let _heavy: Vec<_> = (0..light + more).map(|_| hosts[1].begin()).collect();
        let set = set(LbSpec::LeastRequest, &hosts);
        let mut rng = SplitMix64::new(seed);
        let heavy = (0..2_000).filter(|_| set.pick(&Pick::first(Instant::now()), &mut rng) == Some(HostIdx(1))).count();
        // Both draws have to hit it: a quarter, give or take six standard deviations.
        prop_assert!((380..620).contains(&heavy), "{}", heavy);
    }

    #[test]
    fn weighted_shares_converge(weights in prop::collection::vec(1_u32..20, 2..6), seed in any::<u64>()) {
        let hosts = hosts(&weights);
        let total: u32 = weights.iter().sum();
        for spec in [LbSpec::RoundRobin, LbSpec::LeastRequest] {
            let set = set(spec, &hosts);
            let mut rng = SplitMix64::new(seed);
            let mut counts = vec![0_u32; weights.len()];
            for _ in 0..4_000 {
                counts[set.pick(&Pick::first(Instant::now()), &mut rng).unwrap().0 as usize] += 1;
            }
            for (count, weight) in counts.iter().zip(&weights) {
                let expected = f64::from(*weight) / f64::from(total);
                prop_assert!((f64::from(*count) / 4_000.0 - expected).abs() < 0.05, "{:?} {:?}", spec, counts);
            }
        }
    }
}
