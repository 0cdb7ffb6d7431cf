//! Makes the tokens of a recording, by keys of this run.

use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use mesh_tower::mesh_core::jwt::base64url;
use serde_json::{Value, json};

use crate::record::Scenario;

static GOOD: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate(KeySize::Rsa2048).unwrap());
static OTHER: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate(KeySize::Rsa2048).unwrap());

/// Puts our key set where the recording's stood, and tokens of our keys into the requests.
pub(crate) fn enter(scenario: &mut Scenario) {
    if scenario.config.contains("ORACLE_JWKS") {
        scenario.config = scenario.config.replace("ORACLE_JWKS", &format!("'{}'", key_set()));
    }
    for step in &mut scenario.steps {
        let Some(claims) = step.jwt.take() else { continue };
        let token = mint(&claims, step.jwt_key.as_deref().unwrap_or("good"));
        let place = step.jwt_in.clone().unwrap_or_else(|| "header:authorization:Bearer ".to_owned());
        let (kind, name) = place.split_once(':').unwrap();
        match kind {
            "header" => {
                let (name, prefix) = name.split_once(':').unwrap_or((name, ""));
                step.headers.push((name.to_owned(), format!("{prefix}{token}")));
            }
            "param" => {
                let mark = if step.path.contains('?') { '&' } else { '?' };
                step.path = format!("{}{mark}{name}={token}", step.path);
            }
            _ => step.headers.push(("cookie".to_owned(), format!("{name}={token}"))),
        }
    }
}

fn key_set() -> String {
    // SEQUENCE { INTEGER modulus, INTEGER exponent }, both lengths of the first two in two bytes.
    let der = GOOD.public_key().as_ref();
    let end = 8 + usize::from(u16::from_be_bytes([der[6], der[7]]));
    let modulus = &der[8..end];
    let n = base64url::encode(modulus.strip_prefix(&[0]).unwrap_or(modulus));
    let e = base64url::encode(&der[end + 2..]);
    json!({"keys": [{"kty": "RSA", "kid": "good", "alg": "RS256", "n": n, "e": e}]}).to_string()
}

/// Times are given in seconds from now.
fn mint(claims: &Value, key: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let mut claims = claims.clone();
    for name in ["exp", "nbf", "iat"] {
        if let Some(seconds) = claims[name].as_i64() {
            claims[name] = json!(now + seconds);
        }
    }
    let algorithm = if key == "none" { "none" } else { "RS256" };
    let part = |json: &Value| base64url::encode(json.to_string().as_bytes());
    let signed = format!("{}.{}", part(&json!({"alg": algorithm, "kid": "good", "typ": "JWT"})), part(&claims));
    let pair: &KeyPair = match key {
        "none" => return format!("{signed}."),
        "other" => &OTHER,
        _ => &GOOD,
    };
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
    format!("{signed}.{}", base64url::encode(&signature))
}

/// Whether a value is a payload in base64url whose times, given from now, are the recorded ones.
pub(crate) fn is_payload(recorded: &str, own: &str) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let own = base64url::decode(own).and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    let (Ok(mut recorded), Some(mut own)) = (serde_json::from_str::<Value>(recorded), own) else { return false };
    let mut near = true;
    for name in ["exp", "nbf", "iat"] {
        let times = (recorded[name].as_i64(), own[name].as_i64());
        if let (Some(seconds), Some(time)) = times {
            near &= (now + seconds - time).abs() < 30;
            recorded[name] = Value::Null;
            own[name] = Value::Null;
        }
    }
    near && recorded == own
}
