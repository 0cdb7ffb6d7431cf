//! Rules that callers in the mesh do not follow.

use std::collections::HashSet;

use super::{Analyzer, CLUSTER_DOMAIN, Context, MESH};
use crate::api::VirtualService;
use crate::api::virtual_service::HttpRoute;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::document::placeholder;
use crate::resource::{Kind, Object};
use crate::set::ConfigSet;
use crate::validate::{At, Checker};
use crate::value::host::{resolve_gateway_name, resolve_short_name};

/// `MESH0203`: a VirtualService that names gateways and not `mesh` acts at those alone. `MESH0206`: a match for a gateway
/// that the VirtualService is not bound to.
pub(super) struct WithoutMesh;

impl Analyzer for WithoutMesh {
    fn name(&self) -> &'static str {
        "mesh.WithoutMesh"
    }

    fn codes(&self) -> &'static [Code] {
        &[Code::WITHOUT_MESH, Code::FOREIGN_MATCH_GATEWAY]
    }

    fn analyze(&self, context: &Context<'_>, out: &mut Report) {
        let set = context.set;
        let known = Known::of(set);
        for service in set.virtual_services() {
            let cx = &mut Checker::new(Kind::VirtualService, &service.meta, &service.origin, out);
            check_hosts(cx, service, &known);
            check_matches(cx, service);
        }
    }
}

struct Known {
    /// Hosts of services.
    services: HashSet<String>,
    /// Hosts that a VirtualService of the mesh has rules for.
    routed: HashSet<String>,
}

impl Known {
    fn of(set: &ConfigSet) -> Self {
        let mut services: HashSet<String> = set
            .services()
            .map(|service| format!("{}.{}.svc.{CLUSTER_DOMAIN}", service.meta.name, service.meta.namespace))
            .collect();
        services.extend(set.service_entries().flat_map(|entry| entry.spec.hosts.iter().cloned()));
        let in_mesh = set.virtual_services().filter(|service| is_bound_to_mesh(&service.spec));
        Self { services, routed: in_mesh.flat_map(resolved_hosts).collect() }
    }
}

fn is_bound_to_mesh(service: &VirtualService) -> bool {
    service.gateways.is_empty() || service.gateways.iter().any(|gateway| gateway == MESH)
}

fn resolved_hosts(service: &Object<VirtualService>) -> impl Iterator<Item = String> {
    service.spec.hosts.iter().map(|host| resolve_short_name(host, &service.meta.namespace, CLUSTER_DOMAIN))
}

fn check_hosts(cx: &mut Checker<'_>, service: &Object<VirtualService>, known: &Known) {
    if is_bound_to_mesh(&service.spec) {
        return;
    }
    let is_called = |host: &String| {
        let is_service = host.ends_with(&format!(".svc.{CLUSTER_DOMAIN}")) && !host.starts_with('*');
        (is_service || known.services.contains(host)) && !known.routed.contains(host)
    };
    let Some((index, host)) = resolved_hosts(service).enumerate().find(|(_, host)| is_called(host)) else { return };
    let namespace = &service.meta.namespace;
    if placeholder::find(&host).is_some() || !service.spec.http.iter().any(|rule| matters(rule, &host, namespace)) {
        return;
    }
    let spec = At::top("spec");
    let gateways = service.spec.gateways.join(", ");
    let message = format!("gateways leaves out `mesh`, so that calls of services to {host} do not follow the rules");
    let finding = Diagnostic::warning(Code::WITHOUT_MESH, message)
        .effect(format!(
            "a request to {} made in the mesh goes to any endpoint of it, whatever its version",
            service.spec.hosts[index]
        ))
        .help(format!("gateways: [{gateways}, mesh]"));
    cx.push(&spec.field("gateways"), finding);
}

/// Whether a rule does more than to send requests for the host to the host.
fn matters(rule: &HttpRoute, host: &str, namespace: &str) -> bool {
    let is_plain = HttpRoute {
        name: rule.name.clone(),
        matches: rule.matches.clone(),
        route: rule.route.clone(),
        headers: rule.headers.clone(),
        cors_policy: rule.cors_policy.clone(),
        ..HttpRoute::default()
    } == *rule;
    let goes_there = |to: &crate::api::virtual_service::Destination| {
        to.subset.is_empty() && resolve_short_name(&to.host, namespace, CLUSTER_DOMAIN) == host
    };
    !is_plain || !rule.route.iter().filter_map(|to| to.destination.as_ref()).all(goes_there)
}

fn check_matches(cx: &mut Checker<'_>, service: &Object<VirtualService>) {
    let namespace = &service.meta.namespace;
    let full = |name: &String| resolve_gateway_name(name, namespace);
    let mut bound: HashSet<String> = service.spec.gateways.iter().map(full).collect();
    if bound.is_empty() {
        bound.insert(MESH.to_owned());
    }
    // The gateways of a delegate are those of the rules that name it.
    if service.spec.hosts.is_empty() {
        return;
    }
    let spec = At::top("spec");
    let http = spec.field("http");
    for (index, rule) in service.spec.http.iter().enumerate() {
        for (m, matches) in rule.matches.iter().enumerate() {
            if matches.gateways.is_empty() || matches.gateways.iter().map(full).any(|name| bound.contains(&name)) {
                continue;
            }
            let mut listed: Vec<_> = bound.iter().cloned().collect();
            listed.sort();
            let message = format!(
                "the match is for {}, and the VirtualService is bound to {} only",
                matches.gateways.join(", "),
                listed.join(", ")
            );
            let at = http.index(index);
            let at = at.field("match");
            let at = at.index(m);
            let finding = Diagnostic::warning(Code::FOREIGN_MATCH_GATEWAY, message)
                .effect("the match is dropped, and a rule without further matches with it: its requests go to later rules, or are answered 404 NR")
                .help(format!("add {} to spec.gateways", matches.gateways.join(", ")));
            cx.push(&at.field("gateways"), finding);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{object, only, places};
    use super::*;

    const NONE: [&str; 0] = [];
    const FOUND: [&str; 1] = ["MESH0203 warning spec.gateways"];

    fn service(name: &str, host: &str, rest: &str) -> String {
        let http = "http: [{route: [{destination: {host: r, subset: v1}}]}]";
        object("VirtualService", name, &format!("{{hosts: [{host}], {http}, {rest}}}"))
    }

    #[test]
    fn a_rule_for_a_service_is_meant_for_callers_in_the_mesh() {
        assert_eq!(places(&WithoutMesh, &service("a", "r", "gateways: [g]")), FOUND);
        assert_eq!(places(&WithoutMesh, &service("a", "r.a.svc.cluster.local", "gateways: [g]")), FOUND);
        let finding = only(&WithoutMesh, &service("a", "r", "gateways: [g, b/h]"));
        assert_eq!(finding.help.as_deref(), Some("gateways: [g, b/h, mesh]"));
    }

    #[test]
    fn a_name_of_the_world_outside_is_for_the_gateway() {
        for good in [
            service("a", "r", "gateways: [g, mesh]"),
            service("a", "r", ""),
            service("a", "r.example.com", "gateways: [g]"),
            service("a", "'*'", "gateways: [g]"),
            format!("{}{}", service("a", "r", "gateways: [g]"), service("b", "r", "")),
        ] {
            assert_eq!(places(&WithoutMesh, &good), NONE, "{good}");
        }
        let entry = "{hosts: [r.example.com], ports: [{number: 80, name: http}], resolution: DNS}";
        let yaml = format!("{}{}", service("a", "r.example.com", "gateways: [g]"), object("ServiceEntry", "e", entry));
        assert_eq!(places(&WithoutMesh, &yaml), FOUND);
    }

    #[test]
    fn a_rule_that_changes_nothing_is_not_missed() {
        let plain =
            "{hosts: [r], gateways: [g], http: [{match: [{uri: {prefix: /a}}], route: [{destination: {host: r}}]}]}";
        assert_eq!(places(&WithoutMesh, &object("VirtualService", "r", plain)), NONE);
        let timeout = plain.replace("route:", "timeout: 1s, route:");
        assert_eq!(places(&WithoutMesh, &object("VirtualService", "r", &timeout)), FOUND);
    }

    #[test]
    fn a_match_for_a_gateway_that_is_not_bound_is_dropped() {
        let with = |gateways: &str, of_match: &str| {
            let http =
                format!("http: [{{match: [{{gateways: [{of_match}]}}], route: [{{destination: {{host: r}}}}]}}]");
            object("VirtualService", "r", &format!("{{hosts: [r.com], gateways: [{gateways}], {http}}}"))
        };
        let path = ["MESH0206 warning spec.http[0].match[0].gateways"];
        assert_eq!(places(&WithoutMesh, &with("g", "mesh")), path);
        assert_eq!(places(&WithoutMesh, &with("", "g")), path);
        for (gateways, of_match) in [("g, mesh", "mesh"), ("a/g", "g"), ("g", "b/h, g"), ("", "mesh")] {
            assert_eq!(places(&WithoutMesh, &with(gateways, of_match)), NONE, "{gateways} {of_match}");
        }
    }
}
