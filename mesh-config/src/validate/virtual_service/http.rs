//! HTTP rules: which actions go together, matches and destinations.

use super::super::checker::{At, Checker};
use super::super::common;
use super::super::header::operations;
use super::super::string_match::{self, Place};
use super::{action, gateways, is_generated};
use crate::api::port::PortSelector;
use crate::api::virtual_service::{
    Destination, Headers, HttpMatchRequest, HttpRewrite, HttpRoute, HttpRouteDestination,
};
use crate::value::StringMatch;
use crate::value::header::{check_match_name, is_authority};
use crate::value::host::{check_wildcard_domain, is_dns_label};
use crate::value::port::check_port;

pub(super) fn check(cx: &mut Checker<'_>, at: &At<'_>, route: &HttpRoute, is_delegate: bool) {
    check_conflicts(cx, at, route, is_delegate);
    for (index, matches) in route.matches.iter().enumerate() {
        check_match(cx, &at.field("match").index(index), matches);
    }
    operations(cx, &at.field("headers"), route.headers.as_ref());
    check_authority(cx, at, route.rewrite.as_ref(), route.headers.as_ref());
    check_destinations(cx, &at.field("route"), &route.route);
    common::duration(cx, &at.field("timeout"), route.timeout);
    action::check(cx, at, route);
}

/// A rule does one thing.
fn check_conflicts(cx: &mut Checker<'_>, at: &At<'_>, route: &HttpRoute, is_delegate: bool) {
    if !is_delegate && route.delegate.is_some() {
        for (field, is_there) in [("redirect", route.redirect.is_some()), ("route", !route.route.is_empty())] {
            if is_there {
                let message = format!("root HTTP route {} must not specify {field}", route.name);
                cx.error(&at.field(field), message);
            }
        }
        return;
    }
    cx.error_if(
        is_delegate && route.delegate.is_some(),
        &at.field("delegate"),
        "delegate HTTP route cannot contain delegate",
    );
    let has_route = !route.route.is_empty();
    if route.redirect.is_some() {
        let at = at.field("redirect");
        cx.error_if(has_route, &at, "HTTP route cannot contain both route and redirect");
        cx.error_if(route.fault.is_some(), &at, "HTTP route cannot contain both fault and redirect");
        cx.error_if(route.rewrite.is_some(), &at, "HTTP route rule cannot contain both rewrite and redirect");
        cx.error_if(
            route.direct_response.is_some(),
            &at,
            "HTTP route rule cannot contain both direct_response and redirect",
        );
    } else if route.direct_response.is_some() {
        let at = at.field("directResponse");
        cx.error_if(has_route, &at, "HTTP route cannot contain both route and direct_response");
        cx.error_if(route.fault.is_some(), &at, "HTTP route cannot contain both fault and direct_response");
        cx.error_if(route.rewrite.is_some(), &at, "HTTP route rule cannot contain both rewrite and direct_response");
    } else if !has_route {
        cx.error(at, "HTTP route, redirect or direct_response is required");
    }
    if route.mirror.is_some() && !route.mirrors.is_empty() {
        cx.error(&at.field("mirrors"), "HTTP route cannot contain both mirror and mirrors");
    }
}

fn check_match(cx: &mut Checker<'_>, at: &At<'_>, matches: &HttpMatchRequest) {
    for (field, value, place) in [
        ("uri", &matches.uri, Place::Uri),
        ("scheme", &matches.scheme, Place::Scheme),
        ("method", &matches.method, Place::Method),
        ("authority", &matches.authority, Place::Authority),
    ] {
        if let Some(value) = value {
            string_match::check(cx, &at.field(field), value, place);
        }
    }
    for (field, values, place) in [
        ("headers", &matches.headers, Place::Headers),
        ("withoutHeaders", &matches.without_headers, Place::WithoutHeaders),
        ("queryParams", &matches.query_params, Place::QueryParams),
    ] {
        let at = at.field(field);
        for (name, value) in values {
            if place != Place::QueryParams {
                cx.check(&at.key(name), check_match_name(name));
            }
            string_match::check(cx, &at.key(name), value, place);
        }
    }
    if matches.port != 0 {
        cx.check(&at.field("port"), check_port(matches.port));
    }
    common::labels(cx, &at.field("sourceLabels"), &matches.source_labels);
    gateways(cx, &at.field("gateways"), &matches.gateways, false);
    source_namespace(cx, &at.field("sourceNamespace"), &matches.source_namespace);
}

pub(super) fn source_namespace(cx: &mut Checker<'_>, at: &At<'_>, namespace: &str) {
    if !namespace.is_empty() && !is_dns_label(namespace) {
        cx.error(at, format!("sourceNamespace match {namespace} is invalid"));
    }
}

/// The authority is set once at most.
fn check_authority(cx: &mut Checker<'_>, at: &At<'_>, rewrite: Option<&HttpRewrite>, headers: Option<&Headers>) {
    let mut have = rewrite.map(|rewrite| rewrite.authority.as_str()).unwrap_or_default();
    let Some(request) = headers.and_then(|headers| headers.request.as_ref()) else { return };
    for (field, changes) in [("set", &request.set), ("add", &request.add)] {
        for (name, value) in changes.iter().filter(|(name, _)| is_authority(name)) {
            if !have.is_empty() {
                let message = format!(
                    "authority header cannot be set multiple times: have {have:?}, attempting to set {value:?}"
                );
                let headers = at.field("headers");
                let request = headers.field("request");
                return cx.error(&request.field(field).key(name), message);
            }
            have = value;
        }
    }
}

fn check_destinations(cx: &mut Checker<'_>, at: &At<'_>, routes: &[HttpRouteDestination]) {
    for (index, route) in routes.iter().enumerate() {
        let at = at.index(index);
        required_destination(cx, &at, route.destination.as_ref());
        check_weight(cx, &at, route.weight);
        operations(cx, &at.field("headers"), route.headers.as_ref());
    }
    check_total_weight(cx, at, routes.iter().map(|route| route.weight));
}

pub(super) fn check_weight(cx: &mut Checker<'_>, at: &At<'_>, weight: i32) {
    if weight < 0 {
        cx.error(&at.field("weight"), format!("weight {weight} < 0"));
    }
}

pub(super) fn check_total_weight(cx: &mut Checker<'_>, at: &At<'_>, weights: impl ExactSizeIterator<Item = i32>) {
    if weights.len() > 1 && weights.map(i64::from).sum::<i64>() == 0 {
        cx.error(at, "total destination weight = 0");
    }
}

pub(super) fn required_destination(cx: &mut Checker<'_>, at: &At<'_>, to: Option<&Destination>) {
    match to {
        Some(to) => destination(cx, &at.field("destination"), to),
        None => cx.error(at, "destination is required"),
    }
}

pub(super) fn destination(cx: &mut Checker<'_>, at: &At<'_>, to: &Destination) {
    if is_generated(cx) {
        return;
    }
    match to.host.as_str() {
        "*" => cx.error(&at.field("host"), "invalid destination host *"),
        host => cx.check(&at.field("host"), check_wildcard_domain(host)),
    }
    if !to.subset.is_empty() {
        cx.check(&at.field("subset"), check_subset_name(&to.subset));
    }
    if let Some(PortSelector { number }) = to.port {
        cx.check(&at.field("port").field("number"), check_port(number));
    }
}

/// The name of a subset, where it is defined and where it is used.
pub(in super::super) fn check_subset_name(name: &str) -> Result<(), String> {
    match name {
        "" => Err("subset name cannot be empty".to_owned()),
        name if is_dns_label(name) => Ok(()),
        name => Err(format!("subset name is invalid: {name}")),
    }
}

/// Whether every match on the path, if there is any, is for a prefix.
pub(super) fn matches_prefixes_only(route: &HttpRoute) -> bool {
    route.matches.iter().filter_map(|matches| matches.uri.as_ref()).all(|uri| matches!(uri, StringMatch::Prefix(_)))
}
