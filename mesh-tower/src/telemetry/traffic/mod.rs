//! What requests came to of late: by where they went, by rule, by caller. For who looks at a process, through
//! [`admin`](crate::admin); kept only while there is such a server.
//!
//! Requests never wait for it: each counts in the first of a few tables that nobody holds at that moment, beginning with that
//! of its thread, and where all are held it is only counted as missed. Whoever reads adds them up. A row takes 5 KiB, and
//! there are 256 a table for each of the three kinds: in a mesh of 50 edges, rules and callers some 250 KiB a thread that
//! serves, 16 MiB at the worst.

mod cell;
mod table;

use std::cell::Cell as ThreadCell;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use mesh_core::route::{Route, RuleOrigin};
use mesh_core::telemetry::{Record, Side};

use self::cell::Ended;
use self::table::Table;

pub(crate) use self::cell::{Sum, Window};
pub(crate) use self::table::Rows;

/// So many tables there are.
const SHARDS: usize = 4;

/// Where requests went: a cluster, and the endpoint of the last try, if there was one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Edge {
    pub(crate) cluster: Box<str>,
    pub(crate) endpoint: Option<Box<str>>,
}

/// The rule that took requests: that of a virtual host; none where the rule is for hosts that nobody knows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Rule {
    pub(crate) host: Option<Box<str>>,
    pub(crate) name: Box<str>,
    pub(crate) origin: RuleOrigin,
}

/// Who calls this process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Caller {
    /// Who it has proved to be, by its certificate.
    Proved(Box<str>),
    /// Where it calls from, where it proves nothing.
    At(Option<IpAddr>),
}

#[derive(Debug, Default)]
struct Tables {
    edges: Table<Edge>,
    rules: Table<Rule>,
    callers: Table<Caller>,
}

/// What requests came to of late.
#[derive(Debug)]
pub(crate) struct Traffic {
    began: Instant,
    hasher: RandomState,
    shards: [Mutex<Tables>; SHARDS],
    missed: AtomicU64,
}

/// What a request came to, beside what its record says.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct About<'a> {
    /// The rule that took it, with its virtual host.
    pub(super) rule: Option<(Option<&'a str>, &'a Route)>,
    /// Whether it was sent by TLS; not known where it was not sent.
    pub(super) is_sent_by_tls: Option<bool>,
}

/// What is told of a window.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) window: Window,
    /// How far back it reaches.
    pub(crate) covered: Duration,
    pub(crate) now: Instant,
    /// Requests since the beginning that are in no figure.
    pub(crate) missed: u64,
    pub(crate) edges: Rows<Edge>,
    pub(crate) rules: Rows<Rule>,
    pub(crate) callers: Rows<Caller>,
}

impl Default for Traffic {
    fn default() -> Self {
        let (began, hasher) = (crate::clock::now(), RandomState::new());
        Self { began, hasher, shards: Default::default(), missed: AtomicU64::new(0) }
    }
}

impl Traffic {
    /// Counts a request that has come to its end.
    pub(super) fn add(&self, record: &Record, about: About<'_>, now: Instant) {
        let Some(mut tables) = self.a_free_one() else {
            self.missed.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let ended = Ended {
            at: now,
            age: now.saturating_duration_since(self.began),
            milliseconds: record.duration.as_secs_f64() * 1e3,
            is_error: is_error(record),
            tries: record.attempts,
            flags: record.flags,
            is_tls: None,
        };
        match record.side {
            Side::Server => self.count_caller(&mut tables, record, &ended),
            Side::Client => self.count_call(&mut tables, record, about, &ended),
        }
    }

    fn count_caller(&self, tables: &mut Tables, record: &Record, ended: &Ended) {
        let principal = record.tls.peer_uri.as_deref().filter(|principal| !principal.is_empty());
        let address = record.downstream_remote.map(|address| address.ip().to_canonical());
        let is_same = |caller: &Caller| match (caller, principal) {
            (Caller::Proved(known), Some(principal)) => **known == *principal,
            (Caller::At(known), None) => *known == address,
            _ => false,
        };
        let caller = || principal.map_or(Caller::At(address), |principal| Caller::Proved(principal.into()));
        let hash = match principal {
            Some(principal) => self.hasher.hash_one(principal),
            None => self.hasher.hash_one(address),
        };
        let ended = Ended { is_tls: Some(record.tls.is_tls || principal.is_some()), ..*ended };
        tables.callers.add(hash, is_same, caller, &ended);
    }

    fn count_call(&self, tables: &mut Tables, record: &Record, about: About<'_>, ended: &Ended) {
        if let Some((host, route)) = about.rule {
            let is_same =
                |rule: &Rule| rule.host.as_deref() == host && rule.origin == route.origin && rule.name == route.name;
            let rule = || Rule { host: host.map(Into::into), name: route.name.clone(), origin: route.origin.clone() };
            let hash = self.hasher.hash_one((host, &route.origin, &route.name));
            tables.rules.add(hash, is_same, rule, ended);
        }
        if let Some(cluster) = record.cluster.as_deref() {
            let endpoint = record.upstream.as_deref();
            let is_same = |edge: &Edge| *edge.cluster == *cluster && edge.endpoint.as_deref() == endpoint;
            let edge = || Edge { cluster: cluster.into(), endpoint: endpoint.map(Into::into) };
            let ended = Ended { is_tls: about.is_sent_by_tls, ..*ended };
            tables.edges.add(self.hasher.hash_one((cluster, endpoint)), is_same, edge, &ended);
        }
    }

    /// A table that nobody holds, if there is one: that of this thread before others.
    fn a_free_one(&self) -> Option<MutexGuard<'_, Tables>> {
        let own = OWN.get();
        (0..SHARDS).find_map(|next| match self.shards[(own + next) % SHARDS].try_lock() {
            Ok(tables) => Some(tables),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        })
    }

    pub(crate) fn seen(&self, window: Window) -> Seen {
        let now = crate::clock::now();
        let age = now.saturating_duration_since(self.began);
        let (edges, rules, callers) = (Rows::default(), Rows::default(), Rows::default());
        let missed = self.missed.load(Ordering::Relaxed);
        let mut seen = Seen { window, covered: window.covered(age), now, missed, edges, rules, callers };
        for shard in &self.shards {
            let tables = shard.lock().unwrap_or_else(PoisonError::into_inner);
            seen.edges.add(&tables.edges, window, now, age);
            seen.rules.add(&tables.rules, window, now, age);
            seen.callers.add(&tables.callers, window, now, age);
        }
        seen
    }
}

static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static OWN: ThreadCell<usize> = ThreadCell::new(THREADS.fetch_add(1, Ordering::Relaxed));
}

/// Whether a request counts as failed: without an answer, with a status from 500 on, or with a gRPC status that is the
/// server's fault by OpenTelemetry's conventions (`UNKNOWN`, `DEADLINE_EXCEEDED`, `UNIMPLEMENTED`, `INTERNAL`, `UNAVAILABLE`,
/// `DATA_LOSS`).
fn is_error(record: &Record) -> bool {
    let by_grpc = record.is_grpc && matches!(record.grpc_status, Some(2 | 4 | 12..=15));
    record.status == 0 || record.status >= 500 || by_grpc
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use http::Method;

    use super::*;

    fn called(cluster: &str, endpoint: &str, status: u16) -> Record {
        let mut record = Record::new(Side::Client, SystemTime::UNIX_EPOCH, Method::GET);
        (record.cluster, record.upstream, record.status) = (Some(cluster.into()), Some(endpoint.into()), status);
        record
    }

    #[test]
    fn requests_count_for_where_they_went_whichever_thread_they_ended_on() {
        let traffic = Traffic::default();
        std::thread::scope(|scope| {
            for _ in 0..SHARDS * 2 {
                scope.spawn(|| traffic.add(&called("a", "1", 200), About::default(), crate::clock::now()));
            }
        });
        traffic.add(&called("a", "2", 503), About::default(), crate::clock::now());
        let seen = traffic.seen(Window::One);
        let of =
            |endpoint: &str| seen.edges.rows[&Edge { cluster: "a".into(), endpoint: Some(endpoint.into()) }].clone();
        assert_eq!(of("1").requests + seen.missed, SHARDS as u64 * 2);
        assert_eq!((of("2").requests, of("2").error_share()), (1, Some(1.0)));
    }

    #[test]
    fn who_finds_every_table_held_goes_on_and_is_counted_as_missed() {
        let traffic = Traffic::default();
        let held: Vec<_> = traffic.shards.iter().map(|shard| shard.lock().unwrap()).collect();
        traffic.add(&called("a", "1", 200), About::default(), crate::clock::now());
        drop(held);
        let seen = traffic.seen(Window::One);
        assert_eq!((seen.missed, seen.edges.rows.len()), (1, 0));
    }

    #[test]
    fn a_caller_is_who_it_proves_to_be_or_where_it_calls_from() {
        let traffic = Traffic::default();
        let mut record = Record::new(Side::Server, SystemTime::UNIX_EPOCH, Method::GET);
        for port in [1, 2] {
            record.downstream_remote = Some(([10, 0, 0, 1], port).into());
            traffic.add(&record, About::default(), crate::clock::now());
        }
        record.tls.peer_uri = Some("spiffe://a/ns/b/sa/c".into());
        traffic.add(&record, About::default(), crate::clock::now());
        let callers = traffic.seen(Window::One).callers.rows;
        assert_eq!(callers[&Caller::At(Some([10, 0, 0, 1].into()))].requests, 2);
        let proved = &callers[&Caller::Proved("spiffe://a/ns/b/sa/c".into())];
        assert_eq!((proved.requests, proved.is_tls), (1, Some(true)));
    }
}
