//! Every order in which threads can meet at permits and at the ejection flag, walked through by a model checker.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test -p mesh-core --test loom --target-dir target/loom
//! ```

#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use loom::thread;
use mesh_core::classify::Outcome;
use mesh_core::cluster::endpoint::EndpointState;
use mesh_core::cluster::{EndpointAddress, EndpointSpec};
use mesh_core::failure::{Failure, Limit};
use mesh_core::limits::{Limits, Permits};
use mesh_core::outlier::{Detector, OutlierSpec};
use mesh_core::retry::budget::{BudgetSpec, RetryBudget};

fn permits(limit: u32) -> Arc<Permits> {
    Permits::new(Limits { requests: limit, retries: limit, ..Limits::default() })
}

#[test]
fn threads_never_hold_more_permits_than_the_limit_and_all_come_back() {
    loom::model(|| {
        let permits = permits(1);
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let permits = Arc::clone(&permits);
                thread::spawn(move || {
                    let held = permits.try_acquire(Limit::Requests);
                    assert!(permits.in_use(Limit::Requests) <= 1);
                    held.is_ok()
                })
            })
            .collect();
        let got: Vec<bool> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert!(got.contains(&true), "one of them is first");
        assert_eq!(permits.in_use(Limit::Requests), 0);
    });
}

#[test]
fn a_refusal_takes_no_place_from_anybody() {
    loom::model(|| {
        let permits = permits(1);
        let held = permits.try_acquire(Limit::Requests).unwrap();
        let other = {
            let permits = Arc::clone(&permits);
            thread::spawn(move || permits.try_acquire(Limit::Requests).is_ok())
        };
        drop(held);
        // Whatever the other one got is given back, and then there is room.
        other.join().unwrap();
        assert!(permits.try_acquire(Limit::Requests).is_ok());
    });
}

#[test]
fn retries_stay_below_their_limit() {
    loom::model(|| {
        let (permits, now) = (permits(1), Instant::now());
        let budget = Arc::new(RetryBudget::unlimited());
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (permits, budget) = (Arc::clone(&permits), Arc::clone(&budget));
                thread::spawn(move || {
                    let slot = budget.try_acquire(now, &permits);
                    assert!(permits.in_use(Limit::Retries) <= 1);
                    drop(slot);
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(permits.in_use(Limit::Retries), 0);
    });
}

#[test]
fn retries_stay_within_a_configured_budget() {
    loom::model(|| {
        let (permits, now) = (permits(u32::MAX), Instant::now());
        let budget =
            Arc::new(RetryBudget::configured(BudgetSpec { percent: 0.0, min_concurrency: 1, interval: None }, now));
        let other = {
            let (permits, budget) = (Arc::clone(&permits), Arc::clone(&budget));
            thread::spawn(move || budget.try_acquire(now, &permits))
        };
        let own = budget.try_acquire(now, &permits);
        let other = other.join().unwrap();
        assert_eq!(usize::from(own.is_some()) + usize::from(other.is_some()), 1, "one slot, and it is given");
    });
}

fn endpoints(count: u16) -> Vec<Arc<EndpointState>> {
    let address = |port| EndpointAddress::parse("10.0.0.1", port).unwrap();
    (1..=count).map(|port| Arc::new(EndpointState::new(EndpointSpec::at(address(port))))).collect()
}

fn detector(spec: OutlierSpec, hosts: &[Arc<EndpointState>], now: Instant) -> Arc<Detector> {
    let detector = Detector::new(spec, now);
    detector.set_hosts(hosts);
    Arc::new(detector)
}

const FAILED: Outcome = Outcome::Failed(Failure::ConnectFailed);

#[test]
fn never_more_endpoints_are_ejected_at_once_than_may_be() {
    loom::model(|| {
        let now = Instant::now();
        let hosts = endpoints(2);
        let spec = OutlierSpec { consecutive_5xx: 1, max_ejection_percent: 50, ..OutlierSpec::default() };
        let detector = detector(spec, &hosts, now);
        let threads: Vec<_> = hosts
            .iter()
            .cloned()
            .map(|host| {
                let detector = Arc::clone(&detector);
                thread::spawn(move || detector.on_outcome(now, &host, &FAILED).is_some())
            })
            .collect();
        let ejected = threads.into_iter().map(|thread| thread.join().unwrap()).filter(|is| *is).count();
        assert_eq!(ejected, 1);
        assert_eq!(hosts.iter().filter(|host| host.is_ejected()).count(), 1);
        assert_eq!(detector.overflows(), 1);
    });
}

#[test]
fn an_endpoint_is_ejected_once_whoever_counts_the_last_failure() {
    loom::model(|| {
        let now = Instant::now();
        let hosts = endpoints(1);
        let spec = OutlierSpec { consecutive_5xx: 2, max_ejection_percent: 100, ..OutlierSpec::default() };
        let detector = detector(spec, &hosts, now);
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (detector, host) = (Arc::clone(&detector), Arc::clone(&hosts[0]));
                thread::spawn(move || detector.on_outcome(now, &host, &FAILED).is_some())
            })
            .collect();
        let ejections: Vec<bool> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert_eq!(ejections.iter().filter(|ejected| **ejected).count(), 1, "two failures in a row are two");
        assert!(hosts[0].is_ejected());
    });
}

#[test]
fn a_sweep_and_a_failure_at_once_lose_no_endpoint() {
    loom::model(|| {
        let now = Instant::now();
        let hosts = endpoints(1);
        let spec = OutlierSpec { consecutive_5xx: 1, max_ejection_percent: 100, ..OutlierSpec::default() };
        let (interval, base) = (spec.interval, spec.base_ejection);
        let detector = detector(spec, &hosts, now);
        assert!(detector.on_outcome(now, &hosts[0], &FAILED).is_some());
        let over = now + base + interval;
        let failing = {
            let (detector, host) = (Arc::clone(&detector), Arc::clone(&hosts[0]));
            thread::spawn(move || detector.on_outcome(over, &host, &FAILED))
        };
        detector.on_tick(over);
        failing.join().unwrap();
        // Ejected again or not: in the end it always comes back.
        detector.on_tick(over + Duration::from_secs(1_000));
        assert!(!hosts[0].is_ejected());
    });
}
