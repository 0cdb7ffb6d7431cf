//! Fields that newer ones replace.

use super::{Analyzer, Context, some_of};
use crate::api::VirtualService;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::resource::{Kind, Object};
use crate::validate::{At, Checker};

/// `IST0002`. What validation warns about (`consecutiveErrors`, `mirrorPercent`, `minimumRingSize`) is not repeated here.
pub(super) struct Deprecated;

impl Analyzer for Deprecated {
    fn name(&self) -> &'static str {
        "deprecation.DeprecationAnalyzer"
    }

    fn codes(&self) -> &'static [Code] {
        &[Code::DEPRECATED]
    }

    fn analyze(&self, context: &Context<'_>, out: &mut Report) {
        for service in context.set.virtual_services() {
            let cx = &mut Checker::new(Kind::VirtualService, &service.meta, &service.origin, out);
            check_delays(cx, service);
        }
        for sidecar in context.set.sidecars() {
            let policy = sidecar.spec.outbound_traffic_policy.as_ref();
            if policy.is_some_and(|policy| policy.egress_proxy.is_some()) {
                let cx = &mut Checker::new(Kind::Sidecar, &sidecar.meta, &sidecar.origin, out);
                let message = "Deprecated: OutboundTrafficPolicy.EgressProxy ignored";
                let finding = Diagnostic::warning(Code::DEPRECATED, message)
                    .effect("requests to unknown hosts do not go through the proxy")
                    .help("register the hosts with a ServiceEntry and route them to the egress gateway");
                cx.push(&At::top("spec").field("outboundTrafficPolicy").field("egressProxy"), finding);
            }
        }
    }
}

/// Reported once for a VirtualService, however many rules have it.
fn check_delays(cx: &mut Checker<'_>, service: &Object<VirtualService>) {
    let rules = rules_with_percent(&service.spec);
    let Some((first, others)) = rules.split_first() else { return };
    let message = "Deprecated: HTTPRoute.fault.delay.percent is deprecated; use HTTPRoute.fault.delay.percentage";
    let others: Vec<String> = others.iter().map(|index| format!("http[{index}]")).collect();
    let help = match others.as_slice() {
        [] => "percentage: {value: ...}".to_owned(),
        others => format!("percentage: {{value: ...}}; so too in {}", some_of(others)),
    };
    let finding = Diagnostic::warning(Code::DEPRECATED, message).help(help);
    let spec = At::top("spec");
    cx.push(&spec.field("http").index(*first).field("fault").field("delay").field("percent"), finding);
}

fn rules_with_percent(service: &VirtualService) -> Vec<usize> {
    let delays = service.http.iter().map(|route| route.fault.as_ref().and_then(|fault| fault.delay.as_ref()));
    delays
        .enumerate()
        .filter(|(_, delay)| delay.is_some_and(|delay| delay.percent > 0))
        .map(|(index, _)| index)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::tests::found;

    #[test]
    fn deprecated_fields_are_pointed_out_once_for_each_object() {
        let rules = "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: r, namespace: a}
spec: {hosts: [r], http: [{}, {fault: {delay: {percent: 5}}}, {fault: {delay: {percent: 6}}}]}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: s, namespace: a}
spec: {outboundTrafficPolicy: {mode: ALLOW_ANY, egressProxy: {host: e.a.svc.cluster.local}}}
";
        assert_eq!(
            found(&Deprecated, rules),
            [
                "IST0002 VirtualService a/r spec.http[1].fault.delay.percent",
                "IST0002 Sidecar a/s spec.outboundTrafficPolicy.egressProxy"
            ]
        );
        assert_eq!(
            found(
                &Deprecated,
                &rules
                    .replace("percent: 5", "")
                    .replace("percent: 6", "")
                    .replace("egressProxy: {host: e.a.svc.cluster.local}", "")
            ),
            [""; 0]
        );
    }
}
