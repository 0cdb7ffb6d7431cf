//! Why a request goes where it goes: the whole decision as one value.
//!
//! [`Explainer::explain`] decides with the very [`Snapshot`] that requests are decided with and then says what it saw on
//! the way: the virtual host, each route with the first condition that failed, the roll, the destination with its
//! endpoints and the policy that counts, and for each of these the file and line that said so. The command line, the
//! admin page and test failures show the same value.
//!
//! ```
//! use mesh_config::{ConfigSet, api::MeshConfig, parse};
//! use mesh_core::explain::{Explainer, Question};
//! use mesh_core::{Site, compile};
//!
//! let (documents, _) = parse("reviews.yaml", "
//! apiVersion: networking.istio.io/v1
//! kind: ServiceEntry
//! metadata: {name: reviews}
//! spec:
//!   hosts: [reviews.default.svc.cluster.local]
//!   ports: [{number: 80, name: http, protocol: HTTP}]
//!   resolution: STATIC
//!   endpoints: [{address: 10.0.0.1}]
//! ---
//! apiVersion: networking.istio.io/v1
//! kind: VirtualService
//! metadata: {name: reviews}
//! spec:
//!   hosts: [reviews]
//!   http:
//!   - name: jason
//!     match: [{headers: {end-user: {exact: jason}}}]
//!     directResponse: {status: 418}
//!   - name: others
//!     route: [{destination: {host: reviews}}]
//! ");
//! let (set, _) = ConfigSet::from_documents(documents);
//! let (mesh, site) = (MeshConfig::default(), Site::default());
//! let compiled = compile(&set, &mesh, &site);
//! let explainer = Explainer::new(&set, &mesh, &site, &compiled.snapshot);
//! let explanation = explainer.explain(&Question::get("http://reviews/1")?.header("end-user", "ann")?);
//! assert_eq!(explanation.route.as_deref(), Some("others"));
//! let failed = explanation.tried[0].failed.as_ref().ok_or("it fails")?;
//! assert_eq!(failed.to_string(), "header end-user = \"ann\", wanted exact \"jason\"");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod alike;
mod destination;
mod diff;
mod hidden;
mod inbound;
mod left_out;
mod mismatch;
mod model;
mod question;
mod render;
mod witness;

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use http::request;
use mesh_config::api::MeshConfig;
use mesh_config::diagnostic::Places;
use mesh_config::{ConfigSet, FieldPath, Kind, ResourceId};

use crate::compile::scope::Sight;
use crate::compile::{DestinationRules, MergedRule};
use crate::gateway_tls::server_for;
use crate::host_index::host_of;
use crate::path_normalization::normalize;
use crate::retry::RetryPolicy;
use crate::route::{self, Exchange, Route, RouteId, Routed, RuleOrigin, Split, prepare};
use crate::snapshot::{GatewayServer, Snapshot, TableId};
use crate::{Failure, RequestView, Scheme, Site, grpc_status};

pub use diff::{Aspect, Difference, Differences, Outcome, diff, diff_at_gateways};
pub use model::{
    Action, Destination, Endpoint, Explanation, Inbound, LeftOut, Listener, Mirror, Mismatch, Place, PolicyLine,
    Request, Retries, SplitEntry, Subset, Tried, Upstream, VirtualHost,
};
pub use question::{Question, QuestionError};

/// Explains decisions of one snapshot.
#[derive(Debug)]
pub struct Explainer<'a> {
    set: &'a ConfigSet,
    mesh: &'a MeshConfig,
    site: &'a Site,
    snapshot: &'a Snapshot,
    rules: DestinationRules<'a>,
    sight: Sight<'a>,
    places: bool,
    /// Where the fields of the objects stand that were asked about so far.
    read: RefCell<HashMap<ResourceId, Places>>,
}

impl<'a> Explainer<'a> {
    /// Explains what `snapshot` decides, which is what `set` was compiled to for `site`.
    pub fn new(set: &'a ConfigSet, mesh: &'a MeshConfig, site: &'a Site, snapshot: &'a Snapshot) -> Self {
        let rules = DestinationRules::quietly(set, mesh, site);
        Self {
            set,
            mesh,
            site,
            snapshot,
            rules,
            sight: Sight::quietly(set, mesh, site),
            places: true,
            read: RefCell::default(),
        }
    }

    /// Leaves out the lines of files, whose look-up costs more than the rest.
    #[must_use]
    pub fn without_lines(self) -> Self {
        Self { places: false, ..self }
    }

    /// Explains one request.
    pub fn explain(&self, question: &Question) -> Explanation {
        self.tell(question, true)
    }

    /// What is decided, without the routes on the way to it, which are nearly all of the work.
    fn decision(&self, question: &Question) -> Explanation {
        self.tell(question, false)
    }

    /// The route that takes a request, and nothing else.
    fn chosen(&self, question: &Question) -> Option<RouteId> {
        let (parts, scheme, _) = self.canonical(question, &mut Explanation::default()).ok()?;
        let (table, _) = self.listener(question)?;
        let view = question.view(&parts, scheme);
        Some(self.snapshot.route_in(table, &view, &mut Fixed(0)).ok()?.route)
    }

    fn tell(&self, question: &Question, with_routes: bool) -> Explanation {
        let mut out = Explanation { request: question.describe(), ..Explanation::default() };
        let grpc = route::reply::is_grpc(&question.parts().headers);
        let listener = self.listener(question);
        out.listener = match &listener {
            Some((_, listener)) => listener.clone(),
            None => Listener { port: question.port(), ..Listener::default() },
        };
        let (parts, scheme, upgrade_refused) = match self.canonical(question, &mut out) {
            Ok(canonical) => canonical,
            Err(failure) => {
                out.malformed = Some(failure.to_string());
                return unanswered(out, failure, grpc);
            }
        };
        let Some((table, _)) = listener else { return unanswered(out, Failure::NoRoute, grpc) };
        let view = question.view(&parts, scheme);
        if with_routes {
            self.say_tried(table, &view, &mut out);
            if question.at_gateway() {
                out.inbound = self.at_gateway(&view);
            }
        }
        let mut rng = Fixed(question.roll());
        match self.snapshot.route_in(table, &view, &mut rng) {
            Ok(routed) => self.say_route(routed, &view, parts.clone(), with_routes, &mut out),
            Err(failure) => out = unanswered(out, failure, grpc),
        }
        if upgrade_refused {
            // The rule is found, and then nothing of it is done.
            let kept = Explanation {
                request: out.request,
                listener: out.listener,
                vhost: out.vhost,
                tried: out.tried,
                route: out.route,
                rule: out.rule,
                malformed: Some(Failure::UpgradeRefused.to_string()),
                ..Explanation::default()
            };
            return unanswered(kept, Failure::UpgradeRefused, grpc);
        }
        out
    }

    /// The head as the mesh brings it into form before it routes, the scheme that rules see, and whether it asks for an
    /// upgrade that is not passed on.
    fn canonical(&self, question: &Question, out: &mut Explanation) -> Result<(request::Parts, Scheme, bool), Failure> {
        let mut parts = question.parts();
        let scheme = question.scheme_seen()?;
        route::internal_headers::strip(&mut parts.headers);
        let upgrade_refused = match route::internal_headers::remove_hop_by_hop(&mut parts.headers) {
            Ok(_) => false,
            Err(Failure::UpgradeRefused) => true,
            Err(failure) => return Err(failure),
        };
        if let Some(path) = normalize(parts.uri.path(), self.snapshot.path_normalization())? {
            let target = parts.uri.query().map_or_else(|| path.clone(), |query| format!("{path}?{query}"));
            out.request.path_as_sent = Some(std::mem::replace(&mut out.request.path, target.clone()));
            parts.uri = question.uri_with(&target).ok_or(Failure::InvalidPath)?;
        }
        Ok((parts, scheme, upgrade_refused))
    }

    fn listener(&self, question: &Question) -> Option<(TableId, Listener)> {
        let port = question.port();
        if question.at_gateway() {
            let bind = question.bind();
            let is_tls = question.scheme() == Scheme::Https;
            let mut servers: Vec<_> = self.snapshot.gateway_servers().iter().collect();
            servers.retain(|server| server.port == port && (bind.is_none() || server.bind == bind));
            servers.retain(|server| server.tls.is_empty() != is_tls);
            if is_tls {
                // The handshake asks for the host that the request then names.
                let name = host_of(question.authority());
                let server = servers.iter().find_map(|server| server_for(&server.tls, name))?;
                let gateways = vec![server.gateway.to_string()];
                return Some((server.table, Listener { port, gateways, known: true }));
            }
            let knows = |server: &&&GatewayServer| {
                let table = &self.snapshot.tables[server.table.0 as usize];
                table.hosts.find(question.authority()).is_some()
            };
            // Where several listen on the port, at addresses that nobody asked about, the one that knows the host.
            let server = servers.iter().find(knows).or(servers.first())?;
            let gateways = server.gateways.iter().map(ToString::to_string).collect();
            return Some((server.table, Listener { port, gateways, known: true }));
        }
        let known = self.snapshot.mesh.get(&port).copied();
        let table = known.or(self.snapshot.unknown_port)?;
        Some((table, Listener { port, gateways: Vec::new(), known: known.is_some() }))
    }

    /// The virtual host and what became of each of its routes.
    fn say_tried(&self, table: TableId, view: &RequestView<'_>, out: &mut Explanation) {
        let table = &self.snapshot.tables[table.0 as usize];
        let Some(id) = table.hosts.find(view.authority) else {
            out.hidden = self.hidden(view.authority, &out.listener);
            return;
        };
        let vhost = &self.snapshot.vhosts[id.0 as usize];
        let domain = table.hosts.domain_of(view.authority).unwrap_or_default();
        out.vhost = Some(VirtualHost { name: vhost.name.to_string(), domain });
        let routes = &self.snapshot.routes[vhost.first as usize..(vhost.first + vhost.count) as usize];
        for (index, route) in routes.iter().enumerate() {
            let failed = mismatch::first(route, view);
            let takes_it = failed.is_none();
            out.tried.push(Tried { index, name: route.name.to_string(), rule: self.place_of(&route.origin), failed });
            if takes_it {
                out.not_reached = routes.len() - index - 1;
                break;
            }
        }
        if let Some(first) = routes.first() {
            out.left_out = self.left_out(&first.origin, &out.listener);
        }
    }

    fn say_route(
        &self,
        routed: Routed,
        view: &RequestView<'_>,
        mut parts: request::Parts,
        with_policies: bool,
        out: &mut Explanation,
    ) {
        let route = self.snapshot.rule(routed.route);
        out.route = Some(route.name.to_string());
        out.rule = Some(self.place_of(&route.origin));
        out.carried = route.carried;
        out.timeout = route.timeout.map(spell);
        out.retries = route.retry.as_ref().map(|policy| retries(policy, route.timeout));
        out.cors = route.cors.as_ref().map(|cors| cors.describe()).unwrap_or_default();
        say_headers(route, routed.destination, out);
        out.faults = route.fault.as_ref().map(route::Fault::describe).unwrap_or_default();
        let exchange = Exchange::new(SystemTime::UNIX_EPOCH);
        let grpc = route::reply::is_grpc(view.headers);
        match &route.action {
            // A preflight is answered before anything is sent, but not before an abort.
            route::Action::Forward(_) if is_preflight(route, view) => {
                out.action = Action::Direct;
                (out.status, out.retries, out.timeout) = (Some(200), None, None);
            }
            route::Action::Forward(forward) => {
                out.action = Action::Route;
                out.split = split(&forward.split, routed.destination);
                out.mirrors = mirrors(route, routed.draw);
                out.rewrite_by = forward.rewrite.as_ref().and_then(route::Rewrite::describe_regex);
                prepare::prepare_request(route, routed.destination, &mut parts, &exchange);
                out.upstream = Some(upstream(&parts));
                let drawn = forward.split.get(routed.destination);
                if drawn.cluster.id.is_some_and(|id| self.snapshot.cluster(id).is_by_hash()) {
                    out.hashed_by = route.hash.iter().map(ToString::to_string).collect();
                }
                if with_policies {
                    out.inbound.extend(self.inbound(&drawn.cluster, &parts));
                }
                let destination = self.destination(&drawn.cluster);
                if let Some(failure) = destination.failure() {
                    (out.status, out.grpc_status, out.flags) = answer(failure, grpc);
                }
                out.destination = Some(destination);
                if let Some(fault) = &route.fault
                    && let Some(failure) = fault.always_aborts()
                {
                    out.aborted = true;
                    (out.status, out.grpc_status, out.flags) = answer(failure, grpc);
                    if fault.always_delays() {
                        out.flags = format!("DI,{}", out.flags);
                    }
                }
                if out.status.is_some() {
                    // What is not sent is not copied.
                    out.mirrors.iter_mut().for_each(|mirror| mirror.hit = false);
                }
            }
            route::Action::Passthrough(_) => {
                out.action = Action::Passthrough;
                out.upstream = Some(upstream(&parts));
            }
            route::Action::Blocked => {
                (out.status, out.grpc_status, out.flags) = answer(Failure::Blocked, grpc);
            }
            route::Action::Redirect(_) | route::Action::DirectResponse(_) => {
                out.action =
                    if matches!(route.action, route::Action::Redirect(_)) { Action::Redirect } else { Action::Direct };
                if let route::Action::DirectResponse(direct) = &route.action {
                    out.body = Some(String::from_utf8_lossy(&direct.body).into_owned()).filter(|body| !body.is_empty());
                }
                if let Some(reply) = route::reply::reply(route, view, &exchange) {
                    out.status = Some(reply.parts.status.as_u16());
                    out.location = reply.parts.headers.get(http::header::LOCATION).map(text_of);
                    let status = grpc_status::of(&reply.parts.headers);
                    out.grpc_status = status.and_then(|status| u32::try_from(status).ok());
                }
            }
        }
    }

    /// The DestinationRule that counts for a host.
    fn rule_for(&self, host: &str) -> Option<&MergedRule<'a>> {
        let lower = host.to_ascii_lowercase();
        let service = self.sight.mesh.services().get(&lower).or_else(|| self.sight.gateway.get(&lower))?;
        self.rules.find(&service.written, &service.namespace)
    }

    /// Where a rule stands.
    fn place_of(&self, origin: &RuleOrigin) -> Place {
        let field = origin.rule.map(|rule| format!("spec.http[{rule}]")).unwrap_or_default();
        match origin.kind {
            "VirtualService" => self.place(Kind::VirtualService, &origin.namespace, &origin.name, &field),
            "setting" if &*origin.name == "outboundTrafficPolicy" && self.sight.mesh.decides_on_unknown_hosts() => {
                let sidecar = self.sight.mesh.sidecar().map(|sidecar| &sidecar.meta);
                let (namespace, name) = sidecar.map_or(("", ""), |meta| (&meta.namespace, &meta.name));
                self.place(Kind::Sidecar, namespace, name, "spec.outboundTrafficPolicy")
            }
            "setting" if &*origin.name == "httpsRedirect" => {
                Place { object: "httpsRedirect of the Gateway's server".to_owned(), ..Place::default() }
            }
            "setting" => Place { object: format!("MeshConfig {}", origin.name), ..Place::default() },
            kind => Place { object: format!("{kind} {}", origin.name), ..Place::default() },
        }
    }

    fn place(&self, kind: Kind, namespace: &str, name: &str, field: &str) -> Place {
        let id = ResourceId::new(kind, namespace, name);
        let document = self.set.get(&id).filter(|_| self.places);
        let at = document.map(|document| {
            let mut read = self.read.borrow_mut();
            let places = read.entry(id.clone()).or_insert_with(|| document.origin.places());
            let origin = places.of_field(&FieldPath::from(field));
            if origin.line > 0 { format!("{}:{}", origin.file, origin.line) } else { origin.file.to_string() }
        });
        Place { object: id.to_string(), field: field.to_owned(), at: at.unwrap_or_default() }
    }
}

/// Every draw is the same.
struct Fixed(u64);

impl crate::Rng for Fixed {
    fn next_u64(&mut self) -> u64 {
        self.0
    }
}

fn is_preflight(route: &Route, view: &RequestView<'_>) -> bool {
    let aborts = route.fault.as_ref().and_then(route::Fault::always_aborts).is_some();
    let verdict = route.cors.as_ref().map(|cors| cors.judge(view.method, view.headers));
    !aborts && matches!(verdict, Some(route::CorsVerdict::Preflight(_)))
}

fn unanswered(out: Explanation, failure: Failure, grpc: bool) -> Explanation {
    let (status, grpc_status, flags) = answer(failure, grpc);
    Explanation { action: Action::None, status, grpc_status, flags, ..out }
}

/// The status, the status of gRPC and the flags of a failure; a gRPC caller gets 200 with its own status in a header.
fn answer(failure: Failure, grpc: bool) -> (Option<u16>, Option<u32>, String) {
    let grpc_status = grpc.then(|| failure.grpc_code().unsigned_abs());
    let status = if grpc { 200 } else { failure.http_status().as_u16() };
    (Some(status), grpc_status, failure.flags().to_string())
}

fn split(split: &Split, drawn: u16) -> Vec<SplitEntry> {
    let several = split.iter().len() > 1;
    let total = if several { split.total() } else { 1 };
    let mut from = 0;
    let mut entries = Vec::new();
    for (index, destination) in split.iter().enumerate() {
        let weight = if several { u64::from(destination.weight) } else { 1 };
        let (host, subset, port) = destination::parts_of(&destination.cluster.name);
        entries.push(SplitEntry {
            host: host.to_owned(),
            subset: subset.to_owned(),
            port,
            rolls: (from, from + weight),
            share: weight as f64 / total as f64,
            drawn: index == usize::from(drawn),
        });
        from += weight;
    }
    entries
}

fn mirrors(route: &Route, draw: u64) -> Vec<Mirror> {
    let of = |mirror: &route::Mirror| Mirror {
        exists: mirror.cluster.id.is_some(),
        cluster: mirror.cluster.name.to_string(),
        percent: mirror.share.as_percent(),
        hit: mirror.is_hit(draw) && mirror.cluster.id.is_some(),
    };
    route.mirrors.iter().map(of).collect()
}

/// What destination and rule do to headers; where the rule has one destination, that one's are part of the rule's.
fn say_headers(route: &Route, destination: u16, out: &mut Explanation) {
    if let route::Action::Forward(forward) = &route.action {
        let destination = forward.split.get(destination);
        out.request_headers = destination.request_headers.describe();
        out.response_headers = destination.response_headers.describe();
    }
    out.request_headers.extend(route.request_headers.describe());
    out.response_headers.extend(route.response_headers.describe());
}

fn upstream(parts: &request::Parts) -> Upstream {
    Upstream {
        authority: parts.uri.authority().map(ToString::to_string).unwrap_or_default(),
        path: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        headers: lines(&parts.headers),
    }
}

fn lines(headers: &http::HeaderMap) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| (name.to_string(), text_of(value))).collect()
}

fn text_of(value: &http::HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

fn retries(policy: &RetryPolicy, timeout: Option<Duration>) -> Retries {
    let timeline = policy.per_try_timeout.map(|limit| {
        let tries = policy.attempts.saturating_add(1);
        let pauses: Duration = (1..=policy.attempts.min(1_000)).map(|retry| policy.backoff.longest(retry)).sum();
        let total = limit.saturating_mul(tries).saturating_add(pauses);
        let fits = match timeout {
            Some(timeout) if total > timeout => format!(", cut off by the timeout of {}", spell(timeout)),
            Some(_) => ", fits the timeout".to_owned(),
            None => String::new(),
        };
        format!("{tries} tries of {} and pauses of up to {}: up to {}{fits}", spell(limit), spell(pauses), spell(total))
    });
    Retries {
        attempts: policy.attempts,
        on: policy.on.to_string(),
        per_try_timeout: policy.per_try_timeout.map(spell),
        pauses: format!("up to {}, later up to {}", spell(policy.backoff.base), spell(policy.backoff.max)),
        elsewhere: policy.ignore_previous_hosts,
        remote: policy.remote_localities,
        timeline,
    }
}

/// A duration as it is written in YAML: `1.5s`, `250ms`.
pub(crate) fn spell(duration: Duration) -> String {
    match (duration.as_secs(), duration.subsec_nanos()) {
        (0, 0) => "0s".to_owned(),
        (0, nanos) if nanos % 1_000_000 == 0 => format!("{}ms", nanos / 1_000_000),
        (seconds, 0) => format!("{seconds}s"),
        _ => format!("{}s", duration.as_secs_f64()),
    }
}
