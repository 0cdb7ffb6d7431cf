//! Rules that several kinds share.

use std::net::IpAddr;

use super::checker::{At, Checker};
use crate::api::selector::PolicyTargetReference;
use crate::value::host::{check_fqdn, is_dns_label};
use crate::value::{Duration, Labels, labels};

/// A duration of at least a millisecond, in whole milliseconds.
pub(super) fn duration(cx: &mut Checker<'_>, at: &At<'_>, duration: Option<Duration>) {
    const MILLISECOND: i64 = 1_000_000;
    let Some(duration) = duration else { return };
    if duration.as_nanos() < MILLISECOND {
        cx.error(at, "duration must be greater than 1ms");
    } else if duration.as_nanos() % MILLISECOND != 0 {
        cx.error(at, "only durations to ms precision are supported");
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
        cx.warn(at, "workload selector specified without labels");
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
            "*" => {}
            "~" if exported == Exported::ServiceEntry => {}
            "~" => cx.error(&at, "exportTo ~ (none) is not allowed for Istio configuration objects"),
            _ if is_dns_label(key) => {}
            _ => cx.error(&at, "only .,*, or a valid DNS 1123 label is allowed as exportTo entry"),
        }
        seen.push(key);
    }
    if exported == Exported::WithSelector && !seen.is_empty() {
        if !seen.contains(&namespace) {
            cx.error(at, "destination rule with workload selector cannot have exportTo beyond current namespace");
        } else if seen.len() > 1 {
            cx.error(at, "destination rule with workload selector cannot have multiple entries in exportTo");
        }
    }
    if seen.contains(&"*") && entries.len() > 1 {
        cx.error(
            at,
            "cannot have both public (*) and non-public (i.e. . or specific namespace) exportTo values for a resource",
        );
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
    if selected.is_some() && (target.is_some() || !targets.is_empty()) {
        cx.error(&spec.field("selector"), "only one of targetRefs or workloadSelector can be set");
    } else if target.is_some() && !targets.is_empty() {
        cx.error(&spec.field("targetRef"), "only one of targetRef or targetRefs can be set");
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

pub(super) fn is_ip(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}

/// An address, or a block of addresses in CIDR notation.
pub(super) fn subnet(text: &str) -> Result<(), String> {
    let Some((address, bits)) = text.split_once('/') else { return address(text) };
    let most = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return Err(format!("{text} is not a valid CIDR block")),
    };
    let plain = !bits.is_empty() && bits.bytes().all(|byte| byte.is_ascii_digit());
    match bits.parse::<u8>() {
        Ok(bits) if plain && bits <= most => Ok(()),
        _ => Err(format!("{text} is not a valid CIDR block")),
    }
}

pub(super) fn address(text: &str) -> Result<(), String> {
    if is_ip(text) { Ok(()) } else { Err(format!("{text} is not a valid IP")) }
}

/// The path of a unix socket, or the name of an abstract one.
pub(super) fn unix_address(path: &str) -> Result<(), String> {
    match path {
        "" => Err("unix address must not be empty".to_owned()),
        path if path.starts_with('@') => Ok(()),
        path if path.starts_with('/') && !path.ends_with('/') => Ok(()),
        path => Err(format!("{path} is not an absolute path to a file")),
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
            Scope::Gateway | Scope::GeneratedGateway => plain_host(host).into_iter().collect(),
            Scope::Sidecar => vec!["host must be of form namespace/dnsName".to_owned()],
        };
    };
    if name.contains('/') || namespace.is_empty() || name.is_empty() {
        let form = "config namespace and dnsName in host entry cannot be empty";
        let form = if name.contains('/') { "host must be of form namespace/dnsName" } else { form };
        return vec![form.to_owned()];
    }
    let mut problems = Vec::new();
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
    problems.extend(plain_host(name));
    problems
}

/// A host that is not a short name: `*`, a wildcard, a full name or an address.
fn plain_host(host: &str) -> Option<String> {
    if host == "*" || is_ip(host) {
        return None;
    }
    if let Err(problem) = crate::value::host::check_wildcard_domain(host) {
        return Some(problem);
    }
    (!host.contains('.') && !host.starts_with('*')).then(|| format!("short names (non FQDN) are not allowed: {host:?}"))
}

/// A full name or an address.
pub(super) fn fqdn_or_ip(host: &str) -> Result<(), String> {
    if is_ip(host) { Ok(()) } else { check_fqdn(host) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subnets_and_addresses_are_read_strictly() {
        for good in ["1.2.3.4", "1.2.3.0/24", "2001:db8::/32", "::1", "0.0.0.0/0"] {
            assert_eq!(subnet(good), Ok(()), "{good}");
        }
        for (bad, problem) in [
            ("192.168.0.01", "192.168.0.01 is not a valid IP"),
            ("1.2.3.4/33", "1.2.3.4/33 is not a valid CIDR block"),
            ("1.2.3.4/+8", "1.2.3.4/+8 is not a valid CIDR block"),
            ("a/8", "a/8 is not a valid CIDR block"),
            ("", " is not a valid IP"),
        ] {
            assert_eq!(subnet(bad), Err(problem.to_owned()));
        }
    }

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

    #[test]
    fn unix_addresses_are_absolute_or_abstract() {
        assert!(unix_address("/run/x.sock").is_ok() && unix_address("@x").is_ok());
        assert!(unix_address("x").is_err() && unix_address("/run/").is_err() && unix_address("").is_err());
    }
}
