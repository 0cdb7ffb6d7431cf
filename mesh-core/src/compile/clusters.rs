//! Destinations become clusters: service, port and subset, with the policy that counts for them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use mesh_config::api::PeerAuthentication;
use mesh_config::api::mesh_config::MeshConfig;
use mesh_config::api::virtual_service::Destination;
use mesh_config::value::{Labels, Protocol};
use mesh_config::{ConfigSet, Object};

use super::destination_rules::{DestinationRules, MergedRule};
use super::findings::{self, Findings};
use super::registry::{Port, Service, fqdn_as_written};
use super::scope::Sight;
use crate::Site;
use crate::authn::{MtlsMode, PeerModes};
use crate::cluster::policy::{self, PolicyInput};
use crate::cluster::tls::cluster_server_name;
use crate::cluster::{
    Announced, ClientTls, ClusterId, ClusterKey, ClusterSpec, EndpointAddress, EndpointSource, TlsSpec,
    UpstreamProtocol, subset,
};
use crate::lb::{LbSpec, LocalitySpec};
use crate::route::{ClusterRef, RuleOrigin};
use crate::secrets::Secrets;

/// Where a destination is named: decides short names and the port it means without naming one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// The namespace of the object that names the destination.
    pub(crate) namespace: &'a str,
    /// The port of the listener.
    pub(crate) port: u16,
    /// At a gateway a destination without port means the service's only port.
    pub(crate) gateway: bool,
}

/// Makes each cluster once.
#[derive(Debug)]
pub(crate) struct Clusters<'a> {
    sight: &'a Sight<'a>,
    rules: &'a DestinationRules<'a>,
    mesh: &'a MeshConfig,
    site: &'a Site,
    set: &'a ConfigSet,
    peers: Vec<&'a Object<PeerAuthentication>>,
    by_key: HashMap<ClusterKey, ClusterId>,
    specs: Vec<Arc<ClusterSpec>>,
}

impl<'a> Clusters<'a> {
    pub(crate) fn new(
        sight: &'a Sight<'a>,
        rules: &'a DestinationRules<'a>,
        mesh: &'a MeshConfig,
        site: &'a Site,
        set: &'a ConfigSet,
    ) -> Self {
        let peers = set.peer_authentications().collect();
        Self { sight, rules, mesh, site, set, peers, by_key: HashMap::new(), specs: Vec::new() }
    }

    pub(crate) fn into_specs(self) -> Vec<Arc<ClusterSpec>> {
        self.specs
    }

    /// The cluster behind a destination of a rule.
    pub(crate) fn resolve(
        &mut self,
        destination: &Destination,
        place: Place<'_>,
        origin: &RuleOrigin,
        findings: &mut Findings,
    ) -> ClusterRef {
        let (named, service) = self.service(destination, place);
        // A name that stands for a service means the service.
        let host = service.map_or(named, |service| service.written.clone());
        let number = port_number(destination, service, place);
        let key = ClusterKey::outbound(number, &destination.subset, &host);
        let name: Box<str> = key.to_string().into();
        let known = self.by_key.get(&key).filter(|_| service.is_some_and(|service| service.port(number).is_some()));
        if let Some(id) = known {
            return ClusterRef { name, id: Some(*id) };
        }
        let found = self.find(&key, service, &host, place, &destination.subset);
        match found {
            Ok(spec) => {
                if is_empty(&spec.endpoints) {
                    let all = service.and_then(|service| service.port(number)).map(|port| &port.endpoints);
                    let subset = service.and_then(|service| self.rule(service)?.definition(&destination.subset));
                    findings.add(match subset.filter(|_| !all.is_none_or(is_empty)) {
                        Some((rule, subset)) => findings::empty_subset(rule, subset, &host),
                        None => findings::no_endpoints(origin, &name),
                    });
                }
                ClusterRef { name, id: Some(self.insert(key, spec)) }
            }
            Err(why) => {
                findings.add(findings::unknown_destination(origin, &name, &why));
                ClusterRef { name, id: None }
            }
        }
    }

    /// A destination's host in full, and the service that it means.
    pub(super) fn service(&self, destination: &Destination, place: Place<'_>) -> (String, Option<&'a Service>) {
        let named = fqdn_as_written(&destination.host, place.namespace, self.site);
        let lower = named.to_ascii_lowercase();
        let seen = if place.gateway { &self.sight.gateway } else { self.sight.mesh.services() };
        let known = seen.get(&lower).is_some_and(|service| service.written == named);
        let service = seen.concrete(&lower).map(|service| &**service).filter(|_| known);
        (named, service)
    }

    /// The cluster of a service without rules. There is none where the listeners of a Sidecar mean
    /// services of different namespaces by a host, and the other one counts.
    pub(crate) fn default_for(&mut self, host: &str, number: u16) -> ClusterRef {
        let key = ClusterKey::outbound(number, "", host);
        let name = key.to_string().into();
        let known = self.by_key.get(&key).copied();
        let id = known.or_else(|| {
            let service: &'a Service = self.sight.mesh.services().get(host)?;
            let spec = self.spec(key.clone(), service, service.port(number)?, "", self.rule(service));
            Some(self.insert(key, spec))
        });
        ClusterRef { name, id }
    }

    /// The cluster of single endpoints of a headless service: a request goes to the one that it names.
    pub(crate) fn endpoints_by_name(&mut self, service: &Service, port: &Port) -> ClusterRef {
        let key = ClusterKey::outbound(port.number, "", &format!("*.{}", service.host));
        let name = key.to_string().into();
        let id = match self.by_key.get(&key) {
            Some(id) => *id,
            None => {
                let mut spec = self.spec(key.clone(), service, port, "", self.rule(service));
                spec.endpoints = EndpointSource::OriginalDestination { port: None };
                self.insert(key, spec)
            }
        };
        ClusterRef { name, id: Some(id) }
    }

    /// The cluster of hosts that the mesh does not know: they go where the request says.
    pub(crate) fn passthrough(&mut self) -> ClusterId {
        let key = ClusterKey::passthrough();
        if let Some(id) = self.by_key.get(&key) {
            return *id;
        }
        let mut spec = ClusterSpec::new(key.clone(), EndpointSource::OriginalDestination { port: None });
        spec.connect_timeout = self.connect_timeout();
        self.insert(key, spec)
    }

    fn insert(&mut self, key: ClusterKey, spec: ClusterSpec) -> ClusterId {
        let id = ClusterId(u32::try_from(self.specs.len()).unwrap_or(u32::MAX));
        self.specs.push(Arc::new(spec));
        self.by_key.insert(key, id);
        id
    }

    fn find(
        &self,
        key: &ClusterKey,
        service: Option<&'a Service>,
        host: &str,
        place: Place<'_>,
        subset: &str,
    ) -> Result<ClusterSpec, String> {
        let Some(service) = service else {
            return Err(self.unseen(host, place));
        };
        let ClusterKey::Outbound { port: number, .. } = key else { return Err("no service's cluster".into()) };
        let port = service.port(*number).ok_or_else(|| self.why_no_port(service, *number, place))?;
        let rule = self.rule(service);
        if !subset.is_empty() && rule.and_then(|rule| rule.subset(subset)).is_none() {
            return Err(format!("no DestinationRule for {host} defines subset {subset:?}"));
        }
        Ok(self.spec(key.clone(), service, port, subset, rule))
    }

    fn unseen(&self, host: &str, place: Place<'_>) -> String {
        let hidden = self.sight.why_hidden(&host.to_ascii_lowercase(), place.gateway, self.site);
        format!("destination host {host} {}", hidden.as_deref().unwrap_or("is unknown"))
    }

    fn why_no_port(&self, service: &Service, number: u16, place: Place<'_>) -> String {
        let host = &service.host;
        let declared = self.sight.registry.declarations(host).any(|other| other.port(number).is_some());
        match self.sight.mesh.sidecar() {
            Some(sidecar) if declared && !place.gateway => {
                format!("port {number} of {host} is not imported by {}", sidecar.id())
            }
            _ => format!("{host} has no port {number}"),
        }
    }

    pub(super) fn rule(&self, service: &Service) -> Option<&'a MergedRule<'a>> {
        self.rules.find(&service.written, &service.namespace)
    }

    fn spec(
        &self,
        key: ClusterKey,
        service: &Service,
        port: &Port,
        subset_name: &str,
        rule: Option<&MergedRule<'_>>,
    ) -> ClusterSpec {
        let subset = rule.and_then(|rule| rule.subset(subset_name));
        let mut endpoints = match subset {
            Some(subset) => subset::select(&port.endpoints, &subset.labels),
            None => port.endpoints.clone(),
        };
        endpoints.keep_first_of_each();
        let effective = policy::effective(&PolicyInput {
            top: rule.and_then(MergedRule::policy),
            subset: subset.and_then(|subset| subset.traffic_policy.as_ref()),
            port: port.number,
            mesh_default: self.mesh.default_traffic_policy.as_ref(),
        });
        let mut spec = ClusterSpec::new(key, endpoints);
        spec.is_external = service.external;
        spec.connect_timeout = self.connect_timeout();
        spec.pool.keepalive = self.mesh.tcp_keepalive.as_ref().map(policy::keepalive);
        spec.protocol = upstream_protocol(port.protocol, effective.upgrades_to_http2(self.mesh.h2_upgrade_policy));
        // A wildcard host names no endpoint of its own: its requests go where they say.
        if service.is_wildcard() && matches!(spec.endpoints, EndpointSource::Dns { .. }) {
            spec.endpoints = EndpointSource::OriginalDestination { port: None };
        }
        policy::apply(&effective, &mut spec);
        self.tls(&mut spec, service, effective.tls.is_some());
        if port.protocol == Protocol::Redis {
            // Whatever the rule says: clients shard.
            spec.lb = LbSpec::maglev(0);
        }
        spec.locality = LocalitySpec::lower(
            effective.load_balancer.and_then(|balancer| balancer.locality_lb_setting.as_ref()),
            self.mesh.locality_lb_setting.as_ref(),
            spec.outlier.is_some(),
            self.site,
        );
        spec
    }

    /// Begins mutual TLS by itself where nothing else is said, and adds what a rule leaves to the service.
    fn tls(&self, spec: &mut ClusterSpec, service: &Service, is_told: bool) {
        for announced in announcements(&mut spec.endpoints) {
            let (labels, port, announced) = announced;
            // Whoever takes plaintext only cannot be spoken to otherwise.
            announced.mtls = announced.mtls
                && (self.peers.is_empty() || self.peer_mode(&service.namespace, labels, port) != MtlsMode::Disable);
        }
        let takes_mtls = announcements(&mut spec.endpoints).any(|(_, _, announced)| announced.mtls);
        let may_begin = self.mesh.enable_auto_mtls() && !service.external && !service.headless;
        if !is_told && may_begin && takes_mtls {
            spec.tls = TlsSpec::Auto(ClientTls::istio_mutual());
        }
        let accounts = announcements(&mut spec.endpoints).filter_map(|(_, _, announced)| announced.account.clone());
        let accounts: Vec<_> = accounts.collect();
        let Some(tls) = spec.tls.settings_mut() else { return };
        tls.fill(&Secrets::of(self.set, &self.site.namespace));
        if tls.names.is_empty() {
            tls.names = service.subject_alt_names.iter().map(|name| name.as_str().into()).collect();
        }
        if tls.is_istio_mutual() {
            tls.sni = tls.sni.take().or_else(|| cluster_server_name(&spec.key));
            if tls.names.is_empty() {
                let domain = self.mesh.trust_domain();
                tls.names = accounts
                    .iter()
                    .map(|account| format!("spiffe://{domain}/ns/{}/sa/{account}", service.namespace).into())
                    .collect();
                tls.names.sort();
                tls.names.dedup();
            }
        }
    }

    fn peer_mode(&self, namespace: &str, labels: &Labels, port: u16) -> MtlsMode {
        PeerModes::of(self.peers.iter().copied(), self.mesh.root_namespace(), namespace, labels).at(port)
    }

    fn connect_timeout(&self) -> Duration {
        self.mesh.connect_timeout().to_std()
    }
}

/// What endpoints say about their security, with their labels and their port.
fn announcements(endpoints: &mut EndpointSource) -> impl Iterator<Item = (&Labels, u16, &mut Announced)> {
    let (listed, named) = match endpoints {
        EndpointSource::Static(endpoints) => (endpoints.as_mut_slice(), Default::default()),
        EndpointSource::Dns { targets, .. } => (Default::default(), targets.as_mut_slice()),
        EndpointSource::OriginalDestination { .. } => Default::default(),
    };
    let listed = listed.iter_mut().map(|endpoint| {
        let port = match &endpoint.address {
            EndpointAddress::Socket(address) => address.port(),
            EndpointAddress::Unix(_) => 0,
        };
        (&endpoint.labels, port, &mut endpoint.announced)
    });
    listed.chain(named.iter_mut().map(|target| (&target.labels, target.port, &mut target.announced)))
}

fn is_empty(endpoints: &EndpointSource) -> bool {
    matches!(endpoints, EndpointSource::Static(endpoints) if endpoints.is_empty())
}

/// The port a destination means.
///
/// In the mesh a destination without port means the port that was dialled, whatever ports the
/// service has; at a gateway the service's only port, else the server's.
fn port_number(destination: &Destination, service: Option<&Service>, place: Place<'_>) -> u16 {
    let explicit = destination.port.as_ref().map(|port| port.number).filter(|number| *number != 0);
    if let Some(number) = explicit.and_then(|number| u16::try_from(number).ok()) {
        return number;
    }
    match service.map(|service| service.ports.as_slice()) {
        Some([only]) if place.gateway => only.number,
        _ => place.port,
    }
}

fn upstream_protocol(protocol: Protocol, upgrade: bool) -> UpstreamProtocol {
    match protocol {
        Protocol::Grpc | Protocol::GrpcWeb | Protocol::Http2 => UpstreamProtocol::Http2,
        Protocol::Http if upgrade => UpstreamProtocol::Http2,
        Protocol::Http => UpstreamProtocol::Http1,
        _ => UpstreamProtocol::Unset,
    }
}
