use super::*;
use crate::route::testing::{Request, lower, lower_error, values};

/// Rewrites a path by a rule: what it becomes, and `x-envoy-original-path`.
fn rewritten(matches: &serde_json::Value, rewrite: &serde_json::Value, target: &str) -> (String, String) {
    let rule = serde_json::json!({
        "match": [matches], "rewrite": rewrite, "route": [{"destination": {"host": "a"}}],
    });
    let route = lower(rule);
    assert!(route.is_match(&Request::get(target).view()), "{target}");
    let mut parts = Request::get(target).header("x-envoy-original-path", "/mine").parts();
    route.forward().rewrite.as_ref().unwrap().apply(&mut parts);
    let original = values(&parts.headers, "x-envoy-original-path").join(",");
    (parts.uri.path_and_query().unwrap().to_string(), original)
}

fn check(matches: &serde_json::Value, rewrite: &serde_json::Value, rows: &[(&str, &str)]) {
    for (target, expected) in rows {
        let (path, original) = rewritten(matches, rewrite, target);
        assert_eq!(path, *expected, "{target} {matches} {rewrite}");
        assert_eq!(original, *target, "{matches} {rewrite}");
    }
}

#[test]
fn a_prefix_is_replaced_and_the_rest_stays() {
    use serde_json::json;
    let prefix = |prefix: &str| json!({"uri": {"prefix": prefix}});
    let uri = |uri: &str| json!({"uri": uri});
    check(&prefix("/api/"), &uri("/"), &[("/api/a/b?x=1", "/a/b?x=1"), ("/api/", "/"), ("/api//x", "//x")]);
    check(&prefix("/bare"), &uri("/"), &[("/bare", "/"), ("/bare/x", "//x"), ("/barex?y", "/x?y")]);
    check(
        &prefix("/ratings"),
        &uri("/v1/bookRatings"),
        &[("/ratings/7?z=1", "/v1/bookRatings/7?z=1"), ("/ratings?z=/ratings", "/v1/bookRatings?z=/ratings")],
    );
    check(&prefix("/trail/"), &uri("/gone"), &[("/trail/x", "/gonex"), ("/trail/", "/gone")]);
    check(&prefix("/qs"), &uri("/p?fixed=1"), &[("/qs", "/p?fixed=1"), ("/qs/z?mine=1", "/p?fixed=1/z?mine=1")]);
    check(&prefix(""), &uri("/any"), &[("/", "/any/"), ("/x/y?q=1", "/any/x/y?q=1")]);
    let loose = json!({"uri": {"prefix": "/Mixed"}, "ignoreUriCase": true});
    check(&loose, &uri("/m"), &[("/MIXED/Path", "/m/Path"), ("/mixed", "/m")]);
}

#[test]
fn an_exact_path_or_a_regex_is_replaced_whole() {
    use serde_json::json;
    let uri = |uri: &str| json!({"uri": uri});
    check(&json!({"uri": {"exact": "/e"}}), &uri("/s"), &[("/e", "/s"), ("/e?x=1", "/s?x=1"), ("/e?", "/s?")]);
    check(
        &json!({"uri": {"regex": "^/anch(/.*)?$"}}),
        &uri("/to/"),
        &[("/anch", "/to/"), ("/anch/x/y?q=/z", "/to/?q=/z")],
    );
}

#[test]
fn a_rule_without_uri_replaces_the_first_slash() {
    use serde_json::json;
    check(
        &json!({"method": {"exact": "GET"}}),
        &json!({"uri": "/rest"}),
        &[("/plain/path?x=1", "/restplain/path?x=1"), ("/", "/rest"), ("//double", "/rest/double")],
    );
}

#[test]
fn a_regex_replaces_every_place_but_not_in_the_query() {
    use serde_json::json;
    let any = json!({"uri": {"prefix": "/"}});
    let regex = |pattern: &str, rewrite: &str| json!({"uriRegexRewrite": {"match": pattern, "rewrite": rewrite}});
    for (pattern, rewrite, rows) in [
        (
            "^/service/([^/]+)(/.*)$",
            r"/c\2/\1",
            &[("/service/u/v1?q=2", "/c/v1/u?q=2"), ("/service/u", "/service/u")][..],
        ),
        ("o", "0", &[("/repo/foo?o=o", "/rep0/f00?o=o"), ("/rep", "/rep")]),
        ("(?i)/xxx/", "/yyy/", &[("/a/XxX/b", "/a/yyy/b"), ("/a/xxx/xxx/", "/a/yyy/xxx/")]),
        ("b+", r"x\0x", &[("/abbbc", "/axbbbxc")]),
        (r"^/opt/(a)?(b)?.*$", r"/1=\1/2=\2", &[("/opt/ab", "/1=a/2=b"), ("/opt/b", "/1=/2=b"), ("/opt/", "/1=/2=")]),
        ("/([0-9]+)", r"/$1/\1", &[("/d/42", "/d/$1/42"), ("/d/4/2", "/d/$1/4/$1/2")]),
        ("^/toquery/(.*)$", r"/find?name=\1", &[("/toquery/j?x=1", "/find?name=j?x=1")]),
        ("^/(.)(.)(.)(.)(.)(.)(.)(.)(.)(.).*", r"/\9\8\7\6\5\4\3\2\1\10", &[("/abcdefghijk", "/ihgfedcbaa0")]),
        ("z*", "-", &[("/ab", "/-/-a-b-"), ("/azzb", "/-/-a-b-")]),
        ("%2[fF]", "/", &[("/a%2Fb%2fc?d=%2F", "/a/b/c?d=%2F")]),
        ("^/lazy/(?P<first>.*?)/(.*)$", r"/\2/\1", &[("/lazy/a/b/c", "/b/c/a")]),
        ("a", r"\1", &[("/aa", "/aa")]),
    ] {
        check(&any, &regex(pattern, rewrite), rows);
    }
}

#[test]
fn a_path_gets_the_slash_that_http_asks_for() {
    use serde_json::json;
    check(&json!({"uri": {"prefix": "/rel"}}), &json!({"uri": "relative"}), &[("/rel/x", "/relative/x")]);
}

#[test]
fn a_replacement_that_cannot_be_a_path_is_refused() {
    use serde_json::json;
    for (rewrite, path) in [
        (json!({"uri": "/a b"}), "rewrite.uri"),
        (json!({"uri": "/a#b"}), "rewrite.uri"),
        (json!({"authority": "a b"}), "rewrite.authority"),
        (json!({"uriRegexRewrite": {"match": "(", "rewrite": "a"}}), "rewrite.uriRegexRewrite.match"),
        (json!({"uriRegexRewrite": {"match": "a", "rewrite": "\\x"}}), "rewrite.uriRegexRewrite.rewrite"),
        (json!({"uriRegexRewrite": {"match": "a", "rewrite": "\n"}}), "rewrite.uriRegexRewrite.rewrite"),
    ] {
        let rule = json!({"rewrite": rewrite, "route": [{"destination": {"host": "a"}}]});
        assert_eq!(lower_error(rule).path, path, "{rewrite}");
    }
}

#[test]
fn the_authority_is_replaced_and_remembered() {
    let route = lower(serde_json::json!({
        "rewrite": {"authority": "after.example:81"}, "route": [{"destination": {"host": "a"}}],
    }));
    let mut parts = Request::get("/x?q=1").authority("Reviews:9080").header("x-envoy-original-host", "mine").parts();
    route.forward().rewrite.as_ref().unwrap().apply(&mut parts);
    assert_eq!(parts.uri, "http://after.example:81/x?q=1");
    assert_eq!(values(&parts.headers, "x-envoy-original-host"), ["Reviews:9080"]);
    assert!(!parts.headers.contains_key(ORIGINAL_PATH));
}

proptest::proptest! {
    #[test]
    fn the_query_survives_every_rewrite(path in "/[a-c/]{0,8}", query in "[a-c=&?]{0,8}", with in "/[a-c/]{0,4}") {
        let target = format!("{path}?{query}");
        let (rewritten, original) =
            rewritten(&serde_json::json!({}), &serde_json::json!({"uri": with}), &target);
        proptest::prop_assert_eq!(rewritten, format!("{with}{}?{query}", &path[1..]));
        proptest::prop_assert_eq!(original, target);
    }
}
