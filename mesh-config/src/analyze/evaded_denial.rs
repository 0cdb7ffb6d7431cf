//! Denials that another spelling of the same path or host walks around.

use std::cell::Cell;

use super::pattern::matches;
use super::rules::each_policy_rule;
use super::{Analyzer, Context};
use crate::api::AuthorizationPolicy;
use crate::api::authorization_policy::{AuthorizationAction, Operation, Rule};
use crate::api::mesh_config::NormalizationType;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::resource::Object;
use crate::set::ConfigSet;
use crate::validate::{At, Checker};

/// `MESH0704` and `MESH0706`: what a policy refuses is compared byte for byte with the path as it is after normalization,
/// and with the Host as it was sent, port included. Servers are often less exact.
pub(super) struct EvadedDenial;

impl Analyzer for EvadedDenial {
    fn name(&self) -> &'static str {
        "mesh.EvadedDenial"
    }

    fn codes(&self) -> &'static [Code] {
        &[Code::EVADED_PATH, Code::EVADED_HOST]
    }

    fn analyze(&self, context: &Context<'_>, out: &mut Report) {
        let set = context.set;
        let mode = context.mesh_config().map_or(NormalizationType::Base, |mesh| mesh.normalization());
        let left = Cell::new(MOST_LOOKS);
        each_policy_rule(set, out, |cx, at, policy, rule| {
            if refuses(policy) {
                check_rule(cx, at, &View { set, policy, mode, left: &left }, rule);
            }
        });
    }
}

/// DENY refuses what it lists; ALLOW refuses what it lists under `not`.
fn refuses(policy: &Object<AuthorizationPolicy>) -> bool {
    matches!(policy.spec.action, AuthorizationAction::Deny | AuthorizationAction::Allow)
}

struct View<'a> {
    set: &'a ConfigSet,
    policy: &'a Object<AuthorizationPolicy>,
    mode: NormalizationType,
    /// How many patterns and policies may still be looked at.
    left: &'a Cell<usize>,
}

/// How many patterns and policies are looked at for the variants of all paths. Each path is held against all others, so
/// that of very many the last ones are not examined.
const MOST_LOOKS: usize = 2_000_000;

fn check_rule(cx: &mut Checker<'_>, at: &At<'_>, view: &View<'_>, rule: &Rule) {
    let denies = view.policy.spec.action == AuthorizationAction::Deny;
    for (index, to) in rule.to.iter().enumerate() {
        let Some(operation) = &to.operation else { continue };
        let at = at.field("to");
        let at = at.index(index);
        let at = at.field("operation");
        let (paths, hosts) = match denies {
            true => (("paths", &operation.paths), ("hosts", &operation.hosts)),
            false => (("notPaths", &operation.not_paths), ("notHosts", &operation.not_hosts)),
        };
        if let Some((index, finding)) = view.evaded_path(paths.1) {
            cx.push(&at.field(paths.0).index(index), finding);
        }
        if let Some((index, finding)) = view.evaded_host(hosts.1) {
            cx.push(&at.field(hosts.0).index(index), finding);
        }
    }
}

/// Another spelling that is not refused, and how it differs.
struct Variant {
    text: String,
    /// Most servers take it for the same path.
    is_common: bool,
}

impl View<'_> {
    /// The first path with a spelling that gets through; one that most servers would take goes before.
    fn evaded_path(&self, paths: &[String]) -> Option<(usize, Diagnostic)> {
        let open: Vec<_> =
            paths.iter().enumerate().map(|(index, path)| (index, path, self.open_variants(path, paths))).collect();
        let common = |variants: &[Variant]| variants.iter().any(|variant| variant.is_common);
        let worst = open.iter().find(|(.., variants)| common(variants));
        let (index, path, variants) = worst.or_else(|| open.iter().find(|(.., variants)| !variants.is_empty()))?;
        let names: Vec<_> = variants.iter().map(|variant| format!("`{}`", variant.text)).collect();
        let message =
            format!("`{path}` is refused, but not {} (pathNormalization {})", names.join(", "), self.mode.as_str());
        let finding = match common(variants) {
            true => Diagnostic::warning(Code::EVADED_PATH, message),
            false => Diagnostic::info(Code::EVADED_PATH, message),
        };
        let finding = finding
            .effect(format!("a server that takes these for {path} answers them; the policy's 403 is for {path} alone"));
        Some((*index, finding.help(self.help(path, variants))))
    }

    fn help(&self, path: &str, variants: &[Variant]) -> String {
        let mut ways = Vec::new();
        if variants.iter().any(|variant| variant.is_common) && !path.starts_with('*') {
            let stem = path.trim_end_matches('*').trim_end_matches('/');
            ways.push(format!("refuse `{stem}` and `{stem}/*`"));
        }
        if self.mode != NormalizationType::DecodeAndMergeSlashes {
            ways.push("set pathNormalization.normalization: DECODE_AND_MERGE_SLASHES in the MeshConfig".to_owned());
        }
        ways.push("safest is an ALLOW policy with what may be called".to_owned());
        ways.join("; ")
    }

    /// The spellings of a refused path that nothing refuses.
    fn open_variants(&self, path: &str, paths: &[String]) -> Vec<Variant> {
        let mut open = variants(path, self.mode);
        open.retain(|variant| !self.is_stopped(&variant.text, paths));
        // Servers that ignore case are few: this alone is no finding.
        let stem = path.trim_end_matches('*');
        if open.iter().all(|variant| variant.text.eq_ignore_ascii_case(stem)) {
            open.clear();
        }
        open
    }

    fn look(&self) {
        self.left.set(self.left.get().saturating_sub(1));
    }

    fn is_stopped(&self, text: &str, paths: &[String]) -> bool {
        // Without looking, nothing can be said to be open.
        if self.left.get() == 0 {
            return true;
        }
        let matches = |pattern: &str, text: &str| {
            self.look();
            matches(pattern, text)
        };
        if paths.iter().any(|pattern| matches(pattern, text)) {
            return true;
        }
        let rules = || self.policy.spec.rules.iter().flat_map(operations);
        if self.policy.spec.action == AuthorizationAction::Deny
            && rules().any(|operation| operation.paths.iter().any(|pattern| matches(pattern, text)))
        {
            return true;
        }
        // An ALLOW policy for the same workloads that knows its paths stops everything else.
        let beside = self.set.authorization_policies().filter(|other| {
            self.look();
            other.spec.action == AuthorizationAction::Allow
                && !std::ptr::eq(*other, self.policy)
                && other.meta.namespace == self.policy.meta.namespace
                && (other.spec.selector == self.policy.spec.selector || other.spec.selector.is_none())
                && other.spec.target_refs.is_empty()
        });
        let mut beside = beside.peekable();
        beside.peek().is_some()
            && beside.all(|other| !other.spec.rules.iter().any(|rule| lets_through(rule, text, &matches)))
    }

    fn evaded_host(&self, hosts: &[String]) -> Option<(usize, Diagnostic)> {
        let is_open = |host: &str| {
            let with_port = format!("{}:80", host.replacen('*', "x", 1));
            !host.ends_with('*') && !host.contains(':') && !hosts.iter().any(|pattern| matches(pattern, &with_port))
        };
        let (index, host) = hosts.iter().enumerate().find(|(_, host)| is_open(host))?;
        let message = format!("host `{host}` is refused, but not with a port: the port of a Host counts");
        let finding = Diagnostic::warning(Code::EVADED_HOST, message)
            .effect(format!(
                "a request with `Host: {}:80` is routed to the same place and not refused",
                host.replacen('*', "x", 1)
            ))
            .help(match host.starts_with('*') {
                true => "refuse by path, port or caller: no pattern has a `*` at both ends".to_owned(),
                false => format!("add `{host}:*`"),
            });
        Some((index, finding))
    }
}

fn operations(rule: &Rule) -> impl Iterator<Item = &Operation> {
    rule.to.iter().filter_map(|to| to.operation.as_ref())
}

fn lets_through(rule: &Rule, path: &str, matches: &impl Fn(&str, &str) -> bool) -> bool {
    let lets = |operation: &Operation| {
        (operation.paths.is_empty() || operation.paths.iter().any(|pattern| matches(pattern, path)))
            && !operation.not_paths.iter().any(|pattern| matches(pattern, path))
    };
    rule.to.is_empty() || operations(rule).any(lets)
}

/// Other spellings of what a pattern stands for. Endings (`*.php`) and templates are not looked at.
fn variants(pattern: &str, mode: NormalizationType) -> Vec<Variant> {
    let (stem, is_exact) = match pattern.strip_suffix('*') {
        Some(stem) => (stem, false),
        None => (pattern, true),
    };
    let is_plain = stem.starts_with('/') && !stem.contains(['*', '{', '?', '#']);
    if !is_plain || stem == "/" || is_grpc_method(stem) {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut add = |text: String, is_common: bool| found.push(Variant { text, is_common });
    if stem.contains("//") {
        add(merged(stem), true);
    }
    if is_exact && !stem.ends_with('/') {
        add(format!("{stem}/"), true);
    }
    // `/a/*` leaves out `/a` itself.
    if !is_exact && stem.ends_with('/') {
        add(stem.trim_end_matches('/').to_owned(), true);
    }
    if mode == NormalizationType::None {
        add(format!("/.{stem}"), true);
    }
    if matches!(mode, NormalizationType::None | NormalizationType::Base) {
        add(format!("/{stem}"), false);
    }
    if mode != NormalizationType::DecodeAndMergeSlashes {
        // A slash in the middle, else one at the end.
        let inner = stem[1..].trim_end_matches('/');
        match inner.split_once('/') {
            Some((first, rest)) => add(format!("/{first}%2f{rest}"), false),
            None if is_exact => add(format!("/{inner}%2f"), false),
            None => {}
        }
    }
    if stem.bytes().any(|byte| byte.is_ascii_lowercase()) {
        add(stem.to_ascii_uppercase(), false);
    }
    found
}

fn merged(path: &str) -> String {
    let mut merged = String::with_capacity(path.len());
    for c in path.chars() {
        if c != '/' || !merged.ends_with('/') {
            merged.push(c);
        }
    }
    merged
}

/// `/package.Service/Method` is compared exactly by the server, too.
fn is_grpc_method(path: &str) -> bool {
    path[1..].split_once('/').is_some_and(|(service, method)| service.contains('.') && !method.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{object, only, places};
    use super::*;

    const NONE: [&str; 0] = [];

    fn deny(paths: &str) -> String {
        let spec = format!("{{action: DENY, rules: [{{to: [{{operation: {{ports: ['80'], paths: [{paths}]}}}}]}}]}}");
        object("AuthorizationPolicy", "p", &spec)
    }

    fn normalized(mode: &str, paths: &str) -> String {
        format!("{}---\npathNormalization: {{normalization: {mode}}}\n", deny(paths))
    }

    const WARNING: [&str; 1] = ["MESH0704 warning spec.rules[0].to[0].operation.paths[0]"];
    const INFO: [&str; 1] = ["MESH0704 info spec.rules[0].to[0].operation.paths[0]"];

    #[test]
    fn an_exact_path_is_walked_around_with_a_slash() {
        let finding = only(&EvadedDenial, &deny("/admin"));
        assert_eq!(
            finding.message,
            "`/admin` is refused, but not `/admin/`, `//admin`, `/admin%2f`, `/ADMIN` (pathNormalization BASE)"
        );
        assert_eq!(places(&EvadedDenial, &deny("/admin")), WARNING);
        assert!(
            only(&EvadedDenial, &deny("/a//b")).message.starts_with("`/a//b` is refused, but not `/a/b`, `/a//b/`")
        );
    }

    #[test]
    fn what_the_list_holds_besides_is_heeded() {
        assert_eq!(places(&EvadedDenial, &deny("/admin, /admin/*")), INFO);
        assert_eq!(places(&EvadedDenial, &deny("/admin*")), INFO);
        assert_eq!(places(&EvadedDenial, &deny("/admin/*")), WARNING);
        for good in ["'*'", "/admin, '*'", "'*.php'", "'/a/{*}'", "/", "/a.b.C/Method"] {
            assert_eq!(places(&EvadedDenial, &deny(good)), NONE, "{good}");
        }
    }

    #[test]
    fn normalization_takes_spellings_away() {
        let variants = |mode: &str, paths: &str| {
            let message = only(&EvadedDenial, &normalized(mode, paths)).message;
            message.split_once("but not ").unwrap().1.split(" (").next().unwrap().to_owned()
        };
        assert_eq!(variants("NONE", "/a/b, /a/b/*"), "`/./a/b`, `//a/b`, `/a%2fb`, `/A/B`");
        assert_eq!(variants("DEFAULT", "/a/b, /a/b/*"), "`//a/b`, `/a%2fb`, `/A/B`");
        assert_eq!(variants("MERGE_SLASHES", "/a/b, /a/b/*"), "`/a%2fb`, `/A/B`");
        assert_eq!(variants("DECODE_AND_MERGE_SLASHES", "/a/b"), "`/a/b/`, `/A/B`");
        assert_eq!(places(&EvadedDenial, &normalized("DECODE_AND_MERGE_SLASHES", "/a/b, /a/b/*")), NONE);
    }

    #[test]
    fn an_allow_list_beside_it_stops_the_variants() {
        let allow = |paths: &str| {
            let spec = format!("{{rules: [{{to: [{{operation: {{paths: [{paths}]}}}}]}}]}}");
            object("AuthorizationPolicy", "allow", &spec)
        };
        assert_eq!(places(&EvadedDenial, &format!("{}{}", deny("/admin"), allow("/api/*"))), NONE);
        assert_eq!(places(&EvadedDenial, &format!("{}{}", deny("/admin"), allow("'*'"))), WARNING);
    }

    #[test]
    fn what_is_allowed_except_some_paths_is_a_denial_too() {
        let spec = "{rules: [{to: [{operation: {notPaths: [/admin]}}]}]}";
        let found = places(&EvadedDenial, &object("AuthorizationPolicy", "p", spec));
        assert_eq!(found, ["MESH0704 warning spec.rules[0].to[0].operation.notPaths[0]"]);
        let allowed = "{rules: [{to: [{operation: {paths: [/admin]}}]}]}";
        assert_eq!(places(&EvadedDenial, &object("AuthorizationPolicy", "p", allowed)), NONE);
    }

    #[test]
    fn a_host_is_refused_with_its_port_only_if_that_is_said() {
        let deny = |hosts: &str| {
            let spec =
                format!("{{action: DENY, rules: [{{to: [{{operation: {{ports: ['80'], hosts: [{hosts}]}}}}]}}]}}");
            object("AuthorizationPolicy", "p", &spec)
        };
        let place = ["MESH0706 warning spec.rules[0].to[0].operation.hosts[0]"];
        assert_eq!(places(&EvadedDenial, &deny("a.com")), place);
        assert_eq!(places(&EvadedDenial, &deny("'*.a.com'")), place);
        for good in ["a.com, 'a.com:*'", "'a.com*'", "'a.com:8080'", "'*'"] {
            assert_eq!(places(&EvadedDenial, &deny(good)), NONE, "{good}");
        }
    }
}
