//! What happens to the heads of a request and its response on the way through a route, in Envoy's
//! order.
//!
//! Inside the stack a request head has one form: its URI is absolute, with the authority that was
//! routed by, and there is no `host` header.

use http::{HeaderMap, request, response};

use super::header_ops::HeaderOps;
use super::rewrite::set_authority;
use super::substitution::{Exchange, Scope};
use super::{Action, Forward, RequestHead, Route, WeightedDestination, internal_headers};

/// Turns the head of a caller's request into the one that goes to the destination.
///
/// First come the operations of the destination and its authority, where the rule names several
/// destinations; then those of the rule, with values made from what the caller sent; the rewrite is
/// last. A rule without policy costs nothing here.
///
/// The caller's own instructions are removed before, by [`internal_headers::strip`] and
/// [`internal_headers::remove_hop_by_hop`], and what the mesh adds (`x-request-id`,
/// `x-forwarded-proto`, `x-envoy-attempt-count`) is added before, so that operations can change it.
pub fn prepare_request(route: &Route, destination: u16, parts: &mut request::Parts, exchange: &Exchange<'_>) {
    let Action::Forward(Forward { split, rewrite }) = &route.action else {
        return;
    };
    let destination = split.get(destination);
    let cluster = &*destination.cluster.name;
    let mut changed = apply_to_request(&destination.request_headers, route, cluster, parts, exchange);
    if let Some(authority) = &destination.authority {
        set_authority(&mut parts.uri, authority.clone());
    }
    changed |= apply_to_request(&route.request_headers, route, cluster, parts, exchange);
    if changed {
        internal_headers::strip_after_operations(&mut parts.headers);
    }
    if let Some(rewrite) = rewrite {
        rewrite.apply(parts);
    }
}

/// Changes the head of a response, be it the destination's, or the mesh's own once a route was
/// chosen.
///
/// `request` is the head as it was sent on, rewritten; it is needed only where
/// [`response_reads_request`] says so.
pub fn prepare_response(
    route: &Route,
    destination: u16,
    parts: &mut response::Parts,
    request: Option<RequestHead<'_>>,
    exchange: &Exchange<'_>,
) {
    let destination = destination_of(route, destination);
    let cluster = cluster_name(route, destination);
    let levels = [destination.map(|destination| &destination.response_headers), Some(&route.response_headers)];
    for ops in levels.into_iter().flatten().filter(|ops| !ops.is_empty()) {
        let status = parts.status;
        ops.apply(&mut parts.headers, |template, headers| {
            let response = Some((status, headers));
            template.render(&Scope { exchange, request, response, route: &route.name, cluster })
        });
    }
}

/// Whether the response operations of a route make values from the request, so that its head has to
/// be kept until the response comes.
pub fn response_reads_request(route: &Route, destination: u16) -> bool {
    route.response_headers.reads_request()
        || destination_of(route, destination).is_some_and(|destination| destination.response_headers.reads_request())
}

/// Whether [`prepare_request`] would do anything.
pub fn touches_request(route: &Route, destination: u16) -> bool {
    let Action::Forward(Forward { split, rewrite }) = &route.action else { return false };
    rewrite.is_some() || split.get(destination).authority.is_some() || changes_request(route, destination)
}

/// Whether a route has anything to do with the head of a request; without, nothing that operations
/// could read has to be known.
pub fn changes_request(route: &Route, destination: u16) -> bool {
    !route.request_headers.is_empty()
        || destination_of(route, destination).is_some_and(|destination| !destination.request_headers.is_empty())
}

/// Whether a route has anything to do with the head of a response.
pub fn changes_response(route: &Route, destination: u16) -> bool {
    !route.response_headers.is_empty()
        || destination_of(route, destination).is_some_and(|destination| !destination.response_headers.is_empty())
}

/// Whether there was something to do.
fn apply_to_request(
    ops: &HeaderOps,
    route: &Route,
    cluster: &str,
    parts: &mut request::Parts,
    exchange: &Exchange<'_>,
) -> bool {
    if ops.is_empty() {
        return false;
    }
    let request::Parts { method, uri, headers, .. } = parts;
    ops.apply(headers, |template, headers: &HeaderMap| {
        let request = Some(RequestHead::of_uri(method, uri, headers));
        template.render(&Scope { exchange, request, response: None, route: &route.name, cluster })
    });
    true
}

fn destination_of(route: &Route, destination: u16) -> Option<&WeightedDestination> {
    match &route.action {
        Action::Forward(forward) => Some(forward.split.get(destination)),
        _ => None,
    }
}

fn cluster_name<'r>(route: &'r Route, destination: Option<&'r WeightedDestination>) -> &'r str {
    match (&route.action, destination) {
        (_, Some(destination)) => &destination.cluster.name,
        (Action::Passthrough(_), None) => "PassthroughCluster",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use http::StatusCode;
    use serde_json::{Value, json};

    use super::*;
    use crate::ResponseFlags;
    use crate::route::testing::{Request, lower, values};

    fn exchange() -> Exchange<'static> {
        Exchange::new(SystemTime::UNIX_EPOCH)
    }

    fn prepared(rule: Value, destination: u16, request: &Request) -> request::Parts {
        let mut parts = request.parts();
        prepare_request(&lower(rule), destination, &mut parts, &exchange());
        parts
    }

    #[test]
    fn request_operations_see_what_the_caller_sent() {
        let rule = json!({
            "rewrite": {"uri": "/after", "authority": "after.example"},
            "match": [{"uri": {"prefix": "/rw"}}],
            "headers": {"request": {"set": {
                "x-path": "%REQ(:path)%", "x-authority": "%REQ(:authority)%",
                "x-original": "%REQ(x-envoy-original-path)%", "x-route": "%ROUTE_NAME%", "x-code": "%RESPONSE_CODE%",
                "x-cluster": "%UPSTREAM_CLUSTER%", "x-flags": "%RESPONSE_FLAGS%", "x-resp": "%RESP(x-a)%",
            }}},
            "name": "rule", "route": [{"destination": {"host": "outbound|9080||a"}}],
        });
        let parts = prepared(rule, 0, &Request::get("/rw/x?q=1").header("x-envoy-original-path", "/mine"));
        assert_eq!(parts.uri, "http://after.example/after/x?q=1");
        for (name, expected) in [
            ("x-path", "/rw/x?q=1"),
            ("x-authority", "reviews"),
            ("x-original", "/mine"),
            ("x-route", "rule"),
            ("x-code", "0"),
            ("x-cluster", "outbound|9080||a;"),
            ("x-flags", "-"),
            ("x-envoy-original-path", "/rw/x?q=1"),
            ("x-envoy-original-host", "reviews"),
        ] {
            assert_eq!(values(&parts.headers, name), [expected], "{name}");
        }
        assert!(!parts.headers.contains_key("x-resp"));
    }

    #[test]
    fn of_several_destinations_the_rule_comes_last() {
        let rule = |rule: Value, destination: Value| {
            json!({"headers": {"request": rule}, "route": [
                {"destination": {"host": "a"}, "weight": 100, "headers": {"request": destination}},
                {"destination": {"host": "b"}, "weight": 0},
            ]})
        };
        let request = Request::get("/").header("x-a", "own");
        for (of_rule, of_destination, expected) in [
            (json!({"set": {"x-a": "rule"}}), json!({"set": {"x-a": "dest"}}), &["rule"][..]),
            (json!({"add": {"x-a": "rule"}}), json!({"add": {"x-a": "dest"}}), &["own", "dest", "rule"]),
            (json!({"add": {"x-a": "rule"}}), json!({"remove": ["x-a"]}), &["rule"]),
            (json!({"remove": ["x-a"]}), json!({"add": {"x-a": "dest"}}), &[]),
            (json!({"add": {"x-a": "rule"}}), json!({"set": {"x-a": "dest"}}), &["dest", "rule"]),
            (json!({"set": {"x-b": "%REQ(x-a)%"}}), json!({"set": {"x-a": "dest"}}), &["dest"]),
        ] {
            let parts = prepared(rule(of_rule.clone(), of_destination.clone()), 0, &request);
            assert_eq!(values(&parts.headers, "x-a"), expected, "{of_rule} {of_destination}");
        }
    }

    #[test]
    fn the_authority_of_one_destination_among_several_leaves_no_trace() {
        let destinations = json!([
            {"destination": {"host": "a"}, "weight": 1, "headers": {"request": {"set": {"host": "one.example"}}}},
            {"destination": {"host": "b"}, "weight": 1},
        ]);
        let parts = prepared(json!({"route": destinations}), 0, &Request::get("/x"));
        assert_eq!(parts.uri, "http://one.example/x");
        assert!(parts.headers.is_empty());
        let parts = prepared(json!({"route": destinations}), 1, &Request::get("/x"));
        assert_eq!(parts.uri, "http://reviews/x");
        let rule = json!({"route": destinations, "rewrite": {"authority": "rule.example"}});
        let parts = prepared(rule, 0, &Request::get("/x"));
        assert_eq!(parts.uri, "http://rule.example/x");
        assert_eq!(values(&parts.headers, "x-envoy-original-host"), ["one.example"]);
    }

    #[test]
    fn the_authority_of_a_single_destination_is_a_rewrite() {
        let set_host = |host: &str| json!({"request": {"set": {"host": host}}});
        let one = json!([{"destination": {"host": "a"}, "headers": set_host("dest.example")}]);
        for (rule, expected) in [
            (json!({"route": one}), "dest.example"),
            (json!({"route": one, "headers": set_host("rule.example")}), "rule.example"),
            (json!({"route": one, "rewrite": {"authority": "rewrite.example"}}), "rewrite.example"),
        ] {
            let parts = prepared(rule.clone(), 0, &Request::get("/x"));
            assert_eq!(parts.uri.authority().unwrap(), expected, "{rule}");
            assert_eq!(values(&parts.headers, "x-envoy-original-host"), ["reviews"]);
        }
    }

    #[test]
    fn instructions_that_an_operation_sets_do_not_reach_the_upstream() {
        let set = json!({"x-envoy-max-retries": "9", "x-envoy-internal": "maybe", "x-envoy-mine": "1"});
        let rule = json!({"headers": {"request": {"set": set}}, "route": [{"destination": {"host": "a"}}]});
        let parts = prepared(rule, 0, &Request::get("/"));
        assert!(!parts.headers.contains_key("x-envoy-max-retries"));
        assert_eq!(values(&parts.headers, "x-envoy-internal"), ["maybe"]);
        assert_eq!(values(&parts.headers, "x-envoy-mine"), ["1"]);
    }

    #[test]
    fn a_rule_without_policy_changes_nothing() {
        let request = Request::get("/x?q").header("x-a", "1");
        let parts = prepared(json!({"route": [{"destination": {"host": "a"}}]}), 0, &request);
        assert_eq!((parts.uri, parts.headers), (request.parts().uri, request.parts().headers));
    }

    #[test]
    fn response_operations_see_both_heads() {
        let route = lower(json!({
            "headers": {"response": {"set": {
                "x-path": "%REQ(:path)%", "x-up": "%RESP(x-in)%", "x-status": "%RESP(:status)%",
                "x-code": "%RESPONSE_CODE%", "x-flags": "%RESPONSE_FLAGS%", "x-details": "%RESPONSE_CODE_DETAILS%",
                "x-cluster": "%UPSTREAM_CLUSTER%", "x-attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
            }}},
            "route": [{"destination": {"host": "outbound|80|v1|a"}, "headers": {"response": {"add": {"x-in": "2"}}}}],
        }));
        assert!(response_reads_request(&route, 0));
        let sent = Request::get("/after?q").parts();
        let (mut parts, ()) = http::Response::builder().status(404).header("x-in", "1").body(()).unwrap().into_parts();
        let exchange = Exchange {
            attempts: 2,
            response_code: Some(StatusCode::NOT_FOUND),
            response_details: "via_upstream",
            response_flags: ResponseFlags::URX,
            ..exchange()
        };
        prepare_response(&route, 0, &mut parts, Some((&sent).into()), &exchange);
        for (name, expected) in [
            ("x-path", "/after?q"),
            ("x-up", "1"),
            ("x-status", "404"),
            ("x-code", "404"),
            ("x-flags", "URX"),
            ("x-details", "via_upstream"),
            ("x-cluster", "outbound|80|v1|a;"),
            ("x-attempts", "2"),
        ] {
            assert_eq!(values(&parts.headers, name), [expected], "{name}");
        }
        assert_eq!(values(&parts.headers, "x-in"), ["1", "2"]);
    }

    #[test]
    fn of_several_destinations_the_response_goes_through_two_levels() {
        let route = lower(json!({
            "headers": {"response": {"add": {"x-r": "rule"}}},
            "route": [
                {"destination": {"host": "a"}, "weight": 1, "headers": {"response": {"set": {"x-r": "dest"}}}},
                {"destination": {"host": "b"}, "weight": 1},
            ],
        }));
        assert!(!response_reads_request(&route, 0));
        for (destination, expected) in [(0, &["dest", "rule"][..]), (1, &["own", "rule"])] {
            let (mut parts, ()) = http::Response::builder().header("x-r", "own").body(()).unwrap().into_parts();
            prepare_response(&route, destination, &mut parts, None, &exchange());
            assert_eq!(values(&parts.headers, "x-r"), expected);
        }
    }
}
