//! The settings of the single proxy. Most have no effect in process, but Istio takes none of them if one is wrong.

use serde_json::Value;

use super::super::checker::{At, Checker};
use super::super::destination_rule::check_client_tls;
use super::{checked_port, prefixed};
use crate::api::mesh_config::{MeshProxyConfig, MeshTracing};
use crate::value::Duration;
use crate::value::address::check_host_and_port;
use crate::value::duration::check_duration;

pub(super) fn check(cx: &mut Checker<'_>, at: &At<'_>, proxy: &MeshProxyConfig) {
    for (field, value, message) in [
        ("configPath", &proxy.config_path, "config path must be set"),
        ("binaryPath", &proxy.binary_path, "binary path must be set"),
        ("serviceCluster", &proxy.service_cluster, "service cluster must be specified"),
        ("discoveryAddress", &proxy.discovery_address, "discovery address must be set to the proxy discovery service"),
    ] {
        cx.error_if(value.as_ref().and_then(Value::as_str) == Some(""), &at.field(field), message);
    }
    if let Some(drain) = proxy.drain_duration {
        cx.check(&at.field("drainDuration"), check_drain(drain));
    }
    check_addresses(cx, at, proxy);
    for (field, port, what) in [
        ("proxyAdminPort", &proxy.proxy_admin_port, "invalid proxy admin port"),
        ("statusPort", &proxy.status_port, "invalid status port"),
    ] {
        if let Some(port) = port.as_ref().and_then(Value::as_u64) {
            checked_port(cx, &at.field(field), port, what);
        }
    }
    if let Some(tracing) = &proxy.tracing {
        check_tracing(cx, &at.field("tracing"), tracing);
    }
    if let Some(provider) = &proxy.private_key_provider {
        let checked = check_key_provider(provider).map_err(str::to_owned);
        cx.check(&at.field("privateKeyProvider"), prefixed(checked, "invalid private key provider configuration"));
    }
}

fn check_drain(drain: Duration) -> Result<(), String> {
    prefixed(check_duration(drain), "invalid drain duration")?;
    match drain.as_nanos() % 1_000_000_000 {
        0 => Ok(()),
        _ => Err("drain time only supports durations to seconds precision".to_owned()),
    }
}

fn check_addresses(cx: &mut Checker<'_>, at: &At<'_>, proxy: &MeshProxyConfig) {
    let within = |value: &Option<Value>| value.as_ref().and_then(|value| value.get("address")).cloned();
    for (field, address, what) in [
        ("discoveryAddress", proxy.discovery_address.clone(), "discovery"),
        ("statsdUdpAddress", proxy.statsd_udp_address.clone(), "statsd udp"),
        ("envoyMetricsServiceAddress", proxy.envoy_metrics_service_address.clone(), "envoy metrics service"),
        ("envoyMetricsService", within(&proxy.envoy_metrics_service), "envoy metrics service"),
        ("envoyAccessLogService", within(&proxy.envoy_access_log_service), "envoy access log service"),
    ] {
        let Some(address) = address.as_ref().and_then(Value::as_str).filter(|address| !address.is_empty()) else {
            continue;
        };
        let what = match field {
            "discoveryAddress" => format!("invalid {what} address"),
            _ => format!("invalid {what} address {address:?}"),
        };
        cx.check(&at.field(field), prefixed(check_host_and_port(address), &what));
    }
}

fn check_tracing(cx: &mut Checker<'_>, at: &At<'_>, tracing: &MeshTracing) {
    // The agent puts in the address of the machine.
    let collector = |address: &str| check_host_and_port(&address.replacen("$(HOST_IP)", "127.0.0.1", 1));
    let address = |value: &Option<Value>| {
        value.as_ref().map(|value| value.get("address").and_then(Value::as_str).unwrap_or_default().to_owned())
    };
    if let Some(zipkin) = &tracing.zipkin {
        let at = at.field("zipkin");
        cx.check(&at.field("address"), prefixed(collector(&zipkin.address), "invalid zipkin config"));
    }
    if let Some(address) = address(&tracing.datadog) {
        cx.check(&at.field("datadog"), prefixed(collector(&address), "invalid datadog config"));
    }
    if let Some(address) = address(&tracing.lightstep) {
        let at = at.field("lightstep");
        cx.check(&at, prefixed(collector(&address), "invalid lightstep config: invalid lightstep address"));
        let token = tracing.lightstep.as_ref().and_then(|lightstep| lightstep.get("accessToken"));
        let has_token = token.and_then(Value::as_str).is_some_and(|token| !token.is_empty());
        cx.error_if(!has_token, &at, "invalid lightstep config: access token is required");
    }
    if let Some(tls) = &tracing.tls_settings {
        check_client_tls(cx, &at.field("tlsSettings"), tls);
    }
    if tracing.sampling.is_some_and(|percent| !(0.0..=100.0).contains(&percent)) {
        cx.unchecked(|cx| cx.error(&at.field("sampling"), "sampling must be in range [0.0, 100.0]"));
    }
}

/// Hardware that signs, which has to be asked at intervals.
fn check_key_provider(provider: &Value) -> Result<(), &'static str> {
    let provider = provider.get("cryptomb").or_else(|| provider.get("qat"));
    let provider = provider.ok_or("private key provider configuration is required")?;
    let delay = provider.get("pollDelay").and_then(Value::as_str).ok_or("pollDelay is required")?;
    match delay.parse::<Duration>() {
        Ok(delay) if delay.is_zero() => Err("pollDelay must be non zero"),
        _ => Ok(()),
    }
}
