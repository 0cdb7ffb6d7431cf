//! The route of a case.

use http::StatusCode;
use mesh_tower::mesh_config::value::grpc_status;
use serde_json::{Map, Value, json};

use super::{cluster, duration, fraction, typed};
use crate::case::Case;

/// Conditions that hold where a rule names none.
const DEFAULT_RETRY_ON: &str = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes";

pub(super) fn of(case: &Case) -> Value {
    let rule = &case.rule;
    let uri = &rule["match"][0]["uri"];
    let matching = match (uri["exact"].as_str(), uri["prefix"].as_str()) {
        (Some(exact), _) => json!({"path": exact}),
        (None, prefix) => json!({"prefix": prefix.unwrap_or("/")}),
    };
    let mut route = json!({"name": case.host(), "match": matching});
    headers(&mut route, &rule["headers"]);
    if let Some(redirect) = rule.get("redirect") {
        route["redirect"] = self::redirect(redirect);
    } else if let Some(direct) = rule.get("directResponse") {
        route["direct_response"] = json!({"status": direct["status"]});
        if let Some(text) = direct["body"].get("string") {
            route["direct_response"]["body"] = json!({"inline_string": text});
        }
    } else {
        route["route"] = forward(case);
    }
    if let Some(fault) = rule.get("fault") {
        route["typed_per_filter_config"] = json!({"envoy.filters.http.fault": self::fault(fault)});
    }
    route
}

fn forward(case: &Case) -> Value {
    let rule = &case.rule;
    let timeout = rule.get("timeout").map_or("0s".into(), duration);
    let mut action = json!({"timeout": timeout, "max_grpc_timeout": timeout});
    let routes = rule["route"].as_array().map(Vec::as_slice).unwrap_or_default();
    let target = |destination: &Value| cluster::name(case, destination["subset"].as_str());
    match routes {
        [] => action["cluster"] = cluster::name(case, None).into(),
        [only] => action["cluster"] = target(&only["destination"]).into(),
        several => {
            let weighted = several.iter().filter(|route| route["weight"].as_u64() > Some(0));
            let clusters: Vec<Value> = weighted
                .map(|route| json!({"name": target(&route["destination"]), "weight": route["weight"]}))
                .collect();
            action["weighted_clusters"] = json!({"clusters": clusters});
        }
    }
    let hash = hash_policy(&case.policy["loadBalancer"]["consistentHash"]);
    if let Some(policy) = retry_policy(rule.get("retries"), hash.is_some() && routes.len() < 2) {
        action["retry_policy"] = policy;
    }
    if let Some(hash) = hash {
        action["hash_policy"] = json!([hash]);
    }
    if let Some(uri) = rule["rewrite"].get("uri") {
        action["prefix_rewrite"] = uri.clone();
    }
    if let Some(authority) = rule["rewrite"].get("authority") {
        action["host_rewrite_literal"] = authority.clone();
    }
    if let Some(mirror) = rule.get("mirror") {
        let percentage = rule.get("mirrorPercentage").cloned().unwrap_or(json!({"value": 100.0}));
        action["request_mirror_policies"] = json!([{
            "cluster": target(mirror),
            "runtime_fraction": {"default_value": fraction(&percentage)},
            "disable_shadow_host_suffix_append": true,
        }]);
    }
    action
}

/// `hashed`: the one destination is chosen by a hash, so that a try may go to the same endpoint again.
fn retry_policy(retries: Option<&Value>, hashed: bool) -> Option<Value> {
    let none = json!({});
    let retries = retries.unwrap_or(&none);
    let attempts = retries.get("attempts").map_or(Some(2), Value::as_u64).filter(|attempts| *attempts > 0)?;
    let tokens = retries["retryOn"].as_str().unwrap_or(DEFAULT_RETRY_ON).split(',');
    let code = |token: &&str| token.parse::<u16>().ok().filter(|code| StatusCode::from_u16(*code).is_ok());
    let (codes, mut names): (Vec<&str>, Vec<&str>) = tokens.partition(|token| code(token).is_some());
    if !codes.is_empty() {
        names.push("retriable-status-codes");
    }
    let mut policy = json!({
        "retry_on": names.join(","),
        "num_retries": attempts,
        "retriable_status_codes": codes.iter().filter_map(code).collect::<Vec<_>>(),
        "host_selection_retry_max_attempts": 5,
    });
    if retries["retryIgnorePreviousHosts"].as_bool().unwrap_or(!hashed) {
        policy["retry_host_predicate"] = json!([{
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typed_config": typed("extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate", json!({})),
        }]);
    }
    if let Some(time) = retries.get("perTryTimeout") {
        policy["per_try_timeout"] = duration(time);
    }
    if retries["retryRemoteLocalities"] == true {
        policy["retry_priority"] = json!({
            "name": "envoy.retry_priorities.previous_priorities",
            "typed_config": typed(
                "extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
                json!({"update_frequency": 2}),
            ),
        });
    }
    if let Some(base) = retries.get("backoff") {
        policy["retry_back_off"] = json!({"base_interval": duration(base)});
    }
    Some(policy)
}

fn hash_policy(hash: &Value) -> Option<Value> {
    if let Some(name) = hash.get("httpHeaderName") {
        return Some(json!({"header": {"header_name": name}}));
    }
    if let Some(name) = hash.get("httpQueryParameterName") {
        return Some(json!({"query_parameter": {"name": name}}));
    }
    hash.get("httpCookie").map(|cookie| json!({"cookie": {"name": cookie["name"]}}))
}

fn redirect(redirect: &Value) -> Value {
    let mut value = json!({});
    let fields = [
        ("uri", "path_redirect"),
        ("authority", "host_redirect"),
        ("scheme", "scheme_redirect"),
        ("port", "port_redirect"),
    ];
    for (own, envoys) in fields {
        if let Some(field) = redirect.get(own) {
            value[envoys] = field.clone();
        }
    }
    // The port that the scheme has anyhow is as good as none.
    let default = if redirect["scheme"] == "https" { 443 } else { 80 };
    if value["port_redirect"] == default {
        value.as_object_mut().unwrap().remove("port_redirect");
    }
    value["response_code"] = match redirect["redirectCode"].as_u64() {
        None | Some(301) => "MOVED_PERMANENTLY".into(),
        Some(302) => "FOUND".into(),
        Some(303) => "SEE_OTHER".into(),
        Some(307) => "TEMPORARY_REDIRECT".into(),
        Some(308) => "PERMANENT_REDIRECT".into(),
        Some(other) => panic!("no redirect: {other}"),
    };
    value
}

fn fault(fault: &Value) -> Value {
    let mut value = json!({});
    if let Some(delay) = fault.get("delay") {
        let (time, percentage) = (duration(&delay["fixedDelay"]), fraction(&delay["percentage"]));
        value["delay"] = json!({"fixed_delay": time, "percentage": percentage});
    }
    if let Some(abort) = fault.get("abort") {
        value["abort"] = json!({"percentage": fraction(&abort["percentage"])});
        match abort["grpcStatus"].as_str() {
            None => value["abort"]["http_status"] = abort["httpStatus"].clone(),
            Some(name) => {
                let code = grpc_status::code(name).expect("a gRPC status");
                value["abort"]["grpc_status"] = code.into();
            }
        }
    }
    typed("extensions.filters.http.fault.v3.HTTPFault", value)
}

/// What is set comes before what is added, each in the order of names.
fn headers(route: &mut Value, headers: &Value) {
    for side in ["request", "response"] {
        let operations = &headers[side];
        let none = Map::new();
        let lines = |field: &str, action: &str| {
            let entries = operations[field].as_object().unwrap_or(&none);
            let line = |(name, value): (&String, &Value)| json!({"header": {"key": name, "value": value}, "append_action": action});
            entries.iter().map(line).collect::<Vec<_>>()
        };
        let mut all = lines("set", "OVERWRITE_IF_EXISTS_OR_ADD");
        all.extend(lines("add", "APPEND_IF_EXISTS_OR_ADD"));
        if !all.is_empty() {
            route[format!("{side}_headers_to_add")] = all.into();
        }
        if let Some(names) = operations.get("remove") {
            route[format!("{side}_headers_to_remove")] = names.clone();
        }
    }
}
