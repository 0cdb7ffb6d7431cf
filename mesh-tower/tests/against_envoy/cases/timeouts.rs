//! Time limits of requests and of tries.

use serde_json::json;

use crate::case::{Case, Outcomes, ask};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("timeout of the route").rule(json!({"timeout": "300ms"})).ask_all([
            ask(&["hang"]).shows(&["504 UT"]).lasts(300),
            ask(&["delay:100:200"]).shows(&["200 -"]).lasts(100),
            ask(&["hang"]).grpc().shows(&["200 grpc 14 UT"]).lasts(300),
            ask(&["200"]).with("headers", json!([["x-envoy-expected-rq-timeout-ms", "9"]])).shows(&["200 -"]),
            ask(&["hang"]).with("headers", json!([["grpc-timeout", "50m"]])).shows(&["504 UT"]).lasts(300),
        ]),
        Case::new("timeout that cuts retries")
            .rule(json!({"timeout": "500ms", "retries": {"attempts": 3, "retryOn": "5xx", "backoff": "1ms"}}))
            .ask(ask(&["delay:200:503"]).shows(&["504 UT"]).lasts(500)),
        Case::new("timeout within a back-off")
            .rule(json!({"timeout": "300ms", "retries": {"attempts": 50, "retryOn": "5xx", "backoff": "100ms"}}))
            .ask(
                ask(&["503"])
                    .shows(&["504 UT"])
                    .times(20)
                    .side_by_side(20)
                    .outcomes(Outcomes::Answers)
                    .lasts(300)
                    .without_places(),
            ),
        Case::new("timeout of a try, tried again")
            .rule(json!({"timeout": "5s", "retries": {
                "attempts": 1, "retryOn": "gateway-error", "perTryTimeout": "250ms", "backoff": "1ms"
            }}))
            .ask_all([
                ask(&["hang"]).shows(&["504 URX,UT"]).lasts(500),
                ask(&["hang", "200"]).shows(&["200 -"]).lasts(250),
                ask(&["hang"]).grpc().shows(&["200 grpc 14 URX,UT"]).lasts(500),
            ]),
        Case::new("timeout of a try, final")
            .rule(json!({"retries": {"attempts": 2, "retryOn": "503,504", "perTryTimeout": "250ms"}}))
            .ask(ask(&["hang", "200"]).shows(&["504 UT"]).lasts(250)),
        Case::new("timeout of a try longer than the route's")
            .rule(json!({"timeout": "300ms", "retries": {"attempts": 2, "retryOn": "5xx", "perTryTimeout": "2s"}}))
            .ask(ask(&["hang", "200"]).shows(&["504 UT"]).lasts(300)),
        Case::new("timeout of a gRPC caller").http2().ask_all([
            ask(&["delay:900:200"])
                .grpc()
                .with("headers", json!([["grpc-timeout", "300m"]]))
                .shows(&["200 grpc 14 UT"])
                .lasts(300),
            ask(&["delay:200:200"]).grpc().with("headers", json!([["grpc-timeout", "0S"]])).shows(&["200 grpc 0 -"]),
            ask(&["200"]).grpc().with("headers", json!([["grpc-timeout", "abc"]])).shows(&["200 grpc 0 -"]),
            ask(&["200"]).grpc().with("headers", json!([["grpc-timeout", "5S"]])).shows(&["200 grpc 0 -"]),
        ]),
        Case::new("timeout that a gRPC caller may shorten, not lengthen")
            .http2()
            .rule(json!({"timeout": "400ms"}))
            .ask_all([
                ask(&["delay:900:200"])
                    .grpc()
                    .with("headers", json!([["grpc-timeout", "150m"]]))
                    .shows(&["200 grpc 14 UT"])
                    .lasts(150),
                ask(&["delay:900:200"])
                    .grpc()
                    .with("headers", json!([["grpc-timeout", "9S"]]))
                    .shows(&["200 grpc 14 UT"])
                    .lasts(400),
            ]),
    ]
}
