//! How calls are traced: each level overrides the one above it field by field, and its tags replace those of that.

use std::sync::Arc;

use mesh_config::api::MeshConfig;
use mesh_config::api::telemetry::Tracing;

use mesh_config::{Code, Diagnostic};

use super::applicable::Applicable;
use super::means;
use super::providers::Providers;
use crate::access_log::Attributes;
use crate::compile::findings::Findings;
use crate::telemetry::policy::{DEFAULT_SAMPLING, Side, TracingPolicy};

/// The policies of client and server; `None` where nothing asks for traces.
pub(super) fn merged(
    applicable: &Applicable<'_>,
    mesh: &MeshConfig,
    providers: &Providers<'_>,
    findings: &mut Findings,
) -> Option<(TracingPolicy, TracingPolicy)> {
    if applicable.tracing().next().is_none() && providers.default_tracing().is_empty() {
        return by_mesh_config(mesh).map(|policy| formatted(policy, findings)).map(|policy| (policy.clone(), policy));
    }
    let of = |side| {
        let mut policy = beginning(mesh);
        // One provider counts, as in Istio.
        let fetch = |name: &str| providers.get(name).map(|provider| Box::new(provider.into_owned()));
        policy.provider = providers.default_tracing().first().and_then(|name| fetch(name));
        let levels = applicable.tracing().filter(|tracing| means(tracing.matches.map(|matches| matches.mode), side));
        for level in levels {
            if let Some(first) = level.providers.first() {
                policy.provider = fetch(&first.name);
            }
            refine(&mut policy, level);
        }
        policy
    };
    let (client, server) = (of(Side::Client), of(Side::Server));
    Some((formatted(client, findings), formatted(server, findings)))
}

/// With the tags that are formatted, compiled.
fn formatted(mut policy: TracingPolicy, findings: &mut Findings) -> TracingPolicy {
    let mut texts = Vec::new();
    for (name, tag) in &policy.custom_tags {
        let Some(formatter) = &tag.formatter else { continue };
        let problem = match Attributes::new([(name.as_str(), formatter.value.as_str())]) {
            Err(problem) => Some(problem),
            Ok(tag) if tag.of_answers().next().is_some() => {
                Some("tags are made when a request begins, which knows of no answer".to_owned())
            }
            Ok(_) => None,
        };
        match problem {
            None => texts.push((name.as_str(), formatter.value.as_str())),
            Some(problem) => {
                let message = format!("the tag {name:?} of spans cannot be formatted: {problem}");
                findings.add(Diagnostic::warning(Code::NOT_ENFORCED, message).effect("spans do not have it"));
            }
        }
    }
    policy.formatted_tags = Arc::new(Attributes::new(texts).unwrap_or_default());
    policy
}

fn refine(policy: &mut TracingPolicy, level: &Tracing) {
    let set = |field: &mut bool, value: Option<bool>| *field = value.unwrap_or(*field);
    set(&mut policy.is_disabled, level.disable_span_reporting);
    set(&mut policy.uses_request_id, level.use_request_id_for_trace_sampling);
    set(&mut policy.istio_tags, level.enable_istio_tags);
    set(&mut policy.keeps_context, level.disable_context_propagation);
    policy.sampling = level.random_sampling_percentage.unwrap_or(policy.sampling);
    if !level.custom_tags.is_empty() {
        policy.custom_tags.clone_from(&level.custom_tags);
    }
}

fn beginning(mesh: &MeshConfig) -> TracingPolicy {
    let proxy = mesh.default_config.as_ref().and_then(|config| config.tracing.as_ref());
    TracingPolicy {
        sampling: proxy.and_then(|tracing| tracing.sampling).unwrap_or(DEFAULT_SAMPLING),
        custom_tags: proxy.map(|tracing| tracing.custom_tags.clone()).unwrap_or_default(),
        uses_request_id: true,
        istio_tags: proxy.and_then(|tracing| tracing.enable_istio_tags).unwrap_or(true),
        ..TracingPolicy::default()
    }
}

/// By `enableTracing` and `defaultConfig.tracing` alone.
fn by_mesh_config(mesh: &MeshConfig) -> Option<TracingPolicy> {
    let is_set = mesh.default_config.as_ref()?.tracing.is_some();
    (is_set && mesh.enable_tracing()).then(|| beginning(mesh))
}
