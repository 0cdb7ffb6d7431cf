//! Several Telemetries for a whole namespace.

use std::collections::BTreeMap;

use super::selector_conflicts::names;
use super::{Analyzer, Context};
use crate::api::Telemetry;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::resource::{Kind, Object};
use crate::validate::{At, Checker};

/// `IST0160`.
pub(super) struct DefaultTelemetries;

impl Analyzer for DefaultTelemetries {
    fn name(&self) -> &'static str {
        "telemetry.DefaultSelectorAnalyzer"
    }

    fn codes(&self) -> &'static [Code] {
        &[Code::TELEMETRIES_WITHOUT_SELECTOR]
    }

    fn analyze(&self, context: &Context<'_>, out: &mut Report) {
        let mut of_namespaces: BTreeMap<&str, Vec<&Object<Telemetry>>> = BTreeMap::new();
        for telemetry in context.set.telemetries().filter(|telemetry| is_default(&telemetry.spec)) {
            of_namespaces.entry(&telemetry.meta.namespace).or_default().push(telemetry);
        }
        for (namespace, telemetries) in of_namespaces.iter().filter(|(_, telemetries)| telemetries.len() > 1) {
            let message = format!(
                "The Telemetries {} in namespace {namespace:?} have no workload selector, which can lead to undefined \
                 behavior.",
                names(telemetries)
            );
            for telemetry in telemetries {
                let finding = Diagnostic::error(Code::TELEMETRIES_WITHOUT_SELECTOR, message.clone())
                    .effect("the oldest of them applies, of equally old ones the first by name")
                    .help("merge them, or give all but one a selector");
                let cx = &mut Checker::new(Kind::Telemetry, &telemetry.meta, &telemetry.origin, out);
                cx.push(&At::top("metadata").field("name"), finding);
            }
        }
    }
}

fn is_default(telemetry: &Telemetry) -> bool {
    telemetry.selector.is_none() && telemetry.target_ref.is_none() && telemetry.target_refs.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::tests::found;

    fn telemetry(namespace: &str, name: &str, spec: &str) -> String {
        format!(
            "---\n{{apiVersion: telemetry.istio.io/v1, kind: Telemetry, metadata: {{name: {name}, namespace: {namespace}}}, \
             spec: {{{spec}}}}}\n"
        )
    }

    #[test]
    fn one_telemetry_is_for_the_whole_namespace() {
        let one = telemetry("a", "one", "");
        let of = |other: &str| found(&DefaultTelemetries, &format!("{one}{other}"));
        assert_eq!(
            of(&telemetry("a", "two", "")),
            ["IST0160 Telemetry a/one metadata.name", "IST0160 Telemetry a/two metadata.name"]
        );
        assert_eq!(of(&telemetry("b", "two", "")), [""; 0]);
        assert_eq!(of(&telemetry("a", "two", "selector: {matchLabels: {app: x}}")), [""; 0]);
        assert_eq!(of(&telemetry("a", "two", "targetRefs: [{kind: Gateway, name: g}]")), [""; 0]);
    }
}
