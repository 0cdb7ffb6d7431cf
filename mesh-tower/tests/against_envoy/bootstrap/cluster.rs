//! The clusters of a case: the service, and each of its subsets.

use serde_json::{Value, json};

use super::{address, duration, typed};
use crate::case::{Case, Endpoint};

/// What Istio writes for no limit.
const UNLIMITED: u32 = u32::MAX;

pub(super) fn all(case: &Case) -> Vec<Value> {
    let mut versions: Vec<Option<&str>> = vec![None];
    versions.extend(case.endpoints.iter().map(|endpoint| endpoint.version));
    versions.dedup();
    versions.into_iter().map(|version| cluster(case, version)).collect()
}

pub(super) fn name(case: &Case, version: Option<&str>) -> String {
    format!("outbound|80|{}|{}", version.unwrap_or_default(), case.host())
}

fn cluster(case: &Case, version: Option<&str>) -> Value {
    let policy = &case.policy;
    let distribute = &policy["loadBalancer"]["localityLbSetting"]["distribute"][0]["to"];
    let members = || case.endpoints.iter().filter(|endpoint| version.is_none() || endpoint.version == version);
    let group = |far: bool| {
        let group = members().filter(|endpoint| endpoint.is_far == far);
        let endpoints: Vec<Value> = group.map(|endpoint| lb_endpoint(case, endpoint)).collect();
        let region = if far { "far" } else { "near" };
        let mut group = json!({"locality": {"region": region}, "lb_endpoints": endpoints});
        match distribute.get(format!("{region}/*")) {
            Some(share) => group["load_balancing_weight"] = share.clone(),
            None => group["priority"] = u8::from(far).into(),
        }
        group
    };
    let mut groups = vec![group(false)];
    if members().any(|endpoint| endpoint.is_far) {
        groups.push(group(true));
    }
    let mut cluster = json!({
        "name": name(case, version),
        "type": "STATIC",
        "connect_timeout": policy["connectionPool"]["tcp"].get("connectTimeout").map_or("10s".into(), duration),
        // Ejections count at once, as they do here.
        "common_lb_config": {"update_merge_window": "0s"},
        "circuit_breakers": {"thresholds": [thresholds(policy)]},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": protocol(case),
        },
        "load_assignment": {"cluster_name": name(case, version), "endpoints": groups},
    });
    if distribute.is_object() {
        cluster["common_lb_config"]["locality_weighted_lb_config"] = json!({});
    }
    balance(&mut cluster, &policy["loadBalancer"]);
    if let Some(outlier) = policy.get("outlierDetection") {
        cluster["outlier_detection"] = outlier_detection(outlier);
        let threshold = outlier["minHealthPercent"].as_f64().unwrap_or_default();
        cluster["common_lb_config"]["healthy_panic_threshold"] = json!({"value": threshold});
    }
    cluster
}

fn lb_endpoint(case: &Case, endpoint: &Endpoint) -> Value {
    let mut value = json!({"endpoint": {"address": address(&case.address(endpoint.number), Case::port())}});
    if let Some(weight) = endpoint.weight {
        value["load_balancing_weight"] = weight.into();
    }
    value
}

fn balance(cluster: &mut Value, policy: &Value) {
    let simple = policy["simple"].as_str().unwrap_or("LEAST_REQUEST");
    let hash = &policy["consistentHash"];
    cluster["lb_policy"] = match simple {
        _ if hash["maglev"].is_object() => "MAGLEV".into(),
        _ if hash.is_object() => "RING_HASH".into(),
        simple => simple.into(),
    };
    if let Some(size) = hash["maglev"].get("tableSize") {
        cluster["maglev_lb_config"] = json!({"table_size": size});
    } else if hash.is_object() && !hash["maglev"].is_object() {
        let size = hash["ringHash"].get("minimumRingSize").cloned().unwrap_or(1024.into());
        cluster["ring_hash_lb_config"] = json!({"minimum_ring_size": size});
    }
}

fn thresholds(policy: &Value) -> Value {
    let (tcp, http) = (&policy["connectionPool"]["tcp"], &policy["connectionPool"]["http"]);
    let limit = |value: &Value| value.as_u64().filter(|limit| *limit > 0).unwrap_or(UNLIMITED.into());
    let mut thresholds = json!({
        "max_connections": limit(&tcp["maxConnections"]),
        "max_pending_requests": limit(&http["http1MaxPendingRequests"]),
        "max_requests": limit(&http["http2MaxRequests"]),
        "max_retries": limit(&http["maxRetries"]),
    });
    if let Some(budget) = policy.get("retryBudget") {
        thresholds["retry_budget"] = json!({
            "budget_percent": {"value": budget["percent"].as_f64().unwrap_or(20.0)},
            "min_retry_concurrency": budget["minRetryConcurrency"].as_u64().unwrap_or(3),
        });
        if let Some(interval) = budget.get("budgetInterval") {
            thresholds["retry_budget"]["budget_interval"] = interval.clone();
        }
    }
    thresholds
}

fn protocol(case: &Case) -> Value {
    let http = &case.policy["connectionPool"]["http"];
    let mut options = json!({"explicit_http_config": {}});
    let key = if case.http2 { "http2_protocol_options" } else { "http_protocol_options" };
    options["explicit_http_config"][key] = json!({});
    if let Some(streams) = http.get("maxConcurrentStreams").filter(|_| case.http2) {
        options["explicit_http_config"][key]["max_concurrent_streams"] = streams.clone();
    }
    if let Some(requests) = http.get("maxRequestsPerConnection") {
        options["common_http_protocol_options"] = json!({"max_requests_per_connection": requests});
    }
    typed("extensions.upstreams.http.v3.HttpProtocolOptions", options)
}

fn outlier_detection(outlier: &Value) -> Value {
    let count = |field: &str| outlier[field].as_u64();
    let percent = count("maxEjectionPercent").filter(|percent| *percent > 0).unwrap_or(10);
    let mut value = json!({
        "interval": outlier.get("interval").map_or("10s".into(), duration),
        "base_ejection_time": outlier.get("baseEjectionTime").map_or("30s".into(), duration),
        "max_ejection_percent": percent,
        "enforcing_success_rate": 0,
        "split_external_local_origin_errors": outlier["splitExternalLocalOriginErrors"] == true,
    });
    let errors = count("consecutive5xxErrors").unwrap_or(5);
    value["consecutive_5xx"] = errors.into();
    value["enforcing_consecutive_5xx"] = if errors > 0 { 100.into() } else { 0.into() };
    let gateway = count("consecutiveGatewayErrors").unwrap_or_default();
    if gateway > 0 {
        value["consecutive_gateway_failure"] = gateway.into();
    }
    value["enforcing_consecutive_gateway_failure"] = if gateway > 0 { 100.into() } else { 0.into() };
    if let Some(failures) = count("consecutiveLocalOriginFailures").filter(|failures| *failures > 0) {
        value["consecutive_local_origin_failure"] = failures.into();
        value["enforcing_consecutive_local_origin_failure"] = 100.into();
    }
    value["enforcing_local_origin_success_rate"] = 0.into();
    value
}
