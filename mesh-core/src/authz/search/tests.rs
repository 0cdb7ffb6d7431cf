//! What is found is what a look at every rule finds.

use mesh_config::api::AuthorizationPolicy;
use mesh_config::{Object, ObjectMeta};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{Authorization, Protocol, Setting, TrustDomains};
use super::*;
use crate::route::testing::Request;
use crate::{PeerView, Profile};

/// Words for each field, of the kinds that are told apart and of those that are not.
const FIELDS: &[(&str, &str, &[&str])] = &[
    ("from", "principals", &["td/ns/a/sa/b", "td/ns/a/*", "*/sa/b", "*", "td/ns/ns/sa/sa"]),
    ("from", "namespaces", &["a", "b", "*", "a*", "ns", "a/b"]),
    ("from", "serviceAccounts", &["a/b", "b", "c", "ns/sa", "a/b/c"]),
    ("from", "requestPrincipals", &["i/alice", "i/*", "*/bob"]),
    ("from", "ipBlocks", &["10.0.0.0/8"]),
    ("to", "paths", &["/a", "/a/*", "/a/{*}", "*b", "/{**}", "/ab*", "*"]),
    ("to", "hosts", &["x.example", "X.Example", "*.example"]),
    ("to", "methods", &["GET"]),
    ("when", "request.headers[x-h]", &["1", "2", "1,2", "*", ""]),
    ("when", "request.headers[x-g]", &["1"]),
    ("when", "request.experimental.inline.headers[x-h]", &["1", "2"]),
    ("when", "request.auth.claims[group]", &["a", "b", "c*"]),
];

fn condition() -> impl Strategy<Value = (&'static str, &'static str, Vec<&'static str>, bool)> {
    (prop::sample::select(FIELDS), prop::bool::weighted(0.15)).prop_flat_map(|((place, name, of), not)| {
        prop::sample::subsequence(of.to_vec(), 1..=of.len().min(2)).prop_map(move |words| (place, name, words, not))
    })
}

fn rule() -> impl Strategy<Value = Value> {
    prop::collection::vec(condition(), 0..4).prop_map(rule_of)
}

fn rule_of<'w>(conditions: impl IntoIterator<Item = (&'w str, &'w str, Vec<&'w str>, bool)>) -> Value {
    let (mut from, mut to, mut when) = (Vec::new(), Vec::new(), Vec::new());
    for (place, name, words, not) in conditions {
        let field = if not { format!("not{}{}", name[..1].to_uppercase(), &name[1..]) } else { name.to_owned() };
        match place {
            "from" => from.push(json!({"source": {field: words}})),
            "to" => to.push(json!({"operation": {field: words}})),
            _ if not => when.push(json!({"key": name, "notValues": words})),
            _ => when.push(json!({"key": name, "values": words})),
        }
    }
    json!({"from": from, "to": to, "when": when})
}

fn request() -> impl Strategy<Value = Request> {
    let path = prop::sample::select(vec!["/a", "/a/b", "/ab", "/b", "/"]);
    let host = prop::sample::select(vec!["x.example", "X.EXAMPLE", "y"]);
    let lines = prop::collection::vec(prop::sample::select(vec!["1", "2", " 1 ", "1,2", ""]), 0..3);
    (path, host, lines).prop_map(|(path, host, lines)| {
        let request = Request::get(path).authority(host).header("x-g", "2");
        lines.into_iter().fold(request, |request, line| request.header("x-h", line))
    })
}

const IDENTITIES: &[&str] = &[
    "spiffe://td/ns/a/sa/b",
    "spiffe://td/ns/b/sa/c",
    "spiffe://td/ns/ns/sa/sa",
    "spiffe://td/ns/a/sa/b/c",
    "spiffe://td/ns/a",
    "spiffe://td/ns/a/b/sa/c",
    "td/ns/a/sa/b",
    "spiffe://td/ns/x/ns/a/sa/b",
    "",
];

fn claims() -> impl Strategy<Value = Option<Claims>> {
    let tokens =
        [json!({"iss": "i", "sub": "alice", "group": "a"}), json!({"iss": "i", "sub": "bob", "group": ["b", "cd"]})];
    let all = tokens.map(|token| token.as_object().cloned().map(Claims::new));
    prop::sample::select([vec![None], all.to_vec()].concat())
}

fn policies(action: &str, rules: Vec<Value>) -> Vec<Object<AuthorizationPolicy>> {
    let spec = |rule: Value| serde_json::from_value(json!({"action": action, "rules": [rule]})).unwrap();
    let mut named = 0..;
    let meta = |n: u32| {
        let mut meta = ObjectMeta::default();
        (meta.name, meta.namespace) = (format!("p{n:03}"), "a".into());
        meta
    };
    rules.into_iter().map(|rule| Object::new(meta(named.next().unwrap()), spec(rule))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(
        std::env::var("MESH_PROPERTIES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(256)
    ))]

    #[test]
    fn the_first_rule_that_matches_is_found(
        rules in prop::collection::vec(rule(), FEW + 1..24), request in request(), claims in claims(),
        identity in prop::option::of(prop::sample::select(IDENTITIES)), deny in any::<bool>(), strict in any::<bool>(),
    ) {
        let policies = policies(if deny { "DENY" } else { "ALLOW" }, rules);
        let trust_domains = &TrustDomains::new(["td"]);
        let profile = if strict { Profile::Safe } else { Profile::Istio };
        let authorization = Authorization::new(&policies, Setting { trust_domains, protocol: Protocol::Http, profile });
        let set = if deny { &authorization.deny } else { authorization.allow.as_ref().unwrap() };
        let view = request.view();
        let peer = PeerView { principal: identity, claims: claims.as_ref(), ..view.peer };
        let view = RequestView { peer, ..view };
        for access in [Access::request(&view), Access::connection(peer, 80)] {
            let expected = set.rules.iter().position(|(_, rule)| rule.matches(&access));
            prop_assert_eq!(set.search.as_ref().unwrap().first_match(&set.rules, &access), expected);
        }
    }
}

#[test]
fn each_kind_of_condition_is_found_by_itself_among_many_that_do_not_match() {
    let long = "h".repeat(LONGEST_HOST + 1);
    let hosts = [&*long, &long[1..], "x.example", "X.EXAMPLE", "y"];
    let texts = FIELDS.iter().flat_map(|(place, name, words)| words.iter().map(move |word| (*place, *name, *word)));
    let requests: Vec<_> = hosts
        .iter()
        .flat_map(|host| ["/a", "/a/b", "/ab", "/"].map(|path| Request::get(path).authority(host)))
        .flat_map(|request| ["1", " 1 ", "2", "1,2", ""].map(|line| request.clone().header("x-h", line)))
        .collect();
    let token = json!({"iss": "i", "sub": "alice", "group": "a"}).as_object().cloned().map(Claims::new);
    let all = texts.chain(hosts.map(|host| ("to", "hosts", host)));
    for ((place, name, word), profile) in all.flat_map(|one| [(one, Profile::Istio), (one, Profile::Safe)]) {
        let others = (0..FEW).map(|n| json!({"from": [{"source": {"principals": [format!("nobody/{n}")]}}]}));
        let rules = others.chain([rule_of([(place, name, vec![word], false)])]).collect();
        let policies = policies("DENY", rules);
        let trust_domains = &TrustDomains::new(["td"]);
        let setting = Setting { trust_domains, protocol: Protocol::Http, profile };
        let authorization = Authorization::new(&policies, setting);
        let set = &authorization.deny;
        for request in &requests {
            for identity in IDENTITIES.iter().copied().map(Some).chain([None]) {
                let view = request.view();
                let peer = PeerView { principal: identity, claims: token.as_ref(), ..view.peer };
                let view = RequestView { peer, ..view };
                let access = Access::request(&view);
                let expected = set.rules.iter().position(|(_, rule)| rule.matches(&access));
                let found = set.search.as_ref().unwrap().first_match(&set.rules, &access);
                assert_eq!(found, expected, "{name}: {word}, {identity:?}");
            }
        }
    }
}

#[test]
fn few_of_many_rules_are_asked() {
    let rules: Vec<Value> = (0..100)
        .map(|n| {
            json!({"from": [{"source": {"namespaces": ["a"], "serviceAccounts": [format!("a/s{n}")]}}],
            "to": [{"operation": {"paths": ["/a*"]}}]})
        })
        .collect();
    let trust_domains = &TrustDomains::new(["td"]);
    let setting = Setting { trust_domains, protocol: Protocol::Http, profile: Profile::Safe };
    let authorization = Authorization::new(&policies("DENY", rules), setting);
    let search = authorization.deny.search.unwrap();
    assert!(search.rest.is_empty() && search.namespaces.is_empty() && search.paths.is_empty());
    assert_eq!(search.accounts["a"].len(), 100);
}
