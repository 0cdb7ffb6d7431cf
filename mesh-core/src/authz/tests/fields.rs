//! Each field by itself: of several values one is enough, and an access that has nothing of the kind has none of them.

use serde_json::{Value, json};

use super::*;
use crate::PeerView;
use crate::jwt::Claims;

/// A rule, what is put into an access so that it matches by the second value, and so that it does not.
type Field = (&'static str, &'static str, &'static str);

/// Makes a request.
type Made = fn() -> Request;

fn rule(action: &str, rule: &str) -> Authorization {
    compiled(&[&format!("{{action: {action}, rules: [{{{rule}}}]}}")], Protocol::Http, Profile::Safe)
}

/// Asserts that a rule matches an access or not, whether it lets in or keeps out.
fn assert_matches(text: &str, access: &Access<'_>, expected: bool, what: &str) {
    assert_eq!(rule("ALLOW", text).decide(access).is_allowed(), expected, "{text} lets in {what}");
    assert_eq!(rule("DENY", text).decide(access).is_allowed(), !expected, "{text} keeps out {what}");
}

#[test]
fn a_request_has_one_of_several_values_and_a_connection_none() {
    const FIELDS: [(&str, Made, Made); 6] = [
        (
            "to: [{operation: {methods: [GET, PUT]}}]",
            || Request::get("/").method("PUT"),
            || Request::get("/").method("POST"),
        ),
        ("to: [{operation: {paths: [/a, /b*]}}]", || Request::get("/bc"), || Request::get("/c")),
        (
            "to: [{operation: {hosts: [a.example, \"*.b.example\"]}}]",
            || Request::get("/").authority("x.B.example"),
            || Request::get("/").authority("c.example"),
        ),
        (
            "when: [{key: 'request.headers[x-a]', values: [one, two]}]",
            || Request::get("/").header("x-a", "two"),
            || Request::get("/").header("x-a", "three"),
        ),
        (
            "when: [{key: remote.ip, values: [192.0.2.1, 198.51.100.0/24]}]",
            || Request::get("/").header("x-forwarded-for", "198.51.100.7"),
            || Request::get("/").header("x-forwarded-for", "203.0.113.1"),
        ),
        (
            "from: [{source: {remoteIpBlocks: [192.0.2.1, 198.51.100.0/24]}}]",
            || Request::get("/").header("x-forwarded-for", "198.51.100.7"),
            || Request::get("/"),
        ),
    ];
    for (text, matching, other) in FIELDS {
        let (matching, other) = (matching(), other());
        assert_matches(text, &Access::request(&matching.view()), true, "one of them");
        assert_matches(text, &Access::request(&other.view()), false, "another");
        let connection = rule("ALLOW", text).decide(&Access::connection(PeerView::default(), 80)).is_allowed();
        assert!(!connection, "{text} lets a connection in");
    }
}

#[test]
fn an_identity_is_one_of_several_and_who_has_none_is_nobody() {
    const FIELDS: [Field; 6] = [
        ("from: [{source: {principals: [td/ns/a/sa/a, td/ns/b/*]}}]", "spiffe://td/ns/b/sa/x", "spiffe://td/ns/c/sa/x"),
        ("from: [{source: {namespaces: [a, b*]}}]", "spiffe://td/ns/bc/sa/x", "spiffe://td/ns/c/sa/x"),
        ("from: [{source: {serviceAccounts: [a/one, b/two]}}]", "spiffe://td/ns/b/sa/two", "spiffe://td/ns/a/sa/two"),
        ("from: [{source: {trustDomains: [one, two]}}]", "spiffe://two/ns/a/sa/x", "spiffe://three/ns/a/sa/x"),
        ("from: [{source: {trustDomains: [two]}}]", "spiffe://two/ns/a/sa/x", "two/ns/a/sa/x"),
        (
            "when: [{key: source.principal, values: [td/ns/a/sa/a, td/ns/b/*]}]",
            "spiffe://td/ns/b/sa/x",
            "spiffe://td/x",
        ),
    ];
    let request = Request::get("/");
    for (text, matching, other) in FIELDS {
        for (principal, expected) in [(Some(matching), true), (Some(other), false), (None, false)] {
            assert_matches(text, &Access::request(&view_of(&request, principal)), expected, "a principal");
        }
    }
}

#[test]
fn an_address_or_a_server_name_is_one_of_several() {
    const FIELDS: [Field; 4] = [
        ("from: [{source: {ipBlocks: [192.0.2.1, 198.51.100.0/24]}}]", "198.51.100.7", "203.0.113.1"),
        ("when: [{key: source.ip, values: [192.0.2.1, 198.51.100.0/24]}]", "::ffff:198.51.100.7", "203.0.113.1"),
        ("when: [{key: destination.ip, values: [192.0.2.1, 198.51.100.0/24]}]", "198.51.100.7", "203.0.113.1"),
        ("when: [{key: connection.sni, values: [a.example, \"*.b.example\"]}]", "x.B.example", "c.example"),
    ];
    let request = Request::get("/");
    for (text, matching, other) in FIELDS {
        for (value, expected) in [(Some(matching), true), (Some(other), false), (None, false)] {
            let mut view = request.view();
            (view.peer.address, view.peer.local_address, view.peer.sni) = (None, None, None);
            match text {
                text if text.contains("sni") => view.peer.sni = value,
                text if text.contains("destination") => {
                    view.peer.local_address = value.map(|text| text.parse().unwrap());
                }
                _ => view.peer.address = value.map(|text| text.parse().unwrap()),
            }
            assert_matches(text, &Access::request(&view), expected, value.unwrap_or("nothing"));
        }
    }
}

#[test]
fn a_token_says_one_of_several_things_and_without_a_token_nothing_is_said() {
    let said = |claims: Value| match claims {
        Value::Object(claims) => Claims::new(claims),
        _ => Claims::default(),
    };
    let request = Request::get("/");
    let fields = [
        (
            "from: [{source: {requestPrincipals: [i/alice, i/b*]}}]",
            json!({"iss": "i", "sub": "bob"}),
            json!({"iss": "j", "sub": "bob"}),
        ),
        (
            "when: [{key: 'request.auth.claims[role]', values: [admin, staff]}]",
            json!({"role": "staff"}),
            json!({"role": "guest"}),
        ),
        (
            "when: [{key: 'request.auth.claims[role]', values: [admin, staff]}]",
            json!({"role": ["guest", "staff"]}),
            json!({"role": ["guest"]}),
        ),
        ("when: [{key: request.auth.audiences, values: [one, two]}]", json!({"aud": "two"}), json!({"aud": "three"})),
        ("when: [{key: request.auth.presenter, values: [one, two]}]", json!({"azp": "two"}), json!({"azp": "three"})),
        // A token without a subject has no principal; one that is lacking a claim does not have it.
        ("from: [{source: {requestPrincipals: [\"*\"]}}]", json!({"iss": "i", "sub": "x"}), json!({"iss": "i"})),
        ("from: [{source: {requestPrincipals: [\"*\"]}}]", json!({"iss": "i", "sub": "x"}), json!({"sub": "x"})),
        (
            "from: [{source: {requestPrincipals: [\"i/x\"]}}]",
            json!({"iss": "i", "sub": "x"}),
            json!({"iss": "i", "sub": ""}),
        ),
    ];
    for (text, matching, other) in fields {
        for (claims, expected) in [(Some(said(matching)), true), (Some(said(other)), false), (None, false)] {
            let mut view = request.view();
            view.peer.claims = claims.as_ref();
            assert_matches(text, &Access::request(&view), expected, "a token");
        }
    }
}

#[test]
fn one_source_one_operation_and_all_conditions_have_to_match() {
    let text = "from: [{source: {namespaces: [a]}}, {source: {namespaces: [b], trustDomains: [td]}}], \
                to: [{operation: {methods: [GET]}}, {operation: {methods: [PUT], paths: [/p]}}], \
                when: [{key: 'request.headers[x-a]', values: [one]}, {key: 'request.headers[x-b]', notValues: [two]}]";
    for (principal, method, path, a, b, expected) in [
        ("spiffe://other/ns/a/sa/x", "GET", "/", "one", "", true),
        ("spiffe://td/ns/b/sa/x", "GET", "/", "one", "", true),
        ("spiffe://other/ns/b/sa/x", "GET", "/", "one", "", false),
        ("spiffe://td/ns/c/sa/x", "GET", "/", "one", "", false),
        ("spiffe://td/ns/b/sa/x", "PUT", "/p", "one", "one", true),
        ("spiffe://td/ns/b/sa/x", "PUT", "/q", "one", "", false),
        ("spiffe://td/ns/b/sa/x", "GET", "/", "two", "", false),
        ("spiffe://td/ns/b/sa/x", "GET", "/", "one", "two", false),
    ] {
        let request = Request::get(path).method(method).header("x-a", a).header("x-b", b);
        let view = view_of(&request, Some(principal));
        assert_matches(text, &Access::request(&view), expected, &format!("{principal} {method} {path} {a} {b}"));
    }
}

#[test]
fn a_list_in_a_header_is_looked_into_only_where_that_is_asked_for() {
    let request = Request::get("/").header("x-roles", "guest, admin");
    for (key, expected) in [("request.experimental.inline.headers[x-roles]", true), ("request.headers[x-roles]", false)]
    {
        let text = format!("when: [{{key: '{key}', values: [admin]}}]");
        assert_matches(&text, &Access::request(&request.view()), expected, "a list");
    }
}

#[test]
fn metadata_of_a_proxy_is_nothing_that_anybody_has() {
    let request = Request::get("/");
    let text = "when: [{key: 'experimental.envoy.filters.a.b[c]', values: [x]}]";
    assert_matches(text, &Access::request(&request.view()), false, "metadata");
}

#[test]
fn what_is_not_known_before_a_request_is_there_is_told() {
    let told = |text: &str| rule("ALLOW", text).looks_at().unknown_in_advance();
    assert_eq!(told("from: [{source: {requestPrincipals: [\"*\"]}}]"), ["a token"]);
    assert_eq!(told("from: [{source: {ipBlocks: [10.0.0.1]}}]").len(), 1);
    assert!(told("to: [{operation: {paths: [/a]}}]").is_empty());
}

#[test]
fn a_place_that_is_not_known_matches_nothing_unless_it_is_asked_to() {
    let request = Request::get("/");
    assert!(!Access::request(&request.view()).unknown_place_closes);
    assert!(!Access::connection(PeerView::default(), 80).unknown_place_closes);
}
