//! What Telemetry resources come to for the traces of a workload.

use std::path::Path;

use mesh_config::api::MeshConfig;
use mesh_config::api::telemetry::CustomTag;
use mesh_core::Site;
use mesh_core::telemetry::policy::{DEFAULT_SAMPLING, TracingPolicy};
use serde_json::{Value, json};

use crate::differs;
use crate::world::{compiled, documents, read};

pub(crate) fn tracing(_: &Path, case: &Value) -> Option<String> {
    let (input, want) = (&case["input"], &case["expect"]["want"]);
    let proxy = &input["proxy"];
    let site = Site {
        namespace: proxy["ConfigNamespace"].as_str().unwrap_or_default().to_owned(),
        labels: read(&proxy["Labels"]),
        ..Site::default()
    };
    let mesh: MeshConfig = match &input["defaultProviders"] {
        Value::Null => MeshConfig::default(),
        names => read(&json!({"defaultProviders": {"tracing": names}})),
    };
    let compiled = compiled(&documents(&input["cfgs"]), &mesh, &site);
    let telemetry = compiled.snapshot.telemetry();
    if want.is_null() {
        return differs((&telemetry.client.tracing, &telemetry.server.tracing), (&None, &None));
    }
    let sides = [("ClientSpec", &telemetry.client.tracing), ("ServerSpec", &telemetry.server.tracing)];
    sides.iter().find_map(|(side, policy)| {
        let Some(policy) = policy else { return Some(format!("{side}: nothing is traced")) };
        check(policy, &want[side]).map(|difference| format!("{side}: {difference}"))
    })
}

/// Fields that the expectation leaves out have the zero of their type, as in Go; the sampling then is that of nobody.
fn check(policy: &TracingPolicy, want: &Value) -> Option<String> {
    let is_set = |field: &str| want[field].as_bool().unwrap_or_default();
    let provider = policy.provider.as_ref().map(|provider| provider.name.as_str());
    let tags: std::collections::BTreeMap<String, CustomTag> = read(&want["CustomTags"]);
    let sampling = want["RandomSamplingPercentage"].as_f64().unwrap_or(DEFAULT_SAMPLING);
    // Without a provider that there is spans are reported to nobody.
    let is_disabled = policy.is_disabled || provider.is_none();
    differs(provider, want["Provider"]["name"].as_str())
        .or_else(|| differs(is_disabled, is_set("Disabled")))
        .or_else(|| differs(policy.sampling, sampling))
        .or_else(|| differs(&policy.custom_tags, &tags))
        .or_else(|| differs(policy.uses_request_id, is_set("UseRequestIDForTraceSampling")))
        .or_else(|| differs(policy.istio_tags, is_set("EnableIstioTags")))
        .or_else(|| differs(policy.keeps_context, is_set("DisableContextPropagation")))
}
