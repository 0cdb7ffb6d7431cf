//! Providers. Istio writes what is wrong with one to its log, since it does no harm until something names it.

use std::collections::HashSet;

use super::super::checker::{At, Checker};
use super::super::common::{Scope, scoped_host};
use crate::api::mesh_config::ExtensionProvider;
use crate::value::address::check_ip;
use crate::value::host::check_fqdn;
use crate::value::port::check_port;

pub(super) fn check(cx: &mut Checker<'_>, at: &At<'_>, providers: &[ExtensionProvider]) {
    let mut names = HashSet::new();
    for (index, provider) in providers.iter().enumerate() {
        let at = at.index(index);
        let name = provider.name.as_str();
        let mut problems = Vec::new();
        if name.is_empty() {
            problems.push("empty extension provider name".to_owned());
        } else if !names.insert(name) {
            problems.push(format!("duplicate extension provider name {name}"));
        }
        problems.extend(problems_of(provider));
        for problem in problems {
            cx.unchecked(|cx| cx.error(&at, format!("invalid extension provider {name}: {problem}")));
        }
    }
}

fn problems_of(provider: &ExtensionProvider) -> Vec<String> {
    let mut problems = Vec::new();
    for (service, port) in services(provider) {
        problems.extend(check_service(service).err());
        problems.extend(check_port(port).err());
    }
    for status in statuses(provider) {
        problems.extend(check_status(status).err());
    }
    if let Some(http) = &provider.envoy_ext_authz_http
        && !http.path_prefix.is_empty()
        && !http.path_prefix.starts_with('/')
    {
        problems.push(format!("pathPrefix should begin with `/` but found {:?}", http.path_prefix));
    }
    if let Some(tracing) = &provider.opentelemetry
        && tracing.grpc.is_some()
        && tracing.http.is_some()
    {
        problems.push("OpenTelemetryTracingProvider cannot specify both grpc and http".to_owned());
    }
    let ExtensionProvider { name, .. } = provider;
    if *provider == (ExtensionProvider { name: name.clone(), ..ExtensionProvider::default() }) {
        problems.push("unsupported provider: it says nothing but its name".to_owned());
    }
    problems
}

/// The services that a provider asks or tells, with their ports.
fn services(provider: &ExtensionProvider) -> Vec<(&str, u32)> {
    let mut services = Vec::new();
    services.extend(provider.envoy_ext_authz_http.as_ref().map(|http| (http.service.as_str(), http.port)));
    services.extend(provider.envoy_ext_authz_grpc.as_ref().map(|grpc| (grpc.service.as_str(), grpc.port)));
    services.extend(provider.zipkin.as_ref().map(|zipkin| (zipkin.service.as_str(), zipkin.port)));
    services.extend(provider.opentelemetry.as_ref().map(|tracing| (tracing.service.as_str(), tracing.port)));
    services.extend(provider.envoy_otel_als.as_ref().map(|log| (log.service.as_str(), log.port)));
    services
}

fn statuses(provider: &ExtensionProvider) -> impl Iterator<Item = &str> {
    let http = provider.envoy_ext_authz_http.as_ref().map(|http| http.status_on_error.as_str());
    let grpc = provider.envoy_ext_authz_grpc.as_ref().map(|grpc| grpc.status_on_error.as_str());
    http.into_iter().chain(grpc).filter(|status| !status.is_empty())
}

/// A host, an address, or a host with a namespace in front.
fn check_service(service: &str) -> Result<(), String> {
    if service.is_empty() {
        return Err("service must not be empty".to_owned());
    }
    if service.contains('/') {
        return scoped_host(service, Scope::Sidecar).into_iter().next().map_or(Ok(()), Err);
    }
    match (check_fqdn(service), check_ip(service)) {
        (Err(_), Err(problem)) => Err(format!("invalid service fmt {service}: {problem}")),
        _ => Ok(()),
    }
}

fn check_status(status: &str) -> Result<(), String> {
    match status.parse::<u16>() {
        Err(_) => Err(format!("invalid statusOnError value {status}: not a number")),
        Ok(status) if !(100..=599).contains(&status) => Err(format!("unsupported statusOnError value {status}")),
        Ok(_) => Ok(()),
    }
}
