//! Rules that several kinds share.

use super::checker::{At, Checker};
use crate::api::selector::PolicyTargetReference;
use crate::value::address::is_ip;
use crate::value::duration::check_duration;
use crate::value::host::{check_wildcard_domain, is_dns_label, is_partial_wildcard};
use crate::value::{Duration, Labels, labels};

/// A duration of at least a millisecond, in whole milliseconds.
pub(super) fn duration(cx: &mut Checker<'_>, at: &At<'_>, duration: Option<Duration>) {
    if let Some(duration) = duration {
        cx.check(at, check_duration(duration));
    }
}

/// An integer percentage.
pub(super) fn percent(cx: &mut Checker<'_>, at: &At<'_>, percent: i32) {
    if !(0..=100).contains(&percent) {
        cx.error(at, format!("percentage {percent} is not in range 0..100"));
    }
}

/// A number that a proto allows to be negative and Istio does not.
pub(super) fn not_negative(cx: &mut Checker<'_>, at: &At<'_>, number: i32, what: &str) {
    if number < 0 {
        cx.error(at, format!("{what} must be non-negative"));
    }
}

pub(super) fn labels(cx: &mut Checker<'_>, at: &At<'_>, labels: &Labels) {
    for problem in labels::check(labels) {
        cx.error(at, problem);
    }
}

/// The labels of a workload selector.
pub(super) fn selector(cx: &mut Checker<'_>, at: &At<'_>, labels: &Labels) {
    check_selector(cx, at, labels, "workload selector specified without labels");
}

/// The labels of the selector of a kind that does not select without one.
pub(super) fn named_selector(cx: &mut Checker<'_>, at: &At<'_>, labels: &Labels, kind: &str) {
    let nothing = "workload selector specified without labels, will be applied to all services in namespace";
    check_selector(cx, at, labels, &format!("{kind}: {nothing}"));
}

fn check_selector(cx: &mut Checker<'_>, at: &At<'_>, labels: &Labels, nothing: &str) {
    for (key, value) in labels {
        let at = at.key(key);
        let pair = format!("{key}={value}");
        if key.is_empty() {
            cx.error(&at, format!("empty key is not supported in selector: {pair:?}"));
        }
        if key.contains('*') || value.contains('*') {
            cx.error(&at, format!("wildcard is not supported in selector: {pair:?}"));
        }
    }
    if labels.is_empty() {
        cx.warn(at, nothing);
    }
}

/// What an object may be exported to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Exported {
    Ordinary,
    /// May be hidden from everybody.
    ServiceEntry,
    /// Stays at home, since it selects workloads.
    WithSelector,
}

pub(super) fn export_to(cx: &mut Checker<'_>, at: &At<'_>, entries: &[String], exported: Exported) {
    let namespace = cx.namespace();
    let mut seen: Vec<&str> = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let at = at.index(index);
        let key = if entry == "." { namespace } else { entry.as_str() };
        if seen.contains(&key) {
            match key == entry {
                true => cx.error(&at, format!("duplicate entries in exportTo for entry {entry}")),
                false => cx.error(&at, format!("duplicate entries in exportTo: . and current namespace {namespace}")),
            }
            continue;
        }
        match entry.as_str() {
            "*" => seen.push(key),
            "~" if exported == Exported::ServiceEntry => seen.push(key),
            "~" => cx.error(&at, "exportTo ~ (none) is not allowed for Istio configuration objects"),
            _ if is_dns_label(key) => seen.push(key),
            _ => cx.error(&at, "only .,*, or a valid DNS 1123 label is allowed as exportTo entry"),
        }
    }
    if exported == Exported::WithSelector && !seen.is_empty() {
        if !seen.contains(&namespace) {
            cx.error(at, "destination rule with workload selector cannot have exportTo beyond current namespace");
        } else if seen.len() > 1 {
            cx.error(at, "destination rule with workload selector cannot have multiple entries in exportTo");
        }
    }
    if seen.contains(&"*") && entries.len() > 1 {
        cx.error(at, "cannot have both public (*) and non-public exportTo values for a resource");
    }
    if exported == Exported::ServiceEntry && seen.contains(&"~") && entries.len() > 1 {
        cx.error(at, "cannot export service entry to no one (~) and someone");
    }
}

/// A policy's selector or targets, of which only one may be given.
pub(super) fn policy_target(
    cx: &mut Checker<'_>,
    spec: &At<'_>,
    selected: Option<&Labels>,
    target: Option<&PolicyTargetReference>,
    targets: &[PolicyTargetReference],
) {
    if let Some(labels) = selected {
        selector(cx, &spec.field("selector").field("matchLabels"), labels);
    }
    if let Some(target) = target {
        target_reference(cx, &spec.field("targetRef"), target);
    }
    for (index, target) in targets.iter().enumerate() {
        target_reference(cx, &spec.field("targetRefs").index(index), target);
    }
    let set = [("selector", selected.is_some()), ("targetRef", target.is_some()), ("targetRefs", !targets.is_empty())];
    if let [_, .., (second, _)] = set.into_iter().filter(|(_, is_set)| *is_set).collect::<Vec<_>>().as_slice() {
        cx.error(&spec.field(second), "only one of targetRefs or workloadSelector can be set");
    }
}

fn target_reference(cx: &mut Checker<'_>, at: &At<'_>, target: &PolicyTargetReference) {
    const ALLOWED: &[(&str, &str)] = &[
        ("gateway.networking.k8s.io", "GatewayClass"),
        ("gateway.networking.k8s.io", "Gateway"),
        ("", "Service"),
        ("networking.istio.io", "ServiceEntry"),
    ];
    if target.name.is_empty() {
        cx.error(&at.field("name"), "targetRef name must be set");
    }
    if !target.namespace.is_empty() {
        let message = "targetRef namespace must not be set; cross namespace referencing is not supported";
        cx.error(&at.field("namespace"), message);
    }
    let group = if target.group == "core" { "" } else { target.group.as_str() };
    if !ALLOWED.contains(&(group, target.kind.as_str())) {
        let (group, kind) = (&target.group, &target.kind);
        let allowed: Vec<_> = ALLOWED.iter().map(|(group, kind)| format!("{group}/{kind}")).collect();
        let allowed = allowed.join(" ");
        cx.error(at, format!("targetRef must be to one of [{allowed}] but was {group}/{kind}"));
    }
}

/// Who lists a host with its namespace.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    Gateway,
    /// Made from a Gateway of the Kubernetes Gateway API, which may have no routes.
    GeneratedGateway,
    Sidecar,
}

/// `namespace/host`, as gateways and sidecars list hosts.
pub(super) fn scoped_host(host: &str, scope: Scope) -> Vec<String> {
    let Some((namespace, name)) = host.split_once('/') else {
        return match scope {
            Scope::Gateway | Scope::GeneratedGateway => plain_host(host, scope),
            Scope::Sidecar => vec!["host must be of form namespace/dnsName".to_owned()],
        };
    };
    let mut problems = Vec::new();
    if namespace.is_empty() || name.is_empty() {
        problems.push("config namespace and dnsName in host entry cannot be empty".to_owned());
    }
    let is_good = |namespace: &str| matches!(namespace, "*" | ".") || is_dns_label(namespace);
    match scope {
        Scope::Gateway if !is_good(namespace) => {
            problems.push(format!("invalid namespace value {namespace:?} in gateway"));
        }
        Scope::GeneratedGateway if namespace != "~" && !is_good(namespace) => {
            problems.push(format!("invalid namespace value {namespace:?} in gateway"));
        }
        // `~` is nothing; in front of a namespace it leaves out what would else be imported.
        Scope::Sidecar if namespace != "~" && !is_good(namespace.strip_prefix('~').unwrap_or(namespace)) => {
            problems.push(format!("invalid namespace value {namespace:?} in sidecar"));
        }
        _ => {}
    }
    problems.extend(plain_host(name, scope));
    problems
}

/// A host that is not a short name: `*`, a wildcard, a full name, or an address at a gateway.
fn plain_host(host: &str, scope: Scope) -> Vec<String> {
    let mut problems = Vec::new();
    if host != "*" && !host.contains('.') {
        problems.push("short names (non FQDN) are not allowed".to_owned());
    }
    problems.extend(check_wildcard_domain(host).err().filter(|_| scope == Scope::Sidecar || !is_ip(host)));
    if is_partial_wildcard(host) {
        problems.push(format!("partial wildcard {host:?} not allowed"));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_gateways_and_sidecars_have_a_scope() {
        for (host, scope, good) in [
            ("*", Scope::Gateway, true),
            ("ns/foo.bar", Scope::Gateway, true),
            ("./*.foo.bar", Scope::Gateway, true),
            ("~/foo.bar", Scope::Gateway, false),
            ("~/foo.bar", Scope::GeneratedGateway, true),
            ("ns/short", Scope::Gateway, false),
            ("1.2.3.4", Scope::Gateway, true),
            ("*/1.2.3.4", Scope::Sidecar, false),
            ("*foo.bar", Scope::Gateway, false),
            ("ns/*foo.bar", Scope::Sidecar, false),
            ("/foo.bar", Scope::Gateway, false),
            ("~/foo.bar", Scope::Sidecar, true),
            ("foo.bar", Scope::Sidecar, false),
            ("*/*", Scope::Sidecar, true),
            ("~/*", Scope::Sidecar, true),
            ("~ns/foo.bar", Scope::Sidecar, true),
            ("~N_S/foo.bar", Scope::Sidecar, false),
            ("ns/", Scope::Sidecar, false),
            ("a/b/c", Scope::Sidecar, false),
        ] {
            assert_eq!(scoped_host(host, scope).is_empty(), good, "{host}");
        }
    }
}
