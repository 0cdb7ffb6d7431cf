//! The cases of `security/jwt.json`.

use std::fs;
use std::time::{Duration, UNIX_EPOCH};

use mesh_tower::{Mesh, Profile};
use serde_json::{Value, json};
use tokio::runtime::Builder;

use crate::case::{attack, documents};
use crate::{cases, wire};

#[test]
fn attacks_on_tokens() {
    let Some(folder) = cases::folder("security") else { return };
    let text = fs::read_to_string(folder.join("jwt.json")).unwrap();
    let all: Value = serde_json::from_str(&text).unwrap();
    let clock = all["clock_unix"].as_u64().unwrap();
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (mut passed, mut failed) = (0, Vec::new());
    for case in all["cases"].as_array().unwrap() {
        match runtime.block_on(wrong(case, clock)) {
            None => passed += 1,
            Some(why) => failed.push(format!("{}: {why} ({})", case["id"], case["reason"])),
        }
    }
    println!("suite security/jwt: {passed}/{}", passed + failed.len());
    assert!(failed.is_empty(), "{failed:#?}");
}

async fn wrong(case: &Value, clock: u64) -> Option<String> {
    let mut authentication = case["request_authentication"].clone();
    for rule in authentication["jwtRules"].as_array_mut().into_iter().flatten() {
        if rule["jwks"].is_object() {
            rule["jwks"] = Value::String(rule["jwks"].to_string());
        }
    }
    let yaml = [
        documents("RequestAuthentication", &json!([authentication])),
        documents("AuthorizationPolicy", &case["policies"]),
    ];
    let builder = Mesh::builder().config_yaml("case.yaml", yaml.join("\n---\n")).profile(Profile::Safe);
    let mesh = builder.token_clock(move || UNIX_EPOCH + Duration::from_secs(clock)).build().await;
    let mesh = match mesh {
        Ok(mesh) => mesh,
        Err(error) => return Some(error.to_string()),
    };
    let request = &case["request"];
    let mut headers: Vec<(String, String)> = vec![("Host".into(), "app".into())];
    for pair in request["headers"].as_array().into_iter().flatten() {
        let text = |n: usize| pair[n].as_str().unwrap().to_owned();
        headers.retain(|(name, _)| name != "Host" || !text(0).eq_ignore_ascii_case("host"));
        headers.push((text(0), text(1)));
    }
    let text = |name: &str| request[name].as_str().unwrap_or_default();
    let outcome = attack(&mesh, None, &wire::http1(text("method"), text("target"), &headers, ""), false).await;
    let expected = &case["expected"];
    let mut right = expected["acceptable"].as_array().into_iter().flatten().chain([&expected["status"]]);
    let status = outcome.status.map(u64::from);
    (!right.any(|right| right.as_u64() == status)).then(|| format!("{status:?}, expected {expected}"))
}
