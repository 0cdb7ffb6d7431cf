//! The cases of `security/authz.json`.

use std::fs;
use std::path::Path;

use mesh_tower::Profile;
use serde_json::{Value, json};
use tokio::runtime::Builder;

use crate::anybody::seconds;
use crate::case::{Outcome, attack_by, builder, documents, options};
use crate::secure::{Caller, identified};
use crate::{cases, edge, wire};

#[test]
fn attacks_on_authorization() {
    let Some(folder) = cases::folder("security") else { return };
    let text = fs::read_to_string(folder.join("authz.json")).unwrap();
    let all: Value = serde_json::from_str(&text).unwrap();
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let clock = seconds(all["clock"].as_str().unwrap());
    let (mut passed, mut total) = (0, 0);
    for case in all["cases"].as_array().unwrap() {
        total += 1;
        match runtime.block_on(wrong(&folder, case, clock)) {
            None => passed += 1,
            Some(why) => println!("  FAILED {}: {why} ({})", case["id"], case["reason"]),
        }
    }
    println!("suite security/authz: {passed}/{total}");
}

/// What is wrong, as Istio does it or in the stricter way.
async fn wrong(folder: &Path, case: &Value, clock: u64) -> Option<String> {
    let stricter = [&case["hardened"], &case["stricter"]].into_iter().find(|stricter| stricter.is_object());
    let stricter = stricter.unwrap_or(&case["expected"]);
    // Who somebody is does not depend on the profile: one URI in the certificate, or no connection.
    let lenient = if case["layer"] == "transport" { stricter } else { &case["expected"] };
    let lenient = differs(&played(folder, case, clock, Profile::Istio).await, lenient);
    let strict = differs(&played(folder, case, clock, Profile::Safe).await, stricter);
    match (lenient, strict) {
        (None, None) => None,
        (Some(why), None) => Some(format!("as Istio: {why}")),
        (None, Some(why)) => Some(format!("stricter: {why}")),
        (Some(why), Some(_)) => Some(why),
    }
}

async fn played(folder: &Path, case: &Value, clock: u64, profile: Profile) -> Outcome {
    let listener = &case["listener"];
    let domains: Vec<&str> =
        listener["trust_domains"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let config = json!({
        "pathNormalization": {"normalization": listener["normalization"]},
        "trustDomain": domains.first().unwrap_or(&"cluster.local"),
        "trustDomainAliases": domains.get(1..).unwrap_or_default(),
        "defaultConfig": {"gatewayTopology": {"numTrustedProxies": listener["xff_num_trusted_hops"].as_u64().unwrap_or(0)}},
    });
    let mode = match listener["mtls"].as_str() {
        Some("strict") => "STRICT",
        Some("permissive") => "PERMISSIVE",
        _ => "DISABLE",
    };
    let modes = json!([{"name": "mode", "mtls": {"mode": mode}}]);
    let policies =
        [documents("AuthorizationPolicy", &case["policies"]), documents("PeerAuthentication", &modes)].join("\n---\n");
    let builder = identified(builder(&policies, &config, profile), folder, clock);
    let request = &case["request"];
    let text = |name: &str| request[name].as_str().unwrap_or_default();
    let headers = request["headers"].as_array().into_iter().flatten();
    let header = |pair: &Value| (pair[0].as_str().unwrap().to_owned(), pair[1].as_str().unwrap().to_owned());
    let headers: Vec<_> = headers.map(header).collect();
    let is_http2 = request["protocol"] == "h2";
    let bytes = match request["raw_latin1"].as_str() {
        Some(raw) => wire::latin1(raw),
        None if is_http2 => wire::http2(&headers, text("body")),
        None => wire::http1(text("method"), text("target"), &headers, text("body")),
    };
    let certificate = request["peer_cert"].as_str().map(|name| folder.join("certs").join(format!("{name}.pem")));
    let caller = match certificate.is_some() || request["tls_without_cert"] == true {
        true => Caller::Tls { certificate, sni: request["sni"].as_str().map(str::to_owned), offers: &[b"istio"] },
        false => Caller::Plaintext,
    };
    if listener["role"] == "gateway" {
        return edge::attack(builder, &caller, &bytes, is_http2).await;
    }
    let mesh = builder.build().await.expect("a mesh");
    let options = options().refuse_underscores(listener["underscores"] == "REJECT_REQUEST");
    attack_by(&mesh, &caller, options, &bytes, is_http2).await
}

fn differs(outcome: &Outcome, expected: &Value) -> Option<String> {
    let decision = expected["decision"].as_str()?;
    let mut acceptable = expected["acceptable"].as_array().into_iter().flatten().filter_map(Value::as_str);
    if outcome.decision != decision && !acceptable.any(|other| other == outcome.decision) {
        return Some(format!("{} ({:?}), expected {decision}", outcome.decision, outcome.status));
    }
    let most = expected["max_upstream_requests"].as_u64().unwrap_or(1);
    if outcome.reached.len() as u64 > most {
        return Some(format!("{} requests reached the application", outcome.reached.len()));
    }
    if let Some(status) = expected["status"].as_u64().filter(|_| outcome.status.is_some())
        && outcome.status.map(u64::from) != Some(status)
    {
        return Some(format!("{:?}, expected {status}", outcome.status));
    }
    let (target, headers) = outcome.reached.first()?;
    if let Some(expected) = expected["forwarded_target"].as_str().filter(|expected| *expected != target) {
        return Some(format!("{target} reached the application, expected {expected}"));
    }
    let value = |name: &str| {
        let lines: Vec<&str> =
            headers.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_str()).collect();
        (!lines.is_empty()).then(|| lines.join(","))
    };
    let pairs = |field: &str| expected[field].as_object().cloned().unwrap_or_default().into_iter();
    let absent = expected["forwarded_absent"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let wrong = absent.filter(|name| value(name).is_some()).map(|name| format!("{name} reached the application"));
    let holds = |name: &str, part: &Value| value(name).is_some_and(|value| value.contains(part.as_str().unwrap_or("")));
    let missing = pairs("forwarded_contains").filter(|(name, part)| !holds(name, part));
    let unwanted = pairs("forwarded_not_contains").filter(|(name, part)| holds(name, part));
    let equal = pairs("forwarded_not_equal").filter(|(name, part)| value(name).as_deref() == part.as_str());
    let host = expected["forwarded_host"].as_str().filter(|host| value("host").as_deref() != Some(host));
    let more = missing.map(|(name, _)| format!("{name} lacks a part"));
    let more = more.chain(unwanted.map(|(name, _)| format!("{name} has a part"))).chain(equal.map(|(name, _)| name));
    wrong.chain(more).chain(host.map(|host| format!("host is not {host}"))).next()
}
