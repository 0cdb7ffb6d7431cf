use proptest::prelude::*;

use super::*;
use crate::cluster::EndpointSpec;

const SECOND: Duration = Duration::from_secs(1);

struct World {
    detector: Detector,
    hosts: Vec<Arc<EndpointState>>,
    start: Instant,
}

impl World {
    fn new(hosts: usize, spec: OutlierSpec) -> Self {
        let start = Instant::now();
        let host = |n| EndpointSpec::at(EndpointAddress::parse(&format!("10.0.0.{n}"), 80).unwrap());
        let hosts: Vec<_> = (1..=hosts).map(|n| Arc::new(EndpointState::new(host(n)))).collect();
        let detector = Detector::new(spec, start);
        detector.set_hosts(&hosts);
        Self { detector, hosts, start }
    }

    fn fail(&self, at: Duration, host: usize, times: u32) -> Option<Ejection> {
        self.tell(at, host, Outcome::status(500), times)
    }

    fn tell(&self, at: Duration, host: usize, outcome: Outcome, times: u32) -> Option<Ejection> {
        (0..times).filter_map(|_| self.detector.on_outcome(self.start + at, &self.hosts[host], &outcome)).last()
    }

    fn tick(&self, at: Duration) -> usize {
        self.detector.on_tick(self.start + at).len()
    }

    fn ejected(&self) -> Vec<usize> {
        (0..self.hosts.len()).filter(|host| self.hosts[*host].is_ejected()).collect()
    }
}

fn all_may_go() -> OutlierSpec {
    OutlierSpec { max_ejection_percent: 100, ..OutlierSpec::default() }
}

#[test]
fn five_errors_in_a_row_eject() {
    let world = World::new(2, all_may_go());
    assert_eq!(world.fail(SECOND, 0, 4), None);
    world.tell(SECOND, 0, Outcome::status(200), 1);
    assert_eq!(world.fail(SECOND, 0, 4), None);
    let ejection = world.fail(SECOND, 0, 1).unwrap();
    assert_eq!(ejection, Ejection { cause: Cause::Consecutive5xx, duration: 30 * SECOND });
    assert_eq!(world.ejected(), [0]);
}

#[test]
fn the_default_percentage_ejects_nobody_of_three() {
    let world = World::new(3, OutlierSpec::default());
    assert_eq!(world.fail(SECOND, 0, 50), None);
    assert_eq!(world.detector.overflows(), 10);
}

#[test]
fn half_of_three_is_one() {
    let world = World::new(3, OutlierSpec { max_ejection_percent: 50, ..OutlierSpec::default() });
    assert!(world.fail(SECOND, 0, 5).is_some());
    assert!(world.fail(SECOND, 1, 5).is_none());
    assert_eq!(world.ejected(), [0]);
}

#[test]
fn who_is_taken_back_by_hand_is_ejected_for_longer_the_next_time() {
    let world = World::new(1, all_may_go());
    let left = |at| world.detector.left(world.start + at, &world.hosts[0]);
    assert_eq!(left(SECOND), None);
    assert!(!world.detector.take_back(world.start + SECOND, &world.hosts[0]));
    world.fail(SECOND, 0, 5);
    assert_eq!((left(11 * SECOND), left(60 * SECOND)), (Some(20 * SECOND), Some(Duration::ZERO)));
    assert!(world.detector.take_back(world.start + 11 * SECOND, &world.hosts[0]));
    assert_eq!((left(11 * SECOND), world.ejected()), (None, vec![]));
    // Four errors of before count no more.
    assert_eq!(world.fail(12 * SECOND, 0, 4), None);
    assert_eq!(world.fail(12 * SECOND, 0, 1).map(|ejection| ejection.duration), Some(60 * SECOND));
}

#[test]
fn only_a_sweep_takes_an_endpoint_back() {
    let world = World::new(1, all_may_go());
    world.fail(5 * SECOND, 0, 5);
    assert_eq!(world.tick(30 * SECOND), 0);
    // 35 s would be enough, but the sweep is at 40 s.
    assert_eq!(world.tick(39 * SECOND), 0);
    assert_eq!(world.tick(40 * SECOND), 1);
    assert!(world.ejected().is_empty());
}

#[test]
fn a_late_sweep_counts_as_the_sweeps_that_were_missed() {
    let world = World::new(1, all_may_go());
    world.fail(SECOND, 0, 5);
    assert_eq!(world.tick(500 * SECOND), 1);
    assert_eq!(world.detector.next_wakeup(), world.start + 510 * SECOND);
}

#[test]
fn after_a_long_silence_with_many_missed_sweeps_an_endpoint_is_back() {
    let spec = OutlierSpec { interval: Duration::from_millis(10), ..all_may_go() };
    let world = World::new(1, spec);
    assert!(world.fail(Duration::ZERO, 0, 5).is_some());
    assert_eq!(world.tick(3_600 * SECOND), 1);
    // The beat goes on.
    assert_eq!(world.detector.next_wakeup() - world.start, Duration::from_millis(3_600_010));
}

#[test]
fn every_further_ejection_lasts_a_base_time_longer_and_quiet_takes_steps_back() {
    let world = World::new(1, all_may_go());
    assert_eq!(world.fail(SECOND, 0, 5).unwrap().duration, 30 * SECOND);
    world.tick(40 * SECOND);
    assert_eq!(world.fail(41 * SECOND, 0, 5).unwrap().duration, 60 * SECOND);
    world.tick(110 * SECOND);
    // Two quiet sweeps, 120 s and 130 s: two steps back.
    world.tick(130 * SECOND);
    assert_eq!(world.fail(131 * SECOND, 0, 5).unwrap().duration, 30 * SECOND);
}

#[test]
fn no_ejection_lasts_longer_than_300_seconds() {
    let world = World::new(1, OutlierSpec { interval: SECOND, ..all_may_go() });
    let mut at = Duration::ZERO;
    let mut longest = Duration::ZERO;
    for _ in 0..20 {
        let ejection = world.fail(at, 0, 5).unwrap();
        longest = longest.max(ejection.duration);
        // Back with the first sweep that may, and broken again before the next one.
        at += ejection.duration;
        assert_eq!(world.tick(at), 1);
    }
    assert_eq!(longest, 300 * SECOND);
}

#[test]
fn refused_connections_count_as_errors_and_an_overflow_never() {
    let world = World::new(1, OutlierSpec { consecutive_5xx: 3, ..all_may_go() });
    let overflow = Outcome::Failed(Failure::Overflow(crate::failure::Limit::Requests));
    assert!(world.tell(SECOND, 0, overflow, 10).is_none());
    assert!(world.tell(SECOND, 0, Outcome::Failed(Failure::ConnectFailed), 3).is_some());
}

#[test]
fn gateway_errors_are_502_to_504() {
    let spec = OutlierSpec { consecutive_5xx: 0, consecutive_gateway: 2, ..all_may_go() };
    let world = World::new(1, spec);
    assert!(world.fail(SECOND, 0, 20).is_none());
    world.tell(SECOND, 0, Outcome::status(503), 1);
    assert!(world.fail(SECOND, 0, 1).is_none());
    world.tell(SECOND, 0, Outcome::status(503), 1);
    let ejection = world.tell(SECOND, 0, Outcome::Failed(Failure::PerTryTimeout), 1).unwrap();
    assert_eq!(ejection.cause, Cause::ConsecutiveGateway);
}

#[test]
fn split_local_failures_touch_only_their_own_counter_and_a_connection_resets_it() {
    let spec = OutlierSpec { split_local_origin: true, consecutive_local: 3, ..all_may_go() };
    let world = World::new(1, spec);
    let closed = Outcome::Failed(Failure::ConnectionTerminated);
    for _ in 0..7 {
        world.detector.on_connected(&world.hosts[0]);
        assert!(world.tell(SECOND, 0, closed, 1).is_none());
    }
    let ejection = world.tell(SECOND, 0, Outcome::Failed(Failure::ConnectFailed), 2).unwrap();
    assert_eq!(ejection.cause, Cause::ConsecutiveLocalOrigin);
}

#[test]
fn listed_statuses_replace_5xx_but_not_failures_without_an_answer() {
    let world = World::new(2, OutlierSpec { error_codes: vec![429], ..all_may_go() });
    assert!(world.fail(SECOND, 0, 10).is_none());
    assert!(world.tell(SECOND, 0, Outcome::status(429), 5).is_some());
    assert!(world.tell(SECOND, 1, Outcome::Failed(Failure::ConnectFailed), 5).is_some());
}

#[test]
fn both_kinds_of_timeout_are_gateway_errors() {
    for failure in [Failure::PerTryTimeout, Failure::RequestTimeout] {
        let world = World::new(1, OutlierSpec { consecutive_5xx: 0, consecutive_gateway: 2, ..all_may_go() });
        let ejection = world.tell(SECOND, 0, Outcome::Failed(failure), 2).unwrap();
        assert_eq!(ejection.cause, Cause::ConsecutiveGateway, "{failure:?}");
    }
}

#[test]
fn a_grpc_status_in_the_headers_counts_as_its_http_status() {
    let grpc = |code| Outcome::Response { status: 200, grpc: Some(code), rate_limited: false };
    let world = World::new(1, OutlierSpec { consecutive_5xx: 3, ..all_may_go() });
    assert!(world.tell(SECOND, 0, grpc(14), 2).is_none());
    assert!(world.tell(SECOND, 0, grpc(5), 1).is_none());
    assert!(world.tell(SECOND, 0, grpc(13), 3).is_some());
}

#[test]
fn fourteen_failures_over_three_endpoints_overflow_six_times() {
    let world = World::new(3, OutlierSpec { consecutive_5xx: 2, ..OutlierSpec::default() });
    for request in 0..14 {
        assert!(world.fail(SECOND, request % 3, 1).is_none());
    }
    assert_eq!((world.detector.overflows(), world.ejected().len()), (6, 0));
}

#[test]
fn an_endpoint_that_is_gone_is_not_ejected_and_does_not_count() {
    let world = World::new(2, OutlierSpec { max_ejection_percent: 50, ..OutlierSpec::default() });
    world.detector.set_hosts(&world.hosts[1..]);
    assert!(world.fail(SECOND, 0, 5).is_none());
    world.detector.set_hosts(&world.hosts);
    assert!(world.fail(SECOND, 0, 5).is_some());
    assert!(world.fail(SECOND, 1, 5).is_none());
    world.detector.set_hosts(&world.hosts[1..]);
    assert!(world.fail(SECOND, 1, 5).is_none(), "one of one is 100 %");
}

#[test]
fn an_endpoint_keeps_its_ejection_under_a_new_spec() {
    let world = World::new(1, all_may_go());
    world.fail(SECOND, 0, 5);
    let known = &world.hosts[0];
    let successor = Arc::new(known.successor(EndpointSpec { weight: 7, ..known.spec().clone() }));
    world.detector.set_hosts(&[Arc::clone(&successor)]);
    assert!(successor.is_ejected());
    assert_eq!(world.tick(40 * SECOND), 1);
    assert!(!successor.is_ejected() && !known.is_ejected());
}

#[test]
fn a_return_starts_counting_from_zero() {
    let world = World::new(1, all_may_go());
    world.fail(SECOND, 0, 5);
    // Requests under way at the ejection still come to their end.
    world.fail(2 * SECOND, 0, 4);
    assert_eq!(world.tick(40 * SECOND), 1);
    assert!(world.fail(41 * SECOND, 0, 4).is_none());
    assert!(world.fail(41 * SECOND, 0, 1).is_some());
}

#[test]
fn the_percentage_tells_whether_anything_can_be_ejected() {
    let percent = |max_ejection_percent| OutlierSpec { max_ejection_percent, ..OutlierSpec::default() };
    assert!(!percent(10).can_eject(9) && percent(10).can_eject(10));
    assert!(percent(50).can_eject(2) && !percent(100).can_eject(0));
}

proptest! {
    #[test]
    fn the_ejected_share_is_never_over_the_maximum(
        hosts in 1_usize..20,
        percent in 0_u32..=100,
        failing in prop::collection::vec((0_usize..20, 0_u64..400), 1..200),
    ) {
        let spec = OutlierSpec { consecutive_5xx: 1, max_ejection_percent: percent, ..OutlierSpec::default() };
        let world = World::new(hosts, spec);
        let mut at = 0;
        for (host, seconds) in failing {
            at += seconds;
            world.tick(Duration::from_secs(at));
            world.fail(Duration::from_secs(at), host % hosts, 1);
            prop_assert!(world.ejected().len() * 100 <= percent as usize * hosts);
        }
    }
}
