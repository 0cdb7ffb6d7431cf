//! Random policies and requests, from few words, so that they meet.

use http::{HeaderMap, HeaderValue, Method};
use mesh_config::api::AuthorizationPolicy;
use mesh_config::{Object, ObjectMeta};
use mesh_core::authz::{Access, Authorization, Protocol, Setting};
use mesh_core::identity::TrustDomains;
use mesh_core::jwt::Claims;
use mesh_core::{PeerView, Profile, RequestView, Scheme};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Fields of a source or an operation, and words for each.
type Fields = &'static [(&'static str, &'static [&'static str])];

const SOURCE: Fields = &[
    ("principals", &["td/ns/n/sa/s", "*/sa/s", "td/*", "*"]),
    ("namespaces", &["n", "m*", "*n"]),
    ("serviceAccounts", &["n/s", "s", "m1/s"]),
    ("trustDomains", &["td", "t*", "*"]),
    ("requestPrincipals", &["i/alice", "i/*", "*"]),
    ("ipBlocks", &["10.0.0.0/8", "127.0.0.1"]),
    ("remoteIpBlocks", &["192.0.2.0/24", "127.0.0.1"]),
];

const OPERATION: Fields = &[
    ("paths", &["/a", "/a*", "*b", "/{*}/b"]),
    ("methods", &["GET", "P*", "*"]),
    ("hosts", &["x.example", "*.example", "y*"]),
    ("ports", &["80", "81"]),
];

/// Keys of conditions. One is none.
const KEYS: Fields = &[
    ("request.headers[x-h]", &["1", "2*", "*", "1,2"]),
    ("request.auth.claims[group]", &["a", "b*"]),
    ("request.auth.audiences", &["aud", "*"]),
    ("source.principal", &["td/ns/n/sa/s", "*"]),
    ("destination.port", &["80"]),
    ("connection.sni", &["x.example", "*.example"]),
    ("experimental.envoy.filters.x[y]", &["1"]),
    ("source.unknown", &["1"]),
];

fn words(of: &'static [&'static str]) -> impl Strategy<Value = Vec<&'static str>> {
    prop::sample::subsequence(of.to_vec(), 1..=of.len())
}

/// Some of the fields, each positive or not.
fn some_of(fields: Fields) -> impl Strategy<Value = Value> {
    let field = (prop::sample::select(fields), any::<bool>())
        .prop_flat_map(|((name, of), not)| words(of).prop_map(move |words| (named(name, not), json!(words))));
    prop::collection::vec(field, 0..3).prop_map(|fields| Value::Object(fields.into_iter().collect()))
}

fn named(name: &str, not: bool) -> String {
    if !not {
        return name.to_owned();
    }
    let (first, rest) = name.split_at(1);
    format!("not{}{rest}", first.to_uppercase())
}

fn condition() -> impl Strategy<Value = Value> {
    prop::sample::select(KEYS).prop_flat_map(|(key, of)| {
        (words(of), words(of), 0..3).prop_map(move |(values, not_values, which)| {
            let mut condition = Map::from_iter([("key".to_owned(), json!(key))]);
            if which != 1 {
                condition.insert("values".to_owned(), json!(values));
            }
            if which != 0 {
                condition.insert("notValues".to_owned(), json!(not_values));
            }
            Value::Object(condition)
        })
    })
}

pub(crate) fn rule() -> impl Strategy<Value = Value> {
    let from = prop::collection::vec(some_of(SOURCE).prop_map(|source| json!({ "source": source })), 0..3);
    let to = prop::collection::vec(some_of(OPERATION).prop_map(|operation| json!({ "operation": operation })), 0..3);
    let when = prop::collection::vec(condition(), 0..2);
    (from, to, when).prop_map(|(from, to, when)| {
        let lists = [("from", from), ("to", to), ("when", when)].into_iter();
        Value::Object(
            lists.filter(|(_, list)| !list.is_empty()).map(|(name, list)| (name.to_owned(), json!(list))).collect(),
        )
    })
}

/// The `spec` of a policy.
pub(crate) fn policy() -> impl Strategy<Value = Value> {
    let action = prop::sample::select(vec!["ALLOW", "DENY", "ALLOW", "DENY", "AUDIT", "CUSTOM"]);
    (action, prop::collection::vec(rule(), 0..3)).prop_map(|(action, rules)| {
        let mut spec = json!({ "action": action, "rules": rules });
        if action == "CUSTOM" {
            spec["provider"] = json!({ "name": "ext" });
        }
        spec
    })
}

/// A request, as the laws ask about it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    method: &'static str,
    path: &'static str,
    host: &'static str,
    port: u16,
    principal: Option<&'static str>,
    sni: Option<&'static str>,
    address: &'static str,
    lines: Vec<&'static str>,
    claims: Option<Claims>,
}

pub(crate) fn asked() -> impl Strategy<Value = Asked> {
    let connection = (
        prop::sample::select(&[80_u16, 81, 82][..]),
        prop::sample::select(&[None, Some("spiffe://td/ns/n/sa/s"), Some("spiffe://other/ns/m1/sa/s")][..]),
        prop::sample::select(&[None, Some("x.example")][..]),
        prop::sample::select(&["10.1.1.1", "127.0.0.1", "192.0.2.1"][..]),
    );
    let head = (
        prop::sample::select(&["GET", "POST"][..]),
        prop::sample::select(&["/a", "/ab", "/x/b", "/"][..]),
        prop::sample::select(&["x.example", "Y", "z"][..]),
        prop::collection::vec(prop::sample::select(&["1", "21", "", "1,2", " 1"][..]), 0..3),
    );
    (connection, head, claims()).prop_map(|(connection, head, claims)| {
        let (port, principal, sni, address) = connection;
        let (method, path, host, lines) = head;
        Asked { method, path, host, port, principal, sni, address, lines, claims }
    })
}

fn claims() -> impl Strategy<Value = Option<Claims>> {
    let tokens = [
        json!({"iss": "i", "sub": "alice", "group": "a", "aud": "aud"}),
        json!({"iss": "i", "sub": "bob", "group": ["a", "bc"]}),
        json!({"iss": "j", "group": 1}),
    ];
    let claims = |token: Value| token.as_object().cloned().map(Claims::new);
    prop::sample::select([vec![None], tokens.into_iter().map(claims).collect()].concat())
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Whether nobody outside is asked first.
    pub(crate) unasked: bool,
    /// Whether it may go on if those who are asked let it.
    pub(crate) allowed: bool,
}

/// Judges a request by the `spec`s of policies in the namespace `n`.
pub(crate) fn judge(specs: &[Value], asked: &Asked, profile: Profile) -> Outcome {
    let policies: Vec<Object<AuthorizationPolicy>> = specs.iter().map(object).collect();
    let trust_domains = &TrustDomains::new(["td"]);
    let authorization = Authorization::new(&policies, Setting { trust_domains, protocol: Protocol::Http, profile });
    let mut headers = HeaderMap::new();
    for line in &asked.lines {
        headers.append("x-h", HeaderValue::from_static(line));
    }
    let view = RequestView {
        method: &asked.method.parse::<Method>().unwrap(),
        scheme: Scheme::Http,
        authority: asked.host,
        path: asked.path,
        query: None,
        headers: &headers,
        peer: PeerView {
            address: asked.address.parse().ok(),
            principal: asked.principal,
            sni: asked.sni,
            claims: asked.claims.as_ref(),
            ..PeerView::default()
        },
        port: asked.port,
    };
    let access = Access::request(&view);
    Outcome {
        unasked: authorization.questions(&access).next().is_none(),
        allowed: authorization.decide(&access).is_allowed(),
    }
}

fn object(spec: &Value) -> Object<AuthorizationPolicy> {
    let mut meta = ObjectMeta::default();
    meta.name = "p".into();
    meta.namespace = "n".into();
    Object::new(meta, serde_json::from_value(spec.clone()).unwrap())
}
