//! Injected delays and aborts.

use mesh_tower::mesh_config::value::grpc_status;
use serde_json::{Value, json};

use crate::case::{Case, Endpoints, Outcomes, ask};

fn case(name: &str, fault: Value) -> Case {
    Case::new(format!("fault: {name}")).rule(json!({"fault": fault}))
}

pub(super) fn cases() -> Vec<Case> {
    let delay = |percent: f64, time: &str| json!({"percentage": {"value": percent}, "fixedDelay": time});
    let abort = |percent: f64, status: u16| json!({"percentage": {"value": percent}, "httpStatus": status});
    let several = |times: usize| ask(&["200"]).times(times).side_by_side(4);
    let mut delayed = case("delay outside the timeout", json!({"delay": delay(100.0, "300ms")}));
    delayed.rule["timeout"] = "150ms".into();
    let mut dressed = case("abort with headers of the rule", json!({"abort": abort(100.0, 503)}));
    dressed.rule["headers"] = json!({"response": {"set": {"x-rule": "set"}, "add": {"x-rule": "added"}}});
    let own = vec![
        case("delay", json!({"delay": delay(100.0, "200ms")})).ask(ask(&["200"]).shows(&["200 DI"]).lasts(200)),
        delayed.ask(ask(&["200"]).shows(&["200 DI"]).lasts(300)),
        case("abort", json!({"abort": abort(100.0, 555)})).ask_all([
            ask(&["200"]).shows(&["555 FI"]),
            ask(&["200"]).with("method", "HEAD").shows(&["555 FI"]),
            ask(&["200"]).grpc().shows(&["200 grpc 2 FI"]),
        ]),
        case("abort of a third", json!({"abort": abort(33.3, 500)}))
            .ask(several(600).shows(&["200 -", "500 FI"]).outcomes(Outcomes::Shares).places(Endpoints::Any)),
        case("abort without a percentage", json!({"abort": {"httpStatus": 500}})).ask(several(20).shows(&["200 -"])),
        case("delay, then abort", json!({"delay": delay(100.0, "100ms"), "abort": abort(100.0, 418)}))
            .ask(ask(&["200"]).shows(&["418 DI,FI"]).lasts(100)),
        case("abort in gRPC's way", json!({"abort": {"percentage": {"value": 100.0}, "grpcStatus": "UNAVAILABLE"}}))
            .ask_all([ask(&["200"]).grpc().shows(&["200 grpc 14 FI"]), ask(&["200"])]),
        dressed.ask(ask(&["200"]).shows(&["503 FI"])),
        case("delay and abort of some", json!({"delay": delay(50.0, "1ms"), "abort": abort(40.0, 500)})).ask(
            several(800)
                .shows(&["200 -", "200 DI", "500 DI,FI", "500 FI"])
                .outcomes(Outcomes::Shares)
                .places(Endpoints::Any),
        ),
    ];
    let statuses = [200, 204, 304, 400, 401, 403, 404, 409, 418, 429, 500, 502, 503, 504].map(|status| {
        let asks = [ask(&["200"]), ask(&["200"]).grpc()];
        case(&format!("abort with {status}"), json!({"abort": abort(100.0, status)})).ask_all(asks)
    });
    let grpc = grpc_status::NAMES[1..].iter().map(|name| {
        let fault = json!({"abort": {"percentage": {"value": 100.0}, "grpcStatus": name}});
        case(&format!("abort with {name}"), fault).ask(ask(&["200"]).grpc())
    });
    own.into_iter().chain(statuses).chain(grpc).collect()
}
