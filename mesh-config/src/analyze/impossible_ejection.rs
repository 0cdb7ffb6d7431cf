//! Outlier detection that cannot do what it says.

use super::endpoints::{Endpoints, Group};
use super::{Analyzer, CLUSTER_DOMAIN, Context};
use crate::api::DestinationRule;
use crate::api::destination_rule::OutlierDetection;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::resource::{Kind, Object};
use crate::validate::{At, Checker};
use crate::value::Duration;
use crate::value::host::resolve_short_name;
use crate::value::labels;

/// `MESH0501`: Envoy refuses an ejection that would take the share of ejected endpoints over `maxEjectionPercent` (the
/// default of 10 % is less than one endpoint of nine), and uses all endpoints while fewer than `minHealthPercent` are left.
/// `MESH0505`: a limit that a lower one is always ahead of. `MESH0506`: the only endpoint can be ejected.
pub(super) struct ImpossibleEjection;

impl Analyzer for ImpossibleEjection {
    fn name(&self) -> &'static str {
        "mesh.ImpossibleEjection"
    }

    fn codes(&self) -> &'static [Code] {
        &[Code::IMPOSSIBLE_EJECTION, Code::LIMIT_NEVER_REACHED, Code::ONLY_ENDPOINT_EJECTED]
    }

    fn analyze(&self, context: &Context<'_>, out: &mut Report) {
        let set = context.set;
        let endpoints = Endpoints::of_all(set);
        for rule in set.destination_rules().filter(|rule| has_outlier_detection(&rule.spec)) {
            let host = resolve_short_name(&rule.spec.host, &rule.meta.namespace, CLUSTER_DOMAIN);
            check(rule, &endpoints.groups(&host), out);
        }
    }
}

fn has_outlier_detection(rule: &DestinationRule) -> bool {
    let policies = rule.traffic_policy.iter().chain(rule.subsets.iter().filter_map(|s| s.traffic_policy.as_ref()));
    policies.into_iter().any(|policy| {
        policy.outlier_detection.is_some()
            || policy.port_level_settings.iter().any(|port| port.outlier_detection.is_some())
    })
}

fn check(rule: &Object<DestinationRule>, groups: &[&Group<'_>], out: &mut Report) {
    let cx = &mut Checker::new(Kind::DestinationRule, &rule.meta, &rule.origin, out);
    let spec = At::top("spec");
    // Of several services or ports, the one with the most endpoints has to be short of them.
    let all = groups.iter().map(|group| group.len()).max().unwrap_or(0);
    if let Some(policy) = &rule.spec.traffic_policy {
        let at = spec.field("trafficPolicy");
        check_block(cx, &at, policy.outlier_detection.as_ref(), all);
        for (index, port) in policy.port_level_settings.iter().enumerate() {
            check_block(cx, &at.field("portLevelSettings").index(index), port.outlier_detection.as_ref(), all);
        }
    }
    let inherited = rule.spec.traffic_policy.as_ref().and_then(|policy| policy.outlier_detection.as_ref());
    let mut too_small = Vec::new();
    for (index, subset) in rule.spec.subsets.iter().enumerate() {
        let in_subset = |group: &&Group<'_>| group.iter().filter(|own| labels::subset_of(&subset.labels, own)).count();
        let count = groups.iter().map(in_subset).max().unwrap_or(0);
        let own = subset.traffic_policy.as_ref();
        if let Some(policy) = own {
            let at = spec.field("subsets");
            let at = at.index(index);
            let at = at.field("trafficPolicy");
            check_block(cx, &at, policy.outlier_detection.as_ref(), count);
            for (index, port) in policy.port_level_settings.iter().enumerate() {
                check_block(cx, &at.field("portLevelSettings").index(index), port.outlier_detection.as_ref(), count);
            }
        }
        let inherits =
            own.is_none_or(|policy| policy.outlier_detection.is_none() && policy.port_level_settings.is_empty());
        if let Some(outlier) = inherited.filter(|_| inherits && count > 0)
            && !Share::of(outlier).can_eject(count)
        {
            too_small.push((subset.name.as_str(), count));
        }
    }
    if let Some(outlier) = inherited.filter(|outlier| Share::of(outlier).can_eject(all) && !too_small.is_empty()) {
        let policy = spec.field("trafficPolicy");
        cx.push(&policy.field("outlierDetection"), subsets_too_small(outlier, &too_small));
    }
}

/// The part of the endpoints that may be out.
struct Share {
    percent: usize,
    is_default: bool,
}

impl Share {
    fn of(outlier: &OutlierDetection) -> Self {
        const DEFAULT: usize = 10;
        match usize::try_from(outlier.max_ejection_percent) {
            Ok(0) | Err(_) => Self { percent: DEFAULT, is_default: true },
            Ok(percent) => Self { percent, is_default: false },
        }
    }

    fn can_eject(&self, endpoints: usize) -> bool {
        100 <= self.percent * endpoints
    }

    fn text(&self) -> String {
        format!("{} %{}", self.percent, if self.is_default { " (the default)" } else { "" })
    }
}

fn check_block(cx: &mut Checker<'_>, at: &At<'_>, outlier: Option<&OutlierDetection>, endpoints: usize) {
    let Some(outlier) = outlier else { return };
    let at = at.field("outlierDetection");
    if counts_nothing(outlier) {
        return cx.push(&at.field("consecutive5xxErrors"), off());
    }
    if let Some(finding) = never_reached(outlier) {
        cx.push(&at.field("consecutiveGatewayErrors"), finding);
    }
    // With no endpoint at all there is nothing to eject, which others report.
    if endpoints == 0 {
        return;
    }
    if !Share::of(outlier).can_eject(endpoints) {
        cx.push(&at.field("maxEjectionPercent"), too_few(outlier, endpoints));
    } else if let Some(finding) = panics_at_once(outlier, endpoints) {
        cx.push(&at.field("minHealthPercent"), finding);
    } else if endpoints == 1 && !ejects_at_once(outlier) {
        cx.push(&at.field("maxEjectionPercent"), only_endpoint(outlier));
    }
}

/// Of this `MESH0510` tells, however many endpoints there are.
fn ejects_at_once(outlier: &OutlierDetection) -> bool {
    outlier.consecutive_5xx_errors == Some(1) || outlier.consecutive_gateway_errors == Some(1)
}

const DEFAULT_5XX: u32 = 5;

/// Errors of connections count as 5xx unless they are told apart.
fn counts_nothing(outlier: &OutlierDetection) -> bool {
    outlier.consecutive_5xx_errors == Some(0)
        && outlier.consecutive_gateway_errors.unwrap_or(0) == 0
        && !outlier.split_external_local_origin_errors
}

fn off() -> Diagnostic {
    let message =
        "outlier detection ejects nothing: consecutive5xxErrors 0 turns that limit off, and there is no other";
    Diagnostic::info(Code::IMPOSSIBLE_EJECTION, message)
        .effect("endpoints that fail go on getting requests; priorities by locality are on all the same")
        .help("leave consecutive5xxErrors out for its default of 5, or set consecutiveGatewayErrors")
}

/// 502, 503 and 504 count for both limits, so that the higher one of gateway errors never has its turn.
fn never_reached(outlier: &OutlierDetection) -> Option<Diagnostic> {
    let server = outlier.consecutive_5xx_errors.unwrap_or(DEFAULT_5XX);
    let gateway = outlier.consecutive_gateway_errors.unwrap_or(0);
    if server == 0 || gateway <= server {
        return None;
    }
    let default = if outlier.consecutive_5xx_errors.is_none() { " (the default)" } else { "" };
    let message = format!(
        "consecutiveGatewayErrors {gateway} is never reached: each of them counts for consecutive5xxErrors {server}{default}, too"
    );
    Some(
        Diagnostic::warning(Code::LIMIT_NEVER_REACHED, message)
            .effect(format!("an endpoint is ejected after {server} errors in a row, whether 500 or 503"))
            .help(format!("consecutive5xxErrors: 0 to count gateway errors alone, or more than {gateway}")),
    )
}

fn too_few(outlier: &OutlierDetection, endpoints: usize) -> Diagnostic {
    let share = Share::of(outlier).text();
    let noun = if endpoints == 1 { "endpoint" } else { "endpoints" };
    let message = format!("outlier detection can eject nothing: {share} of {endpoints} {noun} is less than one");
    Diagnostic::warning(Code::IMPOSSIBLE_EJECTION, message)
        .effect("endpoints that fail go on getting requests, and their errors go to the callers")
        .help(match endpoints {
            1 => "leave outlierDetection out: of one endpoint there is no other to go to".to_owned(),
            _ => format!("maxEjectionPercent: {} or more", 100_usize.div_ceil(endpoints)),
        })
}

fn subsets_too_small(outlier: &OutlierDetection, subsets: &[(&str, usize)]) -> Diagnostic {
    let names: Vec<_> = subsets.iter().map(|(name, count)| format!("{name} ({count})")).collect();
    let fewest = subsets.iter().map(|(_, count)| *count).min().unwrap_or(1);
    let message = format!(
        "outlier detection can eject nothing in the subsets {}: each is a pool of its own, and {} of it is less than one",
        names.join(", "),
        Share::of(outlier).text()
    );
    Diagnostic::info(Code::IMPOSSIBLE_EJECTION, message)
        .effect("endpoints of these subsets that fail go on getting requests")
        .help(format!("maxEjectionPercent: {} or more in a trafficPolicy of the subset", 100_usize.div_ceil(fewest)))
}

/// All endpoints are used, the ejected ones too, while fewer than `minHealthPercent` are healthy; but not as long as the
/// healthy ones, times 1.4, are all.
fn panics_at_once(outlier: &OutlierDetection, endpoints: usize) -> Option<Diagnostic> {
    let least = usize::try_from(outlier.min_health_percent).unwrap_or(0);
    let left = endpoints - 1;
    if 100 * left >= least * endpoints || 140 * left / endpoints >= 100 {
        return None;
    }
    let message = format!(
        "outlier detection has no effect: with one of {endpoints} endpoints ejected {} % are healthy, which is below \
         minHealthPercent {least}",
        100 * left / endpoints
    );
    Some(
        Diagnostic::warning(Code::IMPOSSIBLE_EJECTION, message)
            .effect("as soon as an endpoint is ejected, requests go to all of them again, the ejected one included")
            .help(format!("minHealthPercent: {} or less", 100 * left / endpoints)),
    )
}

fn only_endpoint(outlier: &OutlierDetection) -> Diagnostic {
    let time = outlier.base_ejection_time.unwrap_or(Duration::from_secs(30));
    let message = "there is one endpoint, and outlier detection may eject it";
    Diagnostic::info(Code::ONLY_ENDPOINT_EJECTED, message)
        .effect(format!("while it is out, {time} and longer each time, every request is answered 503 UH"))
        .help("run more than one endpoint, or leave outlierDetection out")
}

#[cfg(test)]
mod tests {
    use super::super::testing::{object, only, places};
    use super::*;

    const NONE: [&str; 0] = [];
    const PERCENT: [&str; 1] = ["MESH0501 warning spec.trafficPolicy.outlierDetection.maxEjectionPercent"];
    const HEALTH: [&str; 1] = ["MESH0501 warning spec.trafficPolicy.outlierDetection.minHealthPercent"];

    fn entry(count: usize) -> String {
        let endpoint = |n| format!("{{address: 10.0.0.{n}, labels: {{version: v{}}}}}", n % 2);
        let endpoints: Vec<_> = (1..=count).map(endpoint).collect();
        let spec = format!(
            "{{hosts: [r.a.svc.cluster.local], resolution: STATIC, ports: [{{number: 80, name: http}}], endpoints: [{}]}}",
            endpoints.join(", ")
        );
        object("ServiceEntry", "r", &spec)
    }

    fn with(count: usize, policy: &str) -> String {
        let spec = format!("{{host: r, trafficPolicy: {{outlierDetection: {{{policy}}}}}}}");
        format!("{}{}", entry(count), object("DestinationRule", "r", &spec))
    }

    #[test]
    fn a_share_of_less_than_one_endpoint_ejects_nothing() {
        for (endpoints, policy, expected) in [
            (9, "interval: 1s", true),
            (10, "interval: 1s", false),
            (3, "maxEjectionPercent: 33", true),
            (3, "maxEjectionPercent: 34", false),
            (2, "maxEjectionPercent: 49", true),
            (2, "maxEjectionPercent: 50", false),
            (1, "maxEjectionPercent: 99", true),
            (0, "interval: 1s", false),
        ] {
            let found = places(&ImpossibleEjection, &with(endpoints, policy));
            assert_eq!(found == PERCENT, expected, "{endpoints} {policy}: {found:?}");
        }
        let finding = only(&ImpossibleEjection, &with(3, "interval: 1s"));
        assert_eq!(
            finding.message,
            "outlier detection can eject nothing: 10 % (the default) of 3 endpoints is less than one"
        );
        assert_eq!(finding.help.as_deref(), Some("maxEjectionPercent: 34 or more"));
    }

    #[test]
    fn an_ejection_that_ends_in_panic_has_no_effect() {
        for (endpoints, least, expected) in
            [(2, 50, false), (2, 51, true), (3, 66, false), (3, 67, true), (4, 100, false), (1, 1, true)]
        {
            let policy = format!("maxEjectionPercent: 100, minHealthPercent: {least}");
            let found = places(&ImpossibleEjection, &with(endpoints, &policy));
            assert_eq!(found == HEALTH, expected, "{endpoints} {least}: {found:?}");
        }
    }

    #[test]
    fn the_only_endpoint_may_be_ejected() {
        let place = ["MESH0506 info spec.trafficPolicy.outlierDetection.maxEjectionPercent"];
        assert_eq!(places(&ImpossibleEjection, &with(1, "maxEjectionPercent: 100")), place);
        assert_eq!(places(&ImpossibleEjection, &with(2, "maxEjectionPercent: 100")), NONE);
    }

    #[test]
    fn a_limit_of_gateway_errors_above_that_of_all_errors_is_never_reached() {
        let place = ["MESH0505 warning spec.trafficPolicy.outlierDetection.consecutiveGatewayErrors"];
        assert_eq!(places(&ImpossibleEjection, &with(10, "consecutiveGatewayErrors: 6")), place);
        assert_eq!(places(&ImpossibleEjection, &with(10, "consecutiveGatewayErrors: 5")), NONE);
        let own = "consecutiveGatewayErrors: 10, consecutive5xxErrors: 9";
        assert_eq!(places(&ImpossibleEjection, &with(10, own)), place);
        assert_eq!(
            places(&ImpossibleEjection, &with(10, "consecutiveGatewayErrors: 10, consecutive5xxErrors: 0")),
            NONE
        );
    }

    #[test]
    fn with_every_limit_off_nothing_is_ejected() {
        let place = ["MESH0501 info spec.trafficPolicy.outlierDetection.consecutive5xxErrors"];
        assert_eq!(places(&ImpossibleEjection, &with(0, "consecutive5xxErrors: 0")), place);
        let split = "consecutive5xxErrors: 0, splitExternalLocalOriginErrors: true";
        assert_eq!(places(&ImpossibleEjection, &with(0, split)), NONE);
    }

    #[test]
    fn subsets_are_pools_of_their_own() {
        let subsets = |top: &str, own: &str| {
            let spec = format!("{{host: r, {top} subsets: [{{name: odd, labels: {{version: v1}}{own}}}]}}");
            format!("{}{}", entry(6), object("DestinationRule", "r", &spec))
        };
        let own = ", trafficPolicy: {outlierDetection: {maxEjectionPercent: 33}}";
        let path = ["MESH0501 warning spec.subsets[0].trafficPolicy.outlierDetection.maxEjectionPercent"];
        assert_eq!(places(&ImpossibleEjection, &subsets("", own)), path);
        let top = "trafficPolicy: {outlierDetection: {maxEjectionPercent: 20}},";
        let inherited = ["MESH0501 info spec.trafficPolicy.outlierDetection"];
        assert_eq!(places(&ImpossibleEjection, &subsets(top, "")), inherited);
        let enough = "trafficPolicy: {outlierDetection: {maxEjectionPercent: 34}},";
        assert_eq!(places(&ImpossibleEjection, &subsets(enough, "")), NONE);
    }

    #[test]
    fn endpoints_of_kubernetes_count() {
        let service = object("Service", "r", "{selector: {app: r}, ports: [{port: 80, name: http}]}");
        let slice = "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {namespace: a, name: r-1, labels: \
                     {kubernetes.io/service-name: r}}\naddressType: IPv4\nports: [{name: http, port: 80}]\nendpoints: \
                     [{addresses: [10.0.0.1]}, {addresses: [10.0.0.2]}, {addresses: [10.0.0.3], conditions: {ready: false}}]\n";
        let rule = object("DestinationRule", "r", "{host: r, trafficPolicy: {outlierDetection: {interval: 1s}}}");
        let finding = only(&ImpossibleEjection, &format!("{service}{slice}{rule}"));
        assert!(finding.message.contains("of 2 endpoints"), "{finding}");
    }
}
