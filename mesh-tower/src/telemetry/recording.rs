//! What is noted of a request for those who want to know: made only where there is somebody.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use http::header::HOST;
use http::uri::Authority;
use http::{HeaderMap, Request, Response};
use mesh_core::cel::{Program, Scope};
use mesh_core::route::RouteId;
use mesh_core::telemetry::record::{self, Wanted};
use mesh_core::telemetry::standard::Ended;
use mesh_core::telemetry::{Record, Side};

use super::series::Group;
use super::sinks::Sinks;
use crate::identity::Peer;
use crate::inbound::PeerIdentity;
use crate::live::Live;
use crate::outbound::Shared;
use crate::serve::PeerAddress;

/// A record that is being written.
#[derive(Debug)]
pub(crate) struct Recording {
    record: Record,
    live: Arc<Live>,
    sinks: Arc<Sinks>,
    is_tapped: bool,
    /// Whether a tap wants every header.
    tells_headers: bool,
    began: Instant,
    /// Whether the head of the request is noted as it is sent on.
    is_told: bool,
    /// Whether the answer is one of ours: no endpoint took its time for it.
    is_answered_here: bool,
    /// The rule that took it.
    route: Option<RouteId>,
    /// Whether it was sent by TLS, where it was sent.
    is_sent_by_tls: Option<bool>,
}

/// What is measured of a request, told at its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sums {
    pub(super) began: Instant,
    pub(super) now: Instant,
    pub(super) request_bytes: u64,
    pub(super) response_bytes: u64,
}

impl Recording {
    /// For a request that begins; nothing where nobody wants to know.
    pub(crate) fn begin<B: http_body::Body>(
        shared: &Shared,
        live: &Arc<Live>,
        side: Side,
        request: &Request<B>,
    ) -> Option<Box<Self>> {
        let sinks = &shared.sinks;
        let is_tapped = sinks.taps.is_listened_to();
        let policy = live.snapshot().telemetry().of(side);
        let is_counted_by = shared.metrics.is_some() && !policy.metrics.expressions.is_empty();
        if !is_tapped && !sinks.want_all() && policy.logs.is_empty() && !is_counted_by {
            return None;
        }
        let mut record = Record::new(side, crate::clock::wall(), request.method().clone());
        record.version = live.version();
        record.unique_id = fastrand::u128(..);
        record.protocol = request.version();
        record.downstream_remote = request.extensions().get::<PeerAddress>().and_then(PeerAddress::socket);
        if let Some(peer) = request.extensions().get::<Peer>() {
            record.tls = peer.facts();
            record.downstream_local = peer.local_address();
        }
        if record.tls.peer_uri.is_none()
            && let Some(proved) = request.extensions().get::<PeerIdentity>()
        {
            record.tls.peer_uri = Some(proved.principal().into());
        }
        if request.body().is_end_stream() || request.body().size_hint().exact() == Some(0) {
            record.request_duration = Some(std::time::Duration::ZERO);
        }
        let (live, sinks) = (Arc::clone(live), Arc::clone(sinks));
        let tells_headers = is_tapped && sinks.taps.tells_headers();
        let mut recording = Self {
            record,
            live,
            sinks,
            is_tapped,
            tells_headers,
            began: crate::clock::now(),
            is_told: false,
            is_answered_here: false,
            route: None,
            is_sent_by_tls: None,
        };
        recording.name(request);
        Some(Box::new(recording))
    }

    fn wanted(&self) -> &Wanted {
        let policy = self.live.snapshot().telemetry().of(self.record.side);
        if self.tells_headers { &record::ALL } else { policy.wanted.as_ref().unwrap_or(&record::NOTHING) }
    }

    /// Where the request goes, and by which host.
    fn name<B>(&mut self, request: &Request<B>) {
        let host = || request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        self.record.path = request.uri().path_and_query().cloned();
        self.record.authority = request.uri().authority().map_or_else(host, Authority::as_str).into();
    }

    /// The head of the request as it is sent on, or would have been; what is told first counts.
    pub(crate) fn request<B>(&mut self, request: &Request<B>) {
        if !self.is_told {
            self.is_told = true;
            self.name(request);
            self.record.request_headers = self.wanted().request.of(request.headers());
        }
    }

    /// Whose words the caller's address is; where it came to, if the connection does not tell.
    pub(crate) fn came(&mut self, from: Option<SocketAddr>, to: Option<SocketAddr>) {
        self.record.downstream_remote = from.or(self.record.downstream_remote);
        self.record.downstream_local = self.record.downstream_local.or(to);
    }

    /// No endpoint has answered.
    pub(crate) const fn is_answered_here(&mut self) {
        self.is_answered_here = true;
    }

    /// The rule that takes it.
    pub(crate) fn taken_by(&mut self, route: RouteId) {
        self.route = Some(route);
    }

    /// How its last try is sent.
    pub(crate) fn sent(&mut self, is_by_tls: bool) {
        self.is_sent_by_tls = Some(is_by_tls);
    }

    /// What was decided about it.
    pub(crate) fn record(&mut self) -> &mut Record {
        &mut self.record
    }

    pub(super) fn answered<B>(&mut self, response: &Response<B>, head_bytes: u64) {
        if !self.is_answered_here {
            self.record.response_duration = Some(crate::clock::now().saturating_duration_since(self.began));
        }
        self.record.response_headers = self.wanted().response.of(response.headers());
        self.record.response_head_bytes = head_bytes;
    }

    pub(super) fn trailers(&mut self, trailers: &HeaderMap) {
        self.record.response_trailers = self.wanted().trailers.of(trailers);
    }

    /// The request has come to its end.
    pub(super) fn finish(mut self: Box<Self>, ended: Ended, sums: Sums) -> Box<Self> {
        let record = &mut self.record;
        record.duration = sums.now.saturating_duration_since(sums.began);
        record.status = ended.status;
        record.is_grpc = ended.is_grpc;
        record.grpc_status = ended.grpc_status;
        record.flags = ended.flags;
        record.request_bytes = sums.request_bytes.saturating_sub(record.request_head_bytes);
        record.response_bytes = sums.response_bytes.saturating_sub(record.response_head_bytes);
        if ended.status == 0 && record.details.is_empty() {
            record.details = "downstream_remote_disconnect".into();
        }
        self
    }

    /// What is noted.
    pub(super) const fn noted(&self) -> &Record {
        &self.record
    }

    /// Tells those who want to know. `group`: what the request counts in; `now`: when it ended.
    #[cfg_attr(not(feature = "admin"), expect(unused_variables, reason = "who asks is the admin server"))]
    pub(super) fn tell(self: Box<Self>, group: Option<&Group>, now: Instant) {
        #[cfg(feature = "admin")]
        let (route, is_sent_by_tls) = (self.route, self.is_sent_by_tls);
        let Self { record, live, sinks, is_tapped, .. } = *self;
        let scope = Scope { record: &record, peer: group.map(Group::other), own: group.map(Group::own) };
        let logs = &live.snapshot().telemetry().of(record.side).logs;
        let is_for = |filter: &Option<Arc<Program>>| filter.as_ref().is_none_or(|filter| filter.is_true(scope));
        for file in logs.files.iter().filter(|file| is_for(&file.filter)) {
            sinks.logs.write(file, &record);
        }
        if let Some(exporter) = &sinks.exporter {
            for log in logs.exported.iter().filter(|log| is_for(&log.filter)) {
                exporter.export(log, &record, sinks.logs.hostname());
            }
        }
        #[cfg(feature = "admin")]
        if let Some(traffic) = sinks.traffic.get() {
            let snapshot = live.snapshot();
            let rule = route.map(|route| (snapshot.vhost_of_route(route), snapshot.rule(route)));
            traffic.add(&record, super::traffic::About { rule, is_sent_by_tls }, now);
        }
        if is_tapped {
            sinks.taps.tell(Arc::new(record));
        }
    }
}
