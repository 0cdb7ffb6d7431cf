//! Conditions that no request meets.

use super::pattern::has_plain_star;
use super::rules::{each_http_rule, each_policy_rule};
use super::{Analyzer, Context};
use crate::api::AuthorizationPolicy;
use crate::api::authorization_policy::AuthorizationAction;
use crate::api::mesh_config::NormalizationType;
use crate::api::virtual_service::HttpMatchRequest;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::document::placeholder;
use crate::resource::Object;
use crate::validate::{At, Checker};
use crate::value::StringMatch;

/// `MESH0309`: a path that is none, `MESH0310`: a method in lower case, `MESH0707`: a host that is none.
pub(super) struct Unmatchable;

impl Analyzer for Unmatchable {
    fn name(&self) -> &'static str {
        "mesh.Unmatchable"
    }

    fn codes(&self) -> &'static [Code] {
        &[Code::UNMATCHABLE_PATH, Code::METHOD_IN_LOWER_CASE, Code::UNMATCHABLE_HOST]
    }

    fn analyze(&self, context: &Context<'_>, out: &mut Report) {
        let set = context.set;
        let normalizes = context.mesh_config().is_none_or(|mesh| mesh.normalization() != NormalizationType::None);
        each_http_rule(set, out, |cx, at, rule| {
            for (index, matches) in rule.route.matches.iter().enumerate() {
                check_match(cx, &at.field("match").index(index), matches, normalizes);
            }
        });
        each_policy_rule(set, out, |cx, at, policy, rule| {
            for (index, to) in rule.to.iter().enumerate() {
                let Some(operation) = &to.operation else { continue };
                let at = at.field("to");
                let at = at.index(index);
                let at = at.field("operation");
                for (field, values, check) in [
                    ("paths", &operation.paths, path_pattern as Check),
                    ("notPaths", &operation.not_paths, path_pattern),
                    ("methods", &operation.methods, method),
                    ("notMethods", &operation.not_methods, method),
                    ("hosts", &operation.hosts, host_pattern),
                    ("notHosts", &operation.not_hosts, host_pattern),
                ] {
                    check_values(cx, &at.field(field), policy, field, values, |value| check(value, normalizes));
                }
            }
        });
    }
}

/// What is wrong with a value, and what to write.
struct Wrong {
    code: Code,
    problem: String,
    help: String,
}

/// The value, and whether paths are normalized before they are compared.
type Check = fn(&str, bool) -> Option<Wrong>;

fn check_match(cx: &mut Checker<'_>, at: &At<'_>, matches: &HttpMatchRequest, normalizes: bool) {
    let uri = match &matches.uri {
        Some(StringMatch::Exact(path)) => Some(("exact", exact_path(path, normalizes))),
        Some(StringMatch::Prefix(path)) if !path.is_empty() => Some(("prefix", uri_text(path, "prefix", normalizes))),
        _ => None,
    };
    let method = match &matches.method {
        Some(StringMatch::Exact(text)) => Some(("exact", method(text, normalizes))),
        _ => None,
    };
    for (field, found) in [("uri", uri), ("method", method)] {
        if let Some((form, Some(wrong))) = found {
            let finding = Diagnostic::warning(wrong.code, wrong.problem)
                .effect("the match never holds: its requests go to a later rule, or are answered 404 NR")
                .help(wrong.help);
            cx.push(&at.field(field).field(form), finding);
        }
    }
}

fn check_values(
    cx: &mut Checker<'_>,
    at: &At<'_>,
    policy: &Object<AuthorizationPolicy>,
    field: &str,
    values: &[String],
    check: impl Fn(&str) -> Option<Wrong>,
) {
    for (index, value) in values.iter().enumerate() {
        let Some(wrong) = check(value) else { continue };
        let finding = Diagnostic::warning(wrong.code, wrong.problem)
            .effect(never_met(policy.spec.action, field.starts_with("not"), values.len()))
            .help(wrong.help);
        cx.push(&at.index(index), finding);
    }
}

/// What it means that one value of a list is never met.
pub(super) fn never_met(action: AuthorizationAction, negated: bool, values: usize) -> &'static str {
    match (action, negated, values) {
        (AuthorizationAction::Allow, false, 1) => "the rule allows nothing: what was meant by it is answered 403",
        (AuthorizationAction::Allow, false, _) => "what was meant by this value is not allowed by it: 403",
        (AuthorizationAction::Allow, true, _) => "nothing is left out: what was meant by this value is allowed, too",
        (AuthorizationAction::Deny, false, 1) => "the rule denies nothing: what was meant by it gets through",
        (AuthorizationAction::Deny, false, _) => "what was meant by this value is not denied: it gets through",
        (AuthorizationAction::Deny, true, _) => "nothing is left out: what was meant by this value is denied, too: 403",
        (_, false, _) => "the policy does not act on what was meant by this value",
        (_, true, _) => "the policy acts on what was meant by this value, too",
    }
}

fn unmatchable(code: Code, problem: String, help: impl Into<String>) -> Option<Wrong> {
    Some(Wrong { code, problem, help: help.into() })
}

fn exact_path(path: &str, normalizes: bool) -> Option<Wrong> {
    if path.is_empty() {
        return unmatchable(Code::UNMATCHABLE_PATH, "the empty path matches nothing".to_owned(), "exact: / is the top");
    }
    uri_text(path, "exact", normalizes)
}

/// `exact` and `prefix` of a VirtualService, where a `*` is plain text.
fn uri_text(path: &str, form: &str, normalizes: bool) -> Option<Wrong> {
    if let Some(wrong) = no_path(path, normalizes) {
        return Some(wrong);
    }
    let stem = path.split('*').next().filter(|stem| stem.len() < path.len())?;
    let help = match path.len() - stem.len() {
        1 => format!("prefix: {stem}"),
        _ => format!("regex: {}", path.replace('*', ".*")),
    };
    let problem = format!("`{path}` matches no usual path: `*` is plain text in `{form}`");
    unmatchable(Code::UNMATCHABLE_PATH, problem, help)
}

/// A path of an AuthorizationPolicy.
fn path_pattern(path: &str, normalizes: bool) -> Option<Wrong> {
    if path.starts_with('*') || path.starts_with('{') {
        return no_query(path).or_else(|| plain_star(path, Code::UNMATCHABLE_PATH));
    }
    no_path(path, normalizes).or_else(|| plain_star(path, Code::UNMATCHABLE_PATH))
}

fn no_path(path: &str, normalizes: bool) -> Option<Wrong> {
    // What stands there in the end is not known.
    if placeholder::find(path).is_some() {
        return None;
    }
    if path.starts_with("http://") || path.starts_with("https://") {
        let problem = format!("`{path}` matches no path: scheme and host are no part of it");
        return unmatchable(Code::UNMATCHABLE_PATH, problem, "write the path alone, from its first slash on");
    }
    if !path.starts_with('/') {
        let problem = format!("`{path}` matches no path: every path begins with a slash");
        return unmatchable(Code::UNMATCHABLE_PATH, problem, format!("`/{path}`"));
    }
    no_query(path).or_else(|| not_normalized(path).filter(|_| normalizes))
}

/// Dot segments are resolved and unreserved characters decoded before paths are compared.
fn not_normalized(path: &str) -> Option<Wrong> {
    let decoded = decode_unreserved(path);
    let mut segments: Vec<&str> = Vec::new();
    for segment in decoded.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => _ = segments.pop(),
            segment => segments.push(segment),
        }
    }
    let normal = format!("/{}", segments.join("/"));
    if normal == path {
        return None;
    }
    let problem = format!("`{path}` matches no path: it is not as paths are when they are compared");
    unmatchable(Code::UNMATCHABLE_PATH, problem, format!("`{normal}`"))
}

fn decode_unreserved(path: &str) -> String {
    let mut decoded = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        decoded.push_str(before);
        let byte = after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte.filter(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(byte)) {
            Some(byte) => {
                decoded.push(char::from(byte));
                rest = &after[2..];
            }
            None => {
                decoded.push('%');
                rest = after;
            }
        }
    }
    decoded.push_str(rest);
    decoded
}

fn no_query(path: &str) -> Option<Wrong> {
    let cut = path.find(['?', '#'])?;
    let problem = format!("`{path}` matches no path: it is compared without query and fragment");
    unmatchable(Code::UNMATCHABLE_PATH, problem, format!("`{}`", &path[..cut]))
}

fn plain_star(pattern: &str, code: Code) -> Option<Wrong> {
    if !has_plain_star(pattern) {
        return None;
    }
    let problem = format!("`{pattern}` matches next to nothing: a `*` that is neither first nor last is plain text");
    let help = match code {
        Code::UNMATCHABLE_PATH => "`{*}` stands for one segment of a path, `{**}` for the rest",
        _ => "use a `*` at the beginning or the end",
    };
    unmatchable(code, problem, help)
}

const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"];

fn method(text: &str, _: bool) -> Option<Wrong> {
    let upper = text.to_ascii_uppercase();
    if text == upper || !METHODS.contains(&upper.as_str()) {
        return None;
    }
    let problem = format!("`{text}` matches no request: methods are compared with regard to case");
    unmatchable(Code::METHOD_IN_LOWER_CASE, problem, format!("`{upper}`"))
}

fn host_pattern(host: &str, _: bool) -> Option<Wrong> {
    if host.contains('/') {
        let problem = format!("`{host}` matches no Host: scheme and path are no part of it");
        let name = host.split_once("://").map_or(host, |(_, rest)| rest).split('/').next().unwrap_or_default();
        return unmatchable(Code::UNMATCHABLE_HOST, problem, format!("`{name}`"));
    }
    plain_star(host, Code::UNMATCHABLE_HOST)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{object, only, places, rules};
    use super::*;

    const NONE: [&str; 0] = [];

    fn matching(condition: &str) -> String {
        rules(&format!("{{match: [{{{condition}}}], route: [{{destination: {{host: r}}}}]}}"))
    }

    fn policy(action: &str, operation: &str) -> String {
        let spec = format!("{{action: {action}, rules: [{{to: [{{operation: {{ports: ['80'], {operation}}}}}]}}]}}");
        object("AuthorizationPolicy", "p", &spec)
    }

    #[test]
    fn a_path_begins_with_a_slash_and_has_no_query() {
        for bad in ["api", "/a?b=c", "/a#b", "http://r/a", "/a/*", "/a/*/b", "/a/../b", "/./a", "/%61", "/a/%2e/b"] {
            let found = places(&Unmatchable, &matching(&format!("uri: {{prefix: '{bad}'}}")));
            assert_eq!(found, ["MESH0309 warning spec.http[0].match[0].uri.prefix"], "{bad}");
            let found = places(&Unmatchable, &matching(&format!("uri: {{exact: '{bad}'}}")));
            assert_eq!(found, ["MESH0309 warning spec.http[0].match[0].uri.exact"], "{bad}");
        }
        for good in [
            "uri: {prefix: ''}",
            "uri: {prefix: /}",
            "uri: {exact: /a}",
            "uri: {regex: a.*}",
            "uri: {prefix: '$(path)'}",
            "uri: {exact: /a//b/}",
            "uri: {exact: '/%2f%zz%'}",
        ] {
            assert_eq!(places(&Unmatchable, &matching(good)), NONE, "{good}");
        }
        assert_eq!(places(&Unmatchable, &matching("uri: {exact: ''}")).len(), 1);
        let finding = only(&Unmatchable, &matching("uri: {prefix: /a/*}"));
        assert_eq!(finding.help.as_deref(), Some("prefix: /a/"));
    }

    #[test]
    fn a_star_in_the_middle_of_a_policys_path_is_plain_text() {
        for bad in ["/a/*/b", "a", "/a?x=*", "*/a*"] {
            let found = places(&Unmatchable, &policy("DENY", &format!("paths: ['{bad}']")));
            assert_eq!(found, ["MESH0309 warning spec.rules[0].to[0].operation.paths[0]"], "{bad}");
        }
        for good in ["/a*", "*a", "*", "/a/{*}/b", "/a"] {
            assert_eq!(places(&Unmatchable, &policy("DENY", &format!("paths: ['{good}']"))), NONE, "{good}");
        }
    }

    #[test]
    fn methods_have_capital_letters() {
        let found = places(&Unmatchable, &matching("method: {exact: get}"));
        assert_eq!(found, ["MESH0310 warning spec.http[0].match[0].method.exact"]);
        let finding = only(&Unmatchable, &policy("DENY", "methods: [GET, post]"));
        assert_eq!(finding.path.to_string(), "spec.rules[0].to[0].operation.methods[1]");
        assert_eq!(finding.help.as_deref(), Some("`POST`"));
        assert_eq!(finding.effect.as_deref(), Some("what was meant by this value is not denied: it gets through"));
        for good in ["methods: [GET]", "methods: ['*']", "methods: [purge]"] {
            assert_eq!(places(&Unmatchable, &policy("ALLOW", good)), NONE, "{good}");
        }
    }

    #[test]
    fn a_host_is_a_name_with_or_without_port() {
        for bad in ["https://r.com", "r.com/a", "a.*.com"] {
            let found = places(&Unmatchable, &policy("ALLOW", &format!("hosts: ['{bad}']")));
            assert_eq!(found, ["MESH0707 warning spec.rules[0].to[0].operation.hosts[0]"], "{bad}");
        }
        assert_eq!(places(&Unmatchable, &policy("ALLOW", "hosts: [r.com, 'r.com:*', '*.com']")), NONE);
    }
}
