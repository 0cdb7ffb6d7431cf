//! Traces that still go to Lightstep by its own protocol.

use std::collections::HashSet;

use super::{Analyzer, Context};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::resource::Kind;
use crate::validate::{At, Checker};

/// `IST0002` for providers of traces.
pub(super) struct Lightstep;

impl Analyzer for Lightstep {
    fn name(&self) -> &'static str {
        "telemetry.LightstepAnalyzer"
    }

    fn codes(&self) -> &'static [Code] {
        &[Code::DEPRECATED]
    }

    fn analyze(&self, context: &Context<'_>, out: &mut Report) {
        let providers = context.mesh_config().into_iter().flat_map(|mesh| &mesh.extension_providers);
        let deprecated: HashSet<&str> =
            providers.filter(|provider| provider.lightstep.is_some()).map(|provider| provider.name.as_str()).collect();
        if deprecated.is_empty() {
            return;
        }
        let spec = At::top("spec");
        for telemetry in context.set.telemetries() {
            let cx = &mut Checker::new(Kind::Telemetry, &telemetry.meta, &telemetry.origin, out);
            let mut told = HashSet::new();
            for (index, tracing) in telemetry.spec.tracing.iter().enumerate() {
                for (provider, name) in tracing.providers.iter().map(|provider| provider.name.as_str()).enumerate() {
                    if deprecated.contains(name) && told.insert(name) {
                        cx.push(&spec.field("tracing").index(index).field("providers").index(provider), finding(name));
                    }
                }
            }
        }
    }
}

fn finding(name: &str) -> Diagnostic {
    let message =
        format!("Deprecated: The Lightstep provider {name} is deprecated, please migrate to OpenTelemetry provider.");
    Diagnostic::warning(Code::DEPRECATED, message)
        .effect("its traces are not sent")
        .help("define a provider with `opentelemetry` in the extensionProviders of the MeshConfig")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::tests::found;

    #[test]
    fn a_provider_of_lightstep_that_is_used_is_pointed_out_once() {
        let text = "
{apiVersion: telemetry.istio.io/v1, kind: Telemetry, metadata: {name: t, namespace: a},
 spec: {tracing: [{providers: [{name: old}]}, {providers: [{name: old}, {name: new}]}]}}
---
extensionProviders:
- {name: NAME, lightstep: {service: l.a.svc.cluster.local, port: 443}}
";
        assert_eq!(
            found(&Lightstep, &text.replace("NAME", "old")),
            ["IST0002 Telemetry a/t spec.tracing[0].providers[0]"]
        );
        assert_eq!(found(&Lightstep, &text.replace("NAME", "unused")), [""; 0]);
    }
}
