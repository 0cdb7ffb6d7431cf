//! Outlier detection without a floor.

use super::{Analyzer, Context};
use crate::api::destination_rule::OutlierDetection;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::resource::Kind;
use crate::validate::{At, Checker};

/// `MESH0510`: one error ejects an endpoint, all may be ejected, and nothing says when to use them all the same.
pub(super) struct WholePoolEjection;

impl Analyzer for WholePoolEjection {
    fn name(&self) -> &'static str {
        "mesh.WholePoolEjection"
    }

    fn codes(&self) -> &'static [Code] {
        &[Code::WHOLE_POOL_EJECTION]
    }

    fn analyze(&self, context: &Context<'_>, out: &mut Report) {
        let set = context.set;
        for rule in set.destination_rules() {
            let cx = &mut Checker::new(Kind::DestinationRule, &rule.meta, &rule.origin, out);
            let spec = At::top("spec");
            if let Some(policy) = &rule.spec.traffic_policy {
                check(cx, &spec.field("trafficPolicy"), policy.outlier_detection.as_ref());
            }
            for (index, subset) in rule.spec.subsets.iter().enumerate() {
                let Some(policy) = &subset.traffic_policy else { continue };
                let at = spec.field("subsets");
                check(cx, &at.index(index).field("trafficPolicy"), policy.outlier_detection.as_ref());
            }
        }
    }
}

fn check(cx: &mut Checker<'_>, at: &At<'_>, outlier: Option<&OutlierDetection>) {
    let Some(outlier) = outlier else { return };
    let first_error = outlier.consecutive_5xx_errors == Some(1)
        || outlier.consecutive_gateway_errors == Some(1)
        || outlier.consecutive_errors == 1;
    if !first_error || outlier.max_ejection_percent != 100 || outlier.min_health_percent != 0 {
        return;
    }
    let message = "a single error ejects an endpoint, and all endpoints may be ejected";
    let finding = Diagnostic::warning(Code::WHOLE_POOL_EJECTION, message)
        .effect("a bad moment of the service leaves no endpoint: 503 with the flag UH for the time of the ejection")
        .help(
            "allow some errors in a row, a lower maxEjectionPercent, or say with minHealthPercent when to use them all",
        );
    cx.push(&at.field("outlierDetection").field("maxEjectionPercent"), finding);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_floor_of_any_kind_is_enough() {
        for (outlier, expected) in [
            ("{consecutive5xxErrors: 1, maxEjectionPercent: 100}", 1),
            ("{consecutiveGatewayErrors: 1, maxEjectionPercent: 100}", 1),
            ("{consecutive5xxErrors: 5, maxEjectionPercent: 100}", 0),
            ("{consecutive5xxErrors: 1, maxEjectionPercent: 50}", 0),
            ("{consecutive5xxErrors: 1, maxEjectionPercent: 100, minHealthPercent: 30}", 0),
        ] {
            let text = format!(
                "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: x}}\nspec:\n  host: x\n  \
                 trafficPolicy: {{outlierDetection: {outlier}}}\n"
            );
            let (documents, _) = crate::parse("f", &text);
            let report = crate::ConfigSet::from_documents(documents).0.analyze();
            assert_eq!(report.iter().filter(|finding| finding.code == Code::WHOLE_POOL_EJECTION).count(), expected);
        }
    }
}
