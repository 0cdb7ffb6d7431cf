use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::classify::Outcome;
use crate::cluster::{EndpointAddress, EndpointSpec, Locality};
use crate::outlier::{Detector, OutlierSpec};
use crate::{Site, SplitMix64};

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

/// Hosts in places, so many in each.
fn placed(places: &[(&str, usize)]) -> Vec<Arc<EndpointState>> {
    let each = places.iter().flat_map(|(place, count)| std::iter::repeat_n(*place, *count));
    let host = |(n, place): (usize, &str)| {
        let address = EndpointAddress::parse(&format!("10.0.0.{}", n + 1), 80).unwrap();
        let locality = Locality::parse(place);
        Arc::new(EndpointState::new(EndpointSpec { locality, ..EndpointSpec::at(address) }))
    };
    each.enumerate().map(host).collect()
}

fn locality(json: serde_json::Value, own: &str) -> LocalitySpec {
    let site = Site { locality: own.into(), ..Site::default() };
    LocalitySpec::lower(serde_json::from_value(json).ok().as_ref(), None, true, &site)
}

fn at_localities<'a>(lb: LbSpec, locality: &'a LocalitySpec) -> Balance<'a> {
    Balance { locality, ..lb.into() }
}

const ALL: [LbSpec; 5] =
    [LbSpec::LeastRequest, LbSpec::Random, LbSpec::RoundRobin, LbSpec::ring_hash(0), LbSpec::maglev(0)];

#[test]
fn half_of_the_near_hosts_ejected_leave_three_tenths_to_the_next() {
    let near_first = locality(serde_json::json!({}), "e/1");
    let hosts = placed(&[("e/1", 4), ("e/2", 2), ("w", 1)]);
    for lb in ALL {
        assert_eq!(shares(&balanced(&at_localities(lb, &near_first), &hosts), &[], 1_000).len(), 4, "{lb:?}");
    }
    eject(&hosts, 0);
    eject(&hosts, 1);
    for lb in ALL {
        let shares = shares(&balanced(&at_localities(lb, &near_first), &hosts), &[], 6_000);
        let near = shares.get(&2).unwrap() + shares.get(&3).unwrap();
        assert!(near.abs_diff(4_200) < 250 && shares.keys().eq(&[2, 3, 4, 5]), "{lb:?} {shares:?}");
    }
}

#[test]
fn fixed_shares_are_kept_whatever_the_number_of_hosts() {
    let json = serde_json::json!({"distribute": [{"from": "e/*", "to": {"e/1": 80, "w/*": 20}}]});
    let distribute = locality(json, "e/1");
    let hosts = placed(&[("e/1", 1), ("w/1", 3), ("w/2", 1), ("c", 2)]);
    for lb in ALL {
        let shares = shares(&balanced(&at_localities(lb, &distribute), &hosts), &[], 10_000);
        let of = |host: u32| shares.get(&host).copied().unwrap_or_default();
        assert!(of(0).abs_diff(8_000) < 500, "{lb:?} {shares:?}");
        assert!((of(1) + of(2) + of(3)).abs_diff(1_500) < 300 && of(4).abs_diff(500) < 250, "{lb:?} {shares:?}");
        assert_eq!(of(5) + of(6), 0, "{lb:?}");
    }
}

#[test]
fn a_locality_takes_less_when_its_hosts_fail() {
    let json = serde_json::json!({"distribute": [{"from": "*", "to": {"e": 50, "w": 50}}]});
    let distribute = locality(json, "");
    let hosts = placed(&[("e", 2), ("w", 2)]);
    eject(&hosts, 0);
    // 50 * min(1, 1.4 / 2) to 50.
    let shares = shares(&balanced(&at_localities(LbSpec::RoundRobin, &distribute), &hosts), &[], 1_700);
    assert_eq!(shares.get(&1).copied(), Some(700));
}

#[test]
fn a_retry_elsewhere_leaves_what_was_tried_after_two_tries() {
    let near_first = locality(serde_json::json!({}), "e/1");
    let hosts = placed(&[("e/1", 2), ("e/2", 1), ("w", 1)]);
    let set = balanced(&at_localities(LbSpec::LeastRequest, &near_first), &hosts);
    let mut rng = SplitMix64::new(3);
    for _ in 0..200 {
        let (mut tried, mut places) = (Vec::new(), Vec::new());
        for _ in 0..6 {
            let pick = Pick { tried: &tried, avoid_tried: true, elsewhere: true, ..Pick::first(Instant::now()) };
            let host = set.pick(&pick, &mut rng).unwrap();
            tried.push(Arc::clone(set.host(host).unwrap()));
            places.push(host.0);
        }
        places[..2].sort_unstable();
        assert_eq!(places, [0, 1, 2, 2, 3, 3]);
    }
}

#[test]
fn a_host_that_was_tried_is_never_taken_again_while_there_are_others() {
    let hosts = hosts(&[1, 1]);
    for lb in [LbSpec::Random, LbSpec::LeastRequest] {
        assert_eq!(shares(&set(lb, &hosts), &hosts[..1], 2_000), [(1, 2_000)].into(), "{lb:?}");
    }
}

#[test]
fn the_same_hash_goes_to_the_same_host_and_none_anywhere() {
    let hosts = hosts(&[1, 1, 1]);
    for lb in [LbSpec::ring_hash(0), LbSpec::maglev(0)] {
        let set = set(lb, &hosts);
        let mut rng = SplitMix64::new(5);
        for hash in (0..50_u64).map(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15)) {
            let mut pick = || set.pick(&Pick { hash: Some(hash), ..Pick::first(Instant::now()) }, &mut rng);
            let first = pick();
            assert!((0..10).all(|_| pick() == first));
        }
        assert_eq!(shares(&set, &[], 3_000).len(), 3);
    }
}

#[test]
fn new_hosts_get_less_until_they_are_warm() {
    let settings = serde_json::json!({"warmup": {"duration": "100s"}});
    let warm_up = WarmUp::lower(&serde_json::from_value(settings).unwrap());
    let start = Instant::now();
    let host = |n: u8, now| {
        let address = EndpointAddress::parse(&format!("10.0.0.{n}"), 80).unwrap();
        Arc::new(EndpointState::added(EndpointSpec::at(address), now))
    };
    let late = start + Duration::from_secs(200);
    let hosts = [host(1, start), host(2, start), host(3, late)];
    for (lb, age, expected) in [
        (LbSpec::RoundRobin, 0, 100),
        (LbSpec::RoundRobin, 50, 500),
        (LbSpec::RoundRobin, 100, 1_000),
        (LbSpec::LeastRequest, 50, 500),
        (LbSpec::Random, 0, 1_000),
    ] {
        let balance = Balance { warm_up, ..lb.into() };
        let set = HostSet::new(&balance, hosts.to_vec(), &Cursors::default(), late + Duration::from_secs(age));
        let shares = shares(&set, &[], 2_000 + expected);
        let got = shares.get(&2).copied().unwrap_or_default();
        assert!(got.abs_diff(expected) < if lb == LbSpec::RoundRobin { 2 } else { 100 }, "{lb:?} {age} {shares:?}");
        assert_eq!(set.is_stale(late + Duration::from_secs(age + 2)), age < 100 && lb != LbSpec::Random);
    }
}

#[test]
fn hosts_that_are_new_together_are_equal() {
    let balance = Balance {
        warm_up: WarmUp::lower(&serde_json::from_value(serde_json::json!({"warmup": {"duration": "5s"}})).unwrap()),
        ..LbSpec::RoundRobin.into()
    };
    let now = Instant::now();
    let hosts: Vec<_> = hosts(&[1; 4]).iter().map(|host| EndpointState::added(host.spec().clone(), now)).collect();
    let set = HostSet::new(&balance, hosts.into_iter().map(Arc::new).collect(), &Cursors::default(), now);
    assert_eq!(shares(&set, &[], 200), [(0, 50), (1, 50), (2, 50), (3, 50)].into());
}

#[test]
fn among_many_unequal_hosts_busy_ones_get_less() {
    let weights: Vec<u32> = (0..200).map(|n| 1 + n % 3).collect();
    let hosts = hosts(&weights);
    let _busy: Vec<_> = hosts[..100].iter().flat_map(|host| [host.begin(), host.begin(), host.begin()]).collect();
    let shares = shares(&set(LbSpec::LeastRequest, &hosts), &[], 20_000);
    let busy: u32 = shares.range(..100).map(|(_, share)| share).sum();
    // A quarter of the weight of the idle ones: a fifth of the whole.
    assert!(busy.abs_diff(4_000) < 400, "{busy}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn every_host_that_may_be_chosen_is_and_no_other(
        count in 1_usize..24,
        places in prop::collection::vec(0_usize..3, 24),
        ejected in prop::collection::vec(prop::bool::weighted(0.3), 24),
        lb in prop::sample::select(ALL.to_vec()),
        by_place in prop::bool::ANY,
        seed in any::<u64>(),
    ) {
        let names = ["e/1", "e/2", "w"];
        let hosts = placed(&places[..count].iter().map(|place| (names[*place], 1)).collect::<Vec<_>>());
        (0..count).filter(|host| ejected[*host]).for_each(|host| eject(&hosts, host));
        let near_first = locality(serde_json::json!({}), "e/1");
        let balance = if by_place { at_localities(lb, &near_first) } else { lb.into() };
        let set = balanced(&balance, &hosts);
        let mut rng = SplitMix64::new(seed);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..6_000 {
            seen.extend(set.pick(&Pick::first(Instant::now()), &mut rng).map(|host| host.0 as usize));
        }
        prop_assert_eq!(seen.is_empty(), ejected[..count].iter().all(|ejected| *ejected));
        prop_assert_eq!(set.has_choice(), !seen.is_empty());
        prop_assert!(seen.iter().all(|host| !ejected[*host]));
        if !by_place {
            prop_assert_eq!(seen.len(), set.healthy());
        }
    }

    #[test]
    fn when_a_host_is_ejected_only_its_own_requests_move_on_the_ring(
        count in 2_usize..12,
        gone in 0_usize..12,
        keys in prop::collection::vec(any::<u64>(), 200),
    ) {
        // Rings of a thousand entries a host, whoever is left.
        let hosts = hosts(&vec![1; count]);
        let whole = set(LbSpec::ring_hash(1000 * count as u64 - 1), &hosts);
        eject(&hosts, gone % count);
        let rest = set(LbSpec::ring_hash(1000 * (count as u64 - 1) - 1), &hosts);
        let mut rng = SplitMix64::new(1);
        let mut moved = 0;
        for key in keys {
            let pick = Pick { hash: Some(key), ..Pick::first(Instant::now()) };
            let (before, after) = (whole.pick(&pick, &mut rng), rest.pick(&pick, &mut rng));
            moved += u32::from(before != after && before != Some(HostIdx((gone % count) as u32)));
        }
        // Sums of parts may give one of them an entry more.
        prop_assert!(moved <= 2, "{} of 200 moved", moved);
    }
}
