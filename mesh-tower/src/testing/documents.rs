//! What a configuration does not say of the workloads of a test, because a cluster would: Services, endpoints, pods.

use std::fmt::Write as _;
use std::net::IpAddr;

use mesh_config::ConfigSet;
use mesh_config::api::service_entry::Resolution;
use mesh_core::Site;

/// A host and its endpoints.
pub(super) struct HostGroup<'a> {
    pub(super) host: &'a str,
    /// Numbers, and what is spoken on them.
    pub(super) ports: Vec<(u16, &'static str)>,
    pub(super) endpoints: Vec<Member<'a>>,
}

/// An endpoint of a host.
pub(super) struct Member<'a> {
    pub(super) address: IpAddr,
    pub(super) labels: &'a [(String, String)],
    /// Empty for none.
    pub(super) locality: &'a str,
}

/// The documents that make these endpoints those of their host.
///
/// # Errors
/// Why there can be none.
pub(super) fn documents(group: &HostGroup<'_>, set: &ConfigSet, site: &Site) -> Result<String, String> {
    let kubernetes = kubernetes_name(group.host, site);
    let full = match &kubernetes {
        Some((name, namespace)) => format!("{name}.{namespace}.svc.{}", site.cluster_domain),
        None => group.host.to_owned(),
    };
    let is_host = |host: &String| host.eq_ignore_ascii_case(&full);
    if let Some(entry) = set.service_entries().find(|entry| entry.spec.hosts.iter().any(is_host)) {
        let selector = entry.spec.workload_selector.as_ref().map(|selector| &selector.labels);
        return match selector {
            Some(selector) => {
                let selector: Vec<_> = selector.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
                Ok(workload_entries(group, &entry.meta.namespace, &selector))
            }
            // Names are told by the test's own DNS.
            None if entry.spec.resolution != Resolution::Static && entry.spec.endpoints.is_empty() => Ok(String::new()),
            None => Err(format!(
                "the ServiceEntry {} names the endpoints of {} itself: put workloads where it says, with \
                 Workload::at(\"address:port\")",
                entry.meta.name, group.host
            )),
        };
    }
    let placed = group.endpoints.iter().any(|member| !member.locality.is_empty());
    Ok(match kubernetes {
        Some((name, namespace)) => {
            let service = set.services().find(|known| known.meta.name == name && known.meta.namespace == namespace);
            // Kubernetes tells the locality of an endpoint by its node, of which a Service says nothing.
            if placed && service.is_some() {
                return Err(format!(
                    "the configuration declares the Service {name}: its workloads cannot have localities"
                ));
            }
            if placed {
                return Ok(service_entry(group, &full, &namespace));
            }
            let ports: Vec<(String, u16)> = match service {
                Some(service) => service.spec.ports.iter().map(|port| (port.name.clone(), port.port as u16)).collect(),
                None => group.ports.iter().map(|(port, protocol)| (format!("{protocol}-{port}"), *port)).collect(),
            };
            let declared = if service.is_none() { service_of(&name, &namespace, &ports) } else { String::new() };
            declared + &slice(group, &name, &namespace, &ports)
        }
        None => service_entry(group, &full, &site.namespace),
    })
}

/// Name and namespace of a Service in the cluster.
fn kubernetes_name(host: &str, site: &Site) -> Option<(String, String)> {
    let in_cluster = host.strip_suffix(&format!(".svc.{}", site.cluster_domain)).or_else(|| host.strip_suffix(".svc"));
    match in_cluster {
        Some(rest) => rest.split_once('.').map(|(name, namespace)| (name.to_owned(), namespace.to_owned())),
        None => (!host.contains('.')).then(|| (host.to_owned(), site.namespace.clone())),
    }
}

fn service_of(name: &str, namespace: &str, ports: &[(String, u16)]) -> String {
    format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {{ports: [{}]}}\n",
        ports_as("port", ports)
    )
}

fn slice(group: &HostGroup<'_>, name: &str, namespace: &str, ports: &[(String, u16)]) -> String {
    let mut text = format!(
        "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: {name}-test, namespace: \
         {namespace}, labels: {{kubernetes.io/service-name: {name}}}}}\naddressType: IPv4\nports: [{}]\nendpoints:\n",
        ports_as("port", ports)
    );
    let mut pods = String::new();
    for (n, member) in group.endpoints.iter().enumerate() {
        let pod = format!("{name}-test-{n}");
        let _ = writeln!(text, "- {{addresses: [{}], targetRef: {{kind: Pod, name: {pod}}}}}", member.address);
        let _ = write!(
            pods,
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {pod}, namespace: {namespace}, labels: {}}}\n",
            labels(member.labels)
        );
    }
    text + &pods
}

fn service_entry(group: &HostGroup<'_>, host: &str, namespace: &str) -> String {
    let ports: Vec<(String, u16)> =
        group.ports.iter().map(|(port, protocol)| (format!("{protocol}-{port}"), *port)).collect();
    let protocols = group.ports.iter().zip(&ports).map(|((port, protocol), (name, _))| {
        format!("{{number: {port}, name: {name}, protocol: {}}}", protocol.to_ascii_uppercase())
    });
    let mut text = format!(
        "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: test-{}, namespace: {namespace}}}\n\
         spec:\n  hosts: [{:?}]\n  resolution: STATIC\n  ports: [{}]\n  endpoints:\n",
        host.replace(|c: char| !c.is_ascii_alphanumeric(), "-"),
        host,
        protocols.collect::<Vec<_>>().join(", ")
    );
    for member in &group.endpoints {
        let _ = writeln!(
            text,
            "  - {{address: {}, labels: {}, locality: {:?}}}",
            member.address,
            labels(member.labels),
            member.locality
        );
    }
    text
}

fn workload_entries(group: &HostGroup<'_>, namespace: &str, selector: &[(String, String)]) -> String {
    let mut text = String::new();
    for (n, member) in group.endpoints.iter().enumerate() {
        let all = labels(&[selector, member.labels].concat());
        let _ = write!(
            text,
            "---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {{name: test-{n}-{}, namespace: \
             {namespace}, labels: {all}}}\nspec: {{address: {}, labels: {all}, locality: {:?}}}\n",
            member.address, member.address, member.locality
        );
    }
    text
}

fn ports_as(field: &str, ports: &[(String, u16)]) -> String {
    let each = ports.iter().map(|(name, port)| match name.is_empty() {
        true => format!("{{{field}: {port}}}"),
        false => format!("{{name: {name}, {field}: {port}}}"),
    });
    each.collect::<Vec<_>>().join(", ")
}

fn labels(labels: &[(String, String)]) -> String {
    let each = labels.iter().map(|(key, value)| format!("{key:?}: {value:?}"));
    format!("{{{}}}", each.collect::<Vec<_>>().join(", "))
}
