//! Every byte that a header can hold, at every place of its value: a rule about it fails closed.

use http::{HeaderMap, HeaderValue, Method};
use mesh_config::api::AuthorizationPolicy;
use mesh_config::{Object, ObjectMeta};
use mesh_core::authz::{Access, Authorization, Protocol, Setting};
use mesh_core::identity::TrustDomains;
use mesh_core::{PeerView, Profile, RequestView, Scheme};
use serde_json::json;

const WORD: &[u8] = b"admin";

fn authorization(action: &str, field: &str, value: &str) -> Authorization {
    let when = json!([{"key": "request.headers[x-role]", field: [value]}]);
    let spec: AuthorizationPolicy =
        serde_json::from_value(json!({"action": action, "rules": [{"when": when}]})).unwrap();
    let policy = Object::new(ObjectMeta::default(), spec);
    let trust_domains = &TrustDomains::new(["td"]);
    Authorization::new([&policy], Setting { trust_domains, protocol: Protocol::Http, profile: Profile::Safe })
}

fn allows(authorization: &Authorization, lines: &[&HeaderValue]) -> bool {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append("x-role", (*line).clone());
    }
    let view = RequestView {
        method: &Method::GET,
        scheme: Scheme::Http,
        authority: "app",
        path: "/",
        query: None,
        headers: &headers,
        peer: PeerView::default(),
        port: 80,
    };
    authorization.decide(&Access::request(&view)).is_allowed()
}

/// The word with a byte in it, and in the place of one of its own.
fn odd_values() -> impl Iterator<Item = (u8, usize, HeaderValue)> {
    let values = |byte: u8| {
        let inside = (0..=WORD.len()).map(move |at| (at, [&WORD[..at], &[byte], &WORD[at..]].concat()));
        let instead = (0..WORD.len()).map(move |at| (at, [&WORD[..at], &[byte], &WORD[at + 1..]].concat()));
        inside.chain(instead).filter_map(move |(at, value)| Some((byte, at, HeaderValue::from_bytes(&value).ok()?)))
    };
    (0..=u8::MAX).flat_map(values).filter(|(.., value)| value.as_bytes() != WORD)
}

#[test]
fn a_byte_that_no_header_may_hold_never_gets_as_far_as_a_rule() {
    let held: Vec<u8> = (0..=u8::MAX).filter(|byte| HeaderValue::from_bytes(&[*byte]).is_ok()).collect();
    // 256 without the control characters, of which the tabulator stays.
    assert_eq!(held.len(), 256 - 33 + 1);
    assert!(!held.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t'));
    assert_eq!(odd_values().map(|(byte, ..)| byte).collect::<std::collections::BTreeSet<_>>().len(), held.len());
}

#[test]
fn a_denial_is_triggered_whatever_bytes_stand_around_or_beside_what_it_names() {
    let word = &HeaderValue::from_bytes(WORD).unwrap();
    let named = authorization("DENY", "values", "admin");
    let begins = authorization("DENY", "values", "admin*");
    let ends = authorization("DENY", "values", "*admin");
    let is_there = authorization("DENY", "values", "*");
    let all_but = authorization("DENY", "notValues", "admin");
    assert!(!allows(&named, &[word]) && allows(&all_but, &[word]));
    let mut swept = 0;
    for (byte, at, odd) in odd_values() {
        swept += 1;
        let what = format!("{byte:#04x} at {at} of {odd:?}");
        // On a line of its own before or behind: any line counts.
        assert!(!allows(&named, &[&odd, word]) && !allows(&named, &[word, &odd]), "{what}");
        assert!(!allows(&begins, &[&odd, word]) && !allows(&ends, &[word, &odd]), "{what}");
        assert_eq!(allows(&begins, &[&odd]), !trimmed(&odd).starts_with(WORD), "{what}");
        assert_eq!(allows(&ends, &[&odd]), !trimmed(&odd).ends_with(WORD), "{what}");
        // White space around a value is none of it, whoever sent it along.
        assert_eq!(allows(&named, &[&odd]), trimmed(&odd) != WORD, "{what}");
        assert!(!allows(&is_there, &[&odd]), "{what}");
        // What is not exactly the word is something else, also beside it.
        assert!(
            !allows(&all_but, &[&odd]) && !allows(&all_but, &[&odd, word]) && !allows(&all_but, &[word, &odd]),
            "{what}"
        );
    }
    println!("{swept} values");
}

#[test]
fn nobody_is_let_in_by_something_else_than_what_is_named() {
    let word = &HeaderValue::from_bytes(WORD).unwrap();
    let named = authorization("ALLOW", "values", "admin");
    let begins = authorization("ALLOW", "values", "admin*");
    let ends = authorization("ALLOW", "values", "*admin");
    let all_but = authorization("ALLOW", "notValues", "admin");
    assert!(allows(&named, &[word]) && allows(&named, &[word, word]) && !allows(&all_but, &[word]));
    for (byte, at, odd) in odd_values() {
        let what = format!("{byte:#04x} at {at} of {odd:?}");
        assert!(!allows(&named, &[&odd]), "{what}");
        // Every line has to be one that is let in.
        assert!(!allows(&named, &[&odd, word]) && !allows(&named, &[word, &odd]), "{what}");
        assert_eq!(allows(&begins, &[&odd]), odd.as_bytes().starts_with(WORD), "{what}");
        assert_eq!(allows(&ends, &[&odd]), odd.as_bytes().ends_with(WORD), "{what}");
        // And none may be what is kept out.
        assert!(!allows(&all_but, &[&odd, word]) && !allows(&all_but, &[word, &odd]), "{what}");
        assert_eq!(allows(&all_but, &[&odd]), trimmed(&odd) != WORD, "{what}");
    }
}

fn trimmed(value: &HeaderValue) -> &[u8] {
    value.as_bytes().trim_ascii()
}
