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

/// How many VirtualServices of the mesh one of a gateway is held against, as each of very many would have a finding about
/// each other. The rest is not examined.
const MOST_TOLD: usize = 20;

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
                if told.len() == MOST_TOLD {
                    return;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::tests::found;

    const SERVICE: &str = "
---
apiVersion: v1
kind: Service
metadata: {name: ratings, namespace: a ANNOTATIONS}
spec: {ports: [{port: 80, name: http}, {port: 90, name: admin}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: outside, namespace: a}
spec: {hosts: ['*.example.com', exact.org], ports: [{number: 80, name: http, protocol: HTTP}], exportTo: ['.']}
";

    fn to(namespace: &str, destination: &str) -> Vec<String> {
        let rules = format!(
            "{{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {{name: r, namespace: {namespace}}}, \
             spec: {{hosts: [r], http: [{{route: [{{destination: {{{destination}}}}}]}}]}}}}\n"
        );
        found(&DestinationHosts, &(rules + &SERVICE.replace(" ANNOTATIONS", "")))
    }

    #[test]
    fn a_destination_has_to_be_a_service_that_the_rules_can_see() {
        let missing =
            |namespace: &str| [format!("IST0101 VirtualService {namespace}/r spec.http[0].route[0].destination.host")];
        for (namespace, host) in [
            ("a", "host: ratings, port: {number: 80}"),
            ("b", "host: ratings.a.svc.cluster.local, port: {number: 90}"),
            ("a", "host: x.example.com"),
            ("a", "host: '*.example.com'"),
            ("a", "host: exact.org"),
        ] {
            assert_eq!(to(namespace, host), [""; 0], "{host} from {namespace}");
        }
        for (namespace, host) in [
            ("b", "host: ratings"),
            ("a", "host: nothing"),
            ("a", ""),
            ("b", "host: x.example.com"),
            ("b", "host: exact.org"),
        ] {
            assert_eq!(to(namespace, host), missing(namespace), "{host} from {namespace}");
        }
    }

    #[test]
    fn a_service_may_be_seen_by_some_namespaces_only() {
        let rules = "{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: r, namespace: b}, \
                     spec: {hosts: [r], http: [{route: [{destination: {host: ratings.a.svc.cluster.local, port: {number: 80}}}]}]}}\n";
        let service = |to: &str| {
            let annotation = format!(", annotations: {{networking.istio.io/exportTo: '{to}'}}");
            found(&DestinationHosts, &format!("{rules}{}", SERVICE.replace(" ANNOTATIONS", &annotation)))
        };
        assert_eq!(service("c, b"), [""; 0]);
        assert_eq!(service("*"), [""; 0]);
        assert_eq!(service("."), ["IST0101 VirtualService b/r spec.http[0].route[0].destination.host"]);
    }

    #[test]
    fn the_port_has_to_exist_and_of_several_one_has_to_be_named() {
        assert_eq!(
            to("a", "host: ratings, port: {number: 81}"),
            ["IST0101 VirtualService a/r spec.http[0].route[0].destination.port.number"]
        );
        assert_eq!(to("a", "host: ratings"), ["IST0112 VirtualService a/r spec.http[0].route[0].destination.host"]);
    }

    #[test]
    fn the_rules_of_a_gateway_have_to_name_the_subsets_of_the_mesh_themselves() {
        let rules = |name: &str, gateways: &str, subset: &str| {
            format!(
                "---\n{{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {{name: {name}, namespace: a}}, \
                 spec: {{hosts: [ratings], gateways: [{gateways}], http: [\
                 {{route: [{{destination: {{host: ratings, port: {{number: 80}}{subset}}}}}]}}]}}}}\n"
            )
        };
        let mesh = rules("mesh", "mesh", ", subset: v1");
        let services = SERVICE.replace(" ANNOTATIONS", "");
        let with = |gateway: &str| found(&DestinationHosts, &format!("{mesh}{gateway}{services}"));
        assert_eq!(
            with(&rules("edge", "edge", "")),
            ["IST0140 VirtualService a/edge spec.http[0].route[0].destination"]
        );
        assert_eq!(with(&rules("edge", "edge", ", subset: v2")), [""; 0]);
        assert_eq!(with(&rules("other", "mesh", "")), [""; 0]);
    }

    #[test]
    fn without_the_services_of_the_cluster_nothing_is_missing() {
        let rules = "{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: r}, \
                     spec: {hosts: [r], http: [{route: [{destination: {host: nothing}}]}]}}";
        let (set, _) = crate::ConfigSet::from_documents(crate::parse("f", rules).0);
        assert!(set.analyze().is_empty());
    }
}
