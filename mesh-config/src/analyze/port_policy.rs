//! Policies of ports that leave out what the rule says for all.

use super::{Analyzer, Context};
use crate::api::destination_rule::{PortTrafficPolicy, TrafficPolicy};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::resource::Kind;
use crate::validate::{At, Checker};

/// `MESH0504`: an entry of `portLevelSettings` replaces the policy for its port as a whole.
pub(super) struct PortPolicy;

impl Analyzer for PortPolicy {
    fn name(&self) -> &'static str {
        "mesh.PortPolicy"
    }

    fn codes(&self) -> &'static [Code] {
        &[Code::PORT_POLICY_REPLACES]
    }

    fn analyze(&self, context: &Context<'_>, out: &mut Report) {
        let set = context.set;
        let spec = At::top("spec");
        for rule in set.destination_rules() {
            let cx = &mut Checker::new(Kind::DestinationRule, &rule.meta, &rule.origin, out);
            if let Some(policy) = &rule.spec.traffic_policy {
                check(cx, &spec.field("trafficPolicy"), policy);
            }
            for (index, subset) in rule.spec.subsets.iter().enumerate() {
                let Some(policy) = &subset.traffic_policy else { continue };
                let at = spec.field("subsets");
                check(cx, &at.index(index).field("trafficPolicy"), policy);
            }
        }
    }
}

fn check(cx: &mut Checker<'_>, at: &At<'_>, policy: &TrafficPolicy) {
    for (index, port) in policy.port_level_settings.iter().enumerate() {
        let lost = lost(policy, port);
        if lost.is_empty() {
            continue;
        }
        let number = port.port.map_or(0, |port| port.number);
        let names: Vec<_> = lost.iter().map(|(name, _)| *name).collect();
        let defaults: Vec<_> = lost.iter().map(|(_, default)| *default).collect();
        let message = format!(
            "port {number} does not inherit {}: its entry replaces the whole policy, and what it leaves out is the default",
            names.join(", ")
        );
        // Another way to choose an endpoint hardly hurts, unless callers are to stay with one.
        let harmless =
            names == ["loadBalancer"] && policy.load_balancer.as_ref().is_some_and(|all| all.consistent_hash.is_none());
        let finding = match harmless {
            true => Diagnostic::info(Code::PORT_POLICY_REPLACES, message),
            false => Diagnostic::warning(Code::PORT_POLICY_REPLACES, message),
        };
        let finding = finding
            .effect(format!("on port {number}: {}", defaults.join(", ")))
            .help(format!("repeat {} in the entry", names.join(", ")));
        cx.push(&at.field("portLevelSettings").index(index), finding);
    }
}

/// The blocks that a port loses, and what it has instead.
fn lost(all: &TrafficPolicy, port: &PortTrafficPolicy) -> Vec<(&'static str, &'static str)> {
    [
        ("loadBalancer", "least request", all.load_balancer.is_some(), port.load_balancer.is_some()),
        ("connectionPool", "no limits", all.connection_pool.is_some(), port.connection_pool.is_some()),
        ("outlierDetection", "no ejection", all.outlier_detection.is_some(), port.outlier_detection.is_some()),
        ("tls", "automatic mutual TLS, or plain text", all.tls.is_some(), port.tls.is_some()),
    ]
    .into_iter()
    .filter(|(_, _, for_all, for_port)| *for_all && !for_port)
    .map(|(name, default, ..)| (name, default))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{object, only, places};
    use super::*;

    fn rule(all: &str, port: &str) -> String {
        let spec =
            format!("{{host: r, trafficPolicy: {{{all} portLevelSettings: [{{port: {{number: 80}}, {port}}}]}}}}");
        object("DestinationRule", "r", &spec)
    }

    #[test]
    fn a_block_that_the_port_leaves_out_is_lost() {
        let all = "outlierDetection: {interval: 1s}, tls: {mode: SIMPLE},";
        let finding = only(&PortPolicy, &rule(all, "tls: {mode: DISABLE}"));
        assert_eq!(finding.path.to_string(), "spec.trafficPolicy.portLevelSettings[0]");
        assert_eq!(finding.effect.as_deref(), Some("on port 80: no ejection"));
        let both = only(&PortPolicy, &rule(all, "loadBalancer: {simple: RANDOM}"));
        assert_eq!(both.help.as_deref(), Some("repeat outlierDetection, tls in the entry"));
    }

    #[test]
    fn another_way_to_choose_endpoints_is_only_worth_knowing() {
        let place = "spec.trafficPolicy.portLevelSettings[0]";
        let simple = rule("loadBalancer: {simple: ROUND_ROBIN},", "tls: {mode: SIMPLE}");
        assert_eq!(places(&PortPolicy, &simple), [format!("MESH0504 info {place}")]);
        let hash = rule("loadBalancer: {consistentHash: {useSourceIp: true}},", "tls: {mode: SIMPLE}");
        assert_eq!(places(&PortPolicy, &hash), [format!("MESH0504 warning {place}")]);
    }

    #[test]
    fn a_port_that_has_all_of_them_is_good() {
        assert_eq!(places(&PortPolicy, &rule("tls: {mode: SIMPLE},", "tls: {mode: DISABLE}")), [""; 0]);
        assert_eq!(places(&PortPolicy, &rule("", "tls: {mode: DISABLE}")), [""; 0]);
    }
}
