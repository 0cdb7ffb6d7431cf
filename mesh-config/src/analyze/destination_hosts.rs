//! Destinations that are no service, or no port of one, and rules of a gateway that lack the subsets of the mesh's.

use std::collections::HashMap;

use super::destinations::{self, Role};
use super::services::Known;
use super::{Analyzer, CLUSTER_DOMAIN, Context, MESH, printed};
use crate::api::VirtualService;
use crate::api::virtual_service::Destination;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::resource::{Kind, Object};
use crate::validate::{At, Checker};
use crate::value::host::resolve_short_name;

/// `IST0101` for hosts and ports, `IST0112` and `IST0140`.
pub(super) struct DestinationHosts;

impl Analyzer for DestinationHosts {
    fn name(&self) -> &'static str {
        "virtualservice.DestinationHostAnalyzer"
    }

    fn codes(&self) -> &'static [Code] {
        &[Code::REFERENCE_NOT_FOUND, Code::DESTINATION_PORT_REQUIRED, Code::SUBSET_NOT_AT_GATEWAY]
    }

    fn needs_cluster(&self) -> bool {
        true
    }

    fn analyze(&self, context: &Context<'_>, out: &mut Report) {
        let subsets = mesh_subsets(context);
        for service in context.set.virtual_services() {
            let cx = &mut Checker::new(Kind::VirtualService, &service.meta, &service.origin, out);
            destinations::each(&service.spec, |at, to, role| {
                let none = Destination::default();
                check(cx, context, service, at, to.unwrap_or(&none), role);
            });
            check_gateway_rules(cx, service, &subsets);
        }
    }
}

fn check(
    cx: &mut Checker<'_>,
    context: &Context<'_>,
    service: &Object<VirtualService>,
    at: &At<'_>,
    to: &Destination,
    role: Role,
) {
    let known = context.services().find(&to.host, &service.meta.namespace, &service.spec.export_to);
    if known.is_empty() {
        let kind = role.reference("host", "mirror host");
        let message = format!("Referenced {kind} not found: {:?}", to.host);
        let finding = Diagnostic::error(Code::REFERENCE_NOT_FOUND, message).effect(role.effect("503 NC"));
        let full = resolve_short_name(&to.host, &service.meta.namespace, CLUSTER_DOMAIN);
        let help = format!("no Service and no ServiceEntry that is seen from here has the host `{full}`");
        return cx.push(&at.field("host"), finding.help(help));
    }
    let mut ports: Vec<u32> = known.iter().flat_map(Known::ports).collect();
    ports.sort_unstable();
    ports.dedup();
    match &to.port {
        None if ports.len() > 1 => {
            let message = format!(
                "This VirtualService routes to a service {:?} that exposes multiple ports {}. Specifying a port in the \
                 destination is required to disambiguate.",
                to.host,
                printed(&ports)
            );
            let finding = Diagnostic::error(Code::DESTINATION_PORT_REQUIRED, message)
                .effect("in the mesh the port that the caller dialled is taken; at a gateway requests get 503 NC")
                .help(format!("port: {{number: {}}}", ports[0]));
            cx.push(&at.field("host"), finding);
        }
        Some(port) if !ports.contains(&port.number) => {
            let message = format!("Referenced host:port not found: {:?}", format!("{}:{}", to.host, port.number));
            let finding = Diagnostic::error(Code::REFERENCE_NOT_FOUND, message).effect(role.effect("503 NC"));
            let help = match ports.as_slice() {
                [] => "the service has no ports".to_owned(),
                ports => format!("the service has {}", ports.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")),
            };
            cx.push(&at.field("port").field("number"), finding.help(help));
        }
        _ => {}
    }
}

/// The VirtualServices that pick subsets of a host which they own, by that host.
type Subsets<'a> = HashMap<String, Vec<&'a Object<VirtualService>>>;

fn mesh_subsets<'a>(context: &Context<'a>) -> Subsets<'a> {
    let mut found: Subsets<'_> = HashMap::new();
    for service in context.set.virtual_services() {
        let full = |host: &str| resolve_short_name(host, &service.meta.namespace, CLUSTER_DOMAIN);
        let own: Vec<String> = service.spec.hosts.iter().map(|host| full(host)).collect();
        let routes = service.spec.http.iter().flat_map(|route| &route.route);
        for to in routes.filter_map(|to| to.destination.as_ref()).filter(|to| !to.subset.is_empty()) {
            let host = full(&to.host);
            if own.contains(&host) {
                let owners = found.entry(host).or_default();
                if !owners.last().is_some_and(|last| std::ptr::eq(*last, service)) {
                    owners.push(service);
                }
            }
        }
    }
    found
}

/// A gateway does not go through the rules of the mesh: its own have to name the subset.
fn check_gateway_rules(cx: &mut Checker<'_>, service: &Object<VirtualService>, subsets: &Subsets<'_>) {
    if subsets.is_empty() || !service.spec.gateways.iter().any(|gateway| gateway != MESH) {
        return;
    }
    let mut told: Vec<&Object<VirtualService>> = Vec::new();
    let spec = At::top("spec");
    for (rule, route) in service.spec.http.iter().enumerate() {
        for (index, to) in route.route.iter().enumerate() {
            let Some(to) = to.destination.as_ref().filter(|to| to.subset.is_empty()) else { continue };
            let host = resolve_short_name(&to.host, &service.meta.namespace, CLUSTER_DOMAIN);
            for owner in subsets.get(&host).into_iter().flatten() {
                if std::ptr::eq(*owner, service) || told.iter().any(|known| std::ptr::eq(*known, *owner)) {
                    continue;
                }
                told.push(owner);
                let finding = not_at_gateway(owner, service);
                cx.push(&spec.field("http").index(rule).field("route").index(index).field("destination"), finding);
            }
        }
    }
}

fn not_at_gateway(owner: &Object<VirtualService>, service: &Object<VirtualService>) -> Diagnostic {
    let message = format!(
        "Subset in virtual service {} has no effect on ingress gateway {} requests",
        owner.meta.namespaced_name(),
        service.meta.namespaced_name()
    );
    Diagnostic::warning(Code::SUBSET_NOT_AT_GATEWAY, message)
        .effect("requests through the gateway go to all endpoints of the host")
        .help("name the subsets in the rules of the gateway too")
}
