//! AuthorizationPolicy.

use super::checker::{At, Checker};
use super::common;
use crate::api::AuthorizationPolicy;
use crate::api::authorization_policy::{AuthorizationAction, Condition, Operation, Rule, Source};
use crate::resource::Object;
use crate::value::condition::{self, ValueKind};
use crate::value::dry_run::{self, ANNOTATION as DRY_RUN};
use crate::value::path_template;

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

fn check_dry_run(cx: &mut Checker<'_>, action: AuthorizationAction) {
    let Some(value) = cx.meta.annotations.get(DRY_RUN) else { return };
    let name = cx.meta.namespaced_name();
    let message = match action {
        AuthorizationAction::Allow | AuthorizationAction::Deny if dry_run::parse(value).is_some() => return,
        AuthorizationAction::Allow | AuthorizationAction::Deny => {
            format!(
                "{name} has annotation {DRY_RUN} with invalid value ({value}): strconv.ParseBool: parsing {value:?}: invalid syntax"
            )
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
    for (index, when) in rule.when.iter().enumerate() {
        check_condition(cx, &at.field("when").index(index), when);
    }
}

fn check_source(cx: &mut Checker<'_>, at: &At<'_>, source: &Source, number: usize) {
    let has_accounts = !source.service_accounts.is_empty() || !source.not_service_accounts.is_empty();
    let others = [&source.namespaces, &source.not_namespaces, &source.principals, &source.not_principals];
    if has_accounts && others.iter().any(|values| !values.is_empty()) {
        let message = format!("cannot set serviceAccounts with namespaces or principals, found at rule {number}");
        error(cx, &at.field("serviceAccounts"), message);
    }
    for (field, name, values, kind) in [
        ("principals", "Principals", &source.principals, ValueKind::Text),
        ("notPrincipals", "NotPrincipals", &source.not_principals, ValueKind::Text),
        ("requestPrincipals", "RequestPrincipals", &source.request_principals, ValueKind::Text),
        ("notRequestPrincipals", "NotRequestPrincipals", &source.not_request_principals, ValueKind::Text),
        ("namespaces", "Namespaces", &source.namespaces, ValueKind::Text),
        ("notNamespaces", "NotNamespaces", &source.not_namespaces, ValueKind::Text),
        ("ipBlocks", "IpBlocks", &source.ip_blocks, ValueKind::Address),
        ("notIpBlocks", "NotIpBlocks", &source.not_ip_blocks, ValueKind::Address),
        ("remoteIpBlocks", "RemoteIpBlocks", &source.remote_ip_blocks, ValueKind::Address),
        ("notRemoteIpBlocks", "NotRemoteIpBlocks", &source.not_remote_ip_blocks, ValueKind::Address),
        ("serviceAccounts", "ServiceAccounts", &source.service_accounts, ValueKind::ServiceAccount),
        ("notServiceAccounts", "NotServiceAccounts", &source.not_service_accounts, ValueKind::ServiceAccount),
        ("trustDomains", "TrustDomains", &source.trust_domains, ValueKind::TrustDomain),
        ("notTrustDomains", "NotTrustDomains", &source.not_trust_domains, ValueKind::TrustDomain),
    ] {
        check_values(cx, &at.field(field), values, kind, name);
    }
}

fn check_operation(cx: &mut Checker<'_>, at: &At<'_>, operation: &Operation) {
    for (field, name, values, kind) in [
        ("hosts", "Hosts", &operation.hosts, ValueKind::Text),
        ("notHosts", "NotHosts", &operation.not_hosts, ValueKind::Text),
        ("ports", "Ports", &operation.ports, ValueKind::Port),
        ("notPorts", "NotPorts", &operation.not_ports, ValueKind::Port),
        ("methods", "Methods", &operation.methods, ValueKind::Text),
        ("notMethods", "NotMethods", &operation.not_methods, ValueKind::Text),
        ("paths", "Paths", &operation.paths, ValueKind::Text),
        ("notPaths", "NotPaths", &operation.not_paths, ValueKind::Text),
    ] {
        check_values(cx, &at.field(field), values, kind, name);
    }
    for (field, name, values) in [("paths", "Paths", &operation.paths), ("notPaths", "NotPaths", &operation.not_paths)]
    {
        for (index, path) in values.iter().enumerate() {
            if let Err(problem) = path_template::check_path(path, name) {
                error(cx, &at.field(field).index(index), problem);
            }
        }
    }
}

fn check_values(cx: &mut Checker<'_>, at: &At<'_>, values: &[String], kind: ValueKind, name: &str) {
    if kind == ValueKind::ServiceAccount
        && let Err(problem) = condition::check_account_count(values.len())
    {
        error(cx, at, problem);
    }
    for (index, value) in values.iter().enumerate() {
        if let Err(problem) = kind.check(value, name) {
            error(cx, &at.index(index), problem);
        }
    }
}

fn check_condition(cx: &mut Checker<'_>, at: &At<'_>, when: &Condition) {
    let key = when.key.as_str();
    if key.is_empty() {
        return error(cx, at, "`key` must not be empty");
    }
    if when.values.is_empty() && when.not_values.is_empty() {
        return error(cx, at, format!("at least one of `values` or `notValues` must be set for key {key}"));
    }
    let kind = match ValueKind::of_key(key) {
        Ok(kind) => kind,
        Err(problem) => return error(cx, &at.field("key"), format!("invalid `value` for `key` {key}: {problem}")),
    };
    for (field, name, values) in [("values", "value", &when.values), ("notValues", "notValue", &when.not_values)] {
        let at = at.field(field);
        let wrong = |problem| format!("invalid `{name}` for `key` {key}: {problem}");
        if kind == ValueKind::ServiceAccount
            && let Err(problem) = condition::check_account_count(values.len())
        {
            error(cx, &at, wrong(problem));
        }
        for (index, value) in values.iter().enumerate() {
            if let Err(problem) = kind.check(value, key) {
                error(cx, &at.index(index), wrong(problem));
            }
        }
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

/// On a TCP connection the HTTP conditions of a DENY rule fall away; without anything else, nothing is left to narrow it.
fn denies_all_tcp(rule: &Rule) -> bool {
    let mut operations = rule.to.iter().filter_map(|to| to.operation.as_ref()).peekable();
    if operations.peek().is_some() {
        return operations.all(|operation| operation.ports.is_empty() && operation.not_ports.is_empty());
    }
    let mut sources = rule.from.iter().filter_map(|from| from.source.as_ref()).peekable();
    let is_http_only = |source: &Source| {
        let Source { request_principals, not_request_principals, .. } = source;
        let (request_principals, not_request_principals) = (request_principals.clone(), not_request_principals.clone());
        *source == Source { request_principals, not_request_principals, ..Source::default() }
    };
    sources.peek().is_some() && sources.all(is_http_only)
}
