//! RequestAuthentication.

use serde_json::Value;

use super::checker::{At, Checker};
use super::common;
use crate::api::RequestAuthentication;
use crate::api::request_authentication::JwtRule;
use crate::resource::Object;
use crate::value::header::check_strict_name;
use crate::value::port::check_port;
use crate::value::{Bytes, JwksUri};

pub(super) fn check(cx: &mut Checker<'_>, object: &Object<RequestAuthentication>) {
    let policy = &object.spec;
    let spec = At::top("spec");
    let labels = policy.selector.as_ref().map(|selector| &selector.match_labels);
    common::policy_target(cx, &spec, labels, policy.target_ref.as_ref(), &policy.target_refs);
    for (index, rule) in policy.jwt_rules.iter().enumerate() {
        check_rule(cx, &spec.field("jwtRules").index(index), rule);
    }
}

fn check_rule(cx: &mut Checker<'_>, at: &At<'_>, rule: &JwtRule) {
    if rule.issuer.is_empty() && rule.jwks_uri.is_empty() {
        cx.error(at, "issuer or jwksUri must be non-empty string");
    }
    not_empty(cx, &at.field("audiences"), &rule.audiences, "audience must be non-empty string");
    if !rule.jwks_uri.is_empty() {
        check_uri(cx, &at.field("jwksUri"), &rule.jwks_uri);
    }
    if !rule.jwks.is_empty() {
        check_keys(cx, &at.field("jwks"), rule.jwks.as_str());
    }
    for (index, header) in rule.from_headers.iter().enumerate() {
        let at = at.field("fromHeaders");
        cx.error_if(header.name.is_empty(), &at.index(index), "location header name must be non-empty string");
    }
    not_empty(cx, &at.field("fromParams"), &rule.from_params, "location query must be non-empty string");
    not_empty(cx, &at.field("fromCookies"), &rule.from_cookies, "cookie name must be non-empty string");
    for (index, output) in rule.output_claim_to_headers.iter().enumerate() {
        let at = at.field("outputClaimToHeaders");
        let at = at.index(index);
        if output.header.is_empty() || output.claim.is_empty() {
            cx.error(&at, "outputClaimToHeaders header and claim value must be non-empty string");
        }
        if !output.header.is_empty() {
            cx.check(&at.field("header"), check_strict_name(&output.header));
        }
    }
    common::duration(cx, &at.field("timeout"), rule.timeout);
}

fn not_empty(cx: &mut Checker<'_>, at: &At<'_>, values: &[String], message: &str) {
    for (index, value) in values.iter().enumerate() {
        cx.error_if(value.is_empty(), &at.index(index), message);
    }
}

/// Where keys are fetched; that the port can exist is looked at by us alone.
fn check_uri(cx: &mut Checker<'_>, at: &At<'_>, uri: &str) {
    match uri.parse::<JwksUri>() {
        Ok(JwksUri { port, .. }) => {
            let checked = check_port(u32::try_from(port).unwrap_or(u32::MAX));
            cx.unchecked(|cx| cx.check(at, checked));
        }
        Err(problem) => cx.error(at, problem.to_string()),
    }
}

/// A set of keys, or a single key.
fn check_keys(cx: &mut Checker<'_>, at: &At<'_>, text: &str) {
    let parsed: Value = match serde_json::from_str(text) {
        Ok(parsed) => parsed,
        Err(error) => return cx.error(at, format!("jwks parse error: {error}")),
    };
    let keys = match parsed.get("keys") {
        Some(Value::Array(keys)) => keys.clone(),
        None if parsed.get("kty").is_some() => vec![parsed],
        _ => return cx.error(at, "jwks parse error: no list of keys"),
    };
    for (index, key) in keys.iter().enumerate() {
        if let Err(problem) = check_key(key) {
            cx.error(at, format!("jwks parse error: key #{index}: {problem}"));
        }
        if ["d", "k", "p", "q"].iter().any(|part| key.get(part).is_some())
            && key.get("kty") != Some(&Value::from("oct"))
        {
            let message = format!(
                "jwks key at index {index} contains private key material; only public keys are used for verification"
            );
            cx.warn(at, message);
        }
    }
}

fn check_key(key: &Value) -> Result<(), String> {
    let parts: &[&str] = match key.get("kty").and_then(Value::as_str) {
        Some("RSA") => &["n", "e"],
        Some("EC") => &["x", "y"],
        Some("OKP") => &["x"],
        Some("oct") => &["k"],
        Some(other) => return Err(format!("unknown key type {other:?}")),
        None => return Err("no key type".to_owned()),
    };
    for part in parts {
        let text = key.get(part).and_then(Value::as_str).ok_or_else(|| format!("no {part:?}"))?;
        if text.is_empty() || Bytes::from_base64(text).is_none() {
            return Err(format!("{part:?} is not base64"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_need_the_parts_of_their_type() {
        let key = |json: &str| check_key(&serde_json::from_str(json).unwrap());
        assert_eq!(key(r#"{"kty": "RSA", "n": "AQAB", "e": "AQAB"}"#), Ok(()));
        assert!(key(r#"{"kty": "RSA", "n": "AQAB"}"#).is_err());
        assert!(key(r#"{"kty": "RSA", "n": "???", "e": "AQAB"}"#).is_err());
        assert!(key(r#"{"kty": "x"}"#).is_err());
    }
}
