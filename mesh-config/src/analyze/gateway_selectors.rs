//! Policies that select pods of a Gateway of the Kubernetes Gateway API by their labels.

use std::collections::BTreeSet;

use super::{Analyzer, Context};
use crate::api::selector::WorkloadSelector;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::resource::{Object, Typed};
use crate::validate::{At, Checker};

/// `IST0166`.
pub(super) struct GatewaySelectors;

impl Analyzer for GatewaySelectors {
    fn name(&self) -> &'static str {
        "k8sgateway.SelectorAnalyzer"
    }

    fn codes(&self) -> &'static [Code] {
        &[Code::INEFFECTIVE_SELECTOR]
    }

    fn needs_cluster(&self) -> bool {
        true
    }

    fn analyze(&self, context: &Context<'_>, out: &mut Report) {
        for policy in context.set.authorization_policies().filter(|policy| policy.spec.target_ref.is_none()) {
            check(out, context, policy, policy.spec.selector.as_ref());
        }
        for policy in context.set.request_authentications().filter(|policy| policy.spec.target_ref.is_none()) {
            check(out, context, policy, policy.spec.selector.as_ref());
        }
        for policy in context.set.telemetries().filter(|policy| policy.spec.target_ref.is_none()) {
            check(out, context, policy, policy.spec.selector.as_ref());
        }
    }
}

/// The label by which pods of such a gateway are known.
const GATEWAY: &str = "gateway.networking.k8s.io/gateway-name";

fn check<T: Typed>(out: &mut Report, context: &Context<'_>, policy: &Object<T>, selector: Option<&WorkloadSelector>) {
    let Some(selector) = selector else { return };
    let pods = context.workloads().selected_in(&policy.meta.namespace, &selector.match_labels);
    let gateways: BTreeSet<&String> = pods.filter_map(|pod| pod.labels.get(GATEWAY)).collect();
    let cx = &mut Checker::new(T::KIND, &policy.meta, &policy.origin, out);
    for gateway in gateways {
        let message = format!("Ineffective selector on Kubernetes Gateway {gateway}. Use the TargetRef field instead.");
        let finding = Diagnostic::warning(Code::INEFFECTIVE_SELECTOR, message)
            .effect("the policy does not apply to the gateway")
            .help(format!(
                "targetRefs: [{{group: gateway.networking.k8s.io, kind: Gateway, name: {gateway}}}], without selector"
            ));
        cx.push(&At::top("spec").field("selector"), finding);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::tests::found;

    fn policy(kind: &str, group: &str, rest: &str) -> String {
        format!(
            "---\n{{apiVersion: {group}.istio.io/v1, kind: {kind}, metadata: {{name: p, namespace: a}}, \
             spec: {{selector: {{matchLabels: {{app: edge}}}} {rest}}}}}\n"
        )
    }

    #[test]
    fn a_selector_does_not_reach_a_gateway_of_the_kubernetes_gateway_api() {
        let pods = "---\n{apiVersion: v1, kind: Pod, metadata: {name: e, namespace: a, labels: {app: edge, \
                    gateway.networking.k8s.io/gateway-name: edge}}}\n";
        let policies = policy("AuthorizationPolicy", "security", "")
            + &policy("RequestAuthentication", "security", "")
            + &policy("Telemetry", "telemetry", "");
        assert_eq!(
            found(&GatewaySelectors, &format!("{policies}{pods}")),
            [
                "IST0166 AuthorizationPolicy a/p spec.selector",
                "IST0166 RequestAuthentication a/p spec.selector",
                "IST0166 Telemetry a/p spec.selector"
            ]
        );
        let targeted = policy("AuthorizationPolicy", "security", ", targetRef: {kind: Gateway, name: edge}");
        assert_eq!(found(&GatewaySelectors, &format!("{targeted}{pods}")), [""; 0]);
        let plain = "---\n{apiVersion: v1, kind: Pod, metadata: {name: e, namespace: a, labels: {app: edge}}}\n";
        assert_eq!(found(&GatewaySelectors, &format!("{policies}{plain}")), [""; 0]);
    }
}
