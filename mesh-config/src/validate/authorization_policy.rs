//! AuthorizationPolicy.

use super::checker::{At, Checker};
use super::common;
use crate::api::AuthorizationPolicy;
use crate::api::authorization_policy::{AuthorizationAction, Condition, Operation, Rule, Source};
use crate::resource::Object;
use crate::value::port::check_port;

pub(super) fn check(cx: &mut Checker<'_>, object: &Object<AuthorizationPolicy>) {
    let policy = &object.spec;
    let spec = At::top("spec");
    check_dry_run(cx, policy.action);
    let labels = policy.selector.as_ref().map(|selector| &selector.match_labels);
    common::policy_target(cx, &spec, labels, policy.target_ref.as_ref(), &policy.target_refs);
    check_action(cx, &spec, policy);
    for (index, rule) in policy.rules.iter().enumerate() {
        check_rule(cx, &spec.field("rules").index(index), rule, index);
        if policy.action == AuthorizationAction::Custom {
            check_custom(cx, &spec.field("rules").index(index), rule);
        }
    }
    if policy.action == AuthorizationAction::Deny && policy.rules.iter().any(denies_all_tcp) {
        let message = "configured AuthorizationPolicy will deny all traffic to TCP ports under its scope due to the use of only \
                       HTTP attributes in a DENY rule; it is recommended to explicitly specify the port";
        cx.warn(&spec.field("rules"), message);
    }
}

const DRY_RUN: &str = "istio.io/dry-run";

/// Only this kind can be tried out without effect.
pub(super) fn refuse_dry_run(cx: &mut Checker<'_>) {
    if cx.meta.annotations.contains_key(DRY_RUN) {
        let name = cx.meta.namespaced_name();
        let message = format!("{name} has unsupported annotation {DRY_RUN}, please remove the annotation");
        cx.error(&At::top("metadata").field("annotations").key(DRY_RUN), message);
    }
}

fn check_dry_run(cx: &mut Checker<'_>, action: AuthorizationAction) {
    const BOOLEANS: &[&str] = &["1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"];
    let Some(value) = cx.meta.annotations.get(DRY_RUN) else { return };
    let name = cx.meta.namespaced_name();
    let message = match action {
        AuthorizationAction::Allow | AuthorizationAction::Deny if BOOLEANS.contains(&value.as_str()) => return,
        AuthorizationAction::Allow | AuthorizationAction::Deny => {
            format!("{name} has annotation {DRY_RUN} with invalid value ({value}): not a boolean")
        }
        action => {
            format!(
                "the annotation {DRY_RUN} currently only supports action ALLOW/DENY, found action {action} in {name}"
            )
        }
    };
    cx.error(&At::top("metadata").field("annotations").key(DRY_RUN), message);
}

/// Puts the name of the policy in front, as Istio does.
fn error(cx: &mut Checker<'_>, at: &At<'_>, message: impl std::fmt::Display) {
    let (name, namespace) = (&cx.meta.name, &cx.meta.namespace);
    let message = format!("invalid policy {name}.{namespace}: {message}");
    cx.error(at, message);
}

fn check_action(cx: &mut Checker<'_>, spec: &At<'_>, policy: &AuthorizationPolicy) {
    let action = policy.action;
    let needs_rules = matches!(action, AuthorizationAction::Deny | AuthorizationAction::Custom);
    if needs_rules && policy.rules.is_empty() {
        let message = format!(
            "{action} action without `rules` is meaningless as it will never be triggered, add an empty rule `{{}}` if you \
             want it be triggered for every request"
        );
        error(cx, spec, message);
    }
    match (&policy.provider, action) {
        (Some(provider), AuthorizationAction::Custom) if !provider.name.is_empty() => {}
        (_, AuthorizationAction::Custom) => error(cx, &spec.field("provider"), "`provider.name` must not be empty"),
        (Some(_), action) => {
            error(
                cx,
                &spec.field("provider"),
                format!("`provider` must not be with non CUSTOM action, found {action}"),
            );
        }
        (None, _) => {}
    }
}

fn check_rule(cx: &mut Checker<'_>, at: &At<'_>, rule: &Rule, number: usize) {
    for (index, from) in rule.from.iter().enumerate() {
        let at = at.field("from");
        let at = at.index(index);
        match &from.source {
            None => error(cx, &at, format!("`from.source` must not be nil, found at rule {number}")),
            Some(source) if *source == Source::default() => {
                error(cx, &at.field("source"), format!("`from.source` must not be empty, found at rule {number}"));
            }
            Some(source) => check_source(cx, &at.field("source"), source, number),
        }
    }
    for (index, to) in rule.to.iter().enumerate() {
        let at = at.field("to");
        let at = at.index(index);
        match &to.operation {
            None => error(cx, &at, format!("`to.operation` must not be nil, found at rule {number}")),
            Some(operation) if *operation == Operation::default() => {
                error(cx, &at.field("operation"), format!("`to.operation` must not be empty, found at rule {number}"));
            }
            Some(operation) => check_operation(cx, &at.field("operation"), operation),
        }
    }
    for (index, condition) in rule.when.iter().enumerate() {
        check_condition(cx, &at.field("when").index(index), condition);
    }
}

fn check_source(cx: &mut Checker<'_>, at: &At<'_>, source: &Source, number: usize) {
    for (field, name, values) in [
        ("principals", "Principals", &source.principals),
        ("notPrincipals", "NotPrincipals", &source.not_principals),
        ("requestPrincipals", "RequestPrincipals", &source.request_principals),
        ("notRequestPrincipals", "NotRequestPrincipals", &source.not_request_principals),
        ("namespaces", "Namespaces", &source.namespaces),
        ("notNamespaces", "NotNamespaces", &source.not_namespaces),
        ("ipBlocks", "IpBlocks", &source.ip_blocks),
        ("notIpBlocks", "NotIpBlocks", &source.not_ip_blocks),
        ("remoteIpBlocks", "RemoteIpBlocks", &source.remote_ip_blocks),
        ("notRemoteIpBlocks", "NotRemoteIpBlocks", &source.not_remote_ip_blocks),
        ("serviceAccounts", "ServiceAccounts", &source.service_accounts),
        ("notServiceAccounts", "NotServiceAccounts", &source.not_service_accounts),
        ("trustDomains", "TrustDomains", &source.trust_domains),
        ("notTrustDomains", "NotTrustDomains", &source.not_trust_domains),
    ] {
        check_values(cx, &at.field(field), name, values);
    }
    for (field, values) in [
        ("ipBlocks", &source.ip_blocks),
        ("notIpBlocks", &source.not_ip_blocks),
        ("remoteIpBlocks", &source.remote_ip_blocks),
        ("notRemoteIpBlocks", &source.not_remote_ip_blocks),
    ] {
        each(cx, &at.field(field), values, address_block);
    }
    let has_accounts = !source.service_accounts.is_empty() || !source.not_service_accounts.is_empty();
    let others = [&source.namespaces, &source.not_namespaces, &source.principals, &source.not_principals];
    if has_accounts && others.iter().any(|values| !values.is_empty()) {
        let message = format!("cannot set serviceAccounts with namespaces or principals, found at rule {number}");
        error(cx, &at.field("serviceAccounts"), message);
    }
    for (field, name, values) in [
        ("serviceAccounts", "ServiceAccounts", &source.service_accounts),
        ("notServiceAccounts", "NotServiceAccounts", &source.not_service_accounts),
    ] {
        check_accounts(cx, &at.field(field), name, values);
    }
    for (field, name, values) in [
        ("trustDomains", "TrustDomains", &source.trust_domains),
        ("notTrustDomains", "NotTrustDomains", &source.not_trust_domains),
    ] {
        each(cx, &at.field(field), values, |value| trust_domain(value, name));
    }
}

fn check_values(cx: &mut Checker<'_>, at: &At<'_>, name: &str, values: &[String]) {
    each(cx, at, values, |value| match value {
        "" => Err(format!("empty value not allowed, found in {name}")),
        _ => Ok(()),
    });
}

fn each(cx: &mut Checker<'_>, at: &At<'_>, values: &[String], check: impl Fn(&str) -> Result<(), String>) {
    for (index, value) in values.iter().enumerate() {
        if let Err(problem) = check(value) {
            error(cx, &at.index(index), problem);
        }
    }
}

fn address_block(value: &str) -> Result<(), String> {
    match common::subnet(value) {
        Err(problem) if value.contains('/') => Err(format!("bad CIDR range ({value}): {problem}")),
        Err(_) if !value.is_empty() => Err(format!("bad IP address ({value})")),
        _ => Ok(()),
    }
}

fn check_accounts(cx: &mut Checker<'_>, at: &At<'_>, name: &str, values: &[String]) {
    const MOST: usize = 16;
    const LONGEST: usize = 320;
    if values.len() > MOST {
        error(cx, at, format!("may not have more than {MOST} values, found in {name}"));
    }
    each(cx, at, values, |value| {
        if value.contains('*') {
            return Err(format!("wildcard not allowed, found in {name}"));
        }
        if value.len() > LONGEST {
            return Err(format!("value longer than {LONGEST} characters, found in {name}"));
        }
        match value.split('/').collect::<Vec<_>>().as_slice() {
            [account] | [_, account] if !account.is_empty() => Ok(()),
            _ if value.is_empty() => Ok(()),
            _ => Err(format!(
                "expected format 'serviceAccount' or 'namespace/serviceAccount', found {value:?} in {name}"
            )),
        }
    });
}

fn trust_domain(value: &str, name: &str) -> Result<(), String> {
    if value.contains('/') {
        return Err(format!("trust domain must not contain '/', found in {name}: {value:?}"));
    }
    match value.matches('*').count() {
        0 => Ok(()),
        1 if value.starts_with('*') || value.ends_with('*') => Ok(()),
        1 => Err(format!("wildcard is only allowed at the start or end, found in {name}: {value:?}")),
        _ => Err(format!("at most one wildcard is allowed, found in {name}: {value:?}")),
    }
}

fn check_operation(cx: &mut Checker<'_>, at: &At<'_>, operation: &Operation) {
    for (field, name, values) in [
        ("hosts", "Hosts", &operation.hosts),
        ("notHosts", "NotHosts", &operation.not_hosts),
        ("ports", "Ports", &operation.ports),
        ("notPorts", "NotPorts", &operation.not_ports),
        ("methods", "Methods", &operation.methods),
        ("notMethods", "NotMethods", &operation.not_methods),
        ("paths", "Paths", &operation.paths),
        ("notPaths", "NotPaths", &operation.not_paths),
    ] {
        check_values(cx, &at.field(field), name, values);
    }
    for (field, values) in [("ports", &operation.ports), ("notPorts", &operation.not_ports)] {
        each(cx, &at.field(field), values, port);
    }
    for (field, name, values) in [("paths", "Paths", &operation.paths), ("notPaths", "NotPaths", &operation.not_paths)]
    {
        each(cx, &at.field(field), values, |path| path_template(path, name));
    }
}

fn port(value: &str) -> Result<(), String> {
    if value.is_empty() {
        return Ok(());
    }
    let number = value.parse().map_err(|_| format!("bad port ({value}): not a number"))?;
    check_port(number).map(|_| ()).map_err(|problem| format!("bad port ({value}): {problem}"))
}

/// A path that holds `{*}` or `{**}`; other paths are plain text.
fn path_template(path: &str, name: &str) -> Result<(), String> {
    let refuse = |why: &str| Err(format!("invalid or unsupported path {path}, found in {name}. {why}"));
    if !path.contains(['{', '}']) {
        return Ok(());
    }
    let mut ended = false;
    for segment in path.split('/').skip(1) {
        match segment {
            "{*}" | "{**}" if ended => return refuse("{**} is not the last operator"),
            "{*}" => {}
            "{**}" => ended = true,
            segment if segment.contains(['{', '}']) => {
                return refuse("Contains '{' or '}' beyond a supported path template");
            }
            segment => {
                let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()+,;:@=".contains(&byte);
                if !segment.bytes().all(allowed) {
                    return refuse(&format!("Contains segment {segment} with invalid string literal"));
                }
            }
        }
    }
    Ok(())
}

fn check_condition(cx: &mut Checker<'_>, at: &At<'_>, condition: &Condition) {
    let key = condition.key.as_str();
    if key.is_empty() {
        return error(cx, at, "`key` must not be empty");
    }
    if condition.values.is_empty() && condition.not_values.is_empty() {
        return error(cx, at, format!("at least one of `values` or `notValues` must be set for key {key}"));
    }
    let check = match attribute(key) {
        Ok(check) => check,
        Err(problem) => return error(cx, &at.field("key"), problem),
    };
    for (field, name, values) in
        [("values", "Values", &condition.values), ("notValues", "NotValues", &condition.not_values)]
    {
        check_values(cx, &at.field(field), name, values);
        each(cx, &at.field(field), values, check);
    }
}

type ValueCheck = fn(&str) -> Result<(), String>;

/// How the values of an attribute are checked.
fn attribute(key: &str) -> Result<ValueCheck, String> {
    let any: ValueCheck = |_| Ok(());
    let mapped = |name: &str| {
        let argument =
            key.strip_prefix(name).is_some_and(|rest| rest.starts_with('[') && rest.ends_with(']') && rest.len() > 2);
        if argument { Ok(any) } else { Err(format!("bad key ({key}): should have format a[b]")) }
    };
    match key {
        "source.ip" | "remote.ip" | "destination.ip" => Ok(address_block),
        "destination.port" => Ok(port),
        "source.namespace"
        | "source.principal"
        | "source.serviceAccount"
        | "source.trustDomain"
        | "connection.sni"
        | "request.auth.principal"
        | "request.auth.audiences"
        | "request.auth.presenter" => Ok(any),
        "destination.namespace" => Err(format!("attribute {key} is replaced by the metadata.namespace")),
        "source.name" | "source.user" | "source.uid" | "destination.name" | "destination.user" | "destination.uid" => {
            Err(format!("deprecated attribute {key}: only supported in v1alpha1"))
        }
        key if key.starts_with("destination.labels") => {
            Err(format!("attribute {key} is replaced by the workload selector"))
        }
        key if key.starts_with("request.headers") => mapped("request.headers"),
        key if key.starts_with("request.auth.claims") => mapped("request.auth.claims"),
        key if key.starts_with("experimental.envoy.filters.") => {
            let name = key.split('[').next().unwrap_or(key);
            mapped(name)
        }
        key => Err(format!("unknown attribute: {key}")),
    }
}

/// Whom a provider is asked about is not yet known then.
fn check_custom(cx: &mut Checker<'_>, at: &At<'_>, rule: &Rule) {
    for (index, from) in rule.from.iter().enumerate() {
        let Some(source) = &from.source else { continue };
        for (field, name, values) in [
            ("namespaces", "From.Namespaces", &source.namespaces),
            ("notNamespaces", "From.NotNamespaces", &source.not_namespaces),
            ("principals", "From.Principals", &source.principals),
            ("notPrincipals", "From.NotPrincipals", &source.not_principals),
            ("serviceAccounts", "From.ServiceAccounts", &source.service_accounts),
            ("notServiceAccounts", "From.NotServiceAccounts", &source.not_service_accounts),
            ("trustDomains", "From.TrustDomains", &source.trust_domains),
            ("notTrustDomains", "From.NotTrustDomains", &source.not_trust_domains),
            ("requestPrincipals", "From.RequestPrincipals", &source.request_principals),
            ("notRequestPrincipals", "From.NotRequestPrincipals", &source.not_request_principals),
        ] {
            if !values.is_empty() {
                let from = at.field("from");
                let from = from.index(index);
                let message = format!("{name} is currently not supported with CUSTOM action");
                error(cx, &from.field("source").field(field), message);
            }
        }
    }
    for (index, condition) in rule.when.iter().enumerate() {
        let key = condition.key.as_str();
        let is_identity =
            matches!(key, "source.namespace" | "source.principal" | "source.serviceAccount" | "source.trustDomain");
        if is_identity || key.starts_with("request.auth.") {
            let message = format!("{key} is currently not supported with CUSTOM action");
            error(cx, &at.field("when").index(index).field("key"), message);
        }
    }
}

/// On a TCP connection the HTTP conditions of a DENY rule fall away; without a port, nothing else is left to narrow it.
fn denies_all_tcp(rule: &Rule) -> bool {
    let operations = || rule.to.iter().filter_map(|to| to.operation.as_ref());
    if operations().any(|operation| !operation.ports.is_empty() || !operation.not_ports.is_empty()) {
        return false;
    }
    let http_source =
        |source: &Source| !source.request_principals.is_empty() || !source.not_request_principals.is_empty();
    let http_operation = |o: &Operation| {
        let lists = [&o.hosts, &o.not_hosts, &o.methods, &o.not_methods, &o.paths, &o.not_paths];
        lists.iter().any(|list| !list.is_empty())
    };
    rule.from.iter().filter_map(|from| from.source.as_ref()).any(http_source) || operations().any(http_operation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_templates_have_whole_segments_and_end_with_the_rest() {
        for good in ["/a/b*", "/{*}/x/{**}", "/a/{**}/end", "*", "/a"] {
            assert_eq!(path_template(good, "Paths"), Ok(()), "{good}");
        }
        for bad in ["/{**}/{*}", "/a{*}", "/{x}", "/{*}/a b", "/{"] {
            assert!(path_template(bad, "Paths").is_err(), "{bad}");
        }
    }

    #[test]
    fn attributes_have_the_form_that_their_kind_asks_for() {
        for good in
            ["source.ip", "request.headers[x]", "request.auth.claims[a][b]", "experimental.envoy.filters.a.b[c]"]
        {
            assert!(attribute(good).is_ok(), "{good}");
        }
        for (bad, problem) in [
            ("request.headers", "bad key (request.headers): should have format a[b]"),
            ("destination.labels[x]", "attribute destination.labels[x] is replaced by the workload selector"),
            ("nonsense", "unknown attribute: nonsense"),
        ] {
            assert_eq!(attribute(bad).err().as_deref(), Some(problem));
        }
    }
}
