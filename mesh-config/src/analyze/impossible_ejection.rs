//! Outlier detection that can never eject anything.

use std::collections::HashMap;

use super::{Analyzer, CLUSTER_DOMAIN, Context};
use crate::api::DestinationRule;
use crate::api::destination_rule::OutlierDetection;
use crate::api::service_entry::{Resolution, ServiceEntry};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::resource::{Kind, Object};
use crate::set::ConfigSet;
use crate::validate::{At, Checker};
use crate::value::Labels;
use crate::value::host::{resolve_short_name, subset_of};
use crate::value::labels;

/// `MESH0501`: Envoy refuses an ejection that would take the share of ejected endpoints over `maxEjectionPercent`, and the
/// default of 10 % is less than one endpoint of nine.
pub(super) struct ImpossibleEjection;

impl Analyzer for ImpossibleEjection {
    fn name(&self) -> &'static str {
        "mesh.ImpossibleEjection"
    }

    fn codes(&self) -> &'static [Code] {
        &[Code::IMPOSSIBLE_EJECTION]
    }

    fn analyze(&self, context: &Context<'_>, out: &mut Report) {
        let endpoints = endpoints_by_host(context.set);
        for rule in context.set.destination_rules() {
            let host = resolve_short_name(&rule.spec.host, &rule.meta.namespace, CLUSTER_DOMAIN);
            let services: Vec<_> =
                endpoints.iter().filter(|(of, _)| subset_of(of, &host)).map(|(_, labels)| labels).collect();
            check(rule, &services, out);
        }
    }
}

/// The labels of each endpoint of a host.
type Endpoints<'a> = Vec<&'a Labels>;

/// What ServiceEntries say about the endpoints of a host. Hosts whose endpoints are found out by DNS are not there.
fn endpoints_by_host(set: &ConfigSet) -> HashMap<&str, Endpoints<'_>> {
    let mut found: HashMap<&str, Endpoints<'_>> = HashMap::new();
    let mut unknown: Vec<&str> = Vec::new();
    for entry in set.service_entries() {
        for host in &entry.spec.hosts {
            match endpoints(entry, set) {
                Some(endpoints) => found.entry(host).or_default().extend(endpoints),
                None => unknown.push(host),
            }
        }
    }
    found.retain(|host, _| !unknown.contains(host));
    found
}

fn endpoints<'a>(entry: &'a Object<ServiceEntry>, set: &'a ConfigSet) -> Option<Endpoints<'a>> {
    if let Some(selector) = &entry.spec.workload_selector {
        let selected = set
            .workload_entries()
            .filter(|workload| workload.meta.namespace == entry.meta.namespace)
            .filter(|workload| labels::subset_of(&selector.labels, &workload.spec.labels));
        return Some(selected.map(|workload| &workload.spec.labels).collect());
    }
    let are_addresses =
        || entry.spec.endpoints.iter().all(|endpoint| endpoint.address.parse::<std::net::IpAddr>().is_ok());
    let is_known = match entry.spec.resolution {
        Resolution::Static => true,
        Resolution::Dns => !entry.spec.endpoints.is_empty() && are_addresses(),
        Resolution::None | Resolution::DnsRoundRobin | Resolution::DynamicDns => false,
    };
    is_known.then(|| entry.spec.endpoints.iter().map(|endpoint| &endpoint.labels).collect())
}

fn check(rule: &Object<DestinationRule>, services: &[&Endpoints<'_>], out: &mut Report) {
    let cx = &mut Checker::new(Kind::DestinationRule, &rule.meta, &rule.origin, out);
    let spec = At::top("spec");
    let all = services.iter().map(|endpoints| endpoints.len()).max().unwrap_or(0);
    if let Some(policy) = &rule.spec.traffic_policy {
        let at = spec.field("trafficPolicy");
        check_block(cx, &at, policy.outlier_detection.as_ref(), all);
        for (index, port) in policy.port_level_settings.iter().enumerate() {
            check_block(cx, &at.field("portLevelSettings").index(index), port.outlier_detection.as_ref(), all);
        }
    }
    for (index, subset) in rule.spec.subsets.iter().enumerate() {
        let in_subset = |endpoints: &&Endpoints<'_>| {
            endpoints.iter().filter(|labels| labels::subset_of(&subset.labels, labels)).count()
        };
        let count = services.iter().map(in_subset).max().unwrap_or(0);
        if let Some(policy) = &subset.traffic_policy {
            let at = spec.field("subsets");
            let at = at.index(index);
            check_block(cx, &at.field("trafficPolicy"), policy.outlier_detection.as_ref(), count);
        }
    }
}

/// What Envoy takes where the field is not set.
const DEFAULT_PERCENT: u64 = 10;

fn check_block(cx: &mut Checker<'_>, at: &At<'_>, outlier: Option<&OutlierDetection>, endpoints: usize) {
    let (Some(outlier), Ok(endpoints)) = (outlier, u64::try_from(endpoints)) else { return };
    let percent = match outlier.max_ejection_percent {
        0 => DEFAULT_PERCENT,
        percent => u64::try_from(percent).unwrap_or(0),
    };
    // With no endpoint at all there is nothing to eject, which others report.
    if endpoints == 0 || 100 / endpoints <= percent {
        return;
    }
    let default = if outlier.max_ejection_percent == 0 { " (the default)" } else { "" };
    let message =
        format!("outlier detection can eject nothing: {percent} %{default} of {endpoints} endpoints is less than one");
    let finding = Diagnostic::warning(Code::IMPOSSIBLE_EJECTION, message)
        .effect("endpoints that fail go on getting requests")
        .help(format!("maxEjectionPercent: {} or more", 100_u64.div_ceil(endpoints)));
    cx.push(&at.field("outlierDetection").field("maxEjectionPercent"), finding);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::tests::found;

    fn of(documents: &[&str]) -> Vec<String> {
        found(&ImpossibleEjection, &documents.join("\n---\n"))
    }

    fn object(kind: &str, name: &str, spec: &str) -> String {
        format!(
            "apiVersion: networking.istio.io/v1\nkind: {kind}\nmetadata: {{namespace: a, name: {name}}}\nspec: {spec}"
        )
    }

    #[test]
    fn an_ejection_that_can_never_happen_is_pointed_out() {
        let entry = |count: usize| {
            let endpoints: Vec<_> =
                (1..=count).map(|n| format!("{{address: 10.0.0.{n}, labels: {{version: v{}}}}}", n % 2)).collect();
            object(
                "ServiceEntry",
                "r",
                &format!(
                    "{{hosts: [r.a.svc.cluster.local], resolution: STATIC, ports: [{{number: 80, name: http, protocol: HTTP}}], \
                     endpoints: [{}]}}",
                    endpoints.join(", ")
                ),
            )
        };
        let rule = |policy: &str| {
            object("DestinationRule", "r", &format!("{{host: r, trafficPolicy: {{outlierDetection: {policy}}}}}"))
        };
        let path = ["MESH0501 DestinationRule a/r spec.trafficPolicy.outlierDetection.maxEjectionPercent"];
        assert_eq!(of(&[&entry(9), &rule("{interval: 1s}")]), path);
        assert_eq!(of(&[&entry(10), &rule("{interval: 1s}")]), [""; 0]);
        assert_eq!(of(&[&entry(3), &rule("{maxEjectionPercent: 33}")]), [""; 0]);
        assert_eq!(of(&[&entry(3), &rule("{maxEjectionPercent: 32}")]), path);
        assert_eq!(of(&[&rule("{interval: 1s}")]), [""; 0]);
        let subset = object(
            "DestinationRule",
            "r",
            "{host: r, subsets: [{name: v1, labels: {version: v1}, trafficPolicy: {outlierDetection: {maxEjectionPercent: 20}}}]}",
        );
        assert_eq!(
            of(&[&entry(6), &subset]),
            ["MESH0501 DestinationRule a/r spec.subsets[0].trafficPolicy.outlierDetection.maxEjectionPercent"]
        );
        assert_eq!(of(&[&entry(10), &subset]), [""; 0]);
    }
}
