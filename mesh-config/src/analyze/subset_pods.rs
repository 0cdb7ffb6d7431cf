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
            let message = format!("The host {host} defined in the DestinationRule does not match any services in the mesh.");
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
