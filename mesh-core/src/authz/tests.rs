//! Whole policies against whole accesses.

mod fields;

use mesh_config::{ConfigSet, parse};

use super::*;
use crate::RequestView;
use crate::route::testing::Request;

/// The policies of a text; the action is in each.
fn policies(specs: &[&str]) -> ConfigSet {
    let document = |(n, spec): (usize, &&str)| {
        let (annotations, spec) = spec
            .strip_prefix("dry-run ")
            .map_or(("", *spec), |spec| (", annotations: {\"istio.io/dry-run\": \"true\"}", spec));
        format!(
            "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: p{n}, namespace: default{annotations}}}\nspec: {spec}\n"
        )
    };
    let yaml: Vec<String> = specs.iter().enumerate().map(document).collect();
    let (documents, report) = parse("test", &yaml.join("---\n"));
    assert!(!report.has_errors(), "{report:?}");
    ConfigSet::from_documents(documents).0
}

fn compiled(specs: &[&str], protocol: Protocol, profile: Profile) -> Authorization {
    let domains = TrustDomains::new(["cluster.local"]);
    let set = policies(specs);
    Authorization::new(set.authorization_policies(), Setting { trust_domains: &domains, protocol, profile })
}

fn decide(specs: &[&str], request: &Request) -> String {
    said(&compiled(specs, Protocol::Http, Profile::Istio), &request.view())
}

fn said(policy: &Authorization, view: &RequestView<'_>) -> String {
    let decision = policy.decide(&Access::request(view));
    let (word, rule) = match decision.verdict {
        Verdict::Allowed(rule) => ("allowed", rule),
        Verdict::Denied(rule) => ("denied", rule),
    };
    format!("{word} {}", rule.map_or_else(|| "none".to_owned(), ToString::to_string))
}

const DENY_ADMIN: &str = "{action: DENY, rules: [{to: [{operation: {paths: [/admin*]}}]}]}";
const ALLOW_GET: &str = "{rules: [{to: [{operation: {methods: [GET]}}]}]}";

#[test]
fn denials_come_before_permissions() {
    let both = [DENY_ADMIN, ALLOW_GET];
    assert_eq!(decide(&both, &Request::get("/admin")), "denied ns[default]-policy[p0]-rule[0]");
    assert_eq!(decide(&both, &Request::get("/x")), "allowed ns[default]-policy[p1]-rule[0]");
    assert_eq!(decide(&both, &Request::get("/x").method("POST")), "denied none");
    assert_eq!(decide(&[DENY_ADMIN], &Request::get("/x").method("POST")), "allowed none");
    assert_eq!(decide(&[], &Request::get("/x")), "allowed none");
}

#[test]
fn a_policy_that_allows_nothing_denies_everything_and_an_empty_rule_allows_it() {
    assert_eq!(decide(&["{}"], &Request::get("/")), "denied none");
    assert_eq!(decide(&["{rules: [{}]}"], &Request::get("/")), "allowed ns[default]-policy[p0]-rule[0]");
    assert_eq!(decide(&["{action: DENY, rules: [{}]}"], &Request::get("/")), "denied ns[default]-policy[p0]-rule[0]");
}

#[test]
fn a_policy_on_trial_is_judged_and_does_not_act() {
    let policy = compiled(
        &["dry-run {action: DENY, rules: [{to: [{operation: {paths: [/a]}}]}]}", "dry-run {rules: []}"],
        Protocol::Http,
        Profile::Istio,
    );
    let request = Request::get("/a");
    let view = request.view();
    let decision = policy.decide(&Access::request(&view));
    assert!(decision.is_allowed());
    assert_eq!(decision.dry_run.deny.map(|trial| trial.allowed), Some(false));
    assert_eq!(decision.dry_run.allow.map(|trial| trial.allowed), Some(false));
}

#[test]
fn audits_mark_and_never_deny() {
    let policy = compiled(&["{action: AUDIT, rules: [{}]}"], Protocol::Http, Profile::Istio);
    let request = Request::get("/");
    let decision = policy.decide(&Access::request(&request.view())).clone();
    assert!(decision.is_allowed());
    assert_eq!(decision.audit.map(|rule| rule.rule), Some(0));
}

#[test]
fn a_provider_is_asked_where_a_rule_says_so() {
    let custom = "{action: CUSTOM, provider: {name: ext}, rules: [{to: [{operation: {paths: [/a]}}]}]}";
    let policy = compiled(&[custom], Protocol::Http, Profile::Istio);
    let asked = |path: &str| {
        let request = Request::get(path);
        let view = request.view();
        let access = Access::request(&view);
        policy.questions(&access).map(|(provider, rule)| format!("{provider} {rule}")).collect::<Vec<_>>()
    };
    assert_eq!(asked("/a"), ["ext ns[default]-policy[p0]-rule[0]"]);
    assert!(asked("/b").is_empty());
}

#[test]
fn what_only_requests_have_opens_no_connection_and_closes_all() {
    let decided = |spec: &str| {
        compiled(&[spec], Protocol::Tcp, Profile::Istio)
            .decide(&Access::connection(crate::PeerView::default(), 80))
            .is_allowed()
    };
    assert!(!decided(ALLOW_GET));
    assert!(!decided(DENY_ADMIN));
    assert!(decided("{action: DENY, rules: [{to: [{operation: {paths: [/a], ports: [\"81\"]}}]}]}"));
    assert!(decided("{rules: [{to: [{operation: {ports: [\"80\"]}}]}]}"));
    assert!(!decided("{rules: [{to: [{operation: {ports: [\"80\"], notPaths: [/a]}}]}]}"));
}

#[test]
fn several_lines_of_a_header_open_less_and_close_more_where_that_is_asked_for() {
    let when = |action: &str, field: &str| {
        format!("{{action: {action}, rules: [{{when: [{{key: 'request.headers[x-role]', {field}: [admin]}}]}}]}}")
    };
    let two = Request::get("/").header("x-role", "guest").header("x-role", "admin");
    for (action, field, lenient, strict) in [
        ("ALLOW", "values", true, false),
        ("ALLOW", "notValues", false, false),
        ("DENY", "values", false, false),
        ("DENY", "notValues", true, false),
    ] {
        let spec = when(action, field);
        let allows = |profile| {
            let policy = compiled(&[&spec], Protocol::Http, profile);
            policy.decide(&Access::request(&two.view())).is_allowed()
        };
        assert_eq!((allows(Profile::Istio), allows(Profile::Safe)), (lenient, strict), "{spec}");
    }
}

#[test]
fn a_place_that_is_not_known_counts_against_the_caller_where_that_is_asked_for() {
    let ports = |action: &str, field: &str| {
        format!("{{action: {action}, rules: [{{to: [{{operation: {{paths: [/a], {field}: [\"80\"]}}}}]}}]}}")
    };
    let address = |action: &str, field: &str| {
        format!("{{action: {action}, rules: [{{when: [{{key: destination.ip, {field}: [10.0.0.1]}}]}}]}}")
    };
    let allows = |spec: &str, path: &str, port: u16, local: Option<[u8; 4]>, closes: bool| {
        let policy = compiled(&[spec], Protocol::Http, Profile::Safe);
        assert!(policy.looks_at().place, "{spec}");
        let request = Request::get(path);
        let mut view = request.view();
        view.port = port;
        view.peer.local_address = local.map(Into::into);
        policy.decide(&Access { unknown_place_closes: closes, ..Access::request(&view) }).is_allowed()
    };
    for (action, field, known, unasked) in [
        ("ALLOW", "ports", true, false),
        ("ALLOW", "notPorts", false, true),
        ("DENY", "ports", false, true),
        ("DENY", "notPorts", true, false),
    ] {
        let spec = ports(action, field);
        assert_eq!(allows(&spec, "/a", 80, None, true), known, "{spec}");
        assert_eq!(allows(&spec, "/a", 0, None, false), unasked, "{spec}");
        assert!(!allows(&spec, "/a", 0, None, true), "{spec}");
        // What else the rule says still counts.
        assert_eq!(allows(&spec, "/b", 0, None, true), action == "DENY", "{spec}");
    }
    for (action, field, known) in [
        ("ALLOW", "values", true),
        ("ALLOW", "notValues", false),
        ("DENY", "values", false),
        ("DENY", "notValues", true),
    ] {
        let spec = address(action, field);
        assert_eq!(allows(&spec, "/", 80, Some([10, 0, 0, 1]), true), known, "{spec}");
        assert!(!allows(&spec, "/", 80, None, true), "{spec}");
    }
    assert!(!compiled(&[DENY_ADMIN, ALLOW_GET], Protocol::Http, Profile::Safe).looks_at().place);
}

fn view_of<'a>(request: &'a Request, principal: Option<&'a str>) -> RequestView<'a> {
    let mut view = request.view();
    view.peer.principal = principal;
    view
}

fn allows(spec: &str, request: &Request, principal: Option<&str>) -> bool {
    compiled(&[spec], Protocol::Http, Profile::Safe).decide(&Access::request(&view_of(request, principal))).is_allowed()
}

#[test]
fn who_calls_counts_where_it_is_asked_for() {
    let (ours, friend) = (Some("spiffe://cluster.local/ns/a/sa/b"), Some("spiffe://friend.example/ns/a/sa/b"));
    let request = Request::get("/");
    for source in [
        "principals: [cluster.local/ns/a/sa/b]",
        "namespaces: [a]",
        "serviceAccounts: [a/b]",
        "trustDomains: [cluster.local]",
    ] {
        let spec = format!("{{rules: [{{from: [{{source: {{{source}}}}}]}}]}}");
        assert!(allows(&spec, &request, ours), "{source}");
        assert!(!allows(&spec, &request, Some("spiffe://other/ns/x/sa/y")), "{source}");
        assert!(!allows(&spec, &request, None), "{source}");
    }
    let spec = "{rules: [{from: [{source: {principals: [cluster.local/ns/a/sa/b]}}]}]}";
    let aliased = |names: &[&str]| {
        let domains = TrustDomains::new(names.iter().copied());
        let set = policies(&[spec]);
        let setting = Setting { trust_domains: &domains, protocol: Protocol::Http, profile: Profile::Safe };
        let policy = Authorization::new(set.authorization_policies(), setting);
        policy.decide(&Access::request(&view_of(&request, friend))).is_allowed()
    };
    assert!(!aliased(&["cluster.local"]) && aliased(&["cluster.local", "friend.example"]));
}

#[test]
fn where_a_caller_is_counts_where_it_is_asked_for() {
    let request = Request::get("/");
    let spec = "{rules: [{from: [{source: {ipBlocks: [10.0.0.0/8]}}]}]}";
    let policy = compiled(&[spec], Protocol::Http, Profile::Safe);
    for (address, expected) in [([10, 1, 2, 3], true), ([11, 1, 2, 3], false)] {
        let mut view = request.view();
        view.peer.address = Some(address.into());
        assert_eq!(policy.decide(&Access::request(&view)).is_allowed(), expected);
    }
    assert!(policy.looks_at().connection && !policy.looks_at().token);
}

#[test]
fn a_condition_that_nobody_knows_opens_nothing_and_takes_nothing_from_what_closes() {
    use super::condition::Attribute;
    let known = |key: &str| Attribute::parse(key).is_some();
    assert!(
        known("experimental.envoy.filters.a.b[c]") && !known("experimental.other[c]") && !known("request.other[c]")
    );
    assert!(!known("experimental.envoy.filters.a.b"));
    // Such a document is refused by the validation; what is compiled all the same keeps out.
    let unknown = |action: &str| {
        let policy = mesh_config::api::AuthorizationPolicy {
            action: serde_json::from_value(action.into()).unwrap(),
            rules: serde_json::from_value(serde_json::json!([{"to": [{"operation": {"paths": ["/a"]}}], "when": [{"key": "no.such[key]", "values": ["x"]}]}])).unwrap(),
            ..Default::default()
        };
        let mut object = policies(&["{}"]).authorization_policies().next().unwrap().clone();
        object.spec = policy;
        let domains = TrustDomains::new(["cluster.local"]);
        let setting = Setting { trust_domains: &domains, protocol: Protocol::Http, profile: Profile::Safe };
        let policy = Authorization::new([&object], setting);
        ["/a", "/b"].map(|path| policy.decide(&Access::request(&Request::get(path).view())).is_allowed())
    };
    assert_eq!(unknown("ALLOW"), [false, false]);
    assert_eq!(unknown("DENY"), [false, true]);
}

#[test]
fn several_providers_are_asked_each_by_its_own_rules() {
    let custom = |provider: &str, path: &str| {
        format!(
            "{{action: CUSTOM, provider: {{name: {provider}}}, rules: [{{to: [{{operation: {{paths: [{path}]}}}}]}}]}}"
        )
    };
    let specs = [custom("one", "/a"), custom("two", "/b"), custom("one", "/c"), custom("two", "/a")];
    let specs: Vec<_> = specs.iter().map(String::as_str).collect();
    let policy = compiled(&specs, Protocol::Http, Profile::Safe);
    let asked = |path: &str| {
        let request = Request::get(path);
        let view = request.view();
        let asked: Vec<_> =
            policy.questions(&Access::request(&view)).map(|(provider, _)| provider.to_owned()).collect();
        asked
    };
    assert_eq!(policy.providers().collect::<Vec<_>>(), ["one", "two"]);
    assert_eq!(
        (asked("/a"), asked("/b"), asked("/c")),
        (vec!["one".into(), "two".into()], vec!["two".into()], vec!["one".into()])
    );
}

#[test]
fn nothing_is_to_be_seen_without_any_policy_and_with_each_kind_there_is() {
    assert!(compiled(&[], Protocol::Http, Profile::Safe).is_empty());
    for spec in [
        "{rules: [{}]}",
        "{}",
        "{action: DENY, rules: [{}]}",
        "{action: AUDIT, rules: [{}]}",
        "{action: CUSTOM, provider: {name: x}, rules: [{}]}",
        "dry-run {rules: [{}]}",
        "dry-run {action: DENY, rules: [{}]}",
    ] {
        assert!(!compiled(&[spec], Protocol::Http, Profile::Safe).is_empty(), "{spec}");
    }
}
