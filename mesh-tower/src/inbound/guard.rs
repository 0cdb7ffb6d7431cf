//! Judges requests by the policies that select this workload.

use std::any::Any;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::UNIX_EPOCH;

use http::header::HOST;
use http::uri::Authority;
use http::{HeaderValue, Request, Response};
use mesh_core::authn::MtlsMode;
use mesh_core::authz::{Access, Decision, Remote, Verdict};
use mesh_core::identity::SpiffeId;
use mesh_core::route::reply::is_grpc;
use mesh_core::route::{internal_headers, reply};
use mesh_core::telemetry::Side;
use mesh_core::telemetry::standard::Security;
use mesh_core::{Failure, PeerView, Profile, RequestView, Scheme};

use super::PeerIdentity;
use super::custom::{Allowed, CheckRequest, ExternalAuthorizer};
use super::decided::{DecidedBy, Denied};
use super::provider::AskedService;
use super::token::with_claims;
use crate::identity::Peer;
use crate::live::Live;
use crate::outbound::Shared;
use crate::serve::PeerAddress;
use crate::telemetry::{About, Begun, Measured, Recording, Traced};
use crate::{Body, Error, local_reply};

/// The policies of a mesh, at the place where an application is served.
#[derive(Clone)]
pub(crate) struct Guard {
    shared: Arc<Shared>,
    at: Option<SocketAddr>,
    /// Who the original client is.
    remote: Remote,
    /// That of the connection, where it is known; else whether the caller has an identity tells.
    scheme: Option<Scheme>,
    told: Arc<Told>,
}

/// What was said already.
#[derive(Debug, Default)]
struct Told {
    /// That `STRICT` meets callers without an identity.
    strict: AtomicBool,
    /// That policies ask for a port or an address that nobody knows.
    place: AtomicBool,
}

/// Whom to ask before policies decide, and by which rule.
pub(super) type Questions = Vec<(Arc<dyn ExternalAuthorizer>, DecidedBy)>;

impl Guard {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, at: None, remote: Remote::LastForwarded, scheme: None, told: Arc::default() }
    }

    /// At a gateway, which has found out who the original client is.
    pub(crate) fn at_gateway(shared: Arc<Shared>, port: u16, client: Option<IpAddr>, scheme: Scheme) -> Self {
        let remote = client.map_or(Remote::LastForwarded, Remote::At);
        let at = Some(SocketAddr::from(([0, 0, 0, 0], port)));
        Self { shared, at, remote, scheme: Some(scheme), told: Arc::default() }
    }

    pub(super) fn at(self, address: SocketAddr) -> Self {
        Self { at: Some(address), ..self }
    }

    /// The version that a request is judged by, from its beginning to its end.
    pub(super) fn live(&self) -> Arc<Live> {
        self.shared.live.current()
    }

    pub(super) fn is_gateway(&self) -> bool {
        self.scheme.is_some()
    }

    pub(super) fn profile(&self) -> Profile {
        self.shared.options.profile
    }

    /// What is measured of a request that arrives, where anything is.
    pub(super) fn measured<B: http_body::Body + 'static>(
        &self,
        live: &Arc<Live>,
        request: &mut Request<B>,
    ) -> Option<Measured> {
        let mut recording = Recording::begin(&self.shared, live, Side::Server, request);
        if self.shared.arrivals.is_none() && recording.is_none() {
            return None;
        }
        if let Some(recording) = &mut recording {
            recording.came(None, self.at);
        }
        let extensions = request.extensions();
        let proved = extensions.get::<PeerIdentity>().map(PeerIdentity::principal);
        let principal = proved.or_else(|| extensions.get::<Peer>()?.id().map(SpiffeId::as_str));
        let security = if principal.is_some() { Security::MutualTls } else { Security::None };
        let group = self.shared.arrivals.as_ref().map(|arrivals| arrivals.of(request, principal));
        let body = request.body().size_hint().exact().unwrap_or_default();
        let begun = Begun::new(group, recording, request, body);
        let mut measured = begun.measured(crate::clock::now(), is_grpc(request.headers()), security);
        measured.hear(request.headers_mut());
        let body: &mut dyn Any = request.body_mut();
        if let Some(body) = body.downcast_mut() {
            measured.reads(body);
        }
        Some(measured)
    }

    /// What is traced of a request that arrives.
    pub(super) fn traced<B>(&self, live: &Live, request: &mut Request<B>) -> Traced {
        let Some(traces) = &self.shared.traces else { return Traced::default() };
        if traces.is_settled(request.headers(), false) {
            return Traced::default();
        }
        let is_https = self.view(request).scheme == Scheme::Https;
        let is_grpc = reply::is_grpc(request.headers());
        let about = About { side: Side::Server, says_itself: false, is_grpc, is_https, edge: None };
        traces.begin(live, &self.shared.chance, request, about).0
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The time of day, in seconds from 1970.
    pub(super) fn seconds(&self) -> i64 {
        let since = self.shared.options.wall.now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    }

    /// Keeps out, under `STRICT`, whom no mutual TLS has proved. Connections to the mesh's own server are refused before; this
    /// is for the server of another kind that the layer is mounted in.
    pub(super) fn check_mode<B>(&self, live: &Live, request: &Request<B>) -> Result<(), Failure> {
        let mode = live.snapshot().peer_modes().served_at(self.port());
        if mode != MtlsMode::Strict || request.extensions().get::<PeerIdentity>().is_some() {
            return Ok(());
        }
        let refuses = self.profile() == Profile::Safe;
        if !self.told.strict.swap(true, Ordering::Relaxed) {
            let effect = if refuses { "refused" } else { "let in all the same" };
            tracing::warn!(
                target: TARGET,
                effect,
                port = self.port(),
                "a PeerAuthentication says STRICT (for port 0: for one of this workload's, as InboundLayer::at has not said \
                 which one it is), and the server around this layer tells no identity of its callers \
                 (PeerIdentity): let Mesh::serve have the listener, or let the server tell whom mutual TLS has proved"
            );
        }
        if refuses { Err(Failure::AccessDenied) } else { Ok(()) }
    }

    /// Whom to ask about a request, before its token is judged. A provider that nobody stands for is a denial.
    pub(super) fn questions<B>(&self, live: &Live, request: &Request<B>) -> Result<Questions, Denied> {
        let policies = live.snapshot().authorization();
        if policies.providers().next().is_none() {
            return Ok(Questions::new());
        }
        let view = self.view(request);
        let access = self.access(&view);
        let asked = policies.questions(&access).map(|(provider, rule)| {
            let asked = authorizer(&self.shared, live, provider).ok_or_else(|| {
                tracing::warn!(target: TARGET, provider, %rule, "denied: no such authorizer");
                Denied::by(Some(rule))
            });
            asked.map(|asked| (asked, DecidedBy::rule(Some(rule))))
        });
        asked.collect()
    }

    /// Decides about a request that all who were asked let go on.
    pub(super) fn decide<B>(&self, live: &Live, request: &mut Request<B>) -> Result<(), Denied> {
        if live.snapshot().authorization().is_empty() {
            return Ok(());
        }
        let policies = live.snapshot().authorization();
        let view = self.view(request);
        let access = self.access(&view);
        let decision = policies.decide(&access);
        if policies.looks_at().place {
            self.tell_of_place(&view);
        }
        self.shared.trials.count(&decision.dry_run);
        tell(&decision);
        match decision.verdict {
            Verdict::Allowed(Some(rule)) if self.shared.traces.is_some() || DecidedBy::is_wanted() => {
                let by = DecidedBy::rule(Some(rule));
                by.tell_span();
                request.extensions_mut().insert(by);
                Ok(())
            }
            Verdict::Allowed(_) => Ok(()),
            Verdict::Denied(by) => Err(Denied::by(by)),
        }
    }

    /// What is asked about.
    pub(super) fn check_request<B>(&self, request: &Request<B>) -> CheckRequest {
        CheckRequest {
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
            version: request.version(),
            scheme: self.view(request).scheme,
            body: None,
            local: self.at.map(|at| self.address(request).map_or(at, |ip| SocketAddr::new(ip, at.port()))),
            address: request.extensions().get().cloned(),
            identity: request.extensions().get().cloned(),
        }
    }

    fn access<'a>(&self, view: &'a RequestView<'a>) -> Access<'a> {
        Access { remote: self.remote, unknown_place_closes: true, ..Access::request(view) }
    }

    /// Our port; 0 if nobody has said it.
    fn port(&self) -> u16 {
        self.at.map_or(0, |at| at.port())
    }

    /// Our address: as it was said, or that of the connection.
    fn address<B>(&self, request: &Request<B>) -> Option<IpAddr> {
        let said = self.at.map(|at| at.ip()).filter(|ip| !ip.is_unspecified());
        said.or_else(|| request.extensions().get::<Peer>()?.local_address().map(|at| at.ip()))
    }

    /// Says once that policies ask for what is not known here.
    fn tell_of_place(&self, view: &RequestView<'_>) {
        let is_known = view.port != 0 && view.peer.local_address.is_some();
        if !is_known && !self.told.place.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                target: TARGET,
                port = view.port,
                address = ?view.peer.local_address,
                "policies ask for our port or address (ports, destination.port, destination.ip), and not both are known here: \
                 such conditions count against the caller. Say where this is served by InboundLayer::at or \
                 ServeOptions::policy_address"
            );
        }
    }

    /// What policies see of a request.
    pub(super) fn view<'a, B>(&self, request: &'a Request<B>) -> RequestView<'a> {
        let extensions = request.extensions();
        let identity = extensions.get::<PeerIdentity>();
        let host = || request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        RequestView {
            method: request.method(),
            scheme: self.scheme.unwrap_or(if identity.is_some() { Scheme::Https } else { Scheme::Http }),
            authority: request.uri().authority().map_or_else(host, Authority::as_str),
            path: request.uri().path(),
            query: request.uri().query(),
            headers: request.headers(),
            peer: PeerView {
                address: request.extensions().get::<PeerAddress>().and_then(PeerAddress::ip),
                principal: identity.map(PeerIdentity::principal),
                // At a gateway's server with TLS of its own kind there is no identity, and a name all the same.
                sni: identity.and_then(PeerIdentity::server_name).or_else(|| extensions.get::<Peer>()?.server_name()),
                local_address: self.address(request),
                claims: with_claims(PeerView::default(), request).claims,
            },
            port: self.port(),
        }
    }
}

/// Who stands for a provider: whom the program brings, else the service that the mesh knows by the name.
fn authorizer(shared: &Arc<Shared>, live: &Live, provider: &str) -> Option<Arc<dyn ExternalAuthorizer>> {
    let own = shared.options.authorizers.get(provider);
    own.or_else(|| Some(Arc::new(AskedService::of(provider, live, shared)?)))
}

/// Changes the headers of a request as an answer says, in Envoy's order; whether it says anything of them.
pub(super) fn change(headers: &mut http::HeaderMap, allowed: &Allowed) -> bool {
    replace(headers, &allowed.request_headers);
    for (name, value) in &allowed.added_request_headers {
        let lines: Vec<_> = headers.get_all(name).iter().chain([value]).map(HeaderValue::as_bytes).collect();
        if let (true, Ok(joined)) = (headers.contains_key(name), HeaderValue::from_bytes(&lines.join(&b','))) {
            headers.insert(name, joined);
        }
    }
    for name in &allowed.removed_request_headers {
        headers.remove(name);
    }
    let says_nothing = allowed.request_headers.is_empty() && allowed.added_request_headers.is_empty();
    !says_nothing || !allowed.removed_request_headers.is_empty()
}

/// Puts all lines of each new header in the place of those that were there.
pub(super) fn replace(headers: &mut http::HeaderMap, by: &http::HeaderMap) {
    for name in by.keys() {
        headers.remove(name);
        for value in by.get_all(name) {
            headers.append(name, value.clone());
        }
    }
}

const CLIENT_CERT: http::HeaderName = http::HeaderName::from_static("x-forwarded-client-cert");

/// Adds all lines to those that are there.
pub(crate) fn append(headers: &mut http::HeaderMap, more: &http::HeaderMap) {
    for (name, value) in more {
        headers.append(name, value.clone());
    }
}

/// Removes what speaks to a proxy, and not to the application.
pub(super) fn strip(headers: &mut http::HeaderMap) {
    // By now it tells what the connection has proved, or is not there.
    let certificate = headers.remove(CLIENT_CERT);
    internal_headers::strip(headers);
    headers.remove("x-envoy-expected-rq-timeout-ms");
    if let Some(certificate) = certificate {
        headers.insert(CLIENT_CERT, certificate);
    }
}

/// The answer to a request that is not let in. It does not say why; an extension does.
pub(super) fn refusal<B>(failure: Failure, request: &Request<B>) -> Response<Body> {
    let mut response = local_reply::reply(&Error::from(failure), reply::is_grpc(request.headers()));
    response.extensions_mut().insert(failure);
    response
}

/// What is decided, and by which rule, is in the log.
fn tell(decision: &Decision<'_>) {
    let rule = |rule: Option<&mesh_core::authz::RuleName>| rule.map_or_else(|| "none".to_owned(), ToString::to_string);
    if let Verdict::Denied(by) = decision.verdict {
        tracing::info!(target: TARGET, policy = rule(by), "denied by authorization");
    }
    if let Some(audit) = decision.audit {
        tracing::info!(target: TARGET, policy = %audit, "marked for audit");
    }
    for (action, trial) in [("ALLOW", decision.dry_run.allow), ("DENY", decision.dry_run.deny)] {
        if let Some(trial) = trial {
            tracing::debug!(target: TARGET, action, allowed = trial.allowed, policy = rule(trial.rule), "dry run");
        }
    }
}

pub(super) const TARGET: &str = "mesh_tower::inbound";

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("at", &self.at).finish_non_exhaustive()
    }
}
