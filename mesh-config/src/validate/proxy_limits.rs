//! Values that Istio's webhook takes and its proxy then refuses, with everything else that it was sent along with them.

use super::checker::{At, Checker};
use crate::api::destination_rule::LoadBalancerSettings;
use crate::api::virtual_service::HttpRoute;
use crate::api::{DestinationRule, VirtualService};
use crate::diagnostic::{Code, Diagnostic};
use crate::resource::Object;
use crate::value::Percent;

/// The largest hash ring.
const MAX_RING: u64 = 8 << 20;

pub(super) fn check_virtual_service(cx: &mut Checker<'_>, object: &Object<VirtualService>) {
    let (spec, service) = (At::top("spec"), &object.spec);
    for (index, route) in service.http.iter().enumerate() {
        check_http(cx, &spec.field("http").index(index), route);
    }
    for (index, route) in service.tcp.iter().enumerate() {
        let weights = route.route.iter().map(|destination| destination.weight);
        check_weights(cx, &spec.field("tcp").index(index).field("route"), weights);
    }
    for (index, route) in service.tls.iter().enumerate() {
        let weights = route.route.iter().map(|destination| destination.weight);
        check_weights(cx, &spec.field("tls").index(index).field("route"), weights);
    }
}

fn check_http(cx: &mut Checker<'_>, at: &At<'_>, route: &HttpRoute) {
    check_weights(cx, &at.field("route"), route.route.iter().map(|destination| destination.weight));
    if route.direct_response.as_ref().is_some_and(|answer| answer.status == 600) {
        refuse(cx, &at.field("directResponse").field("status"), "600 is no HTTP status", "statuses are 200 to 599");
    }
    let code = route.redirect.as_ref().map_or(0, |redirect| redirect.redirect_code);
    if (300..=399).contains(&code) && !matches!(code, 301 | 302 | 303 | 307 | 308) {
        let message = format!("{code} is no redirect code that the proxy knows");
        refuse(cx, &at.field("redirect").field("redirectCode"), message, "use 301, 302, 303, 307 or 308");
    }
    check_number(cx, &at.field("mirrorPercentage"), route.mirror_percentage);
    for (index, mirror) in route.mirrors.iter().enumerate() {
        check_number(cx, &at.field("mirrors").index(index).field("percentage"), mirror.percentage);
    }
    if let Some(fault) = &route.fault {
        let at = at.field("fault");
        check_number(
            cx,
            &at.field("abort").field("percentage"),
            fault.abort.as_ref().and_then(|abort| abort.percentage),
        );
        check_number(
            cx,
            &at.field("delay").field("percentage"),
            fault.delay.as_ref().and_then(|delay| delay.percentage),
        );
    }
}

/// A comparison with what is not a number is never true, and so no bound catches it.
fn check_number(cx: &mut Checker<'_>, at: &At<'_>, percentage: Option<Percent>) {
    if percentage.is_some_and(|percentage| percentage.value.is_nan()) {
        refuse(cx, &at.field("value"), "the percentage is not a number", "percentages are 0 to 100");
    }
}

fn check_weights(cx: &mut Checker<'_>, at: &At<'_>, weights: impl Iterator<Item = i32>) {
    let total: u64 = weights.filter_map(|weight| u64::try_from(weight).ok()).sum();
    if total > u64::from(u32::MAX) {
        let message = format!("the weights add up to {total}, more than {}", u32::MAX);
        refuse(cx, at, message, "only the proportions count: 90 and 10 do as well");
    }
}

pub(super) fn check_destination_rule(cx: &mut Checker<'_>, object: &Object<DestinationRule>) {
    let (spec, rule) = (At::top("spec"), &object.spec);
    let policies = rule.subsets.iter().map(|subset| subset.traffic_policy.as_ref());
    for (index, policy) in std::iter::once(rule.traffic_policy.as_ref()).chain(policies).enumerate() {
        let Some(policy) = policy else { continue };
        let subsets = spec.field("subsets");
        let subset = subsets.index(index.saturating_sub(1));
        let at = if index == 0 { spec.field("trafficPolicy") } else { subset.field("trafficPolicy") };
        check_ring(cx, &at, policy.load_balancer.as_ref());
        for (index, port) in policy.port_level_settings.iter().enumerate() {
            check_ring(cx, &at.field("portLevelSettings").index(index), port.load_balancer.as_ref());
        }
    }
}

fn check_ring(cx: &mut Checker<'_>, at: &At<'_>, balancer: Option<&LoadBalancerSettings>) {
    let Some(hash) = balancer.and_then(|balancer| balancer.consistent_hash.as_ref()) else { return };
    let at = at.field("loadBalancer");
    let at = at.field("consistentHash");
    let deprecated = (at.field("minimumRingSize"), hash.minimum_ring_size);
    let ring = at.field("ringHash");
    let current = hash.ring_hash.as_ref().map(|hash| (ring.field("minimumRingSize"), hash.minimum_ring_size));
    for (at, size) in [Some(deprecated), current].into_iter().flatten().filter(|(_, size)| *size > MAX_RING) {
        let message = format!("a ring of {size} entries, more than {MAX_RING}");
        refuse(
            cx,
            &at,
            message,
            "the default of 1024 spreads evenly; some ten times the number of endpoints is plenty",
        );
    }
}

fn refuse(cx: &mut Checker<'_>, at: &At<'_>, message: impl Into<String>, help: &str) {
    let finding = Diagnostic::error(Code::REFUSED_BY_ENVOY, message)
        .effect("Istio's webhook takes it, and its proxies go on with the configuration that they had before")
        .help(help);
    cx.push(at, finding);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::set::ConfigSet;

    fn lines(kind: &str, spec: &str) -> Vec<u32> {
        let text = format!("apiVersion: networking.istio.io/v1\nkind: {kind}\nmetadata: {{name: x}}\nspec:\n{spec}\n");
        let options = crate::ParseOptions::default().crd_rules(false);
        let (documents, _) = crate::parse_with("f", &text, &options);
        assert_eq!(documents.len(), 1);
        let report = ConfigSet::from_documents(documents).0.validate();
        report
            .errors()
            .filter(|finding| finding.code == Code::REFUSED_BY_ENVOY)
            .map(|finding| finding.origin.line)
            .collect()
    }

    fn route(rule: &str) -> Vec<u32> {
        lines("VirtualService", &format!("  hosts: [x]\n  http:\n  - {rule}"))
    }

    #[test]
    fn weights_add_up_to_what_a_proxy_can_count() {
        let weights = |last: u32| {
            let to = |weight: u32| format!("{{destination: {{host: x}}, weight: {weight}}}");
            route(&format!("route: [{}, {}, {}]", to(2_147_483_647), to(2_147_483_647), to(last)))
        };
        assert_eq!((weights(1), weights(2)), (vec![], vec![7]));
    }

    #[test]
    fn a_direct_response_has_a_status() {
        assert_eq!(route("directResponse: {status: 600}"), [7]);
        assert_eq!(route("directResponse: {status: 599}"), [0_u32; 0]);
    }

    #[test]
    fn a_redirect_has_a_code_that_the_proxy_knows() {
        assert_eq!(route("redirect: {uri: /a, redirectCode: 304}"), [7]);
        assert_eq!(route("redirect: {uri: /a, redirectCode: 308}"), [0_u32; 0]);
    }

    #[test]
    fn a_percentage_is_a_number() {
        let mirror = |value: &str| {
            route(&format!(
                "{{route: [{{destination: {{host: x}}}}], mirror: {{host: y}}, mirrorPercentage: {{value: {value}}}}}"
            ))
        };
        assert_eq!((mirror(".nan"), mirror("1")), (vec![7], vec![]));
    }

    #[test]
    fn a_ring_has_a_bound_wherever_it_stands() {
        let balancer = |size: u64| {
            format!("loadBalancer: {{consistentHash: {{useSourceIp: true, ringHash: {{minimumRingSize: {size}}}}}}}")
        };
        let rule = |size: u64| {
            let one = balancer(size);
            format!(
                "  host: x\n  trafficPolicy:\n    {one}\n    portLevelSettings:\n    - port: {{number: 1}}\n      {one}\n  subsets:\n  \
                 - name: a\n    trafficPolicy:\n      {one}"
            )
        };
        assert_eq!(lines("DestinationRule", &rule(MAX_RING)), [0_u32; 0]);
        assert_eq!(lines("DestinationRule", &rule(MAX_RING + 1)), [7, 10, 14]);
    }
}
