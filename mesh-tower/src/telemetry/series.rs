//! Which series a request counts in: found without a lock once it has been there.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};
use http::{HeaderMap, HeaderValue};
use mesh_core::cel::Scope;
use mesh_core::identity::SpiffeId;
use mesh_core::telemetry::policy::{MetricsPolicy, Side, Telemetries};
use mesh_core::telemetry::standard::{Called, Ended, Reporter, common};
use mesh_core::telemetry::{Record, UNKNOWN, Workload};
use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use super::exchange::Exchange;
use super::instruments::{Instruments, MessageSeries, Series, Sizes};

/// So many label sets are kept apart.
pub const MOST_SERIES: usize = 2_000;

/// So many workloads that tell of themselves are kept apart where one name or proof is all that is known of them; who
/// proves nothing could make up any number.
const MOST_REFINED: usize = 64;

/// The label of the series for what is beyond [`MOST_SERIES`], as in OpenTelemetry.
const OVERFLOW: &str = "otel.metric.overflow";

/// The metrics of a mesh.
pub(crate) struct Metrics {
    instruments: Instruments,
    own: Workload,
    /// The same, to who has proved nothing: on plaintext nobody knows who this is either.
    unproved: Workload,
    /// What this workload tells others of itself.
    exchange: Option<Exchange>,
    cluster_domain: Box<str>,
    /// What Telemetry resources say, of requests that go out and of those that come in.
    policies: ArcSwap<Policies>,
    /// Counts changes of them: groups of an older one hand on to those of the newest.
    version: AtomicU64,
    known: AtomicUsize,
    groups: Mutex<Groups>,
    /// What requests count in that got to no service.
    nobody: OnceLock<Arc<Group>>,
}

/// How each side counts, and what it counts in where there is no room.
#[derive(Default)]
struct Policies {
    client: MetricsPolicy,
    server: MetricsPolicy,
    overflow: [OnceLock<Arc<Series>>; 2],
    overflow_messages: [OnceLock<Arc<MessageSeries>>; 2],
}

impl Policies {
    const fn of(&self, reporter: Reporter) -> &MetricsPolicy {
        match reporter {
            Reporter::Source => &self.client,
            Reporter::Destination => &self.server,
        }
    }
}

/// What requests count in, by the parties that they are between.
#[derive(Default)]
struct Groups {
    by_parties: HashMap<Parties, Arc<Group>>,
    /// How many of them are not by the configuration: who calls, what others tell of themselves and prove.
    found_out: usize,
}

/// The same metrics are counted, and their labels are as they are.
fn untagged(policy: &MetricsPolicy) -> MetricsPolicy {
    let mut policy = policy.clone();
    policy.expressions.clear();
    policy.overrides.values_mut().for_each(|change| change.tags.clear());
    policy
}

/// The labels of what there is no room for.
fn overflow() -> [KeyValue; 1] {
    [KeyValue::new(OVERFLOW, true)]
}

/// Between whom requests go, and who tells.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Parties {
    reporter: Reporter,
    other: Workload,
    called: Called,
}

/// What the requests between two workloads count in.
pub(crate) struct Group {
    metrics: Arc<Metrics>,
    /// Of the policies that its series were made by.
    version: u64,
    /// Where requests count since those have changed.
    successor: ArcSwapOption<Self>,
    parties: Parties,
    /// Where requests count whose other side has told of itself.
    refined: ArcSwap<Vec<(HeaderValue, Arc<Self>)>>,
    /// Where requests count whose other side has proved who it is.
    proved: ArcSwap<Vec<(SpiffeId, Arc<Self>)>>,
    labels: Box<[KeyValue]>,
    /// How the first request ended, and so most of them.
    usual: OnceLock<(Ended, Arc<Series>)>,
    /// By how requests ended: few.
    series: ArcSwap<Vec<(Ended, Arc<Series>)>>,
    /// Where labels are expressions: by what has come out of them, too.
    tagged: ArcSwap<HashMap<Tagged, Arc<Series>>>,
    growing: Mutex<()>,
    /// Messages of gRPC calls, however those end.
    messages: OnceLock<Arc<MessageSeries>>,
}

/// How a request ended, and the values of the expressions in its labels.
type Tagged = (Ended, Box<[Box<str>]>);

impl Metrics {
    /// The metrics of a workload; `introduces`: it and others tell each other what they are called.
    pub(crate) fn new(meter: &Meter, own: Workload, cluster_domain: &str, introduces: bool) -> Arc<Self> {
        Arc::new(Self {
            instruments: Instruments::new(meter),
            exchange: introduces.then(|| Exchange::new(&own)),
            unproved: Workload { principal: UNKNOWN.into(), ..own.clone() },
            own,
            cluster_domain: cluster_domain.into(),
            policies: ArcSwap::default(),
            version: AtomicU64::new(0),
            known: AtomicUsize::new(0),
            groups: Mutex::default(),
            nobody: OnceLock::new(),
        })
    }

    /// Counts from now on as Telemetry resources say. Series that are counted no more keep their last values.
    pub(crate) fn follow(&self, telemetries: &Telemetries) {
        let of = |side| &telemetries.of(side).metrics;
        let (client, server) = (of(Side::Client), of(Side::Server));
        let known = self.policies.load();
        if known.client == *client && known.server == *server {
            return;
        }
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        let policies = Policies { client: client.clone(), server: server.clone(), ..Policies::default() };
        self.policies.store(Arc::new(policies));
        *groups = Groups::default();
        self.known.store(0, Ordering::Relaxed);
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Tells the other side who this is.
    pub(crate) fn tell(&self, headers: &mut HeaderMap) {
        if let Some(exchange) = &self.exchange {
            exchange.tell(headers);
        }
    }

    pub(crate) fn cluster_domain(&self) -> &str {
        &self.cluster_domain
    }

    pub(crate) fn own(&self) -> &Workload {
        &self.own
    }

    /// What requests to a workload count in, which belongs to a service.
    pub(crate) fn towards(self: &Arc<Self>, other: Workload, called: Called) -> Arc<Group> {
        self.group(&Parties { reporter: Reporter::Source, other, called })
    }

    /// What requests from a workload count in, which were meant for a service of ours. Where too many workloads call they
    /// count as those of an unknown one.
    pub(crate) fn from(self: &Arc<Self>, other: Workload, called: Called) -> Arc<Group> {
        let parties = Parties { reporter: Reporter::Destination, other, called };
        self.found_out(&parties)
            .unwrap_or_else(|| self.group(&Parties { other: Workload::unknown(), ..parties.clone() }))
    }

    /// What requests count in that got to no service.
    pub(crate) fn to_nobody(self: &Arc<Self>) -> Arc<Group> {
        let parties = || Parties {
            reporter: Reporter::Source,
            other: Workload::unknown(),
            called: Called::nobody(UNKNOWN, UNKNOWN),
        };
        Arc::clone(self.nobody.get_or_init(|| Arc::new(self.labelled(&parties()))))
    }

    /// The group of parties of which there are as many as the configuration makes.
    fn group(self: &Arc<Self>, parties: &Parties) -> Arc<Group> {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || Arc::new(self.labelled(parties));
        Arc::clone(groups.by_parties.entry(parties.clone()).or_insert_with(make))
    }

    /// The group of parties that others have made known: `None` where there are too many of them already.
    fn found_out(self: &Arc<Self>, parties: &Parties) -> Option<Arc<Group>> {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(group) = groups.by_parties.get(parties) {
            return Some(Arc::clone(group));
        }
        if groups.found_out >= MOST_SERIES {
            return None;
        }
        groups.found_out += 1;
        let group = Arc::new(self.labelled(parties));
        groups.by_parties.insert(parties.clone(), Arc::clone(&group));
        Some(group)
    }

    fn labelled(self: &Arc<Self>, parties: &Parties) -> Group {
        let Parties { reporter, other, called } = parties;
        let own = if &*other.principal == UNKNOWN { &self.unproved } else { &self.own };
        let (source, destination) = match reporter {
            Reporter::Source => (own, other),
            Reporter::Destination => (other, own),
        };
        let labels = common(*reporter, source, destination, called);
        Group {
            metrics: Arc::clone(self),
            version: self.version.load(Ordering::Acquire),
            successor: ArcSwapOption::default(),
            parties: parties.clone(),
            refined: ArcSwap::default(),
            proved: ArcSwap::default(),
            labels: labels.into_iter().map(|(key, value)| KeyValue::new(key, value.to_owned())).collect(),
            usual: OnceLock::new(),
            series: ArcSwap::default(),
            tagged: ArcSwap::default(),
            growing: Mutex::default(),
            messages: OnceLock::new(),
        }
    }

    /// A series of its own while there is room, else the one of all that there is none for.
    fn series(&self, policies: &Policies, reporter: Reporter, labels: &[KeyValue], values: &[Box<str>]) -> Arc<Series> {
        let policy = policies.of(reporter);
        // What is not counted takes no room.
        if !policy.is_enabled || self.takes_room() {
            return Arc::new(self.instruments.bind(labels, policy, values));
        }
        self.overflow(policies, reporter)
    }

    /// What label sets count in that there is no room for.
    fn overflow(&self, policies: &Policies, reporter: Reporter) -> Arc<Series> {
        let bind = || Arc::new(self.instruments.bind(&overflow(), &untagged(policies.of(reporter)), &[]));
        Arc::clone(policies.overflow[reporter as usize].get_or_init(bind))
    }

    fn is_full(&self) -> bool {
        self.known.load(Ordering::Relaxed) >= MOST_SERIES
    }

    /// The same for messages.
    fn message_series(&self, reporter: Reporter, labels: &[KeyValue]) -> Arc<MessageSeries> {
        let policies = self.policies.load();
        let policy = policies.of(reporter);
        if !policy.is_enabled || self.takes_room() {
            return Arc::new(self.instruments.bind_messages(labels, policy));
        }
        let bind = || Arc::new(self.instruments.bind_messages(&overflow(), &untagged(policy)));
        Arc::clone(policies.overflow_messages[reporter as usize].get_or_init(bind))
    }

    /// Whether there is room for one more label set, which is taken then.
    fn takes_room(&self) -> bool {
        let room = |known: usize| (known < MOST_SERIES).then_some(known + 1);
        self.known.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).is_ok()
    }
}

impl Group {
    /// Whether both sides tell each other who they are.
    pub(super) fn is_introduced(&self) -> bool {
        self.metrics.exchange.is_some()
    }

    /// Tells the other side who this is.
    pub(super) fn tell(&self, headers: &mut HeaderMap) {
        self.metrics.tell(headers);
    }

    /// Where requests count whose other side has told of itself.
    pub(super) fn refined(self: &Arc<Self>, told: &HeaderValue) -> Arc<Self> {
        let find = |known: &[(HeaderValue, Arc<Self>)]| {
            known.iter().find(|(known, _)| known == told).map(|(_, group)| Arc::clone(group))
        };
        let known = self.refined.load();
        if let Some(group) = find(&known) {
            return group;
        }
        if known.len() >= MOST_REFINED {
            return Arc::clone(self);
        }
        let _growing = self.growing.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.refined.load_full();
        if let Some(group) = find(&known) {
            return group;
        }
        let other = told.to_str().ok().and_then(Workload::of_metadata);
        let group = other.map_or_else(
            || Arc::clone(self),
            |told| {
                let other = self.parties.other.refined_by(&told);
                let parties = Parties { other, ..self.parties.clone() };
                self.metrics.found_out(&parties).unwrap_or_else(|| Arc::clone(self))
            },
        );
        let mut more = Vec::clone(&known);
        more.push((told.clone(), Arc::clone(&group)));
        self.refined.store(Arc::new(more));
        group
    }

    /// The workload on the other side, as far as it is known.
    pub(super) const fn other(&self) -> &Workload {
        &self.parties.other
    }

    /// This workload.
    pub(super) fn own(&self) -> &Workload {
        self.metrics.own()
    }

    /// Where requests count whose other side has proved who it is.
    pub(crate) fn proved(self: &Arc<Self>, id: &SpiffeId) -> Arc<Self> {
        let find = |known: &[(SpiffeId, Arc<Self>)]| {
            known.iter().find(|(known, _)| known == id).map(|(_, group)| Arc::clone(group))
        };
        if let Some(group) = find(&self.proved.load()) {
            return group;
        }
        let other = self.parties.other.clone().with_principal(id.as_str());
        let parties = Parties { other, ..self.parties.clone() };
        let group = self.metrics.found_out(&parties).unwrap_or_else(|| Arc::clone(self));
        self.proved.rcu(|known| {
            let mut more = Vec::clone(known);
            // An endpoint is the same from one day to another; but a table has to end somewhere.
            if more.len() >= MOST_REFINED {
                more.clear();
            }
            more.push((id.clone(), Arc::clone(&group)));
            more
        });
        group
    }

    /// `noted`: what is known of the request, where somebody wanted to know; expressions in labels do.
    pub(super) fn record(self: &Arc<Self>, ended: Ended, sizes: Sizes, noted: Option<&Record>) {
        let newest = (!self.is_newest()).then(|| self.successor());
        let here = newest.as_ref().unwrap_or(self);
        match noted {
            None => here.record_here(ended, sizes),
            Some(noted) => here.record_noted(ended, sizes, noted),
        }
    }

    /// Counts messages that have begun.
    pub(crate) fn record_messages(self: &Arc<Self>, requests: u64, responses: u64) {
        match (requests, responses) {
            (0, 0) => {}
            _ if self.is_newest() => self.messages().add(requests, responses),
            _ => self.successor().messages().add(requests, responses),
        }
    }

    fn messages(&self) -> &MessageSeries {
        self.messages.get_or_init(|| self.metrics.message_series(self.parties.reporter, &self.labels))
    }

    /// Whether its series are by the policies of today.
    fn is_newest(&self) -> bool {
        self.version == self.metrics.version.load(Ordering::Relaxed)
    }

    /// The group between the same parties by the newest policies.
    fn successor(self: &Arc<Self>) -> Arc<Self> {
        let version = self.metrics.version.load(Ordering::Acquire);
        if let Some(known) = self.successor.load_full().filter(|known| known.version == version) {
            return known;
        }
        let next = self.metrics.group(&self.parties);
        self.successor.store(Some(Arc::clone(&next)));
        next
    }

    fn record_here(&self, ended: Ended, sizes: Sizes) {
        if let Some((_, series)) = self.usual.get().filter(|(usual, _)| *usual == ended) {
            return series.record(sizes);
        }
        if let Some((_, series)) = self.series.load().iter().find(|(known, _)| *known == ended) {
            return series.record(sizes);
        }
        self.add(ended).record(sizes);
    }

    /// In the series that the expressions in labels lead to, if there are some.
    fn record_noted(&self, ended: Ended, sizes: Sizes, noted: &Record) {
        let policies = self.metrics.policies.load();
        let policy = policies.of(self.parties.reporter);
        if policy.expressions.is_empty() {
            return self.record_here(ended, sizes);
        }
        let scope = Scope { record: noted, peer: Some(self.other()), own: Some(self.own()) };
        let tagged = (ended, policy.expressions.iter().map(|expression| expression.tag(scope)).collect());
        if let Some(series) = self.tagged.load().get(&tagged) {
            return series.record(sizes);
        }
        // What callers make up any number of is not kept, and nobody waits for it.
        if self.metrics.is_full() {
            return self.metrics.overflow(&policies, self.parties.reporter).record(sizes);
        }
        self.add_tagged(tagged, &policies).record(sizes);
    }

    fn add_tagged(&self, tagged: Tagged, policies: &Policies) -> Arc<Series> {
        let _growing = self.growing.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.tagged.load_full();
        if let Some(series) = known.get(&tagged) {
            return Arc::clone(series);
        }
        let series = self.metrics.series(policies, self.parties.reporter, &self.labels_of(tagged.0), &tagged.1);
        let mut more = HashMap::clone(&known);
        more.insert(tagged, Arc::clone(&series));
        self.tagged.store(Arc::new(more));
        series
    }

    /// All labels of requests that ended in one way.
    fn labels_of(&self, ended: Ended) -> Vec<KeyValue> {
        let own = ended.labels().into_iter().map(|(key, value)| KeyValue::new(key, value.into_owned()));
        self.labels.iter().cloned().chain(own).collect()
    }

    fn add(&self, ended: Ended) -> Arc<Series> {
        let _growing = self.growing.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.series.load_full();
        if let Some((_, series)) = known.iter().find(|(known, _)| *known == ended) {
            return Arc::clone(series);
        }
        let policies = self.metrics.policies.load();
        let series = self.metrics.series(&policies, self.parties.reporter, &self.labels_of(ended), &[]);
        self.usual.get_or_init(|| (ended, Arc::clone(&series)));
        let mut more = Vec::clone(&known);
        more.push((ended, Arc::clone(&series)));
        self.series.store(Arc::new(more));
        series
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("labels", &self.labels).finish_non_exhaustive()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("own", &self.own).field("known", &self.known).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
