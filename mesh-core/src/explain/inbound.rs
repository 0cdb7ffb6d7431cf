//! What the workloads say that a request reaches: their mode, and their policies about it.

use http::request;
use mesh_config::value::Labels;
use mesh_config::{Kind, Object};

use super::{Explainer, Inbound, Place};
use crate::authn::{MtlsMode, PeerModes, deciding};
use crate::authz::{Access, Authorization, Protocol, RuleName, Setting, Verdict};
use crate::cluster::{Announced, ClusterKey, ClusterSpec, EndpointAddress, EndpointSource, TlsSpec};
use crate::identity::TrustDomains;
use crate::path_normalization::normalize;
use crate::route::ClusterRef;
use crate::selection::Selection;
use crate::{PeerView, RequestView, Scheme};

/// A workload behind a destination, as policies look for it.
struct Workload<'a> {
    labels: &'a Labels,
    port: u16,
    /// Whether the mesh speaks mutual TLS to it.
    mutual: bool,
}

impl Explainer<'_> {
    /// What each kind of workload behind a destination says to a request, as it is sent. Nothing where no policy is for any of
    /// them.
    pub(super) fn inbound(&self, cluster: &ClusterRef, parts: &request::Parts) -> Vec<Inbound> {
        let Some(spec) = cluster.id.map(|id| self.snapshot.cluster(id)) else { return Vec::new() };
        let ClusterKey::Outbound { host, .. } = &spec.key else { return Vec::new() };
        let of_mesh = self.sight.mesh.services().get(host);
        let Some(service) = of_mesh.or_else(|| self.sight.gateway.get(host)) else { return Vec::new() };
        let name = host.split_once('.').map_or(&**host, |(name, _)| name);
        let mut found: Vec<(Inbound, &Labels)> = Vec::new();
        for workload in workloads(spec) {
            let Some(said) = self.said_by(&service.namespace, &workload, parts) else { continue };
            if !found.iter().any(|(known, _)| *known == said) {
                found.push((said, workload.labels));
            }
        }
        let several = found.len() > 1;
        let named = |(said, labels): (Inbound, &Labels)| {
            let labels =
                if several { format!(" {{{}}}", mesh_config::value::labels::to_line(labels)) } else { String::new() };
            Inbound { workload: format!("{name}{labels}"), ..said }
        };
        found.into_iter().map(named).collect()
    }

    /// What the gateway itself says that is asked at, before it looks for a route; its callers are strangers.
    pub(super) fn at_gateway(&self, view: &RequestView<'_>) -> Vec<Inbound> {
        let policies = self.snapshot.authorization();
        if policies.is_empty() {
            return Vec::new();
        }
        let mut said = Inbound { workload: "this gateway".to_owned(), ..Inbound::default() };
        self.say_decision(policies, view, &mut said);
        vec![said]
    }

    fn said_by(&self, namespace: &str, workload: &Workload<'_>, parts: &request::Parts) -> Option<Inbound> {
        let (root, set) = (self.mesh.root_namespace(), self.set);
        let by = deciding(set.peer_authentications(), root, namespace, workload.labels, workload.port);
        let mode = PeerModes::of(set.peer_authentications(), root, namespace, workload.labels).at(workload.port);
        let selection = Selection {
            namespace,
            labels: workload.labels,
            root_namespace: root,
            waypoint: false,
            services: &[],
            selects_gateways: true,
        };
        let chosen = selection.of_policies(set.authorization_policies());
        if by.is_none() && chosen.is_empty() {
            return None;
        }
        let mut said =
            Inbound { mode: mode.as_str().to_owned(), mode_by: self.place_of_mode(by), ..Inbound::default() };
        let mutual = workload.mutual && mode != MtlsMode::Disable;
        let principal = mutual.then(|| self.own_principal());
        said.principal.clone_from(&principal);
        if mode == MtlsMode::Strict && !mutual {
            said.verdict = "refuses the connection: it would not be mutual TLS of the mesh".to_owned();
            return Some(said);
        }
        let trust_domains = &TrustDomains::of(self.mesh);
        let setting = Setting { trust_domains, protocol: Protocol::Http, profile: self.site.profile };
        let path = normalize(parts.uri.path(), self.snapshot.path_normalization()).ok().flatten();
        let view = RequestView {
            method: &parts.method,
            scheme: if mutual { Scheme::Https } else { Scheme::Http },
            authority: parts.uri.authority().map_or("", http::uri::Authority::as_str),
            path: path.as_deref().unwrap_or(parts.uri.path()),
            query: parts.uri.query(),
            headers: &parts.headers,
            peer: PeerView { principal: principal.as_deref(), ..PeerView::default() },
            port: workload.port,
        };
        self.say_decision(&Authorization::new(chosen, setting), &view, &mut said);
        Some(said)
    }

    fn say_decision(&self, policies: &Authorization, view: &RequestView<'_>, said: &mut Inbound) {
        let access = Access::request(view);
        said.unknown = policies.looks_at().unknown_in_advance();
        let decision = policies.decide(&access);
        let asked = policies.questions(&access).next();
        (said.verdict, said.policy, said.rule) = match (decision.verdict, asked) {
            (_, Some((provider, rule))) => (format!("CUSTOM, asks {provider}"), self.policy_of(rule), Some(rule.rule)),
            (Verdict::Denied(Some(rule)), _) => ("DENY".to_owned(), self.policy_of(rule), Some(rule.rule)),
            (Verdict::Allowed(Some(rule)), _) => ("ALLOW".to_owned(), self.policy_of(rule), Some(rule.rule)),
            (Verdict::Denied(None), _) => {
                ("denied: no rule of an ALLOW policy matches".to_owned(), Place::default(), None)
            }
            (Verdict::Allowed(None), _) => ("allowed: no policy is in the way".to_owned(), Place::default(), None),
        };
    }

    fn policy_of(&self, rule: &RuleName) -> Place {
        self.place(Kind::AuthorizationPolicy, &rule.namespace, &rule.policy, &format!("spec.rules[{}]", rule.rule))
    }

    fn place_of_mode(&self, by: Option<&Object<mesh_config::api::PeerAuthentication>>) -> Place {
        let of = |policy: &Object<_>| {
            self.place(Kind::PeerAuthentication, &policy.meta.namespace, &policy.meta.name, "spec.mtls")
        };
        by.map_or_else(|| Place { object: "default".to_owned(), ..Place::default() }, of)
    }

    /// The client's identity. Without a word of its account it has that of its namespace.
    fn own_principal(&self) -> String {
        let account = self.site.service_account.as_deref().unwrap_or("default");
        format!("spiffe://{}/ns/{}/sa/{account}", self.mesh.trust_domain(), self.site.namespace)
    }
}

/// The workloads that are known, those that no policy could tell apart once.
fn workloads(spec: &ClusterSpec) -> Vec<Workload<'_>> {
    let mutual = |announced: &Announced| match &spec.tls {
        TlsSpec::Plaintext => false,
        TlsSpec::Auto(_) => announced.mtls,
        TlsSpec::Always(tls) => tls.is_istio_mutual(),
    };
    let port_of = |address: &EndpointAddress| match address {
        EndpointAddress::Socket(address) => address.port(),
        EndpointAddress::Unix(_) => 0,
    };
    let all: Vec<_> = match &spec.endpoints {
        EndpointSource::Static(endpoints) => {
            endpoints.iter().map(|one| (&one.labels, port_of(&one.address), mutual(&one.announced))).collect()
        }
        EndpointSource::Dns { targets, .. } => {
            targets.iter().map(|one| (&one.labels, one.port, mutual(&one.announced))).collect()
        }
        EndpointSource::OriginalDestination { .. } => Vec::new(),
    };
    let mut kinds = std::collections::BTreeSet::new();
    let new = all.into_iter().filter(|kind| kinds.insert(*kind));
    new.map(|(labels, port, mutual)| Workload { labels, port, mutual }).collect()
}
