//! Consistent hashing: the same key goes to the very same endpoint.

use serde_json::{Value, json};

use crate::case::{Ask, Case, Endpoints, Key, Outcomes, ask};

fn case(name: &str, endpoints: u8, hash: Value) -> Case {
    let policy = json!({"loadBalancer": {"consistentHash": hash}});
    Case::new(format!("hash {name} of {endpoints}")).endpoints(endpoints).policy(policy)
}

fn keys(key: Key) -> Ask {
    ask(&["200"]).times(150).side_by_side(4).keyed(key).places(Endpoints::Same).shows(&["200 -"])
}

pub(super) fn cases() -> Vec<Case> {
    let header = |algorithm: &str, options: Value| {
        let mut hash = json!({"httpHeaderName": "x-key"});
        hash[algorithm] = options;
        hash
    };
    let ring = |size: u64| header("ringHash", json!({"minimumRingSize": size}));
    let maglev = |size: u64| header("maglev", json!({"tableSize": size}));
    let plain = json!({"httpHeaderName": "x-key"});
    let mut cases = Vec::new();
    for endpoints in [3, 10] {
        cases.push(case("by a ring", endpoints, plain.clone()).ask(keys(Key::Header("x-key"))));
        cases.push(case("by a small ring", endpoints, ring(32)).ask(keys(Key::Header("x-key"))));
        cases.push(case("by Maglev", endpoints, maglev(65_537)).ask(keys(Key::Header("x-key"))));
        cases.push(case("by a small Maglev table", endpoints, maglev(251)).ask(keys(Key::Header("x-key"))));
    }
    let weights = [1, 2, 5, 1, 3];
    cases.extend([
        case("by a ring with weights", 5, ring(1024)).weights(&weights).ask(keys(Key::Header("x-key"))),
        case("by Maglev with weights", 5, maglev(65_537)).weights(&weights).ask(keys(Key::Header("x-key"))),
        case("by a cookie", 5, json!({"httpCookie": {"name": "user"}})).ask(keys(Key::Cookie("user"))),
        case("by a query parameter", 5, json!({"httpQueryParameterName": "user"})).ask(keys(Key::Query("user"))),
        case("without a key", 3, plain.clone())
            .ask(ask(&["200"]).times(600).side_by_side(4).places(Endpoints::Shares).shows(&["200 -"])),
        case("by several values", 10, plain.clone()).ask_all(
            [
                json!([["x-key", "a"], ["x-key", "b"]]),
                json!([["x-key", "b"], ["x-key", "a"]]),
                json!([["x-key", "a,b"]]),
                json!([["x-key", ""]]),
            ]
            .map(|headers| ask(&["200"]).with("headers", headers).places(Endpoints::Same).shows(&["200 -"])),
        ),
        case("with retries, the same endpoint again,", 5, plain.clone())
            .rule(json!({"retries": {"attempts": 2, "retryOn": "5xx", "backoff": "1ms"}}))
            .ask(ask(&["503", "503", "200"]).times(40).keyed(Key::Header("x-key")).places(Endpoints::Same)),
        case("by a ring with retries elsewhere", 5, plain)
            .rule(json!({"retries": {
                "attempts": 2, "retryOn": "5xx", "backoff": "1ms", "retryIgnorePreviousHosts": true
            }}))
            .ask(ask(&["503", "503", "200"]).times(40).keyed(Key::Header("x-key")).places(Endpoints::Same)),
        case("by Maglev with retries elsewhere", 5, maglev(251))
            .rule(json!({"retries": {
                "attempts": 2, "retryOn": "5xx", "backoff": "1ms", "retryIgnorePreviousHosts": true
            }}))
            .ask(
                ask(&["503", "503", "200"])
                    .times(40)
                    .keyed(Key::Header("x-key"))
                    .places(Endpoints::Same)
                    .outcomes(Outcomes::Exact),
            ),
    ]);
    cases
}
