//! What a Sidecar keeps from a workload, for the report.

use std::collections::BTreeSet;

use mesh_config::api::sidecar::{CaptureMode, OutboundTrafficPolicyMode};
use mesh_config::api::{MeshConfig, ServiceEntry, Sidecar, VirtualService};
use mesh_config::{Code, ConfigSet, Diagnostic, Object};

use super::hosts::EgressHosts;
use super::{Scope, Sight, listener, services};
use crate::Site;
use crate::compile::findings::{Findings, about};
use crate::compile::registry::{Registry, Service, ServiceKind, fqdn};

/// How many names a finding lists.
const NAMES: usize = 5;

/// Says what the Sidecar that applies hides, and which of its entries do nothing.
pub(crate) fn report(sight: &Sight<'_>, mesh: &MeshConfig, site: &Site, findings: &mut Findings) {
    let Sight { registry, virtual_services, mesh: scope, .. } = sight;
    let Some(sidecar) = scope.sidecar() else { return };
    let hidden: BTreeSet<_> = registry
        .exported_to(&site.namespace)
        .into_iter()
        .map(|service| service.host.as_str())
        .filter(|host| !is_reached(scope, host))
        .collect();
    if !hidden.is_empty() {
        findings.add(hides(sidecar, &hidden, scope.outbound_mode(mesh)));
    }
    for object in virtual_services.iter().filter(|object| !is_imported(scope, object)) {
        let hosts = object.spec.hosts.iter().map(|host| fqdn(host, &object.meta.namespace, site));
        if let Some(host) = hosts.into_iter().find(|host| is_reached(scope, host)) {
            findings.add(rules_left_out(object, sidecar, &host));
        }
    }
    entries(sidecar, registry, virtual_services, site, findings);
}

/// Says which ServiceEntries declare a host in vain.
pub(crate) fn displaced(sight: &Sight<'_>, set: &ConfigSet, site: &Site, findings: &mut Findings) {
    for lost in sight.registry.exported_to(&site.namespace) {
        let Some(counts) = sight.mesh.services().get(&lost.host) else { continue };
        let apart = !services::are_one(counts, lost)
            && (counts.namespace != lost.namespace || lost.ports.iter().any(|port| counts.port(port.number).is_none()));
        let is_lost =
            |entry: &&Object<ServiceEntry>| entry.meta.namespace == lost.namespace && entry.meta.name == lost.object;
        if apart && let Some(entry) = set.service_entries().find(is_lost) {
            findings.add(host_taken(entry, counts));
        }
    }
}

fn host_taken(entry: &Object<ServiceEntry>, counts: &Service) -> Diagnostic {
    let kind = match counts.kind {
        ServiceKind::Kubernetes => "Service",
        ServiceKind::ServiceEntry => "ServiceEntry",
    };
    let host = &counts.host;
    let winner = format!("{kind} {}/{}", counts.namespace, counts.object);
    let message = format!("the entry does not count for {host} in this namespace: {winner} declares the host");
    about(Diagnostic::info(Code::OVERRULED, message), entry)
        .path("spec.hosts")
        .effect(format!("this workload reaches {host} by the ports of {winner}"))
        .help(
            "of several objects for a host, the caller's own namespace counts first, then Kubernetes, then the oldest; those \
             of one namespace are joined if they agree in resolution, exportTo, labels and workloadSelector",
        )
}

fn is_reached(scope: &Scope<'_>, host: &str) -> bool {
    scope.listeners().iter().any(|listener| listener.services().get(host).is_some())
}

fn is_imported(scope: &Scope<'_>, object: &Object<VirtualService>) -> bool {
    let mut imported = scope.listeners().iter().flat_map(|listener| listener.virtual_services());
    imported.any(|known| std::ptr::eq(*known, object))
}

fn hides(sidecar: &Object<Sidecar>, hidden: &BTreeSet<&str>, mode: OutboundTrafficPolicyMode) -> Diagnostic {
    let mut names = hidden.iter().take(NAMES).copied().collect::<Vec<_>>().join(", ");
    if hidden.len() > NAMES {
        names.push_str(&format!(" and {} more", hidden.len() - NAMES));
    }
    let effect = match mode {
        OutboundTrafficPolicyMode::RegistryOnly => "requests to them are answered 502, as to any unknown host",
        _ => "requests to them go where DNS says, without rules, policies or retries",
    };
    about(Diagnostic::info(Code::OUTSIDE_SCOPE, format!("this workload does not see {names}")), sidecar)
        .path("spec.egress")
        .effect(effect)
        .help("add what the workload calls to an egress listener's hosts, as `namespace/host`")
}

fn rules_left_out(object: &Object<VirtualService>, sidecar: &Object<Sidecar>, host: &str) -> Diagnostic {
    let message =
        format!("the rules have no effect on {host} for this workload: {} does not import them", sidecar.id());
    let namespace = &object.meta.namespace;
    about(Diagnostic::warning(Code::OUTSIDE_SCOPE, message), object)
        .path("spec.hosts")
        .effect(format!("requests to {host} take the default route, or the rules of another VirtualService"))
        .help(format!(
            "add `{namespace}/{host}` to the hosts of the Sidecar: the namespace is that of the VirtualService"
        ))
}

/// What single entries of the listeners come to.
fn entries(
    sidecar: &Object<Sidecar>,
    registry: &Registry,
    virtual_services: &[&Object<VirtualService>],
    site: &Site,
    findings: &mut Findings,
) {
    let candidates = candidates(registry, virtual_services, site);
    for (n, egress) in sidecar.spec.egress.iter().enumerate() {
        let at = format!("spec.egress[{n}]");
        for (m, entry) in egress.hosts.iter().enumerate().filter(|(_, entry)| is_definite(entry)) {
            let hosts = EgressHosts::read([entry.as_str()], &site.namespace);
            let imports = |(namespace, host): &(String, Candidate)| match host {
                Candidate::Service(host) => hosts.take_service(namespace, host),
                Candidate::Rules(host) => hosts.take_rules(namespace, std::iter::once(host.as_str())),
            };
            if !candidates.iter().any(imports) {
                findings.add(imports_nothing(sidecar, &format!("{at}.hosts[{m}]"), entry));
            }
        }
        let mut unused = |is_set: bool, field: &str, effect: &str| {
            if is_set {
                findings.add(without_effect(sidecar, &format!("{at}.{field}"), field, effect));
            }
        };
        unused(!egress.bind.is_empty(), "bind", "no address is listened at: the hosts are reached by their own names");
        let captured = egress.capture_mode != CaptureMode::Default;
        unused(captured, "captureMode", "calls go through the mesh's client whatever it says");
        let is_dialled = egress.port.is_none() || listener::own_port(egress).is_some();
        unused(!is_dialled, "port", "no proxy port or socket is opened: the hosts are reached by any port of theirs");
    }
}

/// A host that an entry may mean.
enum Candidate {
    Service(String),
    Rules(String),
}

/// What there is to import, with its namespace.
fn candidates(
    registry: &Registry,
    virtual_services: &[&Object<VirtualService>],
    site: &Site,
) -> Vec<(String, Candidate)> {
    let services = registry.exported_to(&site.namespace).into_iter();
    let services = services.map(|service| (service.namespace.clone(), Candidate::Service(service.host.clone())));
    let rules = virtual_services.iter().flat_map(|object| {
        let namespace = &object.meta.namespace;
        let hosts = object.spec.hosts.iter().map(|host| fqdn(host, namespace, site));
        hosts.map(|host| (namespace.clone(), Candidate::Rules(host)))
    });
    services.chain(rules).collect()
}

/// Whether an entry names a host: `./*` may well have nothing to import.
fn is_definite(entry: &str) -> bool {
    entry.split_once('/').is_some_and(|(namespace, host)| !namespace.starts_with('~') && host != "*")
}

fn imports_nothing(sidecar: &Object<Sidecar>, path: &str, entry: &str) -> Diagnostic {
    let message = format!("no service and no VirtualService is imported by {entry:?}");
    about(Diagnostic::info(Code::IMPORTS_NOTHING, message), sidecar)
        .path(path)
        .effect("the entry does nothing; the host stays unknown to this workload")
        .help("the namespace is that of the ServiceEntry or Service, and the host its full name")
}

fn without_effect(sidecar: &Object<Sidecar>, path: &str, field: &str, effect: &str) -> Diagnostic {
    let message = format!("`{field}` has no effect in process");
    about(Diagnostic::info(Code::IGNORED_FIELD, message), sidecar).path(path).effect(effect.to_owned())
}
