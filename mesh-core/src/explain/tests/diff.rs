//! Differences between two configurations, by example.

use super::super::{Difference, diff, diff_at_gateways};
use super::{MESH, World};

fn differences(old: &str, new: &str) -> Vec<Difference> {
    let (old, new) = (World::new(old), World::new(new));
    diff(&old.explainer(), &new.explainer()).differences
}

#[test]
fn a_configuration_does_not_differ_from_itself() {
    assert_eq!(differences(MESH, MESH), []);
    let renamed = MESH.replace("name: canary", "name: other");
    assert_eq!(differences(MESH, &renamed), []);
}

#[test]
fn what_changed_is_shown_by_a_request_that_shows_it() {
    for (from, to, what) in [
        ("weight: 95}", "weight: 45}", "destination"),
        ("timeout: 1s", "timeout: 2s", "timeout"),
        ("exact: jason", "exact: jane", "destination"),
        ("{prefix: /old}", "{prefix: /older}", "action"),
        ("uri: /new", "uri: /newer", "location"),
        ("attempts: 2", "attempts: 5", "retries"),
        ("x-route: canary", "x-route: bird", "request headers"),
        ("maxConnections: 10", "maxConnections: 11", "policy"),
        ("value: 100", "value: 50", "mirrors"),
    ] {
        let found = differences(MESH, &MESH.replace(from, to));
        assert!(found.iter().any(|difference| difference.what.contains(&what)), "{from} -> {to}: {found:#?}");
    }
}

/// Two configurations that differ in the rules of one VirtualService.
fn of_rules(old: &str, new: &str) -> Vec<Difference> {
    differences(&with_rules(old), &with_rules(new))
}

fn with_rules(rules: &str) -> String {
    let service = MESH.rfind("---").unwrap();
    let head = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: reviews}\n";
    format!("{}---\n{head}spec: {{hosts: [reviews], http: [{rules}]}}\n", &MESH[..service])
}

const TO_V1: &str = "{route: [{destination: {host: reviews, subset: v1}}]}";

/// A rule with conditions that sends to a subset.
fn rule(conditions: &str, subset: &str) -> String {
    format!("{{match: [{{{conditions}}}], route: [{{destination: {{host: reviews, subset: {subset}}}}}]}}")
}

#[test]
fn a_change_of_conditions_shows() {
    for (from, to) in [
        ("uri: {exact: /a}", "uri: {prefix: /a}"),
        ("uri: {prefix: /a}", "uri: {exact: /a}"),
        ("uri: {prefix: /a/}", "uri: {prefix: /a}"),
        ("uri: {prefix: /a}", "uri: {prefix: /a}, ignoreUriCase: true"),
        ("uri: {regex: /a|/b|/c}", "uri: {regex: /a|/b}"),
        ("uri: {regex: '/v[12]/.*'}", "uri: {regex: '/v[1]/.*'}"),
        ("uri: {regex: '/a(x)?'}", "uri: {regex: '/ax'}"),
        ("headers: {x: {exact: a}}", "withoutHeaders: {x: {exact: a}}"),
        ("withoutHeaders: {x: {exact: a}}", "withoutHeaders: {x: {exact: b}}"),
        ("withoutHeaders: {x: {}}", "withoutHeaders: {x: {exact: b}}"),
        ("headers: {x: {exact: a}}", "headers: {x: {prefix: a}}"),
        ("headers: {x: {exact: a}}", "headers: {x: {}}"),
        ("headers: {x: {exact: a}, y: {exact: b}}", "headers: {x: {exact: a}}"),
        ("queryParams: {q: {exact: a}}", "queryParams: {q: {regex: '.*'}}"),
        ("method: {exact: GET}", "method: {exact: PUT}"),
        ("method: {regex: 'GET|PUT'}", "method: {exact: GET}"),
    ] {
        let (old, new) = (rule(from, "v2"), rule(to, "v2"));
        let found = of_rules(&format!("{old}, {TO_V1}"), &format!("{new}, {TO_V1}"));
        assert!(found.iter().any(|difference| difference.what.contains(&"destination")), "{from} -> {to}");
    }
}

#[test]
fn the_order_of_two_rules_shows_where_both_take_a_request() {
    for (first, second) in [
        ("uri: {prefix: /a}", "headers: {x: {exact: b}}"),
        ("uri: {prefix: /a}", "uri: {prefix: /a/b}, method: {exact: GET}"),
        ("queryParams: {q: {exact: a}}", "headers: {x: {}}"),
        ("uri: {regex: '/[a-z]+'}", "uri: {exact: /abc}"),
    ] {
        let (one, other) = (rule(first, "v1"), rule(second, "v2"));
        assert_ne!(of_rules(&format!("{one}, {other}"), &format!("{other}, {one}")), [], "{first}, {second}");
    }
    // Where no request fits both, the order means nothing.
    let (one, other) = (rule("uri: {exact: /a}", "v1"), rule("uri: {exact: /b}", "v2"));
    assert_eq!(of_rules(&format!("{one}, {other}"), &format!("{other}, {one}")), []);
}

#[test]
fn a_change_of_what_is_done_shows_by_its_name() {
    const ABORT: &str = "fault: {abort: {httpStatus: 500, percentage: {value: 100}}";
    let with = |extra: &str| TO_V1.replacen('{', &format!("{{{extra}, "), 1);
    for (from, to, what) in [
        ("corsPolicy: {allowOrigins: [{exact: a}]}", "corsPolicy: {allowOrigins: [{exact: b}]}", "cors"),
        ("corsPolicy: {maxAge: 1s}", "corsPolicy: {maxAge: 2s}", "cors"),
        ("headers: {response: {set: {a: b}}}", "headers: {response: {set: {a: c}}}", "response headers"),
        ("headers: {request: {set: {a: b}}}", "headers: {request: {add: {a: b}}}", "request headers"),
        ("headers: {request: {remove: [a]}}", "headers: {request: {remove: [b]}}", "request headers"),
        ("headers: {request: {set: {a: '%REQ(b)%'}}}", "headers: {request: {set: {a: '%REQ(c)%'}}}", "request headers"),
        ("retries: {attempts: 1}", "retries: {attempts: 1, backoff: 1s}", "retries"),
        ("retries: {attempts: 1}", "retries: {attempts: 1, retryIgnorePreviousHosts: false}", "retries"),
        ("rewrite: {uri: /a}", "rewrite: {uri: /b}", "rewrite"),
        ("rewrite: {authority: a}", "rewrite: {authority: b}", "rewrite"),
        (
            "rewrite: {uriRegexRewrite: {match: /x, rewrite: /y}}",
            "rewrite: {uriRegexRewrite: {match: /x, rewrite: /z}}",
            "rewrite",
        ),
        (
            "fault: {delay: {fixedDelay: 1s, percentage: {value: 1}}}",
            "fault: {delay: {fixedDelay: 2s, percentage: {value: 1}}}",
            "faults",
        ),
        (&format!("{ABORT}}}"), &format!("{ABORT}, delay: {{fixedDelay: 1s, percentage: {{value: 5}}}}}}"), "faults"),
    ] {
        let found = of_rules(&with(from), &with(to));
        assert!(found.iter().any(|difference| difference.what.contains(&what)), "{from} -> {to}: {found:#?}");
    }
    let answer = |body: &str| format!("{{directResponse: {{status: 200, body: {{string: {body}}}}}}}");
    assert_eq!(of_rules(&answer("a"), &answer("b"))[0].what, ["body"]);
}

#[test]
fn what_only_one_destination_of_a_split_does_shows() {
    let split = |value: &str| {
        format!(
            "{{route: [{{destination: {{host: reviews, subset: v1}}, weight: 50}}, {{destination: {{host: reviews, \
             subset: v2}}, weight: 50, headers: {{request: {{set: {{a: {value}}}}}}}}}]}}"
        )
    };
    let found = of_rules(&split("b"), &split("c"));
    let [found] = &*found else { panic!("{found:#?}") };
    assert_eq!(found.what, ["request headers"]);
    assert_eq!(found.new.lines("request headers"), ["to v2 of reviews.default.svc.cluster.local:9080: set a: c"]);
}

#[test]
fn it_does_not_matter_where_requests_do_not_go() {
    let missing = |subset: &str| format!("{{route: [{{destination: {{host: reviews, subset: {subset}}}}}]}}");
    assert_eq!(of_rules(&missing("v8"), &missing("v9")), []);
    assert_eq!(of_rules(&missing("v8"), &missing("v2"))[0].old.lines("destination"), ["100 % answered with 503 NC"]);
}

#[test]
fn what_becomes_of_unknown_hosts_shows() {
    let closed = format!("{MESH}---\noutboundTrafficPolicy: {{mode: REGISTRY_ONLY}}\n");
    let found = differences(MESH, &closed);
    assert!(found.iter().all(|difference| difference.request.authority.starts_with("host-that-nobody")), "{found:#?}");
    assert!(found[0].what.contains(&"action"));
}

#[test]
fn gateways_are_compared_as_what_they_select() {
    let edge = "\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec: {selector: {}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: edge}
spec: {hosts: [shop.example], gateways: [edge], http: [{redirect: {uri: /new}}]}
";
    let (old, new) = (World::new(edge), World::new(&edge.replace("/new", "/newer")));
    let found = diff_at_gateways(&old.explainer(), &new.explainer()).differences;
    assert_eq!((found.len(), found[0].gateway, found[0].what.as_slice()), (1, true, &["location"][..]));
}

#[test]
fn a_rule_behind_others_is_reached() {
    let last = |subset: &str| rule("uri: {prefix: /app}", subset);
    for earlier in [
        "method: {exact: GET}",
        "withoutHeaders: {version: {exact: beta}}",
        "withoutHeaders: {cookie: {}}",
        "uri: {prefix: /app/}, headers: {x: {}}",
    ] {
        let with = |subset: &str| format!("{}, {}, {TO_V1}", rule(earlier, "v1"), last(subset));
        assert_ne!(of_rules(&with("v1"), &with("v2")), [], "{earlier}");
    }
    let several = |subset: &str| {
        let earlier = ["/a", "/b", "/c"].map(|path| rule(&format!("uri: {{prefix: {path}}}"), "v1"));
        format!("{}, {}", earlier.join(", "), rule("uri: {regex: '/[a-z]+/.*'}", subset))
    };
    assert_ne!(of_rules(&several("v1"), &several("v2")), []);
}

#[test]
fn a_rule_that_no_request_reaches_is_named() {
    let shadowed = rule("uri: {prefix: /a}", "v1") + ", " + &rule("uri: {prefix: /a/b}", "v2");
    let world = World::new(&with_rules(&shadowed));
    let found = diff(&world.explainer(), &world.explainer());
    assert_eq!(found.not_reached, ["a route without name of VirtualService default/reviews http[1]"]);
}

#[test]
fn expressions_without_a_slash_and_hosts_with_a_star_are_asked() {
    for conditions in
        ["uri: {regex: '.*\\.png'}", "uri: {regex: '.*/css/.*|.*/js/.*'}", "uri: {regex: '/[a-f0-9]{128}'}"]
    {
        let with = |subset: &str| format!("{}, {TO_V1}", rule(conditions, subset));
        assert_ne!(of_rules(&with("v1"), &with("v2")), [], "{conditions}");
    }
    let wild = |to: &str| {
        let rules = format!("{{match: [{{authority: {{prefix: api.}}}}], redirect: {{uri: {to}}}}}, {TO_V1}");
        with_rules(&rules).replace("hosts: [reviews],", "hosts: ['*.example.com'],")
    };
    assert_ne!(differences(&wild("/a"), &wild("/b")), []);
}

#[test]
fn rules_that_cross_are_asked_with_the_narrower_of_each() {
    let (one, other) = (
        rule("uri: {prefix: /api/v2}, headers: {end-user: {regex: '.+'}}", "v1"),
        rule("uri: {prefix: /api}, headers: {end-user: {exact: jason}}", "v2"),
    );
    assert_ne!(of_rules(&format!("{one}, {other}"), &format!("{other}, {one}")), []);
    let (one, other) = (rule("uri: {regex: '/.*\\.json'}", "v1"), rule("uri: {prefix: /api}", "v2"));
    assert_ne!(of_rules(&format!("{one}, {other}"), &format!("{other}, {one}")), []);
}

#[test]
fn what_means_the_same_is_no_difference() {
    let with = |extra: &str| TO_V1.replacen('{', &format!("{{{extra}, "), 1);
    for (one, other) in [
        ("headers: {request: {remove: [a, b]}}", "headers: {request: {remove: [b, a]}}"),
        (
            "corsPolicy: {allowOrigins: [{exact: a}, {exact: b}]}",
            "corsPolicy: {allowOrigins: [{exact: b}, {exact: a}]}",
        ),
        ("mirrors: [{destination: {host: reviews, subset: v9}}]", "name: other"),
    ] {
        assert_eq!(of_rules(&with(one), &with(other)), [], "{one}");
    }
    let twice = "{route: [{destination: {host: reviews, subset: v1}, weight: 50}, {destination: {host: reviews, subset: v1}, weight: 50}]}";
    assert_eq!(of_rules(TO_V1, twice), []);
    let abort = "fault: {abort: {httpStatus: 500, percentage: {value: 100}}}";
    assert_eq!(of_rules(&with(abort), &with(abort).replace("v1", "v2")), []);
}

#[test]
fn policies_of_pools_and_outliers_show() {
    for (from, to) in [
        ("connectionPool: {tcp: {maxConnections: 10}}", "connectionPool: {tcp: {maxConnections: 10, idleTimeout: 5s}}"),
        (
            "connectionPool: {tcp: {maxConnections: 10}}",
            "connectionPool: {tcp: {maxConnections: 10, maxConnectionDuration: 5s}}",
        ),
        (
            "connectionPool: {tcp: {maxConnections: 10}}",
            "connectionPool: {tcp: {maxConnections: 10, tcpKeepalive: {time: 5s}}}",
        ),
        ("    connectionPool: {tcp", "    outlierDetection: {minHealthPercent: 20}\n    connectionPool: {tcp"),
        ("labels: {version: v2}\n    trafficPolicy", "labels: {version: v1}\n    trafficPolicy"),
    ] {
        assert_ne!(differences(MESH, &MESH.replace(from, to)), [], "{from} -> {to}");
    }
}

#[test]
fn paths_in_odd_forms_are_asked() {
    let with = |level: &str| format!("{MESH}---\npathNormalization: {{normalization: {level}}}\n");
    for (one, other) in [("NONE", "BASE"), ("BASE", "MERGE_SLASHES"), ("MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES")] {
        assert_ne!(differences(&with(one), &with(other)), [], "{one} -> {other}");
    }
}
