//! How requests are counted: overrides of all levels in order, each on top of those before it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mesh_config::Object;
use mesh_config::api::Telemetry;
use mesh_config::api::telemetry::{
    IstioMetric, Metrics, MetricsOverrides, ProviderRef, TagOverride, TagOverrideOperation,
};

use super::applicable::Applicable;
use super::expression::compiled;
use super::means;
use super::providers::Providers;
use crate::compile::findings::{Findings, not_enforced};
use crate::telemetry::policy::{MetricsPolicy, Side, Tag, name_of};

const ALL: [IstioMetric; 10] = [
    IstioMetric::RequestCount,
    IstioMetric::RequestDuration,
    IstioMetric::RequestSize,
    IstioMetric::ResponseSize,
    IstioMetric::TcpOpenedConnections,
    IstioMetric::TcpClosedConnections,
    IstioMetric::TcpSentBytes,
    IstioMetric::TcpReceivedBytes,
    IstioMetric::GrpcRequestMessages,
    IstioMetric::GrpcResponseMessages,
];

/// How the requests of one side are counted.
pub(super) fn merged(
    applicable: &Applicable<'_>,
    providers: &Providers<'_>,
    side: Side,
    findings: &mut Findings,
) -> MetricsPolicy {
    // The last level that names providers says which there are; what others say of others counts for nothing.
    let named = applicable.metrics().filter(|(_, _, metrics)| !metrics.providers.is_empty()).last();
    let in_scope: BTreeSet<&str> = match named {
        Some((_, _, metrics)) => names(&metrics.providers).collect(),
        None => providers.default_metrics().into_iter().collect(),
    };
    let is_ours = |name: &str| providers.get(name).is_some_and(|provider| provider.prometheus.is_some());
    let Some(ours) = in_scope.iter().copied().find(|name| is_ours(name)) else {
        if let Some((object, index, metrics)) = named {
            unknown(object, index, metrics, findings);
        }
        return MetricsPolicy { is_enabled: false, ..MetricsPolicy::default() };
    };
    let mut merging = Merging { side, policy: MetricsPolicy::default() };
    let mut parents: Vec<&str> = providers.default_metrics();
    for (object, index, metrics) in applicable.metrics() {
        if !metrics.providers.is_empty() {
            parents = names(&metrics.providers).collect();
        }
        if parents.contains(&ours) {
            merging.add(object, index, metrics, findings);
        }
    }
    with_used_expressions(merging.policy)
}

/// Without expressions of tags that a narrower level has replaced, or of metrics that are turned off: each costs something
/// with each request.
fn with_used_expressions(mut policy: MetricsPolicy) -> MetricsPolicy {
    let all = std::mem::take(&mut policy.expressions);
    if !policy.is_enabled {
        return policy;
    }
    let used = &mut policy.expressions;
    let tags =
        policy.overrides.values_mut().filter(|change| !change.is_disabled).flat_map(|change| change.tags.values_mut());
    for tag in tags {
        let Tag::Expression(place) = tag else { continue };
        let Some(program) = all.get(*place) else { continue };
        *place = used.iter().position(|known| known == program).unwrap_or_else(|| {
            used.push(Arc::clone(program));
            used.len() - 1
        });
    }
    policy
}

fn names(providers: &[ProviderRef]) -> impl Iterator<Item = &str> {
    providers.iter().map(|provider| provider.name.as_str())
}

fn unknown(object: &Object<Telemetry>, index: usize, metrics: &Metrics, findings: &mut Findings) {
    let named: Vec<_> = names(&metrics.providers).collect();
    let message = format!("none of the providers {} takes metrics here", named.join(", "));
    let path = format!("spec.metrics[{index}].providers");
    findings.add(not_enforced(
        object,
        &path,
        &message,
        "requests are not counted; `prometheus` is a provider that is there",
    ));
}

struct Merging {
    side: Side,
    policy: MetricsPolicy,
}

impl Merging {
    fn add(&mut self, object: &Object<Telemetry>, index: usize, metrics: &Metrics, findings: &mut Findings) {
        if metrics.reporting_interval.is_some() {
            let path = format!("spec.metrics[{index}].reportingInterval");
            let message = "metrics of TCP are not counted here";
            findings.add(not_enforced(object, &path, message, "those of requests are there as they are asked for"));
        }
        for (place, change) in metrics.overrides.iter().enumerate() {
            let custom = change.matches.as_ref().and_then(|matches| matches.custom_metric.as_deref());
            if let Some(custom) = custom.filter(|name| metric_named(name).is_none()) {
                let path = format!("spec.metrics[{index}].overrides[{place}].match.customMetric");
                let message = format!("there is no metric {custom:?} here");
                findings.add(not_enforced(object, &path, &message, "the override changes nothing"));
            }
            if means(change.matches.as_ref().map(|matches| matches.mode), self.side) {
                let path = format!("spec.metrics[{index}].overrides[{place}].tagOverrides");
                let tags = self.tags(change, object, &path, findings);
                self.change(change, &tags);
            }
        }
    }

    /// The tags of an override. One whose expression cannot be read is left out.
    fn tags(
        &mut self,
        change: &MetricsOverrides,
        object: &Object<Telemetry>,
        path: &str,
        findings: &mut Findings,
    ) -> BTreeMap<Box<str>, Tag> {
        let tag = |(name, tag): (&String, &TagOverride)| {
            let tag = match literal(&tag.value) {
                _ if !is_set(tag) => Tag::Removed,
                Some(text) => Tag::Text(text.into()),
                None => {
                    let program = compiled(&tag.value, object, &format!("{path}[{name}].value"), EFFECTS, findings)?;
                    let known = self.policy.expressions.iter().position(|known| *known == program);
                    Tag::Expression(known.unwrap_or_else(|| {
                        self.policy.expressions.push(program);
                        self.policy.expressions.len() - 1
                    }))
                }
            };
            Some((Box::from(name.as_str()), tag))
        };
        change.tag_overrides.iter().filter_map(tag).collect()
    }

    fn change(&mut self, change: &MetricsOverrides, tags: &BTreeMap<Box<str>, Tag>) {
        let chosen = chosen(change);
        if chosen.len() == ALL.len() && change.disabled == Some(true) {
            self.policy.is_enabled = false;
            return;
        }
        // What a wider level has turned off a narrower one that speaks of some metric turns on again.
        self.policy.is_enabled = true;
        for metric in chosen {
            let known = self.policy.overrides.entry(name_of(metric)).or_default();
            known.is_disabled = change.disabled.unwrap_or(known.is_disabled);
            known.tags.extend(tags.iter().map(|(name, tag)| (name.clone(), tag.clone())));
        }
    }
}

/// What a tag is whose expression errs, and one that cannot be read.
const EFFECTS: (&str, &str) = (
    "evaluating it errs there: the tag is `unknown`, unless the other operand of an && or || decides",
    "the tag keeps its usual value",
);

fn is_set(tag: &TagOverride) -> bool {
    tag.operation == TagOverrideOperation::Upsert
}

/// The text that an expression stands for, if it is no more than a text in quotes.
fn literal(expression: &str) -> Option<&str> {
    let expression = expression.trim();
    let quoted = |quote: char| expression.strip_prefix(quote)?.strip_suffix(quote);
    quoted('\'').or_else(|| quoted('"')).filter(|text| !text.contains(['\'', '"', '\\']))
}

/// The metrics that an override is for.
fn chosen(change: &MetricsOverrides) -> Vec<IstioMetric> {
    let Some(matches) = &change.matches else { return ALL.to_vec() };
    match (&matches.custom_metric, matches.metric) {
        (Some(name), _) => metric_named(name).into_iter().collect(),
        (None, None | Some(IstioMetric::AllMetrics)) => ALL.to_vec(),
        (None, Some(metric)) => vec![metric],
    }
}

/// A metric of Istio's by the name that it has in Prometheus, with or without what stands before and behind it.
fn metric_named(name: &str) -> Option<IstioMetric> {
    let name = name.strip_prefix("istio_").unwrap_or(name);
    Some(match name.strip_suffix("_total").unwrap_or(name) {
        "requests" => IstioMetric::RequestCount,
        "request_duration_milliseconds" => IstioMetric::RequestDuration,
        "request_bytes" => IstioMetric::RequestSize,
        "response_bytes" => IstioMetric::ResponseSize,
        "request_messages" => IstioMetric::GrpcRequestMessages,
        "response_messages" => IstioMetric::GrpcResponseMessages,
        _ => return None,
    })
}
