//! Telemetry.

use super::checker::{At, Checker};
use super::common;
use crate::api::Telemetry;
use crate::api::telemetry::{
    AccessLogFilter, CustomTag, MetricSelector, Metrics, ProviderRef, TagOverrideOperation, Tracing,
};
use crate::resource::Object;
use crate::value::cel;

pub(super) fn check(cx: &mut Checker<'_>, object: &Object<Telemetry>) {
    let telemetry = &object.spec;
    let spec = At::top("spec");
    let labels = telemetry.selector.as_ref().map(|selector| &selector.match_labels);
    common::policy_target(cx, &spec, labels, telemetry.target_ref.as_ref(), &telemetry.target_refs);
    for (index, metrics) in telemetry.metrics.iter().enumerate() {
        check_metrics(cx, &spec.field("metrics").index(index), metrics);
    }
    if telemetry.tracing.len() > 1 {
        cx.warn(&spec.field("tracing"), "multiple tracing is not currently supported");
    }
    for (index, tracing) in telemetry.tracing.iter().enumerate() {
        check_tracing(cx, &spec.field("tracing").index(index), tracing);
    }
    for (index, logging) in telemetry.access_logging.iter().enumerate() {
        let at = spec.field("accessLogging");
        let at = at.index(index);
        check_providers(cx, &at.field("providers"), &logging.providers);
        if let Some(AccessLogFilter { expression }) = &logging.filter {
            let checked =
                cel::check(expression).map_err(|problem| format!("must be a valid CEL expression, {problem}"));
            cx.check(&at.field("filter").field("expression"), checked);
        }
    }
}

fn check_providers(cx: &mut Checker<'_>, at: &At<'_>, providers: &[ProviderRef]) {
    for (index, provider) in providers.iter().enumerate() {
        cx.error_if(provider.name.is_empty(), &at.index(index), "providers.name may not be empty");
    }
}

fn check_metrics(cx: &mut Checker<'_>, at: &At<'_>, metrics: &Metrics) {
    check_providers(cx, &at.field("providers"), &metrics.providers);
    for (index, overrides) in metrics.overrides.iter().enumerate() {
        let at = at.field("overrides");
        let at = at.index(index);
        if let Some(MetricSelector { custom_metric: Some(name), .. }) = &overrides.matches {
            cx.error_if(name.is_empty(), &at.field("match").field("customMetric"), "customMetric may not be empty");
        }
        for (tag, change) in &overrides.tag_overrides {
            let at = at.field("tagOverrides");
            let at = at.key(tag);
            if tag.is_empty() {
                cx.warn(&at, "tagOverrides.name may not be empty");
            }
            match change.operation {
                TagOverrideOperation::Upsert if change.value.is_empty() => {
                    cx.error(&at, "tagOverrides.value must be set when operation is UPSERT");
                }
                TagOverrideOperation::Remove if !change.value.is_empty() => {
                    cx.error(&at.field("value"), "tagOverrides.value may only be set when operation is UPSERT");
                }
                _ => {}
            }
        }
    }
}

fn check_tracing(cx: &mut Checker<'_>, at: &At<'_>, tracing: &Tracing) {
    check_providers(cx, &at.field("providers"), &tracing.providers);
    if tracing.providers.len() > 1 {
        cx.warn(&at.field("providers"), "multiple providers is not currently supported");
    }
    if tracing.random_sampling_percentage.is_some_and(|percent| !(0.0..=100.0).contains(&percent)) {
        let message = "randomSamplingPercentage must be in range [0.0, 100.0]";
        cx.error(&at.field("randomSamplingPercentage"), message);
    }
    for (name, tag) in &tracing.custom_tags {
        let at = at.field("customTags");
        let at = at.key(name);
        cx.error_if(name.is_empty(), &at, "tag name may not be empty");
        check_tag(cx, &at, name, tag);
    }
}

fn check_tag(cx: &mut Checker<'_>, at: &At<'_>, name: &str, tag: &CustomTag) {
    if *tag == CustomTag::default() {
        return cx.error(at, format!("tag '{name}' may not have a nil value"));
    }
    if tag.literal.as_ref().is_some_and(|literal| literal.value.is_empty()) {
        cx.error(&at.field("literal"), "literal tag value may not be empty");
    }
    if tag.header.as_ref().is_some_and(|header| header.name.is_empty()) {
        cx.error(&at.field("header"), "header tag name may not be empty");
    }
    if tag.environment.as_ref().is_some_and(|environment| environment.name.is_empty()) {
        cx.error(&at.field("environment"), "environment tag name may not be empty");
    }
}
