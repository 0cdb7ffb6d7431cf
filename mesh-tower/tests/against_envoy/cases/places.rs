//! Endpoints elsewhere: when requests go there, and how many.

use serde_json::{Value, json};

use crate::case::{Ask, Case, Endpoints, Key, Outcomes, ask};

/// The near endpoints come first; the first few of them fail until they are ejected.
fn case(near: u8, far: u8) -> Case {
    let policy = json!({
        "loadBalancer": {"simple": "ROUND_ROBIN"},
        "outlierDetection": {"consecutive5xxErrors": 1, "interval": "30s", "baseEjectionTime": "30s", "maxEjectionPercent": 100},
    });
    Case::new(format!("places {near} near, {far} far")).endpoints(near + far).far_from(near + 1).policy(policy)
}

fn many() -> Ask {
    ask(&["200"]).times(800).side_by_side(4).shows(&["200 -"]).places(Endpoints::Shares)
}

/// Requests until so many near endpoints are ejected.
fn broken(count: u8) -> Ask {
    let asking = ask(&["200"]).times(60).outcomes(Outcomes::Kinds).places(Endpoints::Any);
    (1..=count).fold(asking, |asking, endpoint| asking.at(endpoint, &["503"]))
}

pub(super) fn cases() -> Vec<Case> {
    let named = |case: Case, ejected: u8| {
        let name = format!("{}, {ejected} ejected", case.name);
        Case { name, ..case }.ask(broken(ejected)).ask(many())
    };
    vec![
        case(2, 2).ask(many()),
        named(case(2, 1), 1),
        named(case(3, 1), 1),
        named(case(4, 2), 1),
        named(case(4, 2), 3),
        named(case(2, 2), 2),
        case(2, 2)
            .rule(json!({"retries": {"attempts": 2, "retryOn": "5xx", "backoff": "1ms"}}))
            .named("places: retries stay near")
            .policy(json!({"loadBalancer": {"simple": "ROUND_ROBIN"}, "outlierDetection": {"consecutive5xxErrors": 50, "interval": "30s"}}))
            .ask(ask(&["503", "503", "200"]).times(20).places(Endpoints::Used)),
        case(2, 2)
            .named("places: retries go far where asked to")
            .rule(json!({"retries": {"attempts": 3, "retryOn": "5xx", "backoff": "1ms", "retryRemoteLocalities": true}}))
            .policy(json!({"loadBalancer": {"simple": "ROUND_ROBIN"}, "outlierDetection": {"consecutive5xxErrors": 50, "interval": "30s"}}))
            .ask(ask(&["503", "503", "503", "200"]).times(10)),
        named(at_most(50, case(2, 2)), 2),
        named(healthy(50, case(4, 2)), 3),
        named(healthy(70, case(2, 2)), 1),
        named(distributed(2, 2), 0),
        named(distributed(4, 2), 2),
        named(distributed(3, 1), 3),
        hashed(case(3, 3), json!({}), 0),
        hashed(case(2, 2), json!({}), 1),
        hashed(case(3, 2), json!({"maglev": {"tableSize": 251}}), 2),
        hashed(case(2, 2), json!({}), 2),
        hashed(healthy(60, case(4, 4)), json!({}), 3),
        hashed(healthy(60, case(3, 0)), json!({"maglev": {"tableSize": 251}}), 2),
        hashed(distributed(3, 2), json!({}), 0),
        hashed(distributed(3, 3), json!({"maglev": {"tableSize": 251}}), 1),
    ]
}

/// With an ejected share that is never exceeded.
fn at_most(percent: u64, mut case: Case) -> Case {
    case.policy["outlierDetection"]["maxEjectionPercent"] = percent.into();
    case.name = format!("{}, at most {percent} % ejected", case.name);
    case
}

/// With a share of healthy endpoints below which ejections do not count.
fn healthy(percent: u64, mut case: Case) -> Case {
    case.policy["outlierDetection"]["minHealthPercent"] = percent.into();
    case.name = format!("{}, at least {percent} % healthy", case.name);
    case
}

/// Four fifths are to stay near.
fn distributed(near: u8, far: u8) -> Case {
    let mut case = case(near, far);
    let shares = json!({"near/*": 80, "far/*": 20});
    case.policy["loadBalancer"]["localityLbSetting"] = json!({"distribute": [{"from": "near/*", "to": shares}]});
    case.name = format!("{}, distributed", case.name);
    case
}

/// Each key goes to the very same endpoint, wherever that is.
fn hashed(mut case: Case, algorithm: Value, ejected: u8) -> Case {
    let mut hash = json!({"httpHeaderName": "x-key"});
    hash.as_object_mut().unwrap().extend(algorithm.as_object().unwrap().clone());
    case.policy["loadBalancer"].as_object_mut().unwrap().remove("simple");
    case.policy["loadBalancer"]["consistentHash"] = hash;
    case.name = format!(
        "{}, hashed by {}, {ejected} ejected",
        case.name,
        if algorithm["maglev"].is_object() { "Maglev" } else { "a ring" }
    );
    let keys = ask(&["200"]).times(200).side_by_side(4).keyed(Key::Header("x-key")).places(Endpoints::Same);
    case.ask(broken(ejected)).ask(keys)
}
