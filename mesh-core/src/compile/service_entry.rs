//! Services from ServiceEntries and the WorkloadEntries (or Pods) that they select.

use std::net::IpAddr;

use mesh_config::ConfigSet;
use mesh_config::api::service_entry::{Resolution, ServiceEntry, ServicePort};
use mesh_config::api::{MeshConfig, WorkloadEntry};
use mesh_config::value::{Labels, labels};
use mesh_config::{Object, ObjectMeta};

use super::registry::{Port, Service};
use super::visibility::Export;
use crate::cluster::{DnsTarget, EndpointAddress, EndpointSource, EndpointSpec, Locality, endpoint_port};
use crate::network::Network;

/// Adds one service for each host of each ServiceEntry, in Istio's order.
pub(crate) fn collect(set: &ConfigSet, mesh: &MeshConfig, services: &mut Vec<Service>) {
    for entry in set.service_entries() {
        let export = Export::of(&entry.spec.export_to, &mesh.default_service_export_to, &entry.meta.namespace);
        let workloads = workloads_of(set, entry);
        for host in &entry.spec.hosts {
            let ports = entry.spec.ports.iter().filter_map(|port| port_of(entry, port, host, &workloads, mesh));
            services.push(Service {
                host: host.to_ascii_lowercase(),
                written: host.clone(),
                namespace: entry.meta.namespace.clone(),
                ports: ports.collect(),
                addresses: address_domain(&entry.spec.addresses),
                networks: entry.spec.addresses.iter().filter_map(|address| Network::parse(address)).collect(),
                export: export.clone(),
                headless: false,
                external_name: None,
                aliases: Vec::new(),
            });
        }
    }
}

/// Of the addresses only the first, and only if it is a single IP, becomes a domain.
fn address_domain(addresses: &[String]) -> Vec<String> {
    addresses.first().filter(|address| address.parse::<IpAddr>().is_ok()).cloned().into_iter().collect()
}

fn port_of(
    entry: &Object<ServiceEntry>,
    port: &ServicePort,
    host: &str,
    workloads: &[WorkloadEntry],
    mesh: &MeshConfig,
) -> Option<Port> {
    let number = u16::try_from(port.number).ok().filter(|number| *number != 0)?;
    let endpoints = match entry.spec.resolution {
        Resolution::None | Resolution::DynamicDns => EndpointSource::OriginalDestination,
        Resolution::Static => EndpointSource::Static(workloads.iter().filter_map(|w| endpoint(w, port)).collect()),
        Resolution::Dns | Resolution::DnsRoundRobin => EndpointSource::Dns {
            targets: dns_targets(workloads, port, host),
            logical: entry.spec.resolution == Resolution::DnsRoundRobin,
            refresh: mesh.dns_refresh_rate().to_std(),
        },
    };
    Some(Port { number, protocol: port.protocol.parse().unwrap_or_default(), endpoints })
}

/// The endpoints an entry lists, or those of the workloads that its selector finds in its namespace.
fn workloads_of(set: &ConfigSet, entry: &Object<ServiceEntry>) -> Vec<WorkloadEntry> {
    let Some(selector) = &entry.spec.workload_selector else { return entry.spec.endpoints.clone() };
    let selects = |meta: &ObjectMeta, own: &Labels| {
        meta.namespace == entry.meta.namespace && labels::subset_of(&selector.labels, own)
    };
    let entries = set.workload_entries().filter_map(|workload| {
        // Labels of the entry itself count, and those of its metadata.
        let mut own = workload.meta.labels.clone();
        own.extend(workload.spec.labels.clone());
        selects(&workload.meta, &own).then(|| WorkloadEntry { labels: own, ..workload.spec.clone() })
    });
    let pods =
        set.pods().filter(|pod| pod.spec.status.is_ready() && selects(&pod.meta, &pod.meta.labels)).filter_map(|pod| {
            let address = super::kubernetes::pod_ip(&pod.spec)?.to_owned();
            Some(WorkloadEntry { address, labels: pod.meta.labels.clone(), ..WorkloadEntry::default() })
        });
    entries.chain(pods).collect()
}

fn endpoint(workload: &WorkloadEntry, port: &ServicePort) -> Option<EndpointSpec> {
    let number = endpoint_port(workload, port)?;
    Some(EndpointSpec {
        address: EndpointAddress::parse(&workload.address, number)?,
        weight: workload.weight.max(1),
        labels: workload.labels.clone(),
        locality: Locality::parse(&workload.locality),
    })
}

/// Names to look up: those of the endpoints, else the entry's own host.
fn dns_targets(workloads: &[WorkloadEntry], port: &ServicePort, host: &str) -> Vec<DnsTarget> {
    if workloads.is_empty() {
        let own = WorkloadEntry { address: host.to_owned(), ..WorkloadEntry::default() };
        return dns_target(&own, port).into_iter().collect();
    }
    workloads.iter().filter_map(|workload| dns_target(workload, port)).collect()
}

fn dns_target(workload: &WorkloadEntry, port: &ServicePort) -> Option<DnsTarget> {
    Some(DnsTarget {
        host: workload.address.as_str().into(),
        port: endpoint_port(workload, port)?,
        weight: workload.weight.max(1),
        labels: workload.labels.clone(),
        locality: Locality::parse(&workload.locality),
    })
}
