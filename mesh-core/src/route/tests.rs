use std::time::Duration;

use serde_json::json;

use super::testing::{Request, lower, try_lower};
use super::*;

#[test]
fn a_rule_has_a_route_for_each_match_block() {
    let rule = json!({
        "name": "rule", "match": [{"name": "a", "uri": {"exact": "/a"}}, {"uri": {"exact": "/b"}}],
        "route": [{"destination": {"host": "reviews"}}],
    });
    let routes = try_lower(rule).unwrap();
    let names: Vec<_> = routes.iter().map(|route| &*route.name).collect();
    assert_eq!(names, ["rule.a", "rule"]);
    assert!(routes[1].is_match(&Request::get("/b").view()) && !routes[1].is_match(&Request::get("/a").view()));
}

#[test]
fn a_block_for_other_callers_has_none() {
    let rule = |matches| json!({"match": matches, "route": [{"destination": {"host": "reviews"}}]});
    let some = try_lower(rule(json!([{"sourceLabels": {"app": "other"}}, {"port": 9080}]))).unwrap();
    assert_eq!(some.len(), 1);
    assert!(try_lower(rule(json!([{"port": 80}]))).unwrap().is_empty());
}

#[test]
fn a_rule_without_name_is_named_after_its_block() {
    let rule = json!({"match": [{"name": "a"}], "route": [{"destination": {"host": "reviews"}}]});
    assert_eq!(&*lower(rule).name, ".a");
}

#[test]
fn an_error_in_a_block_names_the_block() {
    let rule = json!({"match": [{}, {"uri": {"regex": "("}}], "route": [{"destination": {"host": "reviews"}}]});
    assert_eq!(try_lower(rule).unwrap_err().path, "match[1].uri.regex");
}

#[test]
fn connect_is_taken_by_no_route() {
    let route = lower(json!({"route": [{"destination": {"host": "reviews"}}]}));
    assert!(route.is_match(&Request::get("/").view()));
    assert!(!route.is_match(&Request::get("/").method("CONNECT").view()));
}

#[test]
fn a_timeout_of_zero_is_none() {
    let timeout = |timeout| lower(json!({"timeout": timeout, "route": [{"destination": {"host": "reviews"}}]})).timeout;
    assert_eq!(timeout("1.5s"), Some(Duration::from_millis(1500)));
    assert_eq!(timeout("0s"), None);
}

#[test]
fn only_a_bare_prefix_or_regex_is_a_catch_all() {
    let is_catch_all =
        |block| lower(json!({"match": [block], "route": [{"destination": {"host": "reviews"}}]})).is_catch_all();
    for (block, expected) in [
        (json!({}), true),
        (json!({"port": 9080}), true),
        (json!({"uri": {"prefix": "/"}}), true),
        (json!({"uri": {"regex": ".*"}}), true),
        (json!({"uri": {"prefix": ""}}), false),
        (json!({"uri": {"regex": "/.*"}}), false),
        (json!({"method": {"regex": ".*"}}), false),
        (json!({"withoutHeaders": {"x-a": {}}}), false),
    ] {
        assert_eq!(is_catch_all(block.clone()), expected, "{block}");
    }
}

#[test]
fn an_origin_says_where_a_rule_stands() {
    assert_eq!(
        RuleOrigin::virtual_service("default", "reviews", 2).to_string(),
        "VirtualService default/reviews http[2]"
    );
    assert_eq!(RuleOrigin::service("default", "a.default.svc").to_string(), "Service default/a.default.svc");
    assert_eq!(RuleOrigin::built_in("outboundTrafficPolicy").to_string(), "setting outboundTrafficPolicy");
}
