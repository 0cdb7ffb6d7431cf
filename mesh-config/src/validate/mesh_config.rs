//! MeshConfig.
//!
//! Istio takes no part of one that has an error. What it only writes to its log is a warning of ours here.

mod provider;
mod proxy;

use serde_json::Value;

use super::checker::{At, Checker};
use super::destination_rule::{
    check_client_tls, check_connection_pool, check_locality, check_outlier_detection, check_zone_aware,
};
use super::virtual_service::check_retries;
use crate::api::MeshConfig;
use crate::api::mesh_config::DefaultTrafficPolicy;
use crate::api::virtual_service::HttpRetry;
use crate::resource::Object;
use crate::value::Duration;
use crate::value::duration::{check_connect_timeout, check_precision};
use crate::value::host::check_wildcard_domain;
use crate::value::port::check_port;
use crate::value::trust_domain::check_trust_domain;

pub(super) fn check(cx: &mut Checker<'_>, object: &Object<MeshConfig>) {
    let mesh = &object.spec;
    check_numbers(cx, mesh);
    check_trust_domains(cx, mesh);
    check_service_settings(cx, mesh);
    check_curves(cx, mesh);
    if let Some(proxy) = &mesh.default_config {
        proxy::check(cx, &At::top("defaultConfig"), proxy);
    }
    provider::check(cx, &At::top("extensionProviders"), &mesh.extension_providers);
    // Of the mesh's own settings it is not yet known which hosts have outlier detection.
    if let Some(setting) = &mesh.locality_lb_setting {
        check_locality(cx, &At::top("localityLbSetting"), setting, true);
    }
    if let Some(setting) = &mesh.zone_aware_lb_setting {
        check_zone_aware(cx, &At::top("zoneAwareLbSetting"), setting, true);
    }
    if let Some(tls) = mesh.outbound_traffic_policy.as_ref().and_then(|policy| policy.tls.as_ref()) {
        check_client_tls(cx, &At::top("outboundTrafficPolicy").field("tls"), tls);
    }
    if let Some(policy) = &mesh.default_traffic_policy {
        check_traffic_policy(cx, &At::top("defaultTrafficPolicy"), policy);
    }
    if let Some(retries) = &mesh.default_http_retry_policy {
        cx.unchecked(|cx| check_retries(cx, &At::top("defaultHttpRetryPolicy"), retries));
    }
    if let Some(retries) = &mesh.default_inbound_http_retry_policy {
        check_inbound_retries(cx, &At::top("defaultInboundHttpRetryPolicy"), retries);
    }
}

fn check_numbers(cx: &mut Checker<'_>, mesh: &MeshConfig) {
    if let Some(port) = mesh.proxy_listen_port.as_ref().and_then(Value::as_u64) {
        checked_port(cx, &At::top("proxyListenPort"), port, "invalid proxy listen port");
    }
    if let Some(timeout) = mesh.connect_timeout {
        let checked = check_connect_timeout(timeout);
        cx.check(&At::top("connectTimeout"), prefixed(checked, "invalid connect timeout"));
    }
    if let Some(timeout) = mesh.protocol_detection_timeout.as_ref().and_then(Value::as_str) {
        let checked = timeout.parse::<Duration>().map_err(|problem| problem.to_string()).and_then(check_precision);
        cx.check(&At::top("protocolDetectionTimeout"), prefixed(checked, "invalid protocol detection timeout"));
    }
}

fn checked_port(cx: &mut Checker<'_>, at: &At<'_>, port: u64, what: &str) {
    let checked = check_port(u32::try_from(port).unwrap_or(u32::MAX)).map(|_| ());
    cx.check(at, prefixed(checked, what));
}

/// Puts what a value is in front of what is wrong with it.
fn prefixed(checked: Result<(), String>, what: &str) -> Result<(), String> {
    checked.map_err(|problem| format!("{what}: {problem}"))
}

fn check_trust_domains(cx: &mut Checker<'_>, mesh: &MeshConfig) {
    if let Some(domain) = &mesh.trust_domain {
        cx.check(&At::top("trustDomain"), prefixed(check_trust_domain(domain), "trustDomain"));
    }
    for (index, alias) in mesh.trust_domain_aliases.iter().enumerate() {
        let what = format!("trustDomainAliases[{index}], domain `{alias}` ");
        cx.check(&At::top("trustDomainAliases").index(index), prefixed(check_trust_domain(alias), &what));
    }
}

fn check_service_settings(cx: &mut Checker<'_>, mesh: &MeshConfig) {
    let at = At::top("serviceSettings");
    let settings = mesh.service_settings.as_ref().and_then(Value::as_array).into_iter().flatten();
    for (index, setting) in settings.enumerate() {
        let hosts = setting.get("hosts").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        for (h, host) in hosts.enumerate() {
            let what = format!("serviceSettings[{index}], host `{host}`");
            let at = at.index(index);
            cx.check(&at.field("hosts").index(h), prefixed(check_wildcard_domain(host), &what));
        }
    }
}

/// The curves of mutual TLS within the mesh are fixed, and others have names.
fn check_curves(cx: &mut Checker<'_>, mesh: &MeshConfig) {
    if mesh.mesh_mtls.as_ref().is_some_and(|tls| !tls.ecdh_curves.is_empty()) {
        cx.error(&At::top("meshMTLS").field("ecdhCurves"), "mesh TLS does not support ECDH curves configuration");
    }
    let Some(defaults) = &mesh.tls_defaults else { return };
    let is_known = |curve: &&str| curve.is_empty() || CURVES.contains(curve);
    let (mut known, mut unknown): (Vec<_>, Vec<_>) =
        defaults.ecdh_curves.iter().map(String::as_str).partition(is_known);
    known.sort_unstable();
    unknown.sort_unstable();
    unknown.dedup();
    let mut repeated: Vec<_> = known.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
    repeated.dedup();
    for (what, curves) in [("unrecognized", unknown), ("duplicate", repeated)] {
        if !curves.is_empty() {
            let message = format!("detected {what} ECDH curves: [{}]", curves.join(" "));
            cx.warn(&At::top("tlsDefaults").field("ecdhCurves"), message);
        }
    }
}

const CURVES: &[&str] = &["P-224", "P-256", "P-521", "P-384", "X25519", "X25519Kyber768Draft00", "X25519MLKEM768"];

fn check_traffic_policy(cx: &mut Checker<'_>, at: &At<'_>, policy: &DefaultTrafficPolicy) {
    if let Some(pool) = &policy.connection_pool {
        check_connection_pool(cx, &at.field("connectionPool"), pool);
    }
    if let Some(outlier) = &policy.outlier_detection {
        check_outlier_detection(cx, &at.field("outlierDetection"), outlier);
    }
}

/// Between the mesh and the application there is one place to try.
fn check_inbound_retries(cx: &mut Checker<'_>, at: &At<'_>, retries: &HttpRetry) {
    check_retries(cx, at, retries);
    let HttpRetry { attempts, per_try_timeout, retry_on, retry_remote_localities, .. } = retries;
    let has_more = per_try_timeout.is_some() || !retry_on.is_empty() || retry_remote_localities.is_some();
    if *attempts == 0 && !has_more && retries.backoff.is_some() {
        cx.error(at, "http retry policy configured when attempts are set to 0 (disabled)");
    }
    for (field, is_set) in [
        ("perTryTimeout", per_try_timeout.is_some()),
        ("retryRemoteLocalities", retry_remote_localities.is_some()),
        ("retryIgnorePreviousHosts", retries.retry_ignore_previous_hosts.is_some()),
    ] {
        if is_set {
            cx.warn(&at.field(field), format!("{field} is ignored for inbound retries"));
        }
    }
}
