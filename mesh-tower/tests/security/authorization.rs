//! The cases of `security/authz.json`.

use std::fs;
use std::path::Path;

use mesh_tower::Profile;
use mesh_tower::inbound::PeerIdentity;
use serde_json::{Value, json};
use tokio::runtime::Builder;

use crate::case::{Outcome, attack, documents, mesh};
use crate::{cases, wire};

#[test]
fn attacks_on_authorization() {
    let Some(folder) = cases::folder("security") else { return };
    let text = fs::read_to_string(folder.join("authz.json")).unwrap();
    let all: Value = serde_json::from_str(&text).unwrap();
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (mut passed, mut total) = (0, 0);
    for case in all["cases"].as_array().unwrap() {
        total += 1;
        match runtime.block_on(wrong(&folder, case)) {
            None => passed += 1,
            Some(why) => println!("  FAILED {}: {why} ({})", case["id"], case["reason"]),
        }
    }
    println!("suite security/authz: {passed}/{total}");
}

/// What is wrong, as Istio does it or in the stricter way.
async fn wrong(folder: &Path, case: &Value) -> Option<String> {
    if case["listener"]["role"] != "inbound" {
        return Some("a gateway's listener is not played here".to_owned());
    }
    let lenient = differs(&played(folder, case, Profile::Istio).await, &case["expected"]);
    let stricter = [&case["hardened"], &case["stricter"]].into_iter().find(|stricter| stricter.is_object());
    let strict = differs(&played(folder, case, Profile::Safe).await, stricter.unwrap_or(&case["expected"]));
    match (lenient, strict) {
        (None, None) => None,
        (Some(why), None) => Some(format!("as Istio: {why}")),
        (None, Some(why)) => Some(format!("stricter: {why}")),
        (Some(why), Some(_)) => Some(why),
    }
}

async fn played(folder: &Path, case: &Value, profile: Profile) -> Outcome {
    let listener = &case["listener"];
    let domains: Vec<&str> =
        listener["trust_domains"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let config = json!({
        "pathNormalization": {"normalization": listener["normalization"]},
        "trustDomain": domains.first().unwrap_or(&"cluster.local"),
        "trustDomainAliases": domains.get(1..).unwrap_or_default(),
    });
    let mesh = mesh(&documents("AuthorizationPolicy", &case["policies"]), &config, profile).await;
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
    let caller = request["peer_cert"].as_str().map(|name| identity(folder, name, request["sni"].as_str()));
    attack(&mesh, caller, &bytes, is_http2).await
}

/// Who a certificate says the caller is: the handshake itself is another test's.
fn identity(folder: &Path, name: &str, sni: Option<&str>) -> PeerIdentity {
    let file = folder.join("certs").join(format!("{name}.chain.pem"));
    let pem = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let der = decoded(pem.split("-----").nth(2).expect("a certificate"));
    let start = der.windows(9).position(|window| window == b"spiffe://").expect("an identity");
    // The length stands before it.
    let size = usize::from(der[start - 1]);
    PeerIdentity::new(std::str::from_utf8(&der[start..start + size]).unwrap(), sni)
}

fn decoded(text: &str) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let values: Vec<u32> = text
        .bytes()
        .filter_map(|byte| LETTERS.iter().position(|letter| *letter == byte))
        .map(|value| value as u32)
        .collect();
    let bytes = values.chunks(4).flat_map(|chunk| {
        let bits = chunk.iter().fold(0, |bits, value| bits << 6 | value) << (6 * (4 - chunk.len()));
        bits.to_be_bytes()[1..chunk.len()].to_vec()
    });
    bytes.collect()
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
