//! What a rule says about retries.

use std::path::Path;
use std::time::Duration;

use mesh_config::api::virtual_service::HttpRetry;
use mesh_config::value::RetryOn;
use mesh_core::retry::RetryPolicy;
use mesh_core::retry::condition::Conditions;
use serde_json::Value;

use crate::differs;
use crate::world::read;

pub(crate) fn retry(_: &Path, case: &Value) -> Option<String> {
    let (input, expect) = (&case["input"], &case["expect"]);
    if input["side"] == "inbound" {
        return Some("there are no retries towards the application".to_owned());
    }
    let rule: Option<HttpRetry> = (!input["retries"].is_null()).then(|| read(&input["retries"]));
    let policy = RetryPolicy::lower(rule.as_ref(), None, input["consistent_hash"] == true);
    match policy {
        None => differs(expect.get("policy"), Some(&Value::Null)),
        Some(policy) => expect.as_object()?.iter().find_map(|(key, value)| check(&policy, key, value, expect)),
    }
}

/// Compares one thing that a case speaks of.
fn check(policy: &RetryPolicy, key: &str, value: &Value, expect: &Value) -> Option<String> {
    let difference = match key {
        "policy" => Some("there is a policy".to_owned()),
        "retry_on" | "retriable_status_codes" => conditions(policy, expect),
        "num_retries" => differs(Some(u64::from(policy.attempts)), value.as_u64()),
        "per_try_timeout" => differs(policy.per_try_timeout, duration(value)),
        "backoff_base_interval" => differs(Some(policy.backoff.base), duration(value)),
        "retry_priority" => differs(policy.remote_localities, !value.is_null()),
        "retry_previous_hosts" => differs(Some(policy.ignore_previous_hosts), value.as_bool()),
        "host_selection_retry_max_attempts" => differs(policy.ignore_previous_hosts, value.as_u64() != Some(0)),
        other => Some(format!("nothing is known about {other}")),
    };
    difference.map(|difference| format!("{key}: {difference}"))
}

/// Names that do not exist name nothing, so lists are compared by what they name.
fn conditions(policy: &RetryPolicy, expect: &Value) -> Option<String> {
    let mut list = expect["retry_on"].as_str().unwrap_or(RetryOn::DEFAULT).to_owned();
    for code in expect["retriable_status_codes"].as_array().into_iter().flatten() {
        list.push_str(&format!(",{code}"));
    }
    differs(&policy.on, &Conditions::lower(&RetryOn::parse(&list)))
}

fn duration(value: &Value) -> Option<Duration> {
    (!value.is_null()).then(|| read::<mesh_config::value::Duration>(value).to_std())
}
