//! TLS and TCP rules.

use super::super::checker::{At, Checker};
use super::super::common;
use super::http::{check_total_weight, check_weight, required_destination, source_namespace};
use super::{MESH, gateways};
use crate::api::VirtualService;
use crate::api::virtual_service::{L4MatchAttributes, RouteDestination, TcpRoute, TlsMatchAttributes, TlsRoute};
use crate::value::Labels;
use crate::value::address::{check_subnet, is_ip};
use crate::value::host::{self, check_gateway_domain, check_wildcard_domain};
use crate::value::port::check_port;

pub(super) fn check_tls(cx: &mut Checker<'_>, at: &At<'_>, route: &TlsRoute, service: &VirtualService) {
    cx.error_if(route.matches.is_empty(), at, "TLS route must have at least one match condition");
    for (index, matches) in route.matches.iter().enumerate() {
        check_tls_match(cx, &at.field("match").index(index), matches, service);
    }
    cx.error_if(route.route.is_empty(), at, "TLS route is required");
    check_destinations(cx, &at.field("route"), &route.route);
}

fn check_tls_match(cx: &mut Checker<'_>, at: &At<'_>, matches: &TlsMatchAttributes, service: &VirtualService) {
    cx.error_if(matches.sni_hosts.is_empty(), at, "TLS match must have at least one SNI host");
    for (index, name) in matches.sni_hosts.iter().enumerate() {
        check_server_name(cx, &at.field("sniHosts").index(index), name, service);
    }
    let TlsMatchAttributes { destination_subnets, port, source_labels, gateways, source_namespace, .. } = matches;
    check_selectors(cx, at, destination_subnets, *port, source_labels, gateways, source_namespace);
}

fn check_server_name(cx: &mut Checker<'_>, at: &At<'_>, name: &str, service: &VirtualService) {
    // Istio takes a rule without gateways for one of gateways here.
    let is_mesh = service.gateways.iter().any(|gateway| gateway == MESH);
    let checked = if is_mesh { check_wildcard_domain(name) } else { check_gateway_domain(name, true) };
    if let Err(problem) = checked {
        return match is_ip(name) {
            true => cx.warn(
                at,
                format!("using an IP address ({name:?}) goes against SNI spec and most clients do not support this"),
            ),
            false => cx.error(at, problem),
        };
    }
    if !service.hosts.iter().any(|of| host::subset_of(name, of)) {
        let hosts = service.hosts.join(", ");
        let message =
            format!("SNI host {name:?} is not a compatible subset of any of the virtual service hosts: [{hosts}]");
        cx.error(at, message);
    }
}

pub(super) fn check_tcp(cx: &mut Checker<'_>, at: &At<'_>, route: &TcpRoute) {
    for (index, matches) in route.matches.iter().enumerate() {
        let L4MatchAttributes { destination_subnets, port, source_labels, gateways, source_namespace, .. } = matches;
        let at = at.field("match");
        check_selectors(cx, &at.index(index), destination_subnets, *port, source_labels, gateways, source_namespace);
    }
    cx.error_if(route.route.is_empty(), at, "TCP route is required");
    check_destinations(cx, &at.field("route"), &route.route);
}

fn check_selectors(
    cx: &mut Checker<'_>,
    at: &At<'_>,
    subnets: &[String],
    port: u32,
    labels: &Labels,
    gateway_names: &[String],
    namespace: &str,
) {
    for (index, subnet) in subnets.iter().enumerate() {
        cx.check(&at.field("destinationSubnets").index(index), check_subnet(subnet));
    }
    if port != 0 {
        cx.check(&at.field("port"), check_port(port));
    }
    common::labels(cx, &at.field("sourceLabels"), labels);
    gateways(cx, &at.field("gateways"), gateway_names, false);
    cx.unchecked(|cx| source_namespace(cx, &at.field("sourceNamespace"), namespace));
}

fn check_destinations(cx: &mut Checker<'_>, at: &At<'_>, routes: &[RouteDestination]) {
    for (index, route) in routes.iter().enumerate() {
        required_destination(cx, &at.index(index), route.destination.as_ref());
        check_weight(cx, &at.index(index), route.weight);
    }
    check_total_weight(cx, at, routes.iter().map(|route| route.weight));
}
