//! What this process knows about a cluster: its endpoints, their pools, permits and ejections.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, TryLockError};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Guard};
use mesh_config::api::tls::ClientTlsMode;
use mesh_core::classify::Outcome;
use mesh_core::cluster::endpoint::EndpointState;
use mesh_core::cluster::{ClientTls, ClusterSpec, EndpointSource, TlsSpec};
use mesh_core::lb::{Cursors, Pick};
use mesh_core::limits::Permits;
use mesh_core::outlier::{Detector, OutlierSpec};
use mesh_core::retry::budget::RetryBudget;
use mesh_core::{Failure, Profile, Rng};
use tokio::sync::watch;

use crate::discovery::{Resolver, WatchGuard};
use crate::endpoint::Network;
use crate::gauges::ClusterGauges;
use crate::identity::{IdentityHandle, Originator};
use crate::telemetry::{Group, Metrics};

use self::counting::Counting;
pub(crate) use self::members::{Member, Members};
use self::members::{Update, build_members, members_from, members_of, set_of};
use self::places::Place;
use self::refusals::Refusals;
pub(crate) use self::watcher::Watcher;

/// What clusters need from the process they live in.
#[derive(Clone, Debug)]
pub(crate) struct Environment {
    pub(crate) resolver: Resolver,
    pub(crate) profile: Profile,
    pub(crate) network: Network,
    pub(crate) identity: IdentityHandle,
    /// With which turn the rounds of a balancer begin.
    pub(crate) first_turn: u32,
    /// What requests are counted in, where they are.
    pub(crate) metrics: Option<Arc<Metrics>>,
}

/// State of a cluster that a change of its endpoints leaves alone.
#[derive(Debug)]
struct Shared {
    permits: Arc<Permits>,
    detector: Option<Detector>,
    /// Microseconds since `epoch` at which the detector wants its next sweep.
    next_sweep: AtomicU64,
    epoch: Instant,
    budget: RetryBudget,
    /// Where the rounds of the balancer stand.
    cursors: Cursors,
    /// Counts the handles that have shared this: only the endpoints of the latest can be ejected.
    handles: AtomicU64,
    /// Counts ejections and returns: whoever holds older members builds them anew.
    health: AtomicU64,
    /// Held while members are built anew because endpoints were ejected, came back or grew older.
    renewing: Mutex<()>,
    refusals: Refusals,
    /// Retries that were left out, since the request's body was too long to be kept.
    skipped_retries: AtomicU64,
    network: Network,
    identity: IdentityHandle,
    /// Begins TLS as the policy says.
    tls: Option<Arc<Originator>>,
    /// Begins TLS for requests to `https` that no policy speaks of.
    https: OnceLock<Arc<Originator>>,
    /// What requests are counted in, where they are.
    counting: Option<Counting>,
}

impl Shared {
    fn new(spec: &ClusterSpec, environment: &Environment) -> Self {
        let now = crate::clock::now();
        Self {
            permits: Permits::new(spec.limits),
            detector: outlier_of(spec).map(|outlier| Detector::new(outlier.clone(), now)),
            next_sweep: AtomicU64::new(0),
            epoch: now,
            budget: RetryBudget::new(spec, environment.profile, now),
            cursors: Cursors::beginning_with(environment.first_turn),
            renewing: Mutex::default(),
            refusals: Refusals::default(),
            skipped_retries: AtomicU64::new(0),
            handles: AtomicU64::new(0),
            health: AtomicU64::new(0),
            network: environment.network.clone(),
            identity: environment.identity.clone(),
            tls: spec
                .tls
                .settings()
                .map(|settings| Arc::new(Originator::new(settings.clone(), environment.identity.clone()))),
            https: OnceLock::new(),
            counting: environment.metrics.as_ref().map(|metrics| Counting::new(metrics, &spec.key)),
        }
    }
}

/// A cluster whose requests say themselves where they go has no endpoints to choose others from.
fn outlier_of(spec: &ClusterSpec) -> Option<&OutlierSpec> {
    spec.outlier.as_ref().filter(|_| !matches!(spec.endpoints, EndpointSource::OriginalDestination { .. }))
}

/// A cluster of the version in use.
#[derive(Debug)]
pub(crate) struct ClusterHandle {
    spec: Arc<ClusterSpec>,
    shared: Arc<Shared>,
    members: Arc<ArcSwap<Members>>,
    /// Endpoints of requests that say themselves where they go, by `host:port`.
    dynamic: Mutex<HashMap<Box<str>, Arc<Place>>>,
    resolver: Resolver,
    /// Names that are looked up while the cluster is in use.
    lookup: Option<Lookup>,
}

#[derive(Debug)]
struct Lookup {
    _watch: WatchGuard,
    /// Whether there was an answer.
    answered: watch::Receiver<bool>,
    /// The same once somebody has seen it, without the lock of the other.
    was_answered: AtomicBool,
}

impl ClusterHandle {
    pub(crate) fn new(spec: Arc<ClusterSpec>, environment: &Environment) -> Self {
        let shared = Shared::new(&spec, environment);
        Self::with_shared(spec, Arc::new(shared), &[], environment)
    }

    /// The handle of the same cluster in the next version.
    ///
    /// Only other endpoints, or another content of Secrets: permits, ejections and pools go on. Another policy: everything anew,
    /// as Envoy replaces a cluster whose settings changed.
    pub(crate) fn successor(&self, spec: Arc<ClusterSpec>, environment: &Environment) -> Self {
        if !self.spec.same_policy(&spec) {
            return Self::new(spec, environment);
        }
        if let (Some(originator), Some(settings)) = (&self.shared.tls, spec.tls.settings()) {
            originator.renew(settings);
        }
        let current = self.members.load();
        Self::with_shared(spec, Arc::clone(&self.shared), &members_of(&current), environment)
    }

    fn with_shared(spec: Arc<ClusterSpec>, shared: Arc<Shared>, known: &[Member], environment: &Environment) -> Self {
        let resolver = environment.resolver.clone();
        let number = shared.handles.fetch_add(1, Ordering::AcqRel) + 1;
        let initial = match &spec.endpoints {
            EndpointSource::Static(endpoints) => endpoints.clone(),
            _ => Vec::new(),
        };
        let members = Arc::new(ArcSwap::from_pointee(build_members(&spec, &shared, &initial, known)));
        let lookup = match &spec.endpoints {
            EndpointSource::Dns { targets, logical, refresh } => {
                // Keep what is known until the first answer is in.
                if !known.is_empty() {
                    members.store(Arc::new(members_from(&spec, &shared, known.to_vec())));
                }
                let (first, answered) = watch::channel(!known.is_empty());
                let update = Update {
                    spec: Arc::clone(&spec),
                    shared: Arc::clone(&shared),
                    members: Arc::clone(&members),
                    number,
                    first,
                };
                let apply = move |answers: Vec<_>| update.apply(&answers);
                Some(Lookup {
                    _watch: resolver.watch(targets.clone(), *logical, *refresh, apply),
                    answered,
                    was_answered: AtomicBool::new(false),
                })
            }
            _ => None,
        };
        Self { spec, shared, members, dynamic: Mutex::default(), resolver, lookup }
    }

    pub(crate) fn spec(&self) -> &Arc<ClusterSpec> {
        &self.spec
    }

    /// How requests to an endpoint are encrypted; nothing for plaintext, which no request to `https` is sent as.
    pub(crate) fn tls(&self, endpoint: &EndpointState, is_https: bool) -> Option<&Arc<Originator>> {
        let shared = &self.shared;
        let by_policy = match self.spec.tls {
            TlsSpec::Auto(_) => endpoint.spec().announced.mtls && shared.identity.has_certificate(),
            _ => true,
        };
        let by_policy = shared.tls.as_ref().filter(|_| by_policy);
        let simple = || ClientTls { mode: ClientTlsMode::Simple, ..ClientTls::default() };
        by_policy.or_else(|| {
            is_https.then(|| shared.https.get_or_init(|| Arc::new(Originator::new(simple(), shared.identity.clone()))))
        })
    }

    pub(crate) fn permits(&self) -> &Arc<Permits> {
        &self.shared.permits
    }

    pub(crate) fn budget(&self) -> &RetryBudget {
        &self.shared.budget
    }

    /// What requests count in that get to no endpoint of it.
    pub(crate) fn group(&self) -> Option<&Arc<Group>> {
        self.shared.counting.as_ref().map(Counting::group)
    }

    /// What is in use.
    pub(crate) fn gauges(&self) -> ClusterGauges {
        // Nobody may have asked for an endpoint for a while.
        self.sweep(crate::clock::now());
        let members = self.members.load();
        let (ejections, ejections_refused) = self.ejections();
        let skipped_retries = self.shared.skipped_retries.load(Ordering::Relaxed);
        let gauges = ClusterGauges::of(&self.spec, &self.shared.permits, members.hosts.iter());
        ClusterGauges { ejections, ejections_refused, skipped_retries, ..gauges }
    }

    /// Chooses an endpoint for a try.
    ///
    /// # Errors
    /// [`Failure::NoHealthyUpstream`] if there is none to choose.
    pub(crate) fn pick(&self, pick: &Pick<'_>, rng: &mut dyn Rng) -> Result<Member, Failure> {
        self.sweep(pick.now);
        self.current(pick.now).pick(pick, rng).ok_or(Failure::NoHealthyUpstream)
    }

    /// The members, built for the health and the age that they have at this moment.
    fn current(&self, now: Instant) -> Guard<Arc<Members>> {
        let is_good = |members: &Members| {
            members.health == self.shared.health.load(Ordering::Acquire) && !members.hosts.is_stale(now)
        };
        let members = self.members.load();
        if is_good(&members) {
            return members;
        }
        // One builds them; the others may go on with what is nearly right.
        let _renewing = match self.shared.renewing.try_lock() {
            Ok(renewing) => renewing,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return members,
        };
        let members = self.members.load();
        if is_good(&members) {
            return members;
        }
        self.members.rcu(|members| set_of(&self.spec, &self.shared, members_of(members)));
        self.members.load()
    }

    /// Waits for the first answer to a look-up of the endpoints' names, as Envoy keeps a cluster warm
    /// before it uses it. Nothing to wait for is the usual case.
    pub(crate) async fn looked_up(&self) {
        let Some(lookup) = &self.lookup else { return };
        if lookup.was_answered.load(Ordering::Relaxed) {
            return;
        }
        let mut answered = lookup.answered.clone();
        let late = tokio::time::timeout(LOOKUP_TIMEOUT, answered.wait_for(|answered| *answered)).await;
        lookup.was_answered.fetch_or(late.is_ok(), Ordering::Relaxed);
    }

    /// Whether a try would find an endpoint.
    pub(crate) fn has_healthy_endpoint(&self) -> bool {
        matches!(self.spec.endpoints, EndpointSource::OriginalDestination { .. }) || {
            let now = crate::clock::now();
            self.sweep(now);
            self.current(now).hosts.has_choice()
        }
    }

    /// Whether the endpoints' names still have to be [looked up](Self::looked_up).
    pub(crate) fn awaits_look_up(&self) -> bool {
        self.lookup.as_ref().is_some_and(|lookup| !lookup.was_answered.load(Ordering::Relaxed))
    }

    /// Tells the outlier detection what a try came to.
    pub(crate) fn on_outcome(&self, endpoint: &EndpointState, outcome: &Outcome) {
        let Some(detector) = &self.shared.detector else { return };
        let now = crate::clock::now();
        // Who is back by now takes no part of the share that may be ejected.
        self.sweep(now);
        if let Some(ejection) = detector.on_outcome(now, endpoint, outcome) {
            tracing::warn!(cluster = %self.spec.name, endpoint = %endpoint.address(), %ejection, "endpoint ejected");
            self.shared.health.fetch_add(1, Ordering::Release);
        }
    }

    /// Who tells the outlier detection what becomes of an answer; nobody where there is none.
    pub(crate) fn watcher(self: &Arc<Self>, endpoint: &Arc<EndpointState>) -> Option<Watcher> {
        let watcher = || Watcher { cluster: Arc::clone(self), endpoint: Arc::clone(endpoint) };
        self.shared.detector.as_ref().map(|_| watcher())
    }

    pub(crate) fn on_connected(&self, endpoint: &EndpointState) {
        if let Some(detector) = &self.shared.detector {
            detector.on_connected(endpoint);
        }
    }

    /// Runs the sweeps that are due. Requests drive the clock: an idle cluster needs no sweeping.
    fn sweep(&self, now: Instant) {
        let Some(detector) = &self.shared.detector else { return };
        let at = u64::try_from(now.saturating_duration_since(self.shared.epoch).as_micros()).unwrap_or(u64::MAX);
        let next_sweep = &self.shared.next_sweep;
        let due = next_sweep.load(Ordering::Relaxed);
        // One sweeps; the others need not wait for it.
        if at < due || next_sweep.compare_exchange(due, u64::MAX, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return;
        }
        let back = detector.on_tick(now);
        for endpoint in &back {
            tracing::info!(cluster = %self.spec.name, %endpoint, "endpoint back from ejection");
        }
        if !back.is_empty() {
            self.shared.health.fetch_add(1, Ordering::Release);
        }
        let next = detector.next_wakeup().saturating_duration_since(self.shared.epoch);
        next_sweep.store(u64::try_from(next.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// How long a resolver may take for a request that waits for it.
pub(crate) const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);

mod counting;
mod members;
mod observed;
mod places;
mod refusals;
mod watcher;

#[cfg(test)]
mod tests;
