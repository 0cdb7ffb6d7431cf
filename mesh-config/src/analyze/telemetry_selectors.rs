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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::tests::found;

    fn telemetry(name: &str, selector: &str) -> String {
        format!(
            "---\n{{apiVersion: telemetry.istio.io/v1, kind: Telemetry, metadata: {{name: {name}, namespace: a}}, \
             spec: {{selector: {{matchLabels: {{{selector}}}}}}}}}\n"
        )
    }

    #[test]
    fn a_telemetry_has_to_select_pods_of_its_namespace_that_no_other_selects() {
        let pod =
            "---\n{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: a, labels: {app: x, tier: front}}}\n";
        let one = telemetry("one", "app: x");
        assert_eq!(found(&TelemetrySelectors, &one), ["IST0101 Telemetry a/one spec.selector.matchLabels"]);
        assert_eq!(found(&TelemetrySelectors, &format!("{one}{pod}")), [""; 0]);
        assert_eq!(
            found(&TelemetrySelectors, &format!("{one}{}{pod}", telemetry("two", "tier: front"))),
            ["IST0159 Telemetry a/one metadata.name", "IST0159 Telemetry a/two metadata.name"]
        );
        assert_eq!(found(&TelemetrySelectors, &telemetry("all", "")), [""; 0]);
    }
}
