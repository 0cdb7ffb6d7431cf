use serde_json::{Value as Json, json};

use super::*;
use crate::route::testing::{lower_error, parse, values};

fn level(rule: Json, destination: Json) -> HeaderLevel {
    HeaderLevel::lower(Some(&parse(rule)), Some(&parse(destination))).unwrap()
}

fn request_ops(operations: &Json) -> HeaderOps {
    level(json!({"request": operations}), json!({})).request
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, value.parse().unwrap());
    }
    headers
}

/// Applies operations; a template renders the `x-in` there is.
fn applied(ops: &HeaderOps, before: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = headers(before);
    ops.apply(&mut headers, |_, headers| headers.get("x-in").map_or_else(Vec::new, |value| value.as_bytes().to_vec()));
    headers
}

#[test]
fn removals_come_before_set_before_add() {
    for (operations, expected) in [
        (json!({"remove": ["x-a"], "add": {"x-a": "new"}}), &["new"][..]),
        (json!({"remove": ["X-A"], "set": {"x-a": "new"}}), &["new"]),
        (json!({"remove": ["x-a"], "set": {"x-a": "set"}, "add": {"x-a": "add"}}), &["set", "add"]),
        (json!({"set": {"x-a": "new"}}), &["new"]),
        (json!({"add": {"x-a": "new"}}), &["1", "3", "new"]),
        (json!({"remove": ["x-a", "x-not-there"]}), &[]),
    ] {
        let after = applied(&request_ops(&operations), &[("x-a", "1"), ("x-a", "3")]);
        assert_eq!(values(&after, "x-a"), expected, "{operations}");
    }
}

#[test]
fn an_empty_value_does_nothing() {
    for operations in [
        json!({"set": {"x-a": ""}}),
        json!({"add": {"x-a": ""}}),
        json!({"set": {"x-a": "%REQ(x-in)%"}, "add": {"x-b": "%REQ(x-in)%"}}),
    ] {
        let after = applied(&request_ops(&operations), &[("x-a", "1")]);
        assert_eq!(values(&after, "x-a"), ["1"], "{operations}");
        assert!(!after.contains_key("x-b"));
    }
}

#[test]
fn values_are_rendered_after_the_removals_and_before_the_rest() {
    let ops = request_ops(&json!({"set": {"x-in": "new", "x-z": "%REQ(x-in)%"}, "add": {"x-y": "%REQ(x-in)%"}}));
    let after = applied(&ops, &[("x-in", "old")]);
    assert_eq!(
        (values(&after, "x-in"), values(&after, "x-z"), values(&after, "x-y")),
        (vec!["new"], vec!["old"], vec!["old"])
    );
    let ops = request_ops(&json!({"remove": ["x-in"], "set": {"x-copy": "%REQ(x-in)%"}}));
    assert!(applied(&ops, &[("x-in", "old")]).is_empty());
}

#[test]
fn what_envoy_keeps_as_one_value_is_added_to_with_a_comma() {
    let operations = json!({
        "set": {"content-type": "text/xml", "user-agent": "mesh"},
        "add": {"content-type": "text/plain", "user-agent": "more", "cookie": "b=2", "accept": "*/*"},
    });
    let before = [("content-type", "application/json"), ("cookie", "a=1"), ("accept", "text/html")];
    let after = applied(&request_ops(&operations), &before);
    assert_eq!(values(&after, "content-type"), ["text/xml,text/plain"]);
    assert_eq!(values(&after, "user-agent"), ["mesh,more"]);
    assert_eq!(values(&after, "accept"), ["text/html,*/*"]);
    assert_eq!(values(&after, "cookie"), ["a=1", "b=2"]);
}

#[test]
fn responses_keep_other_headers_as_one_value() {
    let ops =
        level(json!({"response": {"add": {"set-cookie": "b=2", "vary": "origin", "server": "b"}}}), json!({})).response;
    let after = applied(&ops, &[("set-cookie", "a=1"), ("vary", "accept"), ("server", "a")]);
    assert_eq!(values(&after, "set-cookie"), ["a=1", "b=2"]);
    assert_eq!(values(&after, "vary"), ["accept", "origin"]);
    assert_eq!(values(&after, "server"), ["a,b"]);
}

#[test]
fn a_single_destination_is_one_level_with_its_rule() {
    for (rule, destination, expected) in [
        (json!({"set": {"x-a": "rule"}}), json!({"set": {"x-a": "dest"}}), &["dest"][..]),
        (json!({"add": {"x-a": "rule"}}), json!({"add": {"x-a": "dest"}}), &["own", "rule", "dest"]),
        (json!({"add": {"x-a": "rule"}}), json!({"remove": ["x-a"]}), &["rule"]),
        (json!({"remove": ["x-a"]}), json!({"add": {"x-a": "dest"}}), &["dest"]),
        (json!({"add": {"x-a": "rule"}}), json!({"set": {"x-a": "dest"}}), &["dest", "rule"]),
        (json!({"set": {"x-a": "rule"}}), json!({"add": {"x-a": "dest"}}), &["rule", "dest"]),
    ] {
        let ops = level(json!({"request": rule}), json!({"request": destination})).request;
        assert_eq!(values(&applied(&ops, &[("x-a", "own")]), "x-a"), expected, "{rule} {destination}");
    }
}

#[test]
fn host_is_an_authority_and_not_a_header() {
    for key in ["host", "Host", ":authority"] {
        for list in ["set", "add"] {
            let level = level(json!({"request": {list: {key: "other.example:81"}}}), json!({}));
            assert_eq!(level.authority.unwrap(), "other.example:81");
            assert!(level.request.is_empty());
        }
    }
    let both = level(json!({"request": {"set": {"host": "rule"}}}), json!({"request": {"set": {"host": "dest"}}}));
    assert_eq!(both.authority.unwrap(), "rule");
}

#[test]
fn what_no_header_can_be_is_refused_with_its_field() {
    let route = json!([{"destination": {"host": "a"}}]);
    for (headers, path) in [
        (json!({"request": {"remove": ["x-a", "host"]}}), "headers.request.remove[1]"),
        (json!({"request": {"set": {":path": "/"}}}), "headers.request.set.:path"),
        (json!({"request": {"set": {"": "a"}}}), "headers.request.set."),
        (json!({"request": {"set": {"a b": "a"}}}), "headers.request.set.a b"),
        (json!({"request": {"set": {"host": "a b"}}}), "headers.request.set.host"),
        (json!({"response": {"set": {"host": "a"}}}), "headers.response.set.host"),
        (json!({"response": {"add": {"x-a": "a\nb"}}}), "headers.response.add.x-a"),
        (json!({"response": {"add": {"x-a": "%NO_SUCH_COMMAND%"}}}), "headers.response.add.x-a"),
    ] {
        assert_eq!(lower_error(json!({"headers": headers, "route": route})).path, path, "{headers}");
    }
    let destination = json!([{"destination": {"host": "a"}, "headers": {"request": {"set": {"x-a": "%"}}}}]);
    assert_eq!(lower_error(json!({"route": destination})).path, "route[0].headers.request.set.x-a");
    let several = json!([
        {"destination": {"host": "a"}, "weight": 1},
        {"destination": {"host": "b"}, "weight": 1, "headers": {"request": {"set": {"x-a": "%"}}}},
    ]);
    assert_eq!(lower_error(json!({"route": several})).path, "route[1].headers.request.set.x-a");
}

#[test]
fn values_may_be_any_text() {
    let ops = request_ops(&json!({"set": {"x-utf8": "grüße", "x-tab": "a\tb", "x-percent": "100%%"}}));
    let after = applied(&ops, &[]);
    assert_eq!(after["x-utf8"].as_bytes(), "grüße".as_bytes());
    assert_eq!((values(&after, "x-tab"), values(&after, "x-percent")), (vec!["a\tb"], vec!["100%"]));
}
