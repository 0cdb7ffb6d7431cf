//! Rules about whole requests.

use mesh_config::{ConfigSet, parse};
use serde_json::{Value, json};

use super::*;
use crate::Profile;
use crate::route::testing::Request;

fn authentication(rules: &str) -> Authentication {
    let yaml = format!(
        "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {{name: r, namespace: default}}\nspec: {{jwtRules: [{rules}]}}\n"
    );
    let (set, _) = ConfigSet::from_documents(parse("r", &yaml).0);
    Authentication::new(set.request_authentications())
}

fn token(payload: &Value) -> String {
    let part = |json: &Value| base64url::encode(json.to_string().as_bytes());
    format!("{}.{}.{}", part(&json!({"alg": "RS256"})), part(payload), base64url::encode(b"signature"))
}

const TWO: &str = "{issuer: a, jwks: '{}'}, {issuer: b, jwks: '{}', forwardOriginalToken: true}";

fn judged(request: &Request) -> Result<bool, Refusal> {
    authentication(TWO).judge(&request.view(), 1_000, |_, _| Ok(())).map(|accepted| accepted.is_some())
}

fn with(payload: &Value) -> Request {
    Request::get("/").header("authorization", &format!("Bearer {}", token(payload)))
}

#[test]
fn one_rule_that_accepts_is_enough_and_the_nearest_refusal_is_told() {
    assert_eq!(judged(&Request::get("/")), Ok(false));
    assert_eq!(judged(&with(&json!({"iss": "a"}))), Ok(true));
    assert_eq!(judged(&with(&json!({"iss": "b"}))), Ok(true));
    assert_eq!(judged(&with(&json!({"iss": "c"}))), Err(Refusal::UnknownIssuer));
    // What is wrong with a token of an issuer says more than that it is not another's.
    for issuer in ["a", "b"] {
        assert_eq!(judged(&with(&json!({"iss": issuer, "exp": 1}))), Err(Refusal::Expired), "{issuer}");
    }
}

#[test]
fn a_preflight_is_not_looked_at_and_what_only_looks_like_one_is() {
    let options = |lines: &[&str]| {
        let request = with(&json!({"iss": "c"})).method("OPTIONS");
        judged(&lines.iter().fold(request, |request, name| request.header(name, "x")))
    };
    assert_eq!(options(&["origin", "access-control-request-method"]), Ok(false));
    assert_eq!(options(&["origin"]), Err(Refusal::UnknownIssuer));
    assert_eq!(options(&["access-control-request-method"]), Err(Refusal::UnknownIssuer));
    let get = with(&json!({"iss": "c"})).header("origin", "x").header("access-control-request-method", "x");
    assert_eq!(judged(&get), Err(Refusal::UnknownIssuer));
}

#[test]
fn without_rules_no_token_is_looked_at() {
    assert!(authentication("").is_empty() && !authentication(TWO).is_empty());
    let nobody = authentication("");
    assert!(nobody.judge(&with(&json!({"iss": "c"})).view(), 0, |_, _| Ok(())).is_ok_and(|found| found.is_none()));
}

#[test]
fn a_token_goes_no_further_unless_its_rule_says_so() {
    for (issuer, stays) in [("a", false), ("b", true)] {
        let request = with(&json!({"iss": issuer}));
        let rules = authentication(TWO);
        let accepted = rules.judge(&request.view(), 1_000, |_, _| Ok(())).unwrap().unwrap();
        let mut headers = request.view().headers.clone();
        assert!(accepted.apply(&mut headers).unwrap().is_empty());
        assert_eq!(headers.contains_key("authorization"), stays, "{issuer}");
    }
}

#[test]
fn addresses_where_machines_keep_their_secrets_are_barred_unless_it_is_done_as_by_istio() {
    assert!(RemoteKeys::barred_by_default(Profile::Istio).is_none());
    let barred = RemoteKeys::barred_by_default(Profile::Safe).unwrap();
    let is_barred = |address: &str| barred.iter().any(|block| block.contains(address.parse().unwrap()));
    assert!(is_barred("169.254.169.254") && is_barred("fe80::1") && !is_barred("10.0.0.1"));
}

#[test]
fn a_challenge_says_whether_there_was_a_token() {
    assert_eq!(Refusal::Missing.challenge("http://a", "/b"), "Bearer realm=\"http://a/b\"");
    assert_eq!(Refusal::Expired.challenge("http://a", "/b"), "Bearer realm=\"http://a/b\", error=\"invalid_token\"");
}
