//! What rules do to requests and answers.

use serde_json::{Value, json};

use crate::case::{Case, Endpoints, Outcomes, ask};

fn case(name: &str, rule: Value) -> Case {
    Case::new(format!("action: {name}")).rule(rule)
}

pub(super) fn cases() -> Vec<Case> {
    let operations = json!({
        "set": {"x-set": "new", "x-both": "set", "x-method": "%REQ(:METHOD)%"},
        "add": {"x-add": "more", "x-both": "added"},
        "remove": ["x-gone", "x-renewed"],
    });
    let mut both = json!({"headers": {"request": operations.clone(), "response": operations}});
    both["headers"]["request"]["add"]["x-renewed"] = "new".into();
    let own = json!([["x-set", "old"], ["x-add", "one"], ["x-gone", "here"], ["x-renewed", "old"], ["x-both", "old"]]);
    let answer = "200+x-set:old+x-add:one+x-gone:here+x-renewed:old";
    let own = vec![
        case("headers", both.clone()).ask_all([
            ask(&[answer]).with("headers", own.clone()).shows(&["200 -"]),
            ask(&[answer]).with("method", "POST").with("body", "text").shows(&["200 -"]),
            ask(&["reset"]).shows(&["503 UC"]),
        ]),
        case("headers over HTTP/2", both).http2().ask(ask(&[answer]).grpc().shows(&["200 grpc 0 -"])),
        case("redirect of the path", json!({"redirect": {"uri": "/new"}})).ask_all([
            ask(&[]).with("path", "/old?q=1").shows(&["301 -"]),
            ask(&[]).with("path", "/old").grpc().shows(&["200 grpc 2 -"]),
        ]),
        case(
            "redirect of all",
            json!({"redirect": {
                "uri": "/new?a=b", "authority": "other.test", "scheme": "https", "redirectCode": 308
            }}),
        )
        .ask(ask(&[]).with("path", "/old?q=1").shows(&["308 -"])),
        case("redirect to a port", json!({"redirect": {"authority": "other.test", "port": 8443, "redirectCode": 302}}))
            .ask(ask(&[]).with("path", "/old?q=1").shows(&["302 -"])),
        case("direct response", json!({"directResponse": {"status": 418, "body": {"string": "teapot"}}})).ask_all([
            ask(&[]).shows(&["418 -"]),
            ask(&[]).with("method", "HEAD").shows(&["418 -"]),
            ask(&[]).grpc().shows(&["200 grpc 2 -"]),
        ]),
        case(
            "direct response without a body",
            json!({"directResponse": {"status": 503}, "headers": {"response": {"set": {"x-a": "b"}}}}),
        )
        .ask(ask(&[]).shows(&["503 -"])),
        case("rewrite of a prefix", json!({"match": [{"uri": {"prefix": "/api/"}}], "rewrite": {"uri": "/"}})).ask_all(
            [
                ask(&["200"]).with("path", "/api/v1/x?q=1").shows(&["200 -"]),
                ask(&["200"]).with("path", "/apiv1").shows(&["404 NR"]),
            ],
        ),
        case("rewrite of the authority", json!({"rewrite": {"authority": "other.test"}}))
            .ask(ask(&["200"]).shows(&["200 -"])),
        case("match of a whole path", json!({"match": [{"uri": {"exact": "/one"}}]})).ask_all([
            ask(&["200"]).with("path", "/one?q=1").shows(&["200 -"]),
            ask(&["200"]).with("path", "/one/").shows(&["404 NR"]),
            ask(&["200"]).with("path", "/two").grpc().shows(&["200 grpc 12 NR"]),
        ]),
        case(
            "mirror",
            json!({
                "route": [{"destination": {"host": "HOST", "subset": "v1"}}],
                "mirror": {"host": "HOST", "subset": "v2"},
            }),
        )
        .endpoints(2)
        .versions(&["v1", "v2"])
        .ask_all([
            ask(&["200"]).with("path", "/copied?q=1").shows(&["200 -"]),
            ask(&["200"]).with("method", "POST").with("body", "copied").shows(&["200 -"]),
            ask(&["503"]).at(2, &["500"]).shows(&["503 -"]),
        ]),
        case("headers that are not the caller's to set", json!({})).ask(
            ask(&["200"])
                .with(
                    "headers",
                    json!([["x-envoy-attempt-count", "7"], ["x-forwarded-proto", "https"], ["te", "gzip"]]),
                )
                .shows(&["200 -"]),
        ),
        case("answers without a body", json!({})).ask_all([
            ask(&["204"]).shows(&["204 -"]),
            ask(&["304+etag:x"]).shows(&["304 -"]),
            ask(&["200"]).with("method", "HEAD").shows(&["200 -"]),
        ]),
        case("HTTP/1 callers of HTTP/2 endpoints", json!({})).http2().ask_all([
            ask(&["200+x-a:b"]).shows(&["200 -"]),
            ask(&["204"]).with("method", "POST").with("body", "text").shows(&["204 -"]),
            ask(&["reset"]).with("method", "POST").with("body", "text").shows(&["503 URX,UR"]),
        ]),
        case(
            "mirror of half, split as well",
            json!({
                "route": [
                    {"destination": {"host": "HOST", "subset": "v1"}, "weight": 50},
                    {"destination": {"host": "HOST", "subset": "v2"}, "weight": 50},
                ],
                "mirror": {"host": "HOST", "subset": "v3"},
                "mirrorPercentage": {"value": 50.0},
            }),
        )
        .endpoints(3)
        .versions(&["v1", "v2", "v3"])
        .ask(ask(&["200"]).times(400).side_by_side(20).outcomes(Outcomes::Shares).places(Endpoints::Shares)),
    ];
    own.into_iter().chain(direct_responses()).chain(redirects()).collect()
}

/// To callers of both kinds.
fn direct_responses() -> impl Iterator<Item = Case> {
    [200, 201, 204, 301, 304, 400, 401, 403, 404, 412, 429, 500, 502, 503, 504, 599].into_iter().map(|status| {
        let rule = json!({"directResponse": {"status": status, "body": {"string": "text, %REQ(a)%"}}});
        let case = case(&format!("direct response {status}"), rule).ask_all([ask(&[]), ask(&[]).grpc()]);
        // Over HTTP/2 Envoy sends a body where HTTP has none.
        if matches!(status, 204 | 304) { case } else { case.ask(ask(&[]).with("http", 2)) }
    })
}

/// By what the caller named as host.
fn redirects() -> impl Iterator<Item = Case> {
    let redirects = [
        json!({"uri": "/x"}),
        json!({"uri": "/x", "scheme": "https"}),
        json!({"uri": "/x?own=1", "port": 80}),
        json!({"scheme": "https", "port": 443}),
        json!({"authority": "other.test"}),
        json!({"authority": "other.test", "port": 8443}),
        json!({"authority": "other.test", "scheme": "https", "redirectCode": 307}),
    ];
    redirects.into_iter().map(|redirect| {
        let asks = ["HOST", "HOST:80", "HOST:8080", "HOST:443"];
        let asks = asks.map(|authority| ask(&[]).with("path", "/old?q=1").with("authority", authority));
        case(&format!("redirect {redirect}"), json!({"redirect": redirect})).ask_all(asks)
    })
}
