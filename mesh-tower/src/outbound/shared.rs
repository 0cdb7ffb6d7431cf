//! What all requests of a mesh share, and what may be set about them.

use std::sync::Arc;
use std::time::Duration;

use mesh_core::Profile;
use mesh_core::network::Network;

use super::added::LeftOut;
use crate::body::replay::memory::Memory;
use crate::chance::Chance;
use crate::clock::WallClock;
use crate::inbound::{Authorizers, Trials};
use crate::live::LiveHandle;
use crate::mirror::slots::{self, Slots};
use crate::telemetry::{Arrivals, LineExporter, Metrics, Sinks, Traces};

/// What all requests of a mesh share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) live: LiveHandle,
    pub(crate) chance: Chance,
    pub(crate) options: Options,
    /// Slots of mirrored requests.
    pub(crate) mirrors: Slots,
    /// What is kept of the bodies of all requests.
    pub(crate) replays: Arc<Memory>,
    /// What policies on trial would have decided.
    pub(crate) trials: Trials,
    /// What requests are counted in, where they are.
    pub(crate) metrics: Option<Arc<Metrics>>,
    /// What requests are counted in that arrive.
    pub(crate) arrivals: Option<Arrivals>,
    /// Who makes spans of requests, where somebody does.
    pub(crate) traces: Option<Arc<Traces>>,
    /// Where records of requests go.
    pub(crate) sinks: Arc<Sinks>,
}

impl Shared {
    pub(crate) fn new(live: LiveHandle, chance: Chance, options: Options, metrics: Option<Arc<Metrics>>) -> Self {
        let mirrors = Slots::new(options.mirrors_at_once);
        let replays = Memory::new(options.replay_memory);
        Self {
            live,
            chance,
            options,
            mirrors,
            replays,
            trials: Trials::default(),
            arrivals: metrics.as_ref().map(Arrivals::new),
            sinks: Arc::default(),
            metrics,
            traces: None,
        }
    }

    /// The same with somebody who makes spans of requests.
    pub(crate) fn traced(self, traces: Option<Arc<Traces>>) -> Self {
        Self { traces, ..self }
    }

    /// With who exports lines of access logs.
    pub(crate) fn exporting(self, exporter: Option<LineExporter>) -> Self {
        let sinks = Arc::new(Sinks { exporter, ..Sinks::default() });
        Self { sinks, ..self }
    }
}

/// What may be set.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) profile: Profile,
    /// Bytes of a request's body that are kept for another try.
    pub(crate) replay_limit: usize,
    /// Bytes that are kept of the bodies of all requests.
    pub(crate) replay_memory: usize,
    /// Bytes that a mirror may lie behind the body that it follows.
    pub(crate) mirror_lag: usize,
    /// Mirrored requests at once.
    pub(crate) mirrors_at_once: u32,
    /// How long a mirrored request may take where its route has no timeout.
    pub(crate) mirror_timeout: Duration,
    /// Whether a call ends with the request that it is made for.
    pub(crate) carry_deadline: bool,
    /// Whether retries look for a `grpc-status` in trailers that come right behind the headers.
    pub(crate) peek_trailers: bool,
    /// The longest pause that an answer may ask for; `None` if none is asked.
    pub(crate) retry_after: Option<Duration>,
    /// Headers that calls carry on from the request that they are made for.
    pub(crate) carried: Vec<http::HeaderName>,
    /// Headers that are not added to requests.
    pub(crate) left_out: LeftOut,
    /// Who is asked by policies with the action `CUSTOM`.
    pub(crate) authorizers: Authorizers,
    /// Where keys of issuers are not fetched from; `None` for the default of the profile.
    pub(crate) barred_keys: Option<Arc<[Network]>>,
    /// The time of day by which tokens are judged.
    pub(crate) wall: WallClock,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            profile: Profile::Safe,
            replay_limit: 64 * 1024,
            replay_memory: 64 * 1024 * 1024,
            mirror_lag: 4 * 1024 * 1024,
            mirrors_at_once: slots::MOST,
            mirror_timeout: Duration::from_secs(15),
            carry_deadline: true,
            peek_trailers: false,
            retry_after: None,
            carried: Vec::new(),
            left_out: LeftOut::default(),
            authorizers: Authorizers::default(),
            barred_keys: None,
            wall: WallClock::default(),
        }
    }
}
