//! Telemetries that select nothing, or the same pods as another.

use super::selector_conflicts::{Selections, report_conflict, report_idle};
use super::{Analyzer, Context};
use crate::api::Telemetry;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::resource::Object;
use crate::validate::At;
use crate::value::Labels;

/// `IST0159`, and `IST0101` for selectors.
pub(super) struct TelemetrySelectors;

impl Analyzer for TelemetrySelectors {
    fn name(&self) -> &'static str {
        "telemetry.SelectorAnalyzer"
    }

    fn codes(&self) -> &'static [Code] {
        &[Code::REFERENCE_NOT_FOUND, Code::CONFLICTING_TELEMETRIES]
    }

    fn needs_cluster(&self) -> bool {
        true
    }

    fn analyze(&self, context: &Context<'_>, out: &mut Report) {
        let selecting = context.set.telemetries().filter_map(|telemetry| Some((telemetry, selector(telemetry)?)));
        let selections = Selections::of(context, selecting);
        let (spec, meta) = (At::top("spec"), At::top("metadata"));
        for (telemetry, labels) in selections.idle {
            report_idle(out, &spec.field("selector").field("matchLabels"), telemetry, labels);
        }
        for (telemetries, pods) in selections.groups.iter().filter(|(telemetries, _)| telemetries.len() > 1) {
            let namespace = &telemetries[0].meta.namespace;
            report_conflict(out, &meta.field("name"), telemetries, pods, |names, pod| {
                let message = format!(
                    "The Telemetries {names} in namespace {namespace:?} select the same workload pod {pod:?}, which can lead \
                     to undefined behavior."
                );
                Diagnostic::error(Code::CONFLICTING_TELEMETRIES, message)
                    .effect("the oldest of them applies, of equally old ones the first by name")
                    .help("merge them, or let their selectors ask for different labels")
            });
        }
    }
}

/// The labels that a Telemetry asks for; none where it is for the whole namespace.
fn selector(telemetry: &Object<Telemetry>) -> Option<&Labels> {
    let selector = telemetry.spec.selector.as_ref();
    selector.map(|selector| &selector.match_labels).filter(|labels| !labels.is_empty())
}
