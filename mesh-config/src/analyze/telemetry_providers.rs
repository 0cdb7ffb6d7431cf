//! Access logs that go nowhere.

use super::{Analyzer, Context};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::resource::Kind;
use crate::validate::{At, Checker};

/// `IST0157`: neither the Telemetry nor the MeshConfig says where access logs go.
pub(super) struct TelemetryProviders;

impl Analyzer for TelemetryProviders {
    fn name(&self) -> &'static str {
        "telemetry.ProviderAnalyzer"
    }

    fn codes(&self) -> &'static [Code] {
        &[Code::NO_TELEMETRY_PROVIDER]
    }

    fn analyze(&self, context: &Context<'_>, out: &mut Report) {
        let defaults = context.mesh_config().and_then(|mesh| mesh.default_providers.as_ref());
        if defaults.is_some_and(|defaults| !defaults.access_logging.is_empty()) {
            return;
        }
        for telemetry in context.set.telemetries() {
            let lacks =
                |log: &crate::api::telemetry::AccessLogging| log.disabled != Some(true) && log.providers.is_empty();
            let Some(index) = telemetry.spec.access_logging.iter().position(lacks) else { continue };
            let meta = &telemetry.meta;
            let message = format!(
                "The Telemetry {} in namespace {:?} with empty providers will be ignored.",
                meta.name, meta.namespace
            );
            let finding = Diagnostic::warning(Code::NO_TELEMETRY_PROVIDER, message)
                .effect("no access log is written for it")
                .help("providers: [{name: ...}], or defaultProviders.accessLogging in the MeshConfig");
            let cx = &mut Checker::new(Kind::Telemetry, meta, &telemetry.origin, out);
            cx.push(&At::top("spec").field("accessLogging").index(index), finding);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::tests::found;

    #[test]
    fn an_access_log_goes_to_a_provider_of_its_own_or_of_the_mesh() {
        let of = |log: &str, mesh: &str| {
            let text = format!(
                "{{apiVersion: telemetry.istio.io/v1, kind: Telemetry, metadata: {{name: t, namespace: a}}, \
                 spec: {{accessLogging: [{{{log}}}]}}}}\n{mesh}"
            );
            found(&TelemetryProviders, &text)
        };
        let mesh = "---\ndefaultProviders: {accessLogging: [envoy]}\n";
        assert_eq!(of("", ""), ["IST0157 Telemetry a/t spec.accessLogging[0]"]);
        assert_eq!(of("disabled: false", ""), ["IST0157 Telemetry a/t spec.accessLogging[0]"]);
        assert_eq!(of("disabled: true", ""), [""; 0]);
        assert_eq!(of("providers: [{name: envoy}]", ""), [""; 0]);
        assert_eq!(of("", mesh), [""; 0]);
    }
}
