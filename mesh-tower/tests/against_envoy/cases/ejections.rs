//! Outlier detection: who is ejected by what, how many may be, and when they are back.

use serde_json::{Value, json};

use crate::case::{Ask, Case, Endpoints, Key, Outcomes, ask};

pub(super) fn cases() -> Vec<Case> {
    by_what().into_iter().chain(by_grpc_status()).chain(how_many()).chain(for_how_long()).chain(what_then()).collect()
}

/// Round robin, and no sweep within the case unless it says so.
fn policy(outlier: Value) -> Value {
    let mut detection = json!({"interval": "30s", "baseEjectionTime": "30s", "maxEjectionPercent": 100});
    for (name, value) in outlier.as_object().unwrap() {
        detection[name] = value.clone();
    }
    json!({"loadBalancer": {"simple": "ROUND_ROBIN"}, "outlierDetection": detection})
}

fn case(name: &str, endpoints: u8, outlier: Value) -> Case {
    let never = json!({"retries": {"attempts": 0}});
    Case::new(format!("ejection {name}")).endpoints(endpoints).policy(policy(outlier)).rule(never)
}

/// One after the other, all of which get the same.
fn several(upstream: &str, times: usize) -> Ask {
    ask(&[upstream]).times(times)
}

fn by_what() -> Vec<Case> {
    let split =
        json!({"splitExternalLocalOriginErrors": true, "consecutiveLocalOriginFailures": 3, "consecutive5xxErrors": 3});
    let split_once = json!({"splitExternalLocalOriginErrors": true, "consecutiveLocalOriginFailures": 1});
    let gateway = json!({"consecutiveGatewayErrors": 2, "consecutive5xxErrors": 0});
    vec![
        case("by errors in a row", 1, json!({"consecutive5xxErrors": 3})).ask_all([
            several("500", 2).shows(&["500 -"]),
            several("200", 1).shows(&["200 -"]),
            several("503", 2).shows(&["503 -"]),
            several("404", 1).shows(&["404 -"]),
            several("500", 6).shows(&["500 -", "503 UH"]),
        ]),
        case("by default after five errors", 1, json!({})).ask(several("500", 9).shows(&["500 -", "503 UH"])),
        case("by gateway errors only", 1, gateway).ask_all([
            several("500", 8).shows(&["500 -"]),
            several("502", 1).shows(&["502 -"]),
            several("500", 1).shows(&["500 -"]),
            several("504", 5).shows(&["504 -", "503 UH"]),
        ]),
        case("by gateway errors or others", 1, json!({"consecutiveGatewayErrors": 2, "consecutive5xxErrors": 4}))
            .ask_all([ask(&["503"]), ask(&["500"]), ask(&["503"]), ask(&["501"]), ask(&["200"]).shows(&["503 UH"])]),
        case("by what is refused", 1, json!({"consecutive5xxErrors": 3}))
            .closed()
            .ask(several("200", 6).shows(&["503 UF", "503 UH"])),
        case("by connections that end", 1, json!({"consecutive5xxErrors": 3}))
            .ask_all([several("close", 2).shows(&["503 UC"]), several("reset", 4).shows(&["503 UC", "503 UH"])]),
        // The head of each answer is a success, so that no two failures follow one another.
        case("not by several answers that break off", 1, json!({"consecutive5xxErrors": 2}))
            .ask(several("break", 6).shows(&["broken"])),
        case("by an answer that breaks off", 1, json!({"consecutive5xxErrors": 1}))
            .ask(several("break", 4).shows(&["broken", "503 UH"])),
        case("by a stream that breaks off", 1, json!({"consecutive5xxErrors": 1}))
            .http2()
            .ask(several("break", 4).with("http", 2).shows(&["broken", "503 UH"])),
        case("by an answer that breaks off, as a gateway error", 1, json!({"consecutiveGatewayErrors": 1}))
            .ask(several("break", 4).shows(&["broken", "503 UH"])),
        case("not by an answer that breaks off behind an error", 1, json!({"consecutive5xxErrors": 2}))
            .ask_all([several("500", 1).shows(&["500 -"]), several("break", 3).shows(&["broken"])]),
        case("by an error behind an answer that breaks off", 1, json!({"consecutive5xxErrors": 2}))
            .ask_all([several("break", 1).shows(&["broken"]), several("500", 3).shows(&["500 -", "503 UH"])]),
        case("by answers that break off, split", 1, split.clone()).ask(several("break", 8).shows(&["broken"])),
        case("by an answer that breaks off, split", 1, split_once)
            .ask(several("break", 4).shows(&["broken", "503 UH"])),
        case("by what is refused, split", 1, split.clone())
            .closed()
            .ask(several("200", 6).shows(&["503 UF", "503 UH"])),
        case("by connections that end, split", 1, split.clone()).ask(several("close", 8).shows(&["503 UC"])),
        case("by errors, split", 1, split).ask(several("500", 6).shows(&["500 -", "503 UH"])),
        case("by timeouts", 1, json!({"consecutiveGatewayErrors": 3}))
            .rule(json!({"timeout": "100ms"}))
            .ask(several("hang", 6).shows(&["504 UT", "503 UH"])),
        case("by timeouts of tries", 1, json!({"consecutive5xxErrors": 4}))
            .rule(json!({"retries": {"attempts": 1, "retryOn": "5xx", "perTryTimeout": "100ms", "backoff": "1ms"}}))
            .ask(several("hang", 4).shows(&["504 URX,UT", "503 UH"])),
        case("by gRPC statuses in front", 1, json!({"consecutive5xxErrors": 3})).http2().ask_all([
            several("grpc-trailer:14", 5).grpc().shows(&["200 grpc 14 -"]),
            several("grpc:5", 4).grpc().shows(&["200 grpc 5 -"]),
            several("grpc:13", 6).grpc().shows(&["200 grpc 13 -", "200 grpc 14 UH"]),
        ]),
        case("not by a gRPC status that nobody asked for", 1, json!({"consecutive5xxErrors": 3}))
            .ask(several("200+grpc-status:14", 6).shows(&["200 grpc 14 -"])),
        case("by streams that are refused", 1, json!({"consecutive5xxErrors": 3}))
            .http2()
            .ask(several("reset", 6).with("http", 2).shows(&["503 UR", "503 UH"])),
        case("not by overflow", 1, json!({"consecutive5xxErrors": 2}))
            .policy(json!({
                "outlierDetection": {"consecutive5xxErrors": 2, "maxEjectionPercent": 100, "interval": "30s"},
                "connectionPool": {"http": {"http2MaxRequests": 1}},
            }))
            .ask_all([
                ask(&["delay:400:200"]).at_once(6, 30).shows(&["200 -", "503 UO"]),
                several("200", 3).shows(&["200 -"]),
            ]),
    ]
}

/// Each status counts as the HTTP status that it stands for.
fn by_grpc_status() -> impl Iterator<Item = Case> {
    let odd = ["200+grpc-status:abc", "200+grpc-status:-1", "200+grpc-status:", "200+grpc-status: 14"];
    (0..=17).map(|code| format!("grpc:{code}")).chain(odd.map(ToOwned::to_owned)).flat_map(|status| {
        let errors = json!({"consecutive5xxErrors": 2});
        let gateway = json!({"consecutiveGatewayErrors": 2, "consecutive5xxErrors": 0});
        [("errors", errors), ("gateway errors", gateway)].map(|(what, outlier)| {
            let name = format!("by {what} that are gRPC status {status}");
            case(&name, 1, outlier).http2().ask(several(&status, 4).grpc())
        })
    })
}

fn how_many() -> Vec<Case> {
    let failing = |percent: u64, endpoints: u8| {
        let outlier = json!({"consecutive5xxErrors": 2, "maxEjectionPercent": percent});
        case(&format!("of at most {percent} % of {endpoints}"), endpoints, outlier)
    };
    vec![
        failing(10, 3).ask(several("500", 60).shows(&["500 -"])),
        failing(50, 3).ask(several("500", 60).shows(&["500 -"])),
        failing(67, 3).ask(several("500", 60).shows(&["500 -"])),
        failing(10, 10).ask(several("500", 200).shows(&["500 -"])),
        failing(34, 10).ask(several("500", 200).shows(&["500 -"])),
        failing(100, 3).ask(several("500", 30).shows(&["500 -", "503 UH"])),
    ]
}

fn for_how_long() -> Vec<Case> {
    let times = json!({"consecutive5xxErrors": 2, "interval": "250ms", "baseEjectionTime": "600ms"});
    vec![
        case("ends at a sweep", 1, times.clone())
            .ask(several("500", 4).shows(&["500 -", "503 UH"]))
            .wait(300)
            .ask(several("200", 1).shows(&["503 UH"]))
            .wait(700)
            .ask(several("200", 3).shows(&["200 -"])),
        case("lasts longer the second time", 1, times)
            // Two errors each time: at once, within 0.85 s, within 2.3 s, and then not before 3.6 s.
            .ask(ask(&["500"]).at_once(80, 40).shows(&["500 -", "503 UH"])),
        case(
            "ends with all that was counted",
            1,
            json!({
                "consecutive5xxErrors": 3, "interval": "200ms", "baseEjectionTime": "300ms"
            }),
        )
        .ask(ask(&["delay:300:500"]).at_once(8, 10).shows(&["500 -"]))
        .wait(900)
        .ask(several("500", 2).shows(&["500 -"]))
        .ask(several("500", 2).shows(&["500 -", "503 UH"])),
        case(
            "is forgotten after a time without one",
            1,
            json!({
                "consecutive5xxErrors": 2, "interval": "200ms", "baseEjectionTime": "400ms"
            }),
        )
        .ask(several("500", 4).shows(&["500 -", "503 UH"]))
        .wait(1200)
        .ask(several("500", 4).shows(&["500 -", "503 UH"]))
        .wait(700)
        .ask(several("200", 2).shows(&["200 -"])),
    ]
}

fn what_then() -> Vec<Case> {
    let bad = |times: usize| ask(&["200"]).at(2, &["503"]).times(times);
    // Until the bad one is ejected; who gets how many depends on who is first.
    let some = || bad(10).outcomes(Outcomes::Kinds).places(Endpoints::Any);
    let hashed = |mut policy: Value, algorithm: Value| {
        policy["loadBalancer"] = json!({"consistentHash": algorithm});
        policy
    };
    let twice = policy(json!({"consecutive5xxErrors": 2}));
    let ring = hashed(twice.clone(), json!({"httpHeaderName": "x-key"}));
    let maglev = hashed(twice, json!({"httpHeaderName": "x-key", "maglev": {"tableSize": 251}}));
    let keys = || bad(60).keyed(Key::Header("x-key")).places(Endpoints::Same).shows(&["200 -", "503 -"]);
    let panic = |percent: u64| json!({"consecutive5xxErrors": 2, "minHealthPercent": percent});
    vec![
        case("leaves the others", 3, json!({"consecutive5xxErrors": 4}))
            .ask(bad(120).shows(&["200 -", "503 -"]).places(Endpoints::Shares))
            .ask(bad(30).shows(&["200 -"]).places(Endpoints::Used)),
        case("moves the keys of a ring", 5, json!({})).policy(ring).ask(keys()),
        case("moves the keys of a Maglev table", 5, json!({})).policy(maglev).ask(keys()),
        case("does not count while too few are healthy", 2, panic(60))
            .ask(some())
            .ask(bad(40).shows(&["200 -", "503 -"]).places(Endpoints::Used)),
        case("counts while enough are healthy", 2, panic(40))
            .ask(some())
            .ask(bad(40).shows(&["200 -"]).places(Endpoints::Used)),
        // Envoy's ejections reach the thread that retries a moment later.
        case("in the middle of retries", 1, json!({"consecutive5xxErrors": 2}))
            .rule(json!({"retries": {"attempts": 3, "retryOn": "5xx", "backoff": "100ms"}}))
            .ask(ask(&["503"]).shows(&["503 UH"])),
        case("makes retries go elsewhere", 2, json!({"consecutive5xxErrors": 1}))
            .rule(json!({"retries": {"attempts": 3, "retryOn": "5xx", "backoff": "1ms"}}))
            .ask(bad(20).shows(&["200 -"]).places(Endpoints::Used).outcomes(Outcomes::Kinds)),
    ]
}
