//! The pods of a cluster, found by their labels.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::Context;
use crate::api::kubernetes::{Container, Namespace, Pod};
use crate::resource::Object;
use crate::value::Labels;
use crate::value::labels::subset_of;

/// Pods by namespace and label.
#[derive(Debug, Default)]
pub(super) struct Workloads<'a> {
    all: Vec<Workload<'a>>,
    in_namespace: HashMap<&'a str, Vec<usize>>,
    with_label: HashMap<(&'a str, &'a str), Vec<usize>>,
    in_namespace_with_label: HashMap<(&'a str, &'a str, &'a str), Vec<usize>>,
}

/// A pod.
#[derive(Clone, Copy, Debug)]
pub(super) struct Workload<'a> {
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
    pub(super) labels: &'a Labels,
    /// The pod itself; none for the ingress gateway that is only taken to be there.
    pub(super) pod: Option<&'a Object<Pod>>,
}

/// The labels of the ingress gateway that Istio installs.
pub(super) static INGRESS_GATEWAY: LazyLock<Labels> =
    LazyLock::new(|| Labels::from([("istio".to_owned(), "ingressgateway".to_owned())]));

impl<'a> Workloads<'a> {
    pub(super) fn of(context: &Context<'a>) -> Self {
        let mut workloads = Self::default();
        if context.options().ingress_gateway {
            workloads.add(Workload {
                namespace: context.root_namespace(),
                name: "istio-ingressgateway",
                labels: &INGRESS_GATEWAY,
                pod: None,
            });
        }
        for pod in context.set.pods() {
            let meta = &pod.meta;
            workloads.add(Workload {
                namespace: &meta.namespace,
                name: &meta.name,
                labels: &meta.labels,
                pod: Some(pod),
            });
        }
        workloads
    }

    fn add(&mut self, workload: Workload<'a>) {
        let (index, namespace) = (self.all.len(), workload.namespace);
        self.in_namespace.entry(namespace).or_default().push(index);
        for (key, value) in workload.labels {
            self.with_label.entry((key, value)).or_default().push(index);
            self.in_namespace_with_label.entry((namespace, key, value)).or_default().push(index);
        }
        self.all.push(workload);
    }

    /// The pods of all namespaces that have these labels; with none asked for, all.
    pub(super) fn selected<'s>(&'s self, selector: &'s Labels) -> impl Iterator<Item = &'s Workload<'a>> {
        let rarest = selector.iter().map(|(key, value)| found(self.with_label.get(&(key.as_str(), value.as_str()))));
        let candidates = rarest.min_by_key(|found| found.len());
        let everything = if candidates.is_none() { self.all.as_slice() } else { &[] };
        let listed = candidates.unwrap_or_default().iter().map(|index| &self.all[*index]);
        everything.iter().chain(listed).filter(|workload| subset_of(selector, workload.labels))
    }

    /// The pods of a namespace that have these labels; with none asked for, all.
    pub(super) fn selected_in<'s>(
        &'s self,
        namespace: &'s str,
        selector: &'s Labels,
    ) -> impl Iterator<Item = &'s Workload<'a>> {
        let by_label = |(key, value): (&'s String, &'s String)| {
            found(self.in_namespace_with_label.get(&(namespace, key.as_str(), value.as_str())))
        };
        let rarest = selector.iter().map(by_label).min_by_key(|found| found.len());
        let candidates = rarest.unwrap_or_else(|| found(self.in_namespace.get(namespace)));
        candidates.iter().map(|index| &self.all[*index]).filter(|workload| subset_of(selector, workload.labels))
    }
}

fn found(list: Option<&Vec<usize>>) -> &[usize] {
    list.map_or(&[], Vec::as_slice)
}

impl Workload<'_> {
    /// Whether it takes part in the mesh by a proxy beside it or by the ambient mode.
    pub(super) fn is_in_mesh(&self, context: &Context<'_>) -> bool {
        self.is_ambient() || self.has_sidecar(context)
    }

    /// Whether ztunnel takes its traffic.
    pub(super) fn is_ambient(&self) -> bool {
        let annotations = self.pod.map(|pod| &pod.meta.annotations);
        annotations.and_then(|annotations| annotations.get("ambient.istio.io/redirection"))
            == Some(&"enabled".to_owned())
    }

    fn has_sidecar(&self, context: &Context<'_>) -> bool {
        let Some(pod) = self.pod else { return false };
        let spec = &pod.spec.spec;
        if spec.containers.iter().chain(&spec.init_containers).any(is_proxy) {
            return true;
        }
        let asked = pod.meta.labels.get(INJECT).or_else(|| pod.meta.annotations.get(INJECT));
        match asked {
            Some(asked) => asked == "true",
            None => context.namespace(self.namespace).is_some_and(is_injected),
        }
    }
}

const INJECT: &str = "sidecar.istio.io/inject";

fn is_proxy(container: &Container) -> bool {
    container.name == "istio-proxy" && !container.image.is_empty()
}

/// Whether pods of a namespace get a proxy: by its own label, or by that of a revision.
fn is_injected(namespace: &Object<Namespace>) -> bool {
    let labels = &namespace.meta.labels;
    match labels.get("istio-injection") {
        Some(injection) => injection == "enabled",
        None => labels.get("istio.io/rev").is_some_and(|revision| !revision.is_empty()),
    }
}

/// Whether ztunnel takes the traffic of a namespace: where pods get a proxy, it does not.
pub(super) fn is_ambient_namespace(namespace: &Object<Namespace>) -> bool {
    let labels = &namespace.meta.labels;
    labels.get("istio.io/dataplane-mode").is_some_and(|mode| mode == "ambient") && !is_injected(namespace)
}
