//! Whole policies against whole accesses.

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
