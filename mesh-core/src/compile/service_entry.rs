//! Services from ServiceEntries and the WorkloadEntries (or Pods) that they select.

use std::net::IpAddr;

use mesh_config::ConfigSet;
use mesh_config::Object;
use mesh_config::api::kubernetes::Pod;
use mesh_config::api::service_entry::{Location, Resolution, ServiceEntry, ServicePort};
use mesh_config::api::{MeshConfig, WorkloadEntry};
use mesh_config::value::{Labels, labels};

use super::registry::{Port, Service, ServiceKind};
use super::visibility::Export;
use crate::cluster::{Announced, DnsTarget, EndpointAddress, EndpointSource, EndpointSpec, Locality, endpoint_port};
use crate::network::Network;

/// Adds one service for each host of each ServiceEntry, in Istio's order.
pub(crate) fn collect(set: &ConfigSet, mesh: &MeshConfig, services: &mut Vec<Service>) {
    for entry in set.service_entries() {
        let export = Export::of(&entry.spec.export_to, &mesh.default_service_export_to, &entry.meta.namespace);
        let workloads = workloads_of(set, entry);
        for host in &entry.spec.hosts {
            let ports = entry.spec.ports.iter().filter_map(|port| port_of(entry, port, host, &workloads, mesh));
            services.push(Service {
                object: entry.meta.name.clone(),
                created: entry.meta.created(),
                resolution: entry.spec.resolution,
                labels: entry.meta.labels.clone(),
                external: entry.spec.location == Location::MeshExternal,
                subject_alt_names: entry.spec.subject_alt_names.clone(),
                selector: entry.spec.workload_selector.as_ref().map(|s| s.labels.clone()).unwrap_or_default(),
                ports: ports.collect(),
                addresses: address_domain(&entry.spec.addresses),
                networks: entry.spec.addresses.iter().filter_map(|address| Network::parse(address)).collect(),
                export: export.clone(),
                ..Service::new(ServiceKind::ServiceEntry, host, &entry.meta.namespace)
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
        Resolution::None | Resolution::DynamicDns => {
            EndpointSource::OriginalDestination { port: u16::try_from(port.target_port).ok().filter(|port| *port != 0) }
        }
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
    let namespace = &entry.meta.namespace;
    let selects =
        |pod: &&Object<Pod>| pod.meta.namespace == *namespace && labels::subset_of(&selector.labels, &pod.meta.labels);
    let pods = set.pods().filter(selects).filter(|pod| pod.spec.status.is_ready()).filter_map(|pod| {
        let address = super::kubernetes::pod_ip(&pod.spec)?.to_owned();
        let (labels, account) = (pod.meta.labels.clone(), &pod.spec.spec.service_account_name);
        // An account alone says of a workload entry that it takes mutual TLS, but not of a Pod.
        let announced = Announced::of_pod(&labels, account).mtls;
        let service_account = if announced { account.clone() } else { String::new() };
        Some(WorkloadEntry { address, labels, service_account, ..WorkloadEntry::default() })
    });
    workload_entries(set, namespace, &selector.labels).chain(pods).collect()
}

/// The WorkloadEntries of a namespace that have certain labels.
pub(crate) fn workload_entries(
    set: &ConfigSet,
    namespace: &str,
    wanted: &Labels,
) -> impl Iterator<Item = WorkloadEntry> {
    set.workload_entries().filter(move |workload| workload.meta.namespace == namespace).filter_map(move |workload| {
        // Labels of its metadata count before those of the entry itself.
        let mut own = workload.spec.labels.clone();
        own.extend(workload.meta.labels.clone());
        labels::subset_of(wanted, &own).then(|| WorkloadEntry { labels: own, ..workload.spec.clone() })
    })
}

fn endpoint(workload: &WorkloadEntry, port: &ServicePort) -> Option<EndpointSpec> {
    endpoint_at(workload, endpoint_port(workload, port)?)
}

/// A workload as an endpoint; nothing if its address is a name, or missing.
pub(crate) fn endpoint_at(workload: &WorkloadEntry, port: u16) -> Option<EndpointSpec> {
    Some(EndpointSpec {
        address: EndpointAddress::parse(&workload.address, port)?,
        weight: workload.weight.max(1),
        labels: workload.labels.clone(),
        locality: Locality::parse(&workload.locality),
        announced: Announced::of(&workload.labels, &workload.service_account),
    })
}

/// Names to look up: those of the endpoints, else the entry's own host.
fn dns_targets(workloads: &[WorkloadEntry], port: &ServicePort, host: &str) -> Vec<DnsTarget> {
    if workloads.is_empty() {
        let own = WorkloadEntry { address: host.to_owned(), ..WorkloadEntry::default() };
        return dns_target(&own, port).into_iter().collect();
    }
    // A workload of another network may have no address.
    workloads.iter().filter(|w| !w.address.is_empty()).filter_map(|workload| dns_target(workload, port)).collect()
}

fn dns_target(workload: &WorkloadEntry, port: &ServicePort) -> Option<DnsTarget> {
    Some(DnsTarget {
        host: workload.address.as_str().into(),
        port: endpoint_port(workload, port)?,
        weight: workload.weight.max(1),
        labels: workload.labels.clone(),
        locality: Locality::parse(&workload.locality),
        announced: Announced::of(&workload.labels, &workload.service_account),
    })
}

#[cfg(test)]
mod tests {
    use crate::Site;
    use crate::cluster::EndpointSource;
    use crate::compile::tests::World;

    const CLUSTER: &str = "outbound|80||a.example.com";

    fn entry(spec: &str) -> String {
        format!(
            "---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: a, namespace: default}}
spec: {{hosts: [a.example.com], {spec}}}
"
        )
    }

    fn workload(name: &str, metadata: &str, spec: &str) -> String {
        format!(
            "---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: {name}, namespace: default, {metadata}}}
spec: {spec}
"
        )
    }

    const PORT: &str = "ports: [{number: 80, name: http, protocol: HTTP, targetPort: 8080}]";

    fn endpoints(spec: &str) -> Vec<String> {
        World::new(&entry(&format!("{PORT}, {spec}"))).endpoints(CLUSTER)
    }

    #[test]
    fn the_port_of_an_endpoint_is_its_own_else_the_target_port_else_the_number() {
        let listed = "resolution: STATIC, endpoints: [{address: 10.0.0.1}, {address: 10.0.0.2, ports: {http: 9090}}]";
        assert_eq!(endpoints(listed), ["10.0.0.1:8080", "10.0.0.2:9090"]);
        let without_target = entry(&format!("ports: [{{number: 80, name: http}}], {listed}"));
        assert_eq!(World::new(&without_target).endpoints(CLUSTER), ["10.0.0.1:80", "10.0.0.2:9090"]);
    }

    #[test]
    fn dns_looks_up_the_endpoints_or_the_host_itself() {
        assert_eq!(endpoints("resolution: DNS"), ["a.example.com:8080"]);
        let named = "resolution: DNS, endpoints: [{address: b.example.com}, {address: c.example.com}]";
        assert_eq!(endpoints(named), ["b.example.com:8080", "c.example.com:8080"]);
    }

    #[test]
    fn round_robin_dns_takes_one_address_at_a_time() {
        let logical = |resolution: &str| {
            let world = World::new(&entry(&format!("{PORT}, resolution: {resolution}")));
            let spec = world.compiled.snapshot.clusters().iter().find(|spec| *spec.name == *CLUSTER).unwrap();
            matches!(spec.endpoints, EndpointSource::Dns { logical: true, .. })
        };
        assert!(logical("DNS_ROUND_ROBIN") && !logical("DNS"));
    }

    #[test]
    fn without_resolution_requests_go_where_they_say_at_the_target_port() {
        assert_eq!(endpoints("resolution: NONE"), ["original:8080"]);
        let world = World::new(&entry("ports: [{number: 80, name: http, protocol: HTTP}]"));
        assert_eq!(world.endpoints(CLUSTER), ["original"]);
    }

    #[test]
    fn a_wildcard_is_looked_up_by_the_name_in_the_request() {
        for resolution in ["DYNAMIC_DNS", "DNS", "NONE"] {
            let text = entry(&format!("ports: [{{number: 80, name: http}}], resolution: {resolution}"));
            let world = World::new(&text.replace("a.example.com", "'*.example.com'"));
            let cluster = world.to(80, "b.example.com", "/");
            assert_eq!(cluster, "outbound|80||*.example.com", "{resolution}");
            assert_eq!(world.endpoints(&cluster), ["original"], "{resolution}");
        }
    }

    #[test]
    fn a_selector_finds_workloads_and_pods_of_the_namespace() {
        let text = [
            entry(&format!("{PORT}, resolution: STATIC, workloadSelector: {{labels: {{app: a}}}}")),
            workload("vm", "labels: {app: a}", "{address: 10.0.0.1, labels: {app: other}, ports: {http: 9090}}"),
            workload("elsewhere", "labels: {}", "{address: 10.0.0.2, labels: {app: b}}"),
            workload("unix", "labels: {}", "{address: 'unix:///run/a.sock', labels: {app: a}}"),
            workload("remote", "labels: {app: a}", "{network: other}"),
            "---
apiVersion: v1
kind: Pod
metadata: {name: a-1, namespace: default, labels: {app: a}}
status: {podIP: 10.0.0.3, conditions: [{type: Ready, status: 'True'}]}
"
            .into(),
        ];
        assert_eq!(
            World::new(&text.concat()).endpoints(CLUSTER),
            ["unix:///run/a.sock", "10.0.0.1:9090", "10.0.0.3:8080"]
        );
    }

    #[test]
    fn a_kubernetes_service_has_the_workloads_that_its_selector_finds() {
        let text = [
            workload("vm", "labels: {app: a}", "{address: 10.0.0.1}"),
            workload("mapped", "labels: {app: a}", "{address: 10.0.0.2, ports: {web: 9090}}"),
            "---
apiVersion: v1
kind: Service
metadata: {name: a, namespace: default}
spec: {selector: {app: a}, ports: [{name: http, port: 80, targetPort: web}, {name: alt, port: 81, targetPort: 8081}]}
"
            .into(),
        ];
        let world = World::new(&text.concat());
        // A workload that does not say what `web` is has no such port.
        assert_eq!(world.endpoints("outbound|80||a.default.svc.cluster.local"), ["10.0.0.2:9090"]);
        let all = ["10.0.0.2:8081", "10.0.0.1:8081"];
        assert_eq!(world.endpoints("outbound|81||a.default.svc.cluster.local"), all);
    }

    #[test]
    fn only_a_first_address_that_is_a_single_ip_is_a_name_of_the_service() {
        let reached = |addresses: &str, authority: &str| {
            let text = entry(&format!(
                "{PORT}, resolution: STATIC, addresses: {addresses}, endpoints: [{{address: 10.0.0.1}}]"
            ));
            World::new(&text).to(80, authority, "/") == CLUSTER
        };
        assert!(reached("[240.0.0.1, 240.0.0.2]", "240.0.0.1"));
        assert!(!reached("[240.0.0.1, 240.0.0.2]", "240.0.0.2"));
        assert!(!reached("[240.0.0.0/24]", "240.0.0.1"));
        assert!(reached("['2001:db8::1']", "[2001:db8::1]"));
    }

    #[test]
    fn several_entries_of_a_namespace_for_one_host_are_one_service() {
        let second = |more: &str| {
            entry(&format!(
                "ports: [{{number: 80, name: http}}, {{number: 81, name: alt}}], resolution: STATIC, \
                 endpoints: [{{address: 10.0.0.2}}], {more}"
            ))
            .replace("name: a,", "name: b,")
        };
        let first = entry("ports: [{number: 80, name: http}], resolution: STATIC, endpoints: [{address: 10.0.0.1}]");
        let world = World::new(&(first.clone() + &second("location: MESH_INTERNAL")));
        assert_eq!(world.endpoints(CLUSTER), ["10.0.0.1:80", "10.0.0.2:80"]);
        assert_eq!(world.endpoints("outbound|81||a.example.com"), ["10.0.0.2:81"]);
        // One that is exported otherwise is another service, which the first one displaces.
        let apart = World::new(&(first + &second("exportTo: [.]").replace("name: b,", "name: z,")));
        assert_eq!(apart.to(81, "a.example.com", "/"), "outbound|81||a.example.com");
        assert_eq!(apart.to(80, "a.example.com", "/"), CLUSTER);
        let lost = apart.findings(mesh_config::Code::OVERRULED);
        assert_eq!(lost, [""; 0]);
    }

    #[test]
    fn the_host_of_a_kubernetes_service_stays_its_own() {
        let text = [
            "---
apiVersion: v1
kind: Service
metadata: {name: a, namespace: default}
spec: {ports: [{name: http, port: 80}]}
"
            .to_owned(),
            entry("ports: [{number: 81, name: http}], resolution: STATIC, endpoints: [{address: 10.0.0.1}]")
                .replace("a.example.com", "a.default.svc.cluster.local"),
        ];
        let world = World::at(&text.concat(), &Site::default());
        assert_eq!(world.to(81, "a", "/"), "passthrough");
        let lost = world.findings(mesh_config::Code::OVERRULED);
        assert!(lost.len() == 1 && lost[0].contains("Service default/a"), "{lost:?}");
    }
}
