//! The endpoints of a host, as far as documents tell them.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

use crate::api::kubernetes::Service;
use crate::api::service_entry::{Resolution, ServiceEntry};
use crate::resource::Object;
use crate::set::ConfigSet;
use crate::value::host::{is_wildcard, subset_of};
use crate::value::{Labels, labels};

/// The labels of each endpoint behind one port of a host.
pub(super) type Group<'a> = Vec<Cow<'a, Labels>>;

/// Endpoints by host. Hosts whose endpoints are found out at run time (by DNS, by a selector that finds nothing in the
/// documents) are not there.
#[derive(Debug, Default)]
pub(super) struct Endpoints<'a> {
    by_host: HashMap<String, BTreeMap<u32, Group<'a>>>,
}

impl<'a> Endpoints<'a> {
    /// Those of ServiceEntries: labels are known, too.
    pub(super) fn of_service_entries(set: &'a ConfigSet) -> Self {
        let mut known = Self::default();
        let mut unknown: HashSet<&str> = HashSet::new();
        let workloads = Workloads::of(set);
        for entry in set.service_entries() {
            let endpoints = of_entry(entry, &workloads);
            for host in &entry.spec.hosts {
                match &endpoints {
                    Some(endpoints) => known.add(host, entry.spec.ports.iter().map(|port| port.number), endpoints),
                    None => _ = unknown.insert(host),
                }
            }
        }
        known.by_host.retain(|host, _| !unknown.contains(host.as_str()));
        known
    }

    /// Those of Kubernetes' Services too, whose labels may be unknown.
    pub(super) fn of_all(set: &'a ConfigSet) -> Self {
        let mut known = Self::of_service_entries(set);
        let kubernetes = Kubernetes::of(set);
        for service in set.services() {
            if let Some(endpoints) = kubernetes.endpoints(service) {
                let host = format!("{}.{}.svc.{}", service.meta.name, service.meta.namespace, super::CLUSTER_DOMAIN);
                known.add(&host, service.spec.ports.iter().map(|port| port.port), &endpoints);
            }
        }
        known
    }

    fn add(&mut self, host: &str, ports: impl Iterator<Item = u32>, endpoints: &Group<'a>) {
        let by_port = self.by_host.entry(host.to_owned()).or_default();
        for port in ports {
            by_port.entry(port).or_default().extend(endpoints.iter().cloned());
        }
    }

    /// The endpoints of each port of each host that a DestinationRule's host covers.
    pub(super) fn groups(&self, host: &str) -> Vec<&Group<'a>> {
        if !is_wildcard(host) {
            return self.by_host.get(host).into_iter().flat_map(BTreeMap::values).collect();
        }
        self.by_host.iter().filter(|(of, _)| subset_of(of, host)).flat_map(|(_, ports)| ports.values()).collect()
    }
}

/// WorkloadEntries and Pods by namespace.
struct Workloads<'a>(HashMap<&'a str, Vec<Cow<'a, Labels>>>);

impl<'a> Workloads<'a> {
    fn of(set: &'a ConfigSet) -> Self {
        let mut found: HashMap<&str, Vec<Cow<'_, Labels>>> = HashMap::new();
        for workload in set.workload_entries() {
            // Labels of the object count beside those of the entry.
            let labels = if workload.meta.labels.is_empty() {
                Cow::Borrowed(&workload.spec.labels)
            } else {
                let mut all: Labels = workload.meta.labels.clone();
                all.extend(workload.spec.labels.clone());
                Cow::Owned(all)
            };
            found.entry(&workload.meta.namespace).or_default().push(labels);
        }
        for pod in set.pods().filter(|pod| pod.spec.status.is_ready()) {
            found.entry(&pod.meta.namespace).or_default().push(Cow::Borrowed(&pod.meta.labels));
        }
        Self(found)
    }
}

fn of_entry<'a>(entry: &'a Object<ServiceEntry>, workloads: &Workloads<'a>) -> Option<Group<'a>> {
    if let Some(selector) = &entry.spec.workload_selector {
        let all = workloads.0.get(entry.meta.namespace.as_str()).into_iter().flatten();
        let selected: Vec<_> = all.filter(|own| labels::subset_of(&selector.labels, own)).cloned().collect();
        // Workloads that register themselves stand in no document.
        return (!selected.is_empty() && entry.spec.resolution == Resolution::Static).then_some(selected);
    }
    let endpoints = &entry.spec.endpoints;
    let are_addresses = || endpoints.iter().all(|endpoint| endpoint.address.parse::<std::net::IpAddr>().is_ok());
    let is_known = match entry.spec.resolution {
        Resolution::Static => true,
        Resolution::Dns => !endpoints.is_empty() && are_addresses(),
        Resolution::None | Resolution::DnsRoundRobin | Resolution::DynamicDns => false,
    };
    is_known.then(|| endpoints.iter().map(|endpoint| Cow::Borrowed(&endpoint.labels)).collect())
}

/// Slices, Endpoints and Pods by namespace and name of the Service, in the order in which they count.
struct Kubernetes<'a> {
    slices: HashMap<(&'a str, &'a str), usize>,
    endpoints: HashMap<(&'a str, &'a str), usize>,
    pods: HashMap<&'a str, Vec<&'a Labels>>,
}

impl<'a> Kubernetes<'a> {
    fn of(set: &'a ConfigSet) -> Self {
        const SERVICE_NAME: &str = "kubernetes.io/service-name";
        let mut found = Self { slices: HashMap::new(), endpoints: HashMap::new(), pods: HashMap::new() };
        for slice in set.endpoint_slices() {
            let Some(service) = slice.meta.labels.get(SERVICE_NAME) else { continue };
            let ready = slice.spec.endpoints.iter().filter(|endpoint| endpoint.conditions.ready.unwrap_or(true));
            let count = ready.map(|endpoint| endpoint.addresses.len()).sum::<usize>();
            *found.slices.entry((&slice.meta.namespace, service)).or_default() += count;
        }
        for endpoints in set.endpoints() {
            let count = endpoints.spec.subsets.iter().map(|subset| subset.addresses.len()).sum();
            found.endpoints.insert((&endpoints.meta.namespace, &endpoints.meta.name), count);
        }
        for pod in set.pods().filter(|pod| pod.spec.status.is_ready()) {
            found.pods.entry(&pod.meta.namespace).or_default().push(&pod.meta.labels);
        }
        found
    }

    fn endpoints(&self, service: &'a Object<Service>) -> Option<Group<'a>> {
        let name = (service.meta.namespace.as_str(), service.meta.name.as_str());
        if let Some(count) = self.slices.get(&name).or_else(|| self.endpoints.get(&name)) {
            return Some(vec![Cow::Owned(Labels::new()); *count]);
        }
        let pods = self.pods.get(name.0).into_iter().flatten();
        let selected: Vec<_> = pods
            .filter(|pod| labels::selects(&service.spec.selector, pod))
            .map(|labels| Cow::Borrowed(*labels))
            .collect();
        (!selected.is_empty()).then_some(selected)
    }
}
