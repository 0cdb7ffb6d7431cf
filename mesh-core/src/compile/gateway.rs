//! The gateway side: the servers of all Gateways that select this workload, merged by port and address.

use std::collections::BTreeMap;
use std::net::IpAddr;

use mesh_config::api::gateway::Server;
use mesh_config::api::{MeshConfig, VirtualService};
use mesh_config::value::{host, labels};
use mesh_config::{ConfigSet, Object};

use super::clusters::{Clusters, Place};
use super::delegate::Delegates;
use super::findings::{self, Findings};
use super::gateway_servers::{self, GatewayServerRef, Refused, Serving};
use super::registry::fqdn;
use super::rules::{self, Rules};
use super::tables::Tables;
use super::visibility::Export;
use crate::Site;
use crate::gateway_tls::{ServerTls, TlsServer, server_names};
use crate::host_index::HostIndex;
use crate::route::{Action, Redirect, Route, RuleOrigin};
use crate::snapshot::GatewayServer;

/// Builds the tables of this workload's gateway listeners.
#[derive(Debug)]
pub(crate) struct GatewayBuilder<'a, 'c> {
    pub(crate) delegates: &'a Delegates<'a>,
    pub(crate) mesh: &'a MeshConfig,
    pub(crate) site: &'a Site,
    pub(crate) clusters: &'c mut Clusters<'a>,
    pub(crate) tables: &'c mut Tables,
    pub(crate) findings: &'c mut Findings,
}

/// What one domain of a listener serves.
#[derive(Debug, Default)]
struct DomainRules<'a> {
    /// With the name of the gateway by which each is bound.
    services: Vec<(&'a Object<VirtualService>, String)>,
    https_redirect: bool,
}

impl<'a> GatewayBuilder<'a, '_> {
    pub(crate) fn build(mut self, set: &'a ConfigSet) -> Vec<GatewayServer> {
        let selected = set.gateways().filter(|gateway| labels::subset_of(&gateway.spec.selector, &self.site.labels));
        let merged = gateway_servers::merge(selected);
        for Refused { server, why } in &merged.refused {
            self.findings.add(findings::server_refused(server.gateway, server.index, why));
        }
        let mut listeners: BTreeMap<(u16, Option<IpAddr>), Vec<GatewayServerRef<'a>>> = BTreeMap::new();
        for shared in merged.ports {
            for bound in shared.servers {
                match served_at(bound.server, shared.port) {
                    Ok(bind) => listeners.entry((shared.port, bind)).or_default().push(bound),
                    Err(why) => self.findings.add(findings::server_not_served(bound.gateway, bound.index, &why)),
                }
            }
        }
        let mut opened = Vec::new();
        for ((port, bind), servers) in listeners {
            let is_tls = |bound: &GatewayServerRef<'_>| Serving::of(bound.server).is_tls();
            let first = servers.first().is_some_and(is_tls);
            // One that names the same address in another way.
            let (servers, others): (Vec<_>, Vec<_>) = servers.into_iter().partition(|bound| is_tls(bound) == first);
            for bound in others {
                let why = format!("port {port} serves both TLS and plaintext");
                self.findings.add(findings::server_not_served(bound.gateway, bound.index, &why));
            }
            if first {
                opened.extend(self.tls_listener(set, port, bind, &servers));
            } else {
                opened.push(self.listener(set, port, bind, &servers));
            }
        }
        opened
    }

    fn listener(
        &mut self,
        set: &'a ConfigSet,
        port: u16,
        bind: Option<IpAddr>,
        servers: &[GatewayServerRef<'a>],
    ) -> GatewayServer {
        let mut hosts = HostIndex::default();
        for (domain, rules) in self.domains(set, servers) {
            let routes = self.routes(&rules, port);
            let _lost = self.tables.add_vhost(&mut hosts, &format!("{domain}:{port}"), [&domain], routes);
        }
        let mut gateways: Vec<Box<str>> = servers.iter().map(|bound| bound.gateway_name().into()).collect();
        gateways.dedup();
        GatewayServer { port, bind, table: self.tables.add_table(hosts, None), tls: Vec::new(), gateways }
    }

    /// Servers with TLS share a port by the names that clients ask for, and no routes.
    fn tls_listener(
        &mut self,
        set: &'a ConfigSet,
        port: u16,
        bind: Option<IpAddr>,
        servers: &[GatewayServerRef<'a>],
    ) -> Option<GatewayServer> {
        let mut listener: Option<GatewayServer> = None;
        for bound in servers {
            let own = self.listener(set, port, bind, std::slice::from_ref(bound));
            let Some(settings) = &bound.server.tls else { continue };
            let settings = ServerTls::of(settings, set, &self.site.namespace);
            let server = TlsServer {
                hosts: server_names(bound.server),
                table: own.table,
                gateway: bound.gateway_name().into(),
                settings,
            };
            let listener = listener.get_or_insert(GatewayServer { gateways: Vec::new(), ..own });
            listener.tls.push(server);
            listener.gateways.push(bound.gateway_name().into());
            listener.gateways.dedup();
        }
        listener
    }

    /// The domains of a listener: the server hosts narrowed by the hosts of the VirtualServices
    /// bound to them, in the order of the VirtualServices.
    fn domains(&self, set: &'a ConfigSet, servers: &[GatewayServerRef<'a>]) -> Vec<(String, DomainRules<'a>)> {
        let mut domains: Vec<(String, DomainRules<'a>)> = Vec::new();
        for bound in servers {
            for host in bound.server.hosts.iter().filter(|_| redirects_to_https(bound.server)) {
                domain_of(&mut domains, &host_part(host).1.to_ascii_lowercase()).https_redirect = true;
            }
        }
        for object in set.virtual_services().filter(|object| self.is_visible(object)) {
            for bound in servers {
                let gateway = bound.gateway_name();
                if binds(object, &gateway) {
                    for domain in self.shared_domains(object, bound) {
                        let rules = domain_of(&mut domains, &domain);
                        rules.https_redirect |= redirects_to_https(bound.server);
                        if !rules.services.iter().any(|(known, _)| std::ptr::eq(*known, object)) {
                            rules.services.push((object, gateway.clone()));
                        }
                    }
                }
            }
        }
        domains
    }

    fn is_visible(&self, object: &Object<VirtualService>) -> bool {
        let default = &self.mesh.default_virtual_service_export_to;
        Export::of(&object.spec.export_to, default, &object.meta.namespace).is_visible_to(&self.site.namespace)
    }

    /// What a VirtualService and a server have in common: of each pair of hosts the more specific one.
    fn shared_domains(&self, object: &Object<VirtualService>, bound: &GatewayServerRef<'_>) -> Vec<String> {
        let mut shared = Vec::new();
        for server_host in &bound.server.hosts {
            let (namespace, pattern) = host_part(server_host);
            let namespace = if namespace == "." { bound.gateway.meta.namespace.as_str() } else { namespace };
            if namespace != "*" && namespace != object.meta.namespace {
                continue;
            }
            let pattern = pattern.to_ascii_lowercase();
            for own in &object.spec.hosts {
                let own = fqdn(own, &object.meta.namespace, self.site);
                if host::subset_of(&own, &pattern) {
                    shared.push(own);
                } else if host::subset_of(&pattern, &own) {
                    shared.push(pattern.clone());
                }
            }
        }
        shared
    }

    /// The routes of all VirtualServices of a domain, one after the other, catch-alls last.
    fn routes(&mut self, rules: &DomainRules<'a>, port: u16) -> Vec<Route> {
        if rules.https_redirect {
            let origin = RuleOrigin::built_in("httpsRedirect");
            return vec![Route::catch_all("", Action::Redirect(Redirect::to_https()), origin)];
        }
        let mut all = Vec::new();
        for (object, gateway) in &rules.services {
            let place = Place { namespace: &object.meta.namespace, port, gateway: true };
            let gateway = Some(gateway.as_str());
            let here = Rules { object, delegates: self.delegates, place, gateway, site: self.site, mesh: self.mesh };
            all.extend(rules::lower(here, self.clusters, self.findings));
        }
        let (catch_alls, mut routes): (Vec<_>, Vec<_>) = all.into_iter().partition(Route::is_catch_all);
        routes.extend(catch_alls);
        routes
    }
}

fn domain_of<'d, 'a>(domains: &'d mut Vec<(String, DomainRules<'a>)>, domain: &str) -> &'d mut DomainRules<'a> {
    let place = domains.iter().position(|(known, _)| known == domain).unwrap_or_else(|| {
        domains.push((domain.to_owned(), DomainRules::default()));
        domains.len() - 1
    });
    &mut domains[place].1
}

/// Whether a server only sends its callers to https; then so do all domains it has a part in. One with TLS has them
/// there already.
fn redirects_to_https(server: &Server) -> bool {
    Serving::of(server) == Serving::Http && server.tls.as_ref().is_some_and(|tls| tls.https_redirect)
}

/// The address that a server listens at, or why it is not served.
fn served_at(server: &Server, port: u16) -> Result<Option<IpAddr>, String> {
    match Serving::of(server) {
        Serving::Http | Serving::Https => {}
        Serving::TlsEnded => {
            return Err(format!("TLS on port {port} that carries something else than HTTP does not act"));
        }
        Serving::TlsPassed => {
            let mode = "PASSTHROUGH or AUTO_PASSTHROUGH";
            return Err(format!("TLS on port {port} that is to be passed on as it is ({mode}) does not act"));
        }
        Serving::Tcp => {
            let protocol = server.port.as_ref().map(|port| port.protocol.as_str()).unwrap_or_default();
            return Err(format!("protocol {protocol:?} on port {port} is not HTTP"));
        }
    }
    match server.bind.as_str() {
        // All addresses is what a server without a bind listens at, too.
        "" | "0.0.0.0" => Ok(None),
        text => text.parse().map(Some).map_err(|_| format!("bind {text:?} is not an IP address")),
    }
}

/// `namespace/host` in its parts; without a namespace any may bind.
fn host_part(host: &str) -> (&str, &str) {
    host.split_once('/').unwrap_or(("*", host))
}

/// Whether a VirtualService names the gateway, in any of the spellings.
fn binds(object: &Object<VirtualService>, gateway: &str) -> bool {
    object.spec.gateways.iter().any(|named| host::resolve_gateway_name(named, &object.meta.namespace) == gateway)
}
