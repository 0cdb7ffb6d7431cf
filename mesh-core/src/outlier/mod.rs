//! Outlier detection: endpoints that keep failing are left out for a while.
//!
//! Envoy's algorithm as Istio configures it: consecutive errors, no success rates. An outcome may
//! eject its endpoint at once; only the sweep every `interval` takes it back, so an ejection lasts
//! from its time to that time plus one interval. Each further ejection of an endpoint lasts longer
//! by the base time, and each quiet interval takes one step back.
//!
//! **No endpoint is guaranteed to be ejectable.** With 3 endpoints and the default
//! `maxEjectionPercent` of 10 the first ejection would be 33 % and is refused; that is what Envoy
//! does today, and a finding says so when the configuration is read.

mod record;

use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard};
use std::fmt;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use crate::Failure;
use crate::classify::Outcome;
use crate::cluster::EndpointAddress;
use crate::cluster::endpoint::EndpointState;

pub use record::Record;

/// `outlierDetection` of a traffic policy, with Istio's defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OutlierSpec {
    /// Errors in a row that eject; 5 unless set, 0 for never.
    pub consecutive_5xx: u32,
    /// 502, 503 and 504 in a row that eject; 0 (never) unless set.
    pub consecutive_gateway: u32,
    /// Whether failures on this side (no connection, a reset, a timeout) are counted apart.
    pub split_local_origin: bool,
    /// Such failures in a row that eject, where they are counted apart; 5 unless set.
    pub consecutive_local: u32,
    /// Time between sweeps; 10 s unless set.
    pub interval: Duration,
    /// How long the first ejection lasts; 30 s unless set.
    pub base_ejection: Duration,
    /// Share of the endpoints that may be ejected at once, in percent; 10 unless set.
    pub max_ejection_percent: u32,
    /// Below this share of healthy endpoints, in percent, all are used again; 0 unless set.
    pub min_health_percent: u32,
    /// Statuses that count as errors instead of 5xx; empty for 5xx.
    pub error_codes: Vec<u16>,
}

impl Default for OutlierSpec {
    fn default() -> Self {
        Self {
            consecutive_5xx: 5,
            consecutive_gateway: 0,
            split_local_origin: false,
            consecutive_local: 5,
            interval: Duration::from_secs(10),
            base_ejection: Duration::from_secs(30),
            max_ejection_percent: 10,
            min_health_percent: 0,
            error_codes: Vec::new(),
        }
    }
}

impl OutlierSpec {
    /// No ejection lasts longer: 300 s, or the base time if that is longer.
    pub fn max_ejection(&self) -> Duration {
        self.base_ejection.max(Duration::from_secs(300))
    }

    /// Whether `maxEjectionPercent` allows to eject even one of so many endpoints: 10 % of fewer
    /// than ten does not.
    pub fn can_eject(&self, endpoints: usize) -> bool {
        endpoints > 0 && 100 <= self.max_ejection_percent as usize * endpoints
    }

    /// The status an answer counts as. With a list of statuses, one that is in it is an error
    /// whatever it is, and one that is not is none.
    fn counted(&self, status: u16) -> u16 {
        match (self.error_codes.is_empty(), self.error_codes.contains(&status)) {
            (true, _) => status,
            (false, true) => status.max(500),
            (false, false) => 200,
        }
    }
}

/// What made an endpoint be ejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// `consecutive5xxErrors` reached.
    Consecutive5xx,
    /// `consecutiveGatewayErrors` reached.
    ConsecutiveGateway,
    /// `consecutiveLocalOriginFailures` reached.
    ConsecutiveLocalOrigin,
}

/// An endpoint was taken out of rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ejection {
    /// Why.
    pub cause: Cause,
    /// How long at least; the next sweep after that takes it back.
    pub duration: Duration,
}

impl fmt::Display for Ejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cause = match self.cause {
            Cause::Consecutive5xx => "consecutive 5xx errors",
            Cause::ConsecutiveGateway => "consecutive gateway errors",
            Cause::ConsecutiveLocalOrigin => "consecutive local origin failures",
        };
        write!(f, "{cause}, for {:?} at least", self.duration)
    }
}

/// Watches the endpoints of one cluster. Time comes in; what to tell others comes out.
///
/// Outcomes name the endpoint's own state, never an index, since the list may have changed
/// meanwhile. A success costs a few relaxed atomic operations; the lock is taken to eject, to sweep
/// and to change the endpoints.
#[derive(Debug)]
pub struct Detector {
    spec: OutlierSpec,
    inner: Mutex<Inner>,
    ejections: AtomicU64,
    overflows: AtomicU64,
}

#[derive(Debug)]
struct Inner {
    hosts: Vec<Arc<EndpointState>>,
    next_sweep: Instant,
}

impl Detector {
    /// A detector without endpoints; the first sweep is one interval from `now`.
    pub fn new(spec: OutlierSpec, now: Instant) -> Self {
        let next_sweep = now + spec.interval;
        let (ejections, overflows) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { spec, inner: Mutex::new(Inner { hosts: Vec::new(), next_sweep }), ejections, overflows }
    }

    /// Replaces the endpoints. Those that stay keep what is known about them; an ejected one that
    /// goes does not count any more.
    pub fn set_hosts(&self, hosts: &[Arc<EndpointState>]) {
        self.lock().hosts = hosts.to_vec();
    }

    /// Ejections so far.
    pub fn ejections(&self) -> u64 {
        self.ejections.load(Ordering::Relaxed)
    }

    /// Ejections that `maxEjectionPercent` did not allow.
    pub fn overflows(&self) -> u64 {
        self.overflows.load(Ordering::Relaxed)
    }

    /// How long an endpoint stays out of rotation, up to the sweep that comes then; `None` where it is in rotation.
    pub fn left(&self, now: Instant, host: &EndpointState) -> Option<Duration> {
        host.record().left(now, &self.spec)
    }

    /// Takes an endpoint back before its time is over, as who knows better may ask. Its next ejection is as long as if
    /// this one had run its course. False where it is not ejected.
    pub fn take_back(&self, now: Instant, host: &EndpointState) -> bool {
        let _inner = self.lock();
        host.record().take_back(now)
    }

    /// A try got a connection to the endpoint: failures of this side in a row are over.
    pub fn on_connected(&self, host: &EndpointState) {
        if self.spec.split_local_origin {
            host.record().local.reset();
        }
    }

    /// A try came to an end. Gives the ejection if this was one failure too many.
    pub fn on_outcome(&self, now: Instant, host: &EndpointState, outcome: &Outcome) -> Option<Ejection> {
        let cause = self.count(host.record(), outcome)?;
        let ejection = self.eject(now, host, cause)?;
        self.ejections.fetch_add(1, Ordering::Relaxed);
        Some(ejection)
    }

    /// Takes back endpoints whose time is over, if a sweep is due. Gives their addresses.
    ///
    /// Sweeps that were missed meanwhile are made up for one by one, so that a caller who is late
    /// changes nothing but the moment.
    pub fn on_tick(&self, now: Instant) -> Vec<EndpointAddress> {
        let mut inner = self.lock();
        let mut back = Vec::new();
        if inner.next_sweep > now {
            return back;
        }
        let concerned: Vec<_> = inner.hosts.iter().filter(|host| host.record().has_history()).cloned().collect();
        let mut sweep = |at| {
            for host in &concerned {
                if host.record().sweep(at, &self.spec) {
                    back.push(host.address().clone());
                }
            }
        };
        let mut sweeps = if concerned.is_empty() { MOST_SWEEPS } else { 0 };
        while inner.next_sweep <= now && sweeps < MOST_SWEEPS {
            sweep(inner.next_sweep);
            inner.next_sweep += self.spec.interval;
            sweeps += 1;
        }
        if inner.next_sweep <= now {
            // After a long silence it is enough to look at how things are now.
            sweep(now);
            let late = now.saturating_duration_since(inner.next_sweep);
            inner.next_sweep += self.whole_intervals(late);
        }
        back
    }

    /// The least whole number of intervals that is longer than a time, so that sweeps keep their beat.
    fn whole_intervals(&self, time: Duration) -> Duration {
        let interval = self.spec.interval.max(Duration::from_millis(1));
        let passed = u32::try_from(time.as_nanos() / interval.as_nanos()).unwrap_or(u32::MAX);
        interval.saturating_mul(passed.saturating_add(1))
    }

    /// When the next sweep is due.
    pub fn next_wakeup(&self) -> Instant {
        self.lock().next_sweep
    }

    /// Counts an outcome; gives the cause if a counter has just reached its limit.
    fn count(&self, record: &Record, outcome: &Outcome) -> Option<Cause> {
        let spec = &self.spec;
        let status = match outcome {
            Outcome::Failed(failure) => {
                let status = local_status(*failure)?;
                if spec.split_local_origin {
                    return record.local.count(spec.consecutive_local).then_some(Cause::ConsecutiveLocalOrigin);
                }
                status
            }
            Outcome::Response { .. } => spec.counted(outcome.counted_status()?),
        };
        if status < 500 {
            record.errors.reset();
            record.gateway.reset();
            return None;
        }
        let gateway = matches!(status, 502..=504);
        if !gateway {
            record.gateway.reset();
        }
        let gateway_trips = gateway && record.gateway.count(spec.consecutive_gateway);
        let errors_trip = record.errors.count(spec.consecutive_5xx);
        if gateway_trips { Some(Cause::ConsecutiveGateway) } else { errors_trip.then_some(Cause::Consecutive5xx) }
    }

    fn eject(&self, now: Instant, host: &EndpointState, cause: Cause) -> Option<Ejection> {
        let inner = self.lock();
        let record = host.record();
        // An endpoint that was removed meanwhile is nobody's to sweep back.
        if record.is_ejected() || !inner.hosts.iter().any(|known| Arc::ptr_eq(known.record(), record)) {
            return None;
        }
        let ejected = inner.hosts.iter().filter(|host| host.is_ejected()).count();
        if 100 * (ejected + 1) > self.spec.max_ejection_percent as usize * inner.hosts.len() {
            self.overflows.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(Ejection { cause, duration: record.eject(now, &self.spec) })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The status that a failure on this side counts as; `None` for one that says nothing about the
/// endpoint, such as a limit that was reached or a request whose own body broke off.
fn local_status(failure: Failure) -> Option<u16> {
    match failure {
        Failure::PerTryTimeout | Failure::RequestTimeout => Some(504),
        Failure::LocalReset => None,
        failure => failure.is_upstream().then_some(503),
    }
}

/// Missed sweeps that are made up for one by one; those before do not matter so long afterwards.
const MOST_SWEEPS: u32 = 1_000;

#[cfg(test)]
mod tests;
