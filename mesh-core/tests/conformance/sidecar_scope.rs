//! Which services a Sidecar lets a workload see, and which DestinationRule counts for one of them.

use std::path::Path;
use std::time::Duration;

use mesh_config::api::service_entry::Resolution;
use mesh_config::api::{DestinationRule, MeshConfig, Sidecar, VirtualService};
use mesh_config::meta::Timestamp;
use mesh_config::value::Protocol;
use mesh_config::{ConfigSet, Object, ObjectMeta, parse};
use mesh_core::cluster::{ClusterSpec, EndpointSource};
use mesh_core::compile::registry::{Port, Registry, Service, ServiceKind};
use mesh_core::compile::scope::Scope;
use mesh_core::compile::visibility::Export;
use mesh_core::{Site, compile};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The namespace of the workload that the cases ask about.
const NAMESPACE: &str = "mynamespace";

/// What a service comes to in a comparison: its host, namespace and ports.
type Seen = (String, String, Vec<u16>);

pub(crate) fn imported(_: &Path, case: &Value) -> Option<String> {
    let input = &case["input"];
    let sidecar: Option<Object<Sidecar>> = read(&input["sidecarConfig"]);
    // Names of the cases are completed with a namespace and without a cluster domain.
    let labels = input["sidecarConfig"]["metadata"].get("labels").cloned();
    let site = Site {
        namespace: NAMESPACE.into(),
        labels: labels.map(|labels| serde_json::from_value(labels).unwrap()).unwrap_or_default(),
        cluster_domain: String::new(),
        ..Site::default()
    };
    let registry = Registry::new(list(&input["services"]).iter().map(service).collect());
    let rules: Vec<Object<VirtualService>> = list(&input["virtualServices"]).iter().filter_map(read).collect();
    let rules: Vec<_> = rules.iter().collect();
    let scope = Scope::of(&registry, &rules, sidecar.as_ref(), &site);
    let mut got: Vec<Seen> = scope.services().iter().map(|service| seen(service)).collect();
    let mut expected: Vec<Seen> =
        list(&case["expect"]["expectedServices"]).iter().map(|value| seen(&service(value))).collect();
    got.sort();
    expected.sort();
    if got != expected {
        return Some(format!("sees {got:?}, not {expected:?}"));
    }
    destination_rule(case, &site)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn read<T: DeserializeOwned>(object: &Value) -> Option<Object<T>> {
    let meta = &object.get("metadata")?;
    let text = |field: &str| meta[field].as_str().unwrap_or_default();
    let spec = serde_json::from_value(object["spec"].clone()).expect("a spec");
    Some(Object::new(ObjectMeta::new(text("namespace"), text("name")), spec))
}

/// A service in the fields of Istio's own model.
fn service(value: &Value) -> Service {
    let attributes = &value["Attributes"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let kind = match attributes["ServiceRegistry"].as_str() {
        Some("Kubernetes") => ServiceKind::Kubernetes,
        _ => ServiceKind::ServiceEntry,
    };
    let namespace = text(&attributes["Namespace"]);
    let export: Vec<String> = list(&attributes["ExportTo"]).iter().map(text).collect();
    let age = value["CreationTime"]["ns"].as_u64().map(Duration::from_nanos);
    Service {
        name: text(&attributes["Name"]),
        created: age.map(|age| Timestamp { seconds: age.as_secs() as i64, nanos: age.subsec_nanos() }),
        resolution: match value["Resolution"].as_str() {
            Some("DNSLB") => Resolution::Dns,
            Some("DNSRoundRobinLB") => Resolution::DnsRoundRobin,
            Some("DynamicDNS") => Resolution::DynamicDns,
            Some("Passthrough") => Resolution::None,
            _ => Resolution::Static,
        },
        ports: list(&value["Ports"]).iter().map(port).collect(),
        export: Export::of(&export, &[], &namespace),
        ..Service::new(kind, &text(&value["Hostname"]), &namespace)
    }
}

fn port(value: &Value) -> Port {
    Port {
        number: value["Port"].as_u64().and_then(|number| u16::try_from(number).ok()).expect("a port"),
        protocol: value["Protocol"].as_str().and_then(|text| text.parse().ok()).unwrap_or(Protocol::Unspecified),
        endpoints: EndpointSource::Static(Vec::new()),
    }
}

fn seen(service: &Service) -> Seen {
    let mut ports: Vec<u16> = service.ports.iter().map(|port| port.number).collect();
    ports.sort_unstable();
    (service.host.clone(), service.namespace.clone(), ports)
}

/// The cases name the rule that counts and not those that it won against: older ones with a
/// selector for other workloads, and, for a rule with a selector, an older one for all.
fn destination_rule(case: &Value, site: &Site) -> Option<String> {
    let expected = &mut case["expect"]["expectedDr"].clone();
    // Names in the cases are Go's, not Kubernetes'.
    if let Some(name) = expected["metadata"]["name"].as_str().map(str::to_lowercase) {
        expected["metadata"]["name"] = name.into();
    }
    let expected = &*expected;
    let rule: Object<DestinationRule> = read(expected)?;
    let alone = cluster(&[expected.to_string()], &rule.spec.host, site);
    let rival = |name: &str, selector: &str| {
        format!(
            "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: {name}, namespace: {NAMESPACE}}}\n\
             spec: {{host: {}, {selector} trafficPolicy: {{connectionPool: {{tcp: {{maxConnections: 7}}}}}}}}",
            rule.spec.host
        )
    };
    let mut all = vec![
        rival("a-other", "workloadSelector: {matchLabels: {app: of-nobody}},"),
        rival("a-more", "workloadSelector: {matchLabels: {app: app2, tier: of-nobody}},"),
        expected.to_string(),
    ];
    if rule.spec.workload_selector.is_some() {
        all.push(rival("a-all", ""));
    }
    let together = cluster(&all, &rule.spec.host, site);
    (alone != together).then(|| format!("the policy is {together:?}, not {alone:?}"))
}

/// The cluster of a service of that host under DestinationRules.
fn cluster(rules: &[String], host: &str, site: &Site) -> ClusterSpec {
    let service = format!(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: service, namespace: {NAMESPACE}}}\n\
         spec: {{hosts: [{host}], resolution: STATIC, ports: [{{number: 80, name: http, protocol: HTTP}}]}}"
    );
    let text = format!("{service}\n---\n{}", rules.join("\n---\n"));
    let (documents, report) = parse("case.yaml", &text);
    assert!(!report.has_errors(), "{report}");
    let (set, _) = ConfigSet::from_documents(documents);
    let compiled = compile(&set, &MeshConfig::default(), site);
    let name = format!("outbound|80||{host}");
    let found = compiled.snapshot.clusters().iter().find(|spec| *spec.name == *name);
    ClusterSpec::clone(found.expect("the cluster of the service"))
}
