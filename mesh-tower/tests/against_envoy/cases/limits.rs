//! Limits of a cluster, and what is over them.

use serde_json::{Value, json};

use crate::case::{Ask, Case, Outcomes, ask};

pub(super) fn cases() -> Vec<Case> {
    let pool = |tcp: Value, http: Value| json!({"connectionPool": {"tcp": tcp, "http": http}});
    let slow = || ask(&["delay:500:200"]);
    let retried = json!({"retries": {"attempts": 2, "retryOn": "5xx", "backoff": "1ms"}});
    // A first try that fails at once, and a second one that keeps its slot.
    let failing = || ask(&["503", "delay:500:200"]);
    vec![
        Case::new("limit of connections and pending requests")
            .policy(pool(json!({"maxConnections": 1}), json!({"http1MaxPendingRequests": 1})))
            .ask(slow().at_once(4, 40).shows(&["200 -", "503 UO"])),
        Case::new("limit of connections alone makes them wait")
            .policy(pool(json!({"maxConnections": 1}), json!({})))
            .ask(ask(&["delay:100:200"]).at_once(4, 10).shows(&["200 -"])),
        Case::new("limit of connections grants every endpoint one")
            .endpoints(3)
            .policy(json!({"loadBalancer": {"simple": "ROUND_ROBIN"},
                "connectionPool": {"tcp": {"maxConnections": 1}, "http": {"http1MaxPendingRequests": 1}}}))
            .ask(slow().at_once(3, 40).shows(&["200 -"])),
        Case::new("limit of pending requests, while connections are made at once")
            .policy(pool(json!({}), json!({"http1MaxPendingRequests": 1})))
            .ask(slow().at_once(4, 60).shows(&["200 -"])),
        Case::new("limit of requests over HTTP/1")
            .policy(pool(json!({}), json!({"http2MaxRequests": 2})))
            .ask(slow().at_once(5, 40).shows(&["200 -", "503 UO"]))
            .ask(ask(&["200"]).shows(&["200 -"])),
        Case::new("limit of requests over HTTP/2")
            .http2()
            .policy(pool(json!({}), json!({"http2MaxRequests": 2})))
            .ask(slow().grpc().at_once(5, 40).shows(&["200 grpc 0 -", "200 grpc 14 UO"])),
        Case::new("limit of streams makes them wait for a connection")
            .http2()
            .policy(pool(
                json!({"maxConnections": 1}),
                json!({"maxConcurrentStreams": 1, "http1MaxPendingRequests": 1}),
            ))
            .ask(slow().with("http", 2).at_once(4, 40).shows(&["200 -", "503 UO"])),
        Case::new("limit of requests over all endpoints")
            .endpoints(3)
            .policy(pool(json!({}), json!({"http2MaxRequests": 2})))
            .ask(slow().at_once(5, 40).shows(&["200 -", "503 UO"]).without_places()),
        Case::new("limit of requests leaves those alone that wait for a connection")
            .policy(pool(json!({"maxConnections": 1}), json!({"http2MaxRequests": 1})))
            .ask(ask(&["delay:100:200"]).at_once(4, 10).shows(&["200 -"])),
        Case::new("limit of requests is no matter of retries")
            .policy(pool(json!({}), json!({"http2MaxRequests": 1})))
            .rule(retried.clone())
            .ask(slow().at_once(3, 40).shows(&["200 -", "503 UO"])),
        Case::new("limit of retries")
            .policy(pool(json!({}), json!({"maxRetries": 1})))
            .rule(retried.clone())
            .ask(failing().at_once(3, 40).shows(&["200 -", "503 UO"]))
            .ask(ask(&["503"]).shows(&["503 URX"])),
        Case::new("limit of retries by a budget's least")
            .policy(json!({"retryBudget": {"percent": 0.0, "minRetryConcurrency": 2}}))
            .rule(retried.clone())
            .ask(failing().at_once(4, 40).shows(&["200 -", "503 UO"])),
        Case::new("limit of retries by a budget's share")
            .policy(json!({"retryBudget": {"percent": 100.0, "minRetryConcurrency": 1}}))
            .rule(retried.clone())
            .ask(failing().at_once(4, 40).shows(&["200 -"])),
        budget(40),
        budget(60),
        budget_of_an_interval(),
        Case::new("limit of connections over two endpoints")
            .endpoints(2)
            .policy(json!({"loadBalancer": {"simple": "ROUND_ROBIN"},
                "connectionPool": {"tcp": {"maxConnections": 2}, "http": {"http1MaxPendingRequests": 2}}}))
            .ask(slow().at_once(6, 40).shows(&["200 -", "503 UO"])),
        Case::new("limit of retries without a word about it")
            .policy(pool(json!({"maxConnections": 100}), json!({})))
            .rule(retried)
            .ask(failing().at_once(6, 20).shows(&["200 -"])),
        Case::new("limit of requests on a connection")
            .policy(pool(json!({}), json!({"maxRequestsPerConnection": 1})))
            .ask(ask(&["200"]).times(5).shows(&["200 -"]))
            .ask(single()),
        Case::new("limit of requests on a connection over HTTP/2, all at once")
            .http2()
            .policy(pool(json!({}), json!({"maxRequestsPerConnection": 1})))
            .ask(ask(&["delay:300:200"]).with("http", 2).at_once(4, 0).shows(&["200 -"]).alike_in_time()),
        Case::new("limits of all kinds, crowded")
            .endpoints(2)
            .policy(pool(json!({"maxConnections": 2}), json!({"http1MaxPendingRequests": 2, "http2MaxRequests": 6})))
            .ask(
                ask(&["delay:200:200"])
                    .at_once(20, 0)
                    .shows(&["200 -", "503 UO"])
                    .outcomes(Outcomes::Kinds)
                    .without_places(),
            ),
    ]
}

/// Eight requests that all fail while all of them are on their way, and a share of them that may be tried again.
fn budget(percent: u64) -> Case {
    Case::new(format!("limit of retries by a budget of {percent} % of what is on its way"))
        .policy(json!({"retryBudget": {"percent": percent, "minRetryConcurrency": 1}}))
        .rule(json!({"retries": {"attempts": 1, "retryOn": "5xx", "backoff": "1ms"}}))
        .ask(ask(&["delay:600:503", "delay:600:200"]).at_once(8, 50).shows(&["200 -", "503 UO"]))
}

/// What went well a moment ago counts for those that fail now.
fn budget_of_an_interval() -> Case {
    Case::new("limit of retries by a budget of what began within an interval")
        .policy(json!({"retryBudget": {"percent": 20.0, "minRetryConcurrency": 1, "budgetInterval": "30s"}}))
        .rule(json!({"retries": {"attempts": 1, "retryOn": "5xx", "backoff": "1ms"}}))
        .ask(ask(&["200"]).times(20).shows(&["200 -"]))
        .ask(ask(&["delay:600:503", "delay:600:200"]).at_once(8, 50).shows(&["200 -", "503 UO"]))
}

/// What the endpoint gets to see.
fn single() -> Ask {
    ask(&["200"]).shows(&["200 -"])
}
