//! What is tried again, and what is not: every token of `retryOn`, each with everything that can go wrong.

use serde_json::json;

use crate::case::{Ask, Case, Endpoints, Outcomes, ask};

/// All tokens; codes and the list that Istio falls back to count too.
const TOKENS: &[&str] = &[
    "5xx",
    "gateway-error",
    "reset",
    "reset-before-request",
    "connect-failure",
    "retriable-4xx",
    "refused-stream",
    "retriable-status-codes",
    "retriable-headers",
    "envoy-ratelimited",
    "http3-post-connect-failure",
    "cancelled",
    "deadline-exceeded",
    "internal",
    "resource-exhausted",
    "unavailable",
    "503,429",
    "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes",
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for token in TOKENS {
        let rule = json!({"retries": {"attempts": 2, "retryOn": token, "perTryTimeout": "400ms", "backoff": "2ms"}});
        let case = |over: &str| Case::new(format!("retries on {token} {over}")).rule(rule.clone());
        cases.push(case("over HTTP/1").ask_all(http1()));
        cases.push(case("over HTTP/2").http2().ask_all(http2()));
        cases.push(case("of what is refused").endpoints(3).closed().ask(ask(&[]).grpc()).ask(ask(&[])));
    }
    cases.extend(policies());
    cases
}

fn http1() -> Vec<Ask> {
    let scripts: &[&[&str]] = &[
        &["200"],
        &["500", "200"],
        &["501", "502", "200"],
        &["503"],
        &["504", "404"],
        &["409", "200"],
        &["429", "200"],
        &["404", "200"],
        &["reset", "200"],
        &["close", "200"],
        &["reset"],
        &["hang", "200"],
        &["503+x-envoy-ratelimited:true", "200"],
        &["200+x-envoy-ratelimited:false", "200"],
        &["503+x-envoy-overloaded:true", "200"],
        &["503+retry-after:1", "200"],
        &["200+grpc-status:14", "200"],
        &["200+grpc-status:1", "200"],
    ];
    let body = || ask(&["503", "reset", "200"]).with("method", "POST").with("body", "some text");
    scripts.iter().map(|script| ask(script)).chain([body()]).collect()
}

fn http2() -> Vec<Ask> {
    let scripts: &[&[&str]] = &[
        &["grpc:0"],
        &["grpc:1", "200"],
        &["grpc:4", "200"],
        &["grpc:8", "200"],
        &["grpc:13", "200"],
        &["grpc:14"],
        &["grpc:2", "200"],
        &["grpc-trailer:14", "200"],
        &["reset", "200"],
        &["close", "200"],
        &["reset"],
        &["503", "200"],
        &["409", "200"],
    ];
    let plain = [&["reset", "200"], &["close", "200"], &["503", "200"]].map(|script| ask(script).with("http", 2));
    scripts.iter().map(|script| ask(script).grpc()).chain(plain).collect()
}

/// Beside the conditions.
fn policies() -> Vec<Case> {
    let retries = |policy: serde_json::Value| json!({"retries": policy});
    let failing = |times: usize| ask(&["503"]).times(times);
    vec![
        Case::new("retries without a policy").ask_all(http1().into_iter().filter(|ask| !ask.name.starts_with("hang"))),
        Case::new("retries switched off")
            .rule(retries(json!({"attempts": 0})))
            .ask_all([ask(&["503", "200"]).shows(&["503 -"]), ask(&["reset", "200"]).shows(&["503 UC"])]),
        Case::new("retries avoid endpoints that were tried")
            .endpoints(4)
            .rule(retries(json!({"attempts": 3, "retryOn": "5xx", "backoff": "1ms"})))
            .ask(failing(100).shows(&["503 URX"])),
        Case::new("retries go anywhere")
            .endpoints(4)
            .policy(json!({"loadBalancer": {"simple": "RANDOM"}}))
            .rule(retries(json!({
                "attempts": 3, "retryOn": "5xx", "backoff": "1ms", "retryIgnorePreviousHosts": false
            })))
            .ask(ask(&["503"]).at(1, &["200"]).times(800).outcomes(Outcomes::Shares).places(Endpoints::Shares)),
        Case::new("retries find the one that listens")
            .endpoints(3)
            .closed_but(2)
            .rule(retries(json!({"attempts": 5, "retryOn": "connect-failure", "backoff": "1ms"})))
            .ask(ask(&["200"]).times(90).shows(&["200 -"]).outcomes(Outcomes::Shares).places(Endpoints::Used)),
        Case::new("retries wait longer each time")
            .rule(retries(json!({"attempts": 3, "retryOn": "5xx", "backoff": "100ms"})))
            .ask(ask(&["503", "503", "503", "200"]).times(60).side_by_side(20).shows(&["200 -"]).alike_in_time()),
    ]
}
