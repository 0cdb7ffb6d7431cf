use serde_json::{Value, json};

use super::*;
use crate::route::Action;
use crate::route::testing::{Request, lower, lower_error};

fn location(matches: &Value, redirect: &Value, request: &Request) -> String {
    let route = lower(json!({"match": [matches], "redirect": redirect}));
    assert!(route.is_match(&request.view()), "{request:?}");
    let Action::Redirect(redirect) = &route.action else { panic!("{:?}", route.action) };
    redirect.location(&request.view()).to_str().unwrap().to_owned()
}

fn check_paths(matches: &Value, redirect: &Value, rows: &[(&str, &str)]) {
    for (target, expected) in rows {
        let location = location(matches, redirect, &Request::get(target));
        assert_eq!(location, format!("http://reviews{expected}"), "{target} {redirect}");
    }
}

#[test]
fn a_uri_replaces_the_path_and_keeps_the_query_unless_it_has_one() {
    let prefix = |prefix: &str| json!({"uri": {"prefix": prefix}});
    let uri = |uri: &str| json!({"uri": uri});
    check_paths(
        &prefix("/old"),
        &uri("/new"),
        &[("/old", "/new"), ("/old?a=1&b=2", "/new?a=1&b=2"), ("/old?", "/new?"), ("/old/x?x=%2F", "/new?x=%2F")],
    );
    check_paths(&prefix("/w"), &uri("/new?fixed=1"), &[("/w", "/new?fixed=1"), ("/w?mine=2", "/new?fixed=1")]);
    check_paths(&prefix("/f"), &uri("/new#top"), &[("/f?q=1", "/new#top?q=1")]);
    check_paths(&prefix("/n"), &uri("relative/path"), &[("/n?q=1", "/relative/path?q=1")]);
    check_paths(&prefix("/a"), &uri("http://e.example/x"), &[("/a?q=1", "/http://e.example/x?q=1")]);
    check_paths(&prefix("/p"), &uri("/a%20b/%25/%41"), &[("/p", "/a%20b/%25/%41")]);
}

#[test]
fn a_prefix_is_swapped_and_the_rest_kept() {
    let prefix = |prefix: &str| json!({"uri": {"prefix": prefix}});
    let rewrite = |with: &str| json!({"prefixRewrite": with});
    check_paths(&prefix("/api/"), &rewrite("/v2/"), &[("/api/u/1?x=1", "/v2/u/1?x=1"), ("/api/", "/v2/")]);
    check_paths(&prefix("/bare"), &rewrite("/"), &[("/bare", "/"), ("/bare/x", "//x"), ("/barex", "/x")]);
    check_paths(&prefix("/q"), &rewrite("/p?fixed=1"), &[("/qq/r?mine=1", "/p?fixed=1q/r?mine=1")]);
    check_paths(&prefix(""), &rewrite("/any"), &[("/", "/any/")]);
    check_paths(&json!({}), &rewrite("/all"), &[("/some/where?a=b", "/allsome/where?a=b"), ("/", "/all")]);
    let loose = json!({"uri": {"prefix": "/Case"}, "ignoreUriCase": true});
    check_paths(&loose, &rewrite("/lower"), &[("/CASE/abc", "/lower/abc"), ("/case", "/lower")]);
}

#[test]
fn authority_and_scheme_are_replaced() {
    let any = json!({});
    for (redirect, authority, expected) in [
        (json!({"authority": "other.example"}), "reviews", "http://other.example/x?y=1"),
        (json!({"authority": "other.example"}), "reviews:9080", "http://other.example/x?y=1"),
        (json!({"authority": "other.example:8443"}), "reviews:9080", "http://other.example:8443/x?y=1"),
        (json!({"authority": "Other.EXAMPLE"}), "reviews", "http://Other.EXAMPLE/x?y=1"),
        (json!({"scheme": "https"}), "reviews", "https://reviews/x?y=1"),
        (json!({"scheme": "https"}), "reviews:9080", "https://reviews:9080/x?y=1"),
        (json!({"scheme": "https"}), "REVIEWS", "https://REVIEWS/x?y=1"),
        (json!({"scheme": "https"}), "reviews:80", "https://reviews/x?y=1"),
        (json!({"scheme": "https"}), "reviews:443", "https://reviews:443/x?y=1"),
        (json!({"scheme": "https"}), "[::1]", "https://[::1]/x?y=1"),
        (json!({"scheme": "https"}), "[::1]:80", "https://[::1]/x?y=1"),
        (json!({"scheme": "https", "authority": "s.example", "uri": "/l"}), "reviews", "https://s.example/l?y=1"),
    ] {
        let request = Request::get("/x?y=1").authority(authority);
        assert_eq!(location(&any, &redirect, &request), expected, "{redirect} {authority}");
    }
}

#[test]
fn the_scheme_that_is_kept_is_the_requests() {
    let request = Request::get("/x").scheme(Scheme::Https).header("x-forwarded-proto", "https");
    assert_eq!(location(&json!({}), &json!({"authority": "o.example"}), &request), "https://o.example/x");
    let request = request.authority("reviews:443");
    assert_eq!(location(&json!({}), &json!({"scheme": "http"}), &request), "http://reviews/x");
}

#[test]
fn a_port_replaces_the_one_in_the_authority_unless_the_scheme_means_it() {
    for (redirect, authority, expected) in [
        (json!({"port": 8443, "scheme": "https"}), "a", "https://a:8443/x"),
        (json!({"port": 8443, "scheme": "https"}), "a:80", "https://a:8443/x"),
        (json!({"port": 8443, "authority": "b"}), "a", "http://b:8443/x"),
        (json!({"port": 443, "scheme": "https"}), "a:8080", "https://a:8080/x"),
        (json!({"port": 80}), "a:8080", "http://a:8080/x"),
        (json!({"derivePort": "FROM_PROTOCOL_DEFAULT", "scheme": "https"}), "a:8080", "https://a:8080/x"),
        (json!({"derivePort": "FROM_REQUEST_PORT"}), "a:1", "http://a:9080/x"),
        (json!({"derivePort": "FROM_REQUEST_PORT"}), "a", "http://a:9080/x"),
    ] {
        let request = Request::get("/x").authority(authority);
        assert_eq!(location(&json!({}), &redirect, &request), expected, "{redirect} {authority}");
    }
}

#[test]
fn only_five_codes_are_redirects() {
    for (code, expected) in [(0, 301), (301, 301), (302, 302), (303, 303), (307, 307), (308, 308)] {
        let route = lower(json!({"redirect": {"uri": "/", "redirectCode": code}}));
        let Action::Redirect(redirect) = &route.action else { panic!("{:?}", route.action) };
        assert_eq!(redirect.status.as_u16(), expected);
    }
    for code in [200, 300, 304, 305, 309, 400, 70_000] {
        let error = lower_error(json!({"redirect": {"uri": "/", "redirectCode": code}}));
        assert_eq!(error.path, "redirect.redirectCode");
    }
}

#[test]
fn what_a_location_cannot_hold_is_refused() {
    for (field, value) in [("uri", "/a\nb"), ("authority", "a\r\n"), ("scheme", "ftp"), ("prefixRewrite", "/\u{7f}")] {
        let error = lower_error(json!({"redirect": {field: value}}));
        assert_eq!(error.path, format!("redirect.{field}"));
    }
    assert_eq!(lower_error(json!({"redirect": {"port": 65_536}})).path, "redirect.port");
}

#[test]
fn an_https_redirect_keeps_the_port_of_the_host() {
    for (authority, expected) in
        [("a", "https://a/x?q"), ("a:8080", "https://a:8080/x?q"), ("a:80", "https://a:80/x?q")]
    {
        let request = Request::get("/x?q").authority(authority);
        assert_eq!(Redirect::to_https().location(&request.view()), expected);
    }
}
