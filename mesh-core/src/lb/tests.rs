use std::collections::BTreeMap;

use super::*;
use crate::SplitMix64;
use crate::cluster::{EndpointAddress, EndpointSpec};

fn hosts(weights: &[u32]) -> Vec<Arc<EndpointState>> {
    let host = |(n, weight): (usize, &u32)| {
        let address = EndpointAddress::parse(&format!("10.0.0.{}", n + 1), 80).unwrap();
        Arc::new(EndpointState::new(EndpointSpec { weight: *weight, ..EndpointSpec::at(address) }))
    };
    weights.iter().enumerate().map(host).collect()
}

fn set(spec: LbSpec, hosts: &[Arc<EndpointState>]) -> HostSet {
    HostSet::new(spec, 0, hosts.to_vec(), &Arc::default())
}

fn shares(set: &HostSet, tried: &[Arc<EndpointState>], picks: u32) -> BTreeMap<u32, u32> {
    let mut rng = SplitMix64::new(11);
    let pick = Pick { hash: None, tried, now: Instant::now() };
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
