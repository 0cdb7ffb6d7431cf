//! Services from Kubernetes' own objects.
//!
//! Endpoints come from EndpointSlices, else from Endpoints, else from the Pods that the selector
//! finds; a Service with none of these is looked up by DNS, so that docker-compose needs no more
//! than a Service document.

use std::net::IpAddr;

use mesh_config::api::kubernetes::{self as k8s, IntOrString, Pod, ServiceType};
use mesh_config::api::service_entry::Resolution;
use mesh_config::api::{MeshConfig, WorkloadEntry};
use mesh_config::value::{Protocol, labels};
use mesh_config::{ConfigSet, Object};

use super::registry::{Port, Service, ServiceKind};
use super::service_entry;
use super::visibility::Export;
use crate::Site;
use crate::cluster::{Announced, DnsTarget, EndpointAddress, EndpointSource, EndpointSpec, Locality};
use crate::network::Network;

/// The annotation that holds `exportTo` of a Service, comma-separated.
const EXPORT_TO: &str = "networking.istio.io/exportTo";
/// The label that names the Service of an EndpointSlice.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// Adds each Service of the set.
pub(crate) fn collect(set: &ConfigSet, mesh: &MeshConfig, site: &Site, services: &mut Vec<Service>) {
    for service in set.services() {
        let export: Vec<String> = match service.meta.annotations.get(EXPORT_TO) {
            Some(list) => list.split(',').map(|entry| entry.trim().to_owned()).collect(),
            None => Vec::new(),
        };
        let resolver = Resolver { set, mesh, site, service };
        let is_alias = service.spec.kind == ServiceType::ExternalName;
        services.push(Service {
            name: service.meta.name.clone(),
            object: service.meta.name.clone(),
            created: service.meta.created(),
            resolution: if is_alias { Resolution::Dns } else { Resolution::Static },
            labels: service.meta.labels.clone(),
            selector: service.spec.selector.clone(),
            ports: service.spec.ports.iter().filter_map(|port| resolver.port(port)).collect(),
            networks: cluster_ips(&service.spec).iter().filter_map(|address| Network::parse(address)).collect(),
            addresses: cluster_ips(&service.spec),
            export: Export::of(&export, &mesh.default_service_export_to, &service.meta.namespace),
            headless: is_headless(&service.spec),
            external_name: external_name(&service.spec),
            ..Service::new(ServiceKind::Kubernetes, &resolver.host(), &service.meta.namespace)
        });
    }
}

fn is_headless(service: &k8s::Service) -> bool {
    service.cluster_ip.eq_ignore_ascii_case("none")
}

/// Names are compared without regard to case, and a dot at the end says no more than that the name is in full.
fn external_name(service: &k8s::Service) -> Option<String> {
    let name = service.external_name.trim_end_matches('.');
    (!name.is_empty()).then(|| name.to_ascii_lowercase())
}

fn cluster_ips(service: &k8s::Service) -> Vec<String> {
    let mut addresses = service.cluster_ips.clone();
    if !service.cluster_ip.is_empty() && !addresses.contains(&service.cluster_ip) {
        addresses.insert(0, service.cluster_ip.clone());
    }
    addresses.retain(|address| address.parse::<IpAddr>().is_ok());
    addresses
}

struct Resolver<'a> {
    set: &'a ConfigSet,
    mesh: &'a MeshConfig,
    site: &'a Site,
    service: &'a Object<k8s::Service>,
}

impl Resolver<'_> {
    fn host(&self) -> String {
        let meta = &self.service.meta;
        format!("{}.{}.svc.{}", meta.name, meta.namespace, self.site.cluster_domain).to_ascii_lowercase()
    }

    fn port(&self, port: &k8s::ServicePort) -> Option<Port> {
        let number = u16::try_from(port.port).ok().filter(|number| *number != 0)?;
        Some(Port {
            number,
            protocol: Protocol::of_service_port(&port.protocol, &port.app_protocol, &port.name),
            endpoints: self.endpoints(port, number),
        })
    }

    fn endpoints(&self, port: &k8s::ServicePort, number: u16) -> EndpointSource {
        let workloads = self.selected_workloads(port, number);
        let known = self
            .slices(port)
            .or_else(|| self.legacy_endpoints(port))
            .or_else(|| self.selected_pods(port, number))
            .or_else(|| (!workloads.is_empty()).then(Vec::new));
        match known {
            Some(endpoints) => EndpointSource::Static([endpoints, workloads].concat()),
            None => self.dns(port, number),
        }
    }

    fn slices(&self, port: &k8s::ServicePort) -> Option<Vec<EndpointSpec>> {
        let meta = &self.service.meta;
        let mut slices = self
            .set
            .endpoint_slices()
            .filter(|slice| {
                slice.meta.namespace == meta.namespace && slice.meta.labels.get(SERVICE_NAME) == Some(&meta.name)
            })
            .peekable();
        slices.peek()?;
        let endpoints = slices.flat_map(|slice| {
            let number =
                slice.spec.ports.iter().find(|candidate| candidate.name == port.name).and_then(|found| found.port);
            let ready =
                slice.spec.endpoints.iter().filter(|endpoint| self.takes(endpoint.conditions.ready.unwrap_or(true)));
            ready.flat_map(move |endpoint| {
                endpoint.addresses.iter().filter_map(move |address| {
                    let pod = endpoint.target_ref.as_ref().map(|target| target.name.as_str());
                    self.endpoint(address, number?, pod, &endpoint.zone)
                })
            })
        });
        Some(endpoints.collect())
    }

    fn legacy_endpoints(&self, port: &k8s::ServicePort) -> Option<Vec<EndpointSpec>> {
        let meta = &self.service.meta;
        let endpoints =
            self.set.endpoints().find(|e| e.meta.namespace == meta.namespace && e.meta.name == meta.name)?;
        let all = endpoints.spec.subsets.iter().flat_map(|subset| {
            let number = subset.ports.iter().find(|candidate| candidate.name == port.name).and_then(|found| found.port);
            let not_ready = subset.not_ready_addresses.iter().filter(|_| self.takes(false));
            subset.addresses.iter().chain(not_ready).filter_map(move |address| {
                let pod = address.target_ref.as_ref().map(|target| target.name.as_str());
                self.endpoint(&address.ip, number?, pod, "")
            })
        });
        Some(all.collect())
    }

    fn selected_pods(&self, port: &k8s::ServicePort, number: u16) -> Option<Vec<EndpointSpec>> {
        let selector = &self.service.spec.selector;
        if selector.is_empty() {
            return None;
        }
        let namespace = &self.service.meta.namespace;
        let pods = self.set.pods().filter(|pod| pod.meta.namespace == *namespace);
        let endpoints: Vec<_> = pods
            .filter(|pod| labels::subset_of(selector, &pod.meta.labels) && self.takes(pod.spec.status.is_ready()))
            .filter_map(|pod| {
                self.endpoint(pod_ip(&pod.spec)?, target_port(port, Some(&pod.spec), number)?, Some(&pod.meta.name), "")
            })
            .collect();
        // Documents without Pods (compose) say nothing about endpoints.
        (!endpoints.is_empty()).then_some(endpoints)
    }

    /// The WorkloadEntries that the selector finds, such as virtual machines beside the Pods.
    fn selected_workloads(&self, port: &k8s::ServicePort, number: u16) -> Vec<EndpointSpec> {
        let (selector, namespace) = (&self.service.spec.selector, &self.service.meta.namespace);
        if selector.is_empty() {
            return Vec::new();
        }
        let named = |workload: &WorkloadEntry| {
            let by_target = match &port.target_port {
                Some(IntOrString::String(name)) => workload.ports.get(name),
                _ => None,
            };
            by_target.or_else(|| workload.ports.get(&port.name)).copied()
        };
        service_entry::workload_entries(self.set, namespace, selector)
            .filter_map(|workload| {
                let number = named(&workload).or_else(|| target_port(port, None, number))?;
                service_entry::endpoint_at(&workload, u16::try_from(number).ok()?)
            })
            .collect()
    }

    fn takes(&self, ready: bool) -> bool {
        ready || self.service.spec.publish_not_ready_addresses
    }

    fn endpoint(&self, address: &str, port: u32, pod: Option<&str>, zone: &str) -> Option<EndpointSpec> {
        let port = u16::try_from(port).ok()?;
        let found = self.pod_of(address, pod);
        Some(EndpointSpec {
            address: EndpointAddress::parse(address, port)?,
            weight: 1,
            announced: found
                .map(|pod| Announced::of_pod(&pod.meta.labels, &pod.spec.spec.service_account_name))
                .unwrap_or_default(),
            labels: found.map(|pod| pod.meta.labels.clone()).unwrap_or_default(),
            locality: Locality::of_zone(zone),
        })
    }

    fn pod_of(&self, address: &str, pod: Option<&str>) -> Option<&Object<Pod>> {
        let namespace = &self.service.meta.namespace;
        let mut pods = self.set.pods().filter(|candidate| candidate.meta.namespace == *namespace);
        match pod {
            Some(name) => pods.find(|candidate| candidate.meta.name == name),
            None => pods.find(|candidate| pod_ip(&candidate.spec) == Some(address)),
        }
    }

    /// Looks the Service up by name: an external name as given, else the Service's own.
    fn dns(&self, port: &k8s::ServicePort, number: u16) -> EndpointSource {
        let service = &self.service.spec;
        let meta = &self.service.meta;
        let headless = is_headless(service);
        let host = if !service.external_name.is_empty() {
            service.external_name.clone()
        } else if meta.namespace == self.site.namespace {
            // What docker-compose and the search path of a Pod both resolve.
            meta.name.clone()
        } else {
            self.host()
        };
        // A cluster IP maps the port itself; behind a headless name stand the Pods.
        let port = if headless { target_port(port, None, number) } else { Some(u32::from(number)) };
        let port = port.and_then(|port| u16::try_from(port).ok()).unwrap_or(number);
        let target = DnsTarget::of(&host, port);
        EndpointSource::Dns { targets: vec![target], logical: false, refresh: self.mesh.dns_refresh_rate().to_std() }
    }
}

/// The number behind `targetPort`: as given, or that of the Pod's container port of that name.
fn target_port(port: &k8s::ServicePort, pod: Option<&Pod>, number: u16) -> Option<u32> {
    match &port.target_port {
        None => Some(u32::from(number)),
        Some(IntOrString::Int(target)) => Some(*target),
        Some(IntOrString::String(name)) => name.parse().ok().or_else(|| container_port(pod?, name)),
    }
}

fn container_port(pod: &Pod, name: &str) -> Option<u32> {
    let mut ports = pod.spec.containers.iter().flat_map(|container| &container.ports);
    ports.find(|port| port.name == name).map(|port| port.container_port)
}

/// The address of a Pod; `None` before it has one.
pub(crate) fn pod_ip(pod: &Pod) -> Option<&str> {
    let first = pod.status.pod_ips.first().map(|address| address.ip.as_str());
    Some(pod.status.pod_ip.as_str()).filter(|ip| !ip.is_empty()).or(first)
}
