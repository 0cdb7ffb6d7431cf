//! DestinationRules for hosts that do not exist, and subsets that select nothing.

use std::collections::HashMap;

use super::services::Known;
use super::{Analyzer, Context};
use crate::api::DestinationRule;
use crate::api::service_entry::ServiceEntry;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::resource::{Kind, Object};
use crate::validate::{At, Checker};
use crate::value::Labels;
use crate::value::labels::{self, subset_of};

use super::workloads::Workload;

/// `IST0173` and `IST0174`.
pub(super) struct SubsetPods;

impl Analyzer for SubsetPods {
    fn name(&self) -> &'static str {
        "destinationrule.SubsetSelectPodAnalyzer"
    }

    fn codes(&self) -> &'static [Code] {
        &[Code::SUBSET_SELECTS_NOTHING, Code::UNKNOWN_RULE_HOST]
    }

    fn needs_cluster(&self) -> bool {
        true
    }

    fn analyze(&self, context: &Context<'_>, out: &mut Report) {
        let nodes: Nodes<'_> = context.set.nodes().map(|node| (node.meta.name.as_str(), &node.meta.labels)).collect();
        for rule in context.set.destination_rules() {
            let cx = &mut Checker::new(Kind::DestinationRule, &rule.meta, &rule.origin, out);
            check(cx, context, &nodes, rule);
        }
    }
}

/// The labels of nodes by name.
type Nodes<'a> = HashMap<&'a str, &'a Labels>;

fn check(cx: &mut Checker<'_>, context: &Context<'_>, nodes: &Nodes<'_>, rule: &Object<DestinationRule>) {
    let (host, namespace) = (&rule.spec.host, &rule.meta.namespace);
    let known = context.services().find(host, namespace, &rule.spec.export_to);
    if known.is_empty() {
        if !context.services().has_any(host, namespace) {
            let message =
                format!("The host {host} defined in the DestinationRule does not match any services in the mesh.");
            let finding = Diagnostic::warning(Code::UNKNOWN_RULE_HOST, message)
                .effect("the rule has no effect")
                .help("name a host of a Service or ServiceEntry that is seen from the namespace of the rule");
            cx.push(&At::top("spec").field("host"), finding);
        }
        return;
    }
    for (index, subset) in rule.spec.subsets.iter().enumerate() {
        if subset.labels.is_empty() || known.iter().any(|service| selects(context, nodes, service, &subset.labels)) {
            continue;
        }
        let message = format!(
            "The Subset {} defined in the DestinationRule does not select any pods. Which may lead to 503 UH \
             (NoHealthyUpstream).",
            subset.name
        );
        let finding = Diagnostic::error(Code::SUBSET_SELECTS_NOTHING, message)
            .effect("requests to the subset get 503 UH")
            .help(format!("no endpoint of `{host}` has the labels {}", labels::to_line(&subset.labels)));
        cx.push(&At::top("spec").field("subsets").index(index).field("labels"), finding);
    }
}

/// Whether some endpoint of a service has these labels.
fn selects(context: &Context<'_>, nodes: &Nodes<'_>, service: &Known<'_>, wanted: &Labels) -> bool {
    let none = Labels::new();
    let (namespace, selector) = match service {
        Known::Service(service) => (&service.meta.namespace, &service.spec.selector),
        Known::Entry(entry) if entry_selects(context, entry, wanted) => return true,
        Known::Entry(entry) if !entry.spec.endpoints.is_empty() => return false,
        Known::Entry(entry) => {
            let selector = entry.spec.workload_selector.as_ref().map_or(&none, |selector| &selector.labels);
            (&entry.meta.namespace, selector)
        }
    };
    let on_pods: Labels = wanted.iter().filter(|(key, _)| !is_of_node(key)).map(owned).collect();
    let on_nodes: Labels = wanted.iter().filter(|(key, _)| is_of_node(key)).map(owned).collect();
    let asked: Labels = selector.iter().chain(&on_pods).map(owned).collect();
    // A label that the service and the subset want to differ is on no pod.
    subset_of(&on_pods, &asked)
        && subset_of(selector, &asked)
        && context.workloads().selected_in(namespace, &asked).any(|pod| is_placed(nodes, pod, &on_nodes))
}

fn owned((key, value): (&String, &String)) -> (String, String) {
    (key.clone(), value.clone())
}

/// Whether an endpoint that stands in the entry, or a WorkloadEntry that it selects, has these labels.
fn entry_selects(context: &Context<'_>, entry: &Object<ServiceEntry>, wanted: &Labels) -> bool {
    if let Some(selector) = &entry.spec.workload_selector {
        let mut own = context.set.workload_entries().filter(|workload| workload.meta.namespace == entry.meta.namespace);
        return own.any(|workload| {
            subset_of(&selector.labels, &workload.spec.labels) && subset_of(wanted, &workload.spec.labels)
        });
    }
    entry.spec.endpoints.iter().any(|endpoint| subset_of(wanted, &endpoint.labels))
}

const HOSTNAME: &str = "kubernetes.io/hostname";

/// Labels that Istio takes from the node of a pod.
const FROM_NODE: &[&str] =
    &["topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone", HOSTNAME];

fn is_of_node(key: &str) -> bool {
    FROM_NODE.contains(&key)
}

/// Whether a pod, or the node that it runs on, has the labels. An empty label of a node is none.
fn is_placed(nodes: &Nodes<'_>, pod: &Workload<'_>, wanted: &Labels) -> bool {
    let node = pod.pod.map(|pod| pod.spec.spec.node_name.as_str()).unwrap_or_default();
    let of_node = nodes.get(node);
    wanted.iter().all(|(key, value)| {
        let known = match of_node {
            Some(_) if key == HOSTNAME => Some(node),
            Some(labels) => labels.get(key).map(String::as_str).filter(|known| !known.is_empty()),
            None => None,
        };
        known.or_else(|| pod.labels.get(key).map(String::as_str)) == Some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::tests::found;

    const CLUSTER: &str = "
---
{apiVersion: v1, kind: Service, metadata: {name: r, namespace: a}, spec: {selector: {app: r}, ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: r-1, namespace: a, labels: {app: r, version: v1}}, spec: {nodeName: node-1}}
---
{apiVersion: v1, kind: Pod, metadata: {name: o-1, namespace: a, labels: {app: o, version: v2}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: r-2, namespace: b, labels: {app: r, version: v2}}}
---
apiVersion: v1
kind: Node
metadata: {name: node-1, labels: {topology.kubernetes.io/region: west, topology.kubernetes.io/zone: ''}}
";

    fn subset(host: &str, labels: &str) -> Vec<String> {
        let rule = format!(
            "{{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {{name: r, namespace: a}}, \
             spec: {{host: '{host}', subsets: [{{name: s, labels: {{{labels}}}}}]}}}}\n"
        );
        found(&SubsetPods, &(rule + CLUSTER))
    }

    #[test]
    fn a_subset_selects_among_the_pods_of_its_service() {
        let nothing = ["IST0173 DestinationRule a/r spec.subsets[0].labels"];
        assert_eq!(subset("r", "version: v1"), [""; 0]);
        assert_eq!(subset("r", ""), [""; 0]);
        assert_eq!(subset("r", "version: v2"), nothing);
        assert_eq!(subset("r", "app: o"), nothing);
    }

    #[test]
    fn pods_have_the_labels_of_the_place_of_their_node() {
        assert_eq!(subset("r", "topology.kubernetes.io/region: west, version: v1"), [""; 0]);
        assert_eq!(subset("r", "kubernetes.io/hostname: node-1"), [""; 0]);
        for wrong in ["topology.kubernetes.io/region: east", "topology.kubernetes.io/zone: ''"] {
            assert_eq!(subset("r", wrong), ["IST0173 DestinationRule a/r spec.subsets[0].labels"], "{wrong}");
        }
    }

    #[test]
    fn endpoints_that_stand_in_the_configuration_count() {
        let entry = |how: &str| {
            format!(
                "---\n{{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {{name: e, namespace: a}}, \
                 spec: {{hosts: [e.com], resolution: STATIC, {how}}}}}\n"
            )
        };
        let rule = "{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: r, namespace: a}, \
                    spec: {host: e.com, subsets: [{name: s, labels: {version: v1}}]}}\n";
        let workload = "---\n{apiVersion: networking.istio.io/v1, kind: WorkloadEntry, metadata: {name: w, namespace: a}, \
                        spec: {address: 10.0.0.1, labels: {app: e, version: v1}}}\n";
        let of = |entry: &str| found(&SubsetPods, &format!("{rule}{entry}"));
        let nothing = ["IST0173 DestinationRule a/r spec.subsets[0].labels"];
        assert_eq!(of(&entry("endpoints: [{address: 10.0.0.1, labels: {version: v1}}]")), [""; 0]);
        assert_eq!(of(&entry("endpoints: [{address: 10.0.0.1, labels: {version: v2}}]")), nothing);
        assert_eq!(of(&(entry("workloadSelector: {labels: {app: e}}") + workload)), [""; 0]);
        assert_eq!(of(&entry("workloadSelector: {labels: {app: e}}")), nothing);
    }

    #[test]
    fn a_host_has_to_be_one_of_some_service() {
        assert_eq!(subset("o", ""), ["IST0174 DestinationRule a/r spec.host"]);
        assert_eq!(subset("*.a.svc.cluster.local", "version: v9"), [""; 0]);
        assert_eq!(subset("*.b.svc.cluster.local", ""), ["IST0174 DestinationRule a/r spec.host"]);
    }
}
