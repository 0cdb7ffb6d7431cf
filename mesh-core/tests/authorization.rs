//! Properties of authorization: a restriction only ever restricts, and a path is judged by its normal form.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use http::{HeaderMap, HeaderValue, Method};
use mesh_config::api::mesh_config::NormalizationType;
use mesh_config::{ConfigSet, parse};
use mesh_core::authz::{Access, Authorization, Protocol, Setting};
use mesh_core::identity::TrustDomains;
use mesh_core::path_normalization::normalize;
use mesh_core::{PeerView, Profile, RequestView, Scheme};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A restriction: where it stands in a rule, its field, its values.
type Restriction = (&'static str, &'static str, Vec<&'static str>);

fn restriction() -> impl Strategy<Value = Restriction> {
    let values = |values: &'static [&'static str]| prop::sample::subsequence(values.to_vec(), 1..=values.len());
    prop_oneof![
        values(&["/a", "/a*", "*b", "/{*}/b"]).prop_flat_map(|v| one("operation", &["paths", "notPaths"], v)),
        values(&["GET", "P*", "*"]).prop_flat_map(|v| one("operation", &["methods", "notMethods"], v)),
        values(&["x.example", "*.example", "y*"]).prop_flat_map(|v| one("operation", &["hosts", "notHosts"], v)),
        values(&["80", "81"]).prop_flat_map(|v| one("operation", &["ports", "notPorts"], v)),
        values(&["td/ns/n/sa/s", "*/sa/s", "*"]).prop_flat_map(|v| one("source", &["principals", "notPrincipals"], v)),
        values(&["n", "m*"]).prop_flat_map(|v| one("source", &["namespaces", "notNamespaces"], v)),
        values(&["10.0.0.0/8", "127.0.0.1"]).prop_flat_map(|v| one("source", &["ipBlocks", "notIpBlocks"], v)),
        values(&["td", "t*", "*"]).prop_flat_map(|v| one("source", &["trustDomains", "notTrustDomains"], v)),
        values(&["1", "2*", "*"]).prop_flat_map(|v| one("when", &["values", "notValues"], v)),
    ]
}

fn one(
    place: &'static str,
    fields: &'static [&'static str],
    values: Vec<&'static str>,
) -> impl Strategy<Value = Restriction> {
    prop::sample::select(fields).prop_map(move |field| (place, field, values.clone()))
}

fn policy(action: &str, restrictions: &[Restriction]) -> String {
    let (mut source, mut operation, mut when) = (json!({}), json!({}), Vec::new());
    for (place, field, values) in restrictions {
        match *place {
            "source" => source[*field] = json!(values),
            "operation" => operation[*field] = json!(values),
            _ => when.push(json!({"key": "request.headers[x-h]", *field: values})),
        }
    }
    let list = |name: &str, one: Value| if one == json!({}) { json!([]) } else { json!([{name: one}]) };
    let rule = json!({"from": list("source", source), "to": list("operation", operation), "when": when});
    json!({
        "apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
        "metadata": {"name": "p", "namespace": "default"}, "spec": {"action": action, "rules": [rule]},
    })
    .to_string()
}

#[derive(Clone, Debug)]
struct Asked {
    method: &'static str,
    path: &'static str,
    host: &'static str,
    port: u16,
    principal: Option<&'static str>,
    address: &'static str,
    lines: Vec<&'static str>,
}

fn asked() -> impl Strategy<Value = Asked> {
    (
        prop::sample::select(&["GET", "POST"][..]),
        prop::sample::select(&["/a", "/ab", "/x/b", "/"][..]),
        prop::sample::select(&["x.example", "y", "z"][..]),
        prop::sample::select(&[80_u16, 81, 82][..]),
        prop::sample::select(&[None, Some("spiffe://td/ns/n/sa/s"), Some("spiffe://other/ns/m1/sa/s")][..]),
        prop::sample::select(&["10.1.1.1", "127.0.0.1", "192.0.2.1"][..]),
        prop::collection::vec(prop::sample::select(&["1", "21", "", "1,2"][..]), 0..3),
    )
        .prop_map(|(method, path, host, port, principal, address, lines)| Asked {
            method,
            path,
            host,
            port,
            principal,
            address,
            lines,
        })
}

fn allows(documents: &str, asked: &Asked, profile: Profile) -> bool {
    let (set, _) = ConfigSet::from_documents(parse("p", documents).0);
    let domains = TrustDomains::new(["td"]);
    let setting = Setting { trust_domains: &domains, protocol: Protocol::Http, profile };
    let authorization = Authorization::new(set.authorization_policies(), setting);
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
        peer: PeerView { address: asked.address.parse().ok(), principal: asked.principal, ..PeerView::default() },
        port: asked.port,
    };
    authorization.decide(&Access::request(&view)).is_allowed()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_restriction_only_ever_restricts(
        restrictions in prop::collection::vec(restriction(), 1..5), at in any::<prop::sample::Index>(),
        asked in asked(), strict in any::<bool>(),
    ) {
        let mut unique = restrictions;
        unique.sort();
        unique.dedup_by_key(|(_, field, _)| *field);
        let mut fewer = unique.clone();
        fewer.remove(at.index(unique.len()));
        let profile = if strict { Profile::Safe } else { Profile::Istio };
        let allowed = |action: &str, restrictions: &[Restriction]| allows(&policy(action, restrictions), &asked, profile);
        // Of a rule that lets in: who got in with all of them gets in with one less.
        prop_assert!(!allowed("ALLOW", &unique) || allowed("ALLOW", &fewer));
        // Of a rule that keeps out: who was kept out with all of them is kept out with one less.
        prop_assert!(allowed("DENY", &unique) || !allowed("DENY", &fewer));
        // What is let in leniently is a part of it strictly.
        if allows(&policy("ALLOW", &unique), &asked, Profile::Safe) {
            prop_assert!(allows(&policy("ALLOW", &unique), &asked, Profile::Istio));
        }
    }

    #[test]
    fn a_normal_form_is_its_own(path in "/[ab./\\\\%25eEfF;]{0,24}", level in 0..3) {
        let level = [NormalizationType::Base, NormalizationType::MergeSlashes, NormalizationType::DecodeAndMergeSlashes]
            [level as usize];
        let Ok(once) = normalize(&path, level) else { return Ok(()) };
        let once = once.unwrap_or(path);
        // An escape that is decoded may make another one: of `%2541` stays `%2541`, so nothing is decoded twice.
        let twice = normalize(&once, level).unwrap().unwrap_or_else(|| once.clone());
        let again = normalize(&twice, level).unwrap().unwrap_or_else(|| twice.clone());
        prop_assert_eq!(twice, again);
    }
}
