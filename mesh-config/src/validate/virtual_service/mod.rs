//! VirtualService.

mod action;
mod http;
mod l4;
mod unreachable;

pub(super) use self::action::check_retries;
pub(super) use self::http::check_subset_name;
pub(crate) use self::unreachable::is_reported_as_covered;

use super::checker::{At, Checker};
use super::common::{self, Exported};
use crate::api::VirtualService;
use crate::resource::Object;
use crate::value::address::is_ip;
use crate::value::header::is_claim;
use crate::value::host::{self, check_gateway_domain, check_gateway_name, check_wildcard_domain};

/// The name that stands for the sidecars of the mesh.
const MESH: &str = "mesh";

pub(super) fn check(cx: &mut Checker<'_>, object: &Object<VirtualService>) {
    let service = &object.spec;
    let spec = At::top("spec");
    check_delegate(cx, &spec, service);
    check_hosts(cx, &spec, service);
    gateways(cx, &spec.field("gateways"), &service.gateways, is_generated(cx));
    check_claims(cx, &spec, service);
    if service.http.is_empty() && service.tcp.is_empty() && service.tls.is_empty() {
        cx.error(&spec, "http, tcp or tls must be provided in virtual service");
    }
    let is_delegate = service.hosts.is_empty();
    for (index, route) in service.http.iter().enumerate() {
        http::check(cx, &spec.field("http").index(index), route, is_delegate);
    }
    for (index, route) in service.tls.iter().enumerate() {
        l4::check_tls(cx, &spec.field("tls").index(index), route, service);
    }
    for (index, route) in service.tcp.iter().enumerate() {
        l4::check_tcp(cx, &spec.field("tcp").index(index), route);
    }
    common::export_to(cx, &spec.field("exportTo"), &service.export_to, Exported::Ordinary);
    unreachable::check(cx, &spec, service);
}

/// Without hosts it is a part of others, and has HTTP rules only.
fn check_delegate(cx: &mut Checker<'_>, spec: &At<'_>, service: &VirtualService) {
    if !service.hosts.is_empty() {
        return;
    }
    for (field, is_there, what) in [
        ("gateways", !service.gateways.is_empty(), "gateways"),
        ("tls", !service.tls.is_empty(), "tls route"),
        ("tcp", !service.tcp.is_empty(), "tcp route"),
    ] {
        if is_there {
            cx.error(&spec.field(field), format!("delegate virtual service must have no {what} specified"));
        }
    }
}

fn check_hosts(cx: &mut Checker<'_>, spec: &At<'_>, service: &VirtualService) {
    let at = spec.field("hosts");
    let is_mesh = !is_for_gateways(service);
    let by_server_name = service.tls.iter().flat_map(|route| &route.matches).any(|tls| !tls.sni_hosts.is_empty());
    let mut all_valid = true;
    for (index, name) in service.hosts.iter().enumerate() {
        let checked = match is_mesh {
            true => check_wildcard_domain(name),
            false => check_gateway_domain(name, by_server_name),
        };
        let problem = match checked {
            Err(problem) if !is_ip(name) => problem,
            Ok(()) if is_mesh && name == "*" => {
                "wildcard host * is not allowed for virtual services bound to the mesh gateway".to_owned()
            }
            _ => continue,
        };
        cx.error(&at.index(index), problem);
        all_valid = false;
    }
    if !all_valid {
        return;
    }
    for (index, one) in service.hosts.iter().enumerate() {
        for (beyond, other) in service.hosts[index + 1..].iter().enumerate() {
            if host::matches(one, other) {
                let message = format!("duplicate hosts in virtual service: {one} & {other}");
                cx.error(&at.index(index + 1 + beyond), message);
            }
        }
    }
}

/// Whether the rules are for gateways alone.
fn is_for_gateways(service: &VirtualService) -> bool {
    !service.gateways.is_empty() && service.gateways.iter().all(|gateway| gateway != MESH)
}

/// Whether the rules were made from those of the Kubernetes Gateway API, which have destinations of their own form.
fn is_generated(cx: &Checker<'_>) -> bool {
    const SEMANTICS: &str = "internal.istio.io/route-semantics";
    cx.meta.annotations.get(SEMANTICS).is_some_and(|semantics| semantics == "gateway")
}

/// Names of gateways, here and in matches. Istio looks at none after the first that has no namespace.
fn gateways(cx: &mut Checker<'_>, at: &At<'_>, names: &[String], is_generated: bool) {
    let seen = names.iter().position(|name| !name.contains('/')).map_or(names.len(), |first| first + 1);
    for (index, name) in names.iter().enumerate() {
        let at = at.index(index);
        match check_gateway_name(name) {
            Ok(None) => {}
            Ok(Some(warning)) if index < seen => cx.warn(&at, warning),
            Ok(Some(_)) => {}
            Err(problem) if index < seen && !(is_generated && problem.contains("gateway name:")) => {
                cx.error(&at, problem);
            }
            Err(problem) => cx.unchecked(|cx| cx.error(&at, problem)),
        }
    }
}

/// Claims of a token are known at a gateway only.
fn check_claims(cx: &mut Checker<'_>, spec: &At<'_>, service: &VirtualService) {
    if is_for_gateways(service) {
        return;
    }
    let found = service.gateways.join(" ");
    for (r, route) in service.http.iter().enumerate() {
        for (m, matches) in route.matches.iter().enumerate() {
            for (field, names) in [("headers", &matches.headers), ("withoutHeaders", &matches.without_headers)] {
                for name in names.keys().filter(|name| is_claim(name)) {
                    let message = format!(
                        "JWT claim based routing (key: {name}) is only supported for gateway, found no gateways: [{found}]"
                    );
                    let route = spec.field("http");
                    let route = route.index(r);
                    let matches = route.field("match");
                    cx.error(&matches.index(m).field(field).key(name), message);
                }
            }
        }
    }
}
