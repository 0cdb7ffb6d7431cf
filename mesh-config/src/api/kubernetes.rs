//! The parts of Kubernetes' own kinds that routing and TLS read.
//!
//! These kinds have many more fields than are listed here. An unknown field in one of them is no finding: it is passed over.
//!
//! [`Service`] is what stands under `spec`, like the specs of Istio's kinds. The other types are the whole document beside
//! `apiVersion`, `kind` and `metadata`, since those kinds keep their fields at the top or in both `spec` and `status`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::value::proto::{message, proto_enum};
use crate::value::{Bytes, Labels, SecretText};

message! {
    /// `spec` of a `Service`.
    pub struct Service {
        /// Labels of the pods behind the service. Empty: its endpoints are made by someone else.
        pub selector: Labels,
        /// Ports.
        pub ports: Vec<ServicePort>,
        /// Virtual address; `None` for a headless service, empty where none is assigned yet.
        #[serde(rename = "clusterIP")]
        pub cluster_ip: String,
        /// Virtual addresses of both families.
        #[serde(rename = "clusterIPs")]
        pub cluster_ips: Vec<String>,
        /// Name that a service of type `ExternalName` stands for.
        pub external_name: String,
        /// Type of the service.
        #[serde(rename = "type")]
        pub kind: ServiceType,
        /// Takes pods that are not ready for endpoints too.
        pub publish_not_ready_addresses: bool,
    }
}

proto_enum! {
    /// Type of a service.
    pub enum ServiceType {
        /// Reached in the cluster, or headless.
        #[default]
        ClusterIp = 0 => "ClusterIP",
        /// Reached on a port of every node.
        NodePort = 1 => "NodePort",
        /// Reached through a balancer of the cloud.
        LoadBalancer = 2 => "LoadBalancer",
        /// Another DNS name.
        ExternalName = 3 => "ExternalName",
    }
}

message! {
    /// A port of a `Service`.
    pub struct ServicePort {
        /// Name, which also tells the protocol (`http-web`). Empty for an only port.
        pub name: String,
        /// Port number. Required.
        pub port: u32,
        /// Port of the pods, by number or name. Unset: the same as `port`.
        pub target_port: Option<IntOrString>,
        /// Transport: `TCP`, `UDP` or `SCTP`. Empty: `TCP`.
        pub protocol: String,
        /// Application protocol, which outranks the name.
        pub app_protocol: String,
    }
}

/// A port by its number or by its name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum IntOrString {
    /// The number.
    Int(u32),
    /// The name.
    String(String),
}

message! {
    /// An `EndpointSlice`: some of the endpoints of the service that its label `kubernetes.io/service-name` names.
    pub struct EndpointSlice {
        /// What the addresses are: `IPv4`, `IPv6` or `FQDN`.
        pub address_type: String,
        /// Ports of every endpoint.
        pub ports: Vec<EndpointPort>,
        /// The endpoints.
        pub endpoints: Vec<Endpoint>,
    }
}

message! {
    /// A port of endpoints.
    pub struct EndpointPort {
        /// Name, the same as that of the service's port.
        pub name: String,
        /// Port number. Unset: all ports.
        pub port: Option<u32>,
        /// Transport. Empty: `TCP`.
        pub protocol: String,
        /// Application protocol.
        pub app_protocol: String,
    }
}

message! {
    /// One endpoint of a slice.
    pub struct Endpoint {
        /// Addresses, of which the first counts.
        pub addresses: Vec<String>,
        /// Whether it can be used.
        pub conditions: EndpointConditions,
        /// Name of its own below that of the service.
        pub hostname: String,
        /// Node it runs on.
        pub node_name: String,
        /// Zone it runs in.
        pub zone: String,
        /// The pod.
        pub target_ref: Option<ObjectReference>,
        /// Topology labels of older slices.
        pub deprecated_topology: BTreeMap<String, String>,
    }
}

message! {
    /// Whether an endpoint can be used. Unset is unknown, which counts as ready.
    #[derive(Copy, Eq)]
    pub struct EndpointConditions {
        /// It takes traffic.
        pub ready: Option<bool>,
        /// It answers, while it is being stopped too.
        pub serving: Option<bool>,
        /// It is being stopped.
        pub terminating: Option<bool>,
    }
}

message! {
    /// Names an object.
    pub struct ObjectReference {
        /// Its kind.
        pub kind: String,
        /// Its name.
        pub name: String,
        /// Its namespace.
        pub namespace: String,
    }
}

message! {
    /// `Endpoints`, the older form of slices: all endpoints of the service of the same name.
    pub struct Endpoints {
        /// Groups of addresses with the same ports.
        pub subsets: Vec<EndpointSubset>,
    }
}

message! {
    /// Addresses with the same ports.
    pub struct EndpointSubset {
        /// Addresses that take traffic.
        pub addresses: Vec<EndpointAddress>,
        /// Addresses that do not.
        pub not_ready_addresses: Vec<EndpointAddress>,
        /// Their ports.
        pub ports: Vec<EndpointPort>,
    }
}

message! {
    /// One address of `Endpoints`.
    pub struct EndpointAddress {
        /// The address.
        pub ip: String,
        /// Name of its own below that of the service.
        pub hostname: String,
        /// Node it runs on.
        pub node_name: String,
        /// The pod.
        pub target_ref: Option<ObjectReference>,
    }
}

message! {
    /// A `Pod`.
    pub struct Pod {
        /// What was asked for.
        pub spec: PodSpec,
        /// How it is.
        pub status: PodStatus,
    }
}

message! {
    /// What was asked for in a pod.
    pub struct PodSpec {
        /// Service account that it runs as. Empty: `default`.
        pub service_account_name: String,
        /// Node it runs on.
        pub node_name: String,
        /// Containers.
        pub containers: Vec<Container>,
        /// Containers that run before the others, or beside them where they restart always.
        pub init_containers: Vec<Container>,
    }
}

message! {
    /// A container of a pod.
    pub struct Container {
        /// Name.
        pub name: String,
        /// Image.
        pub image: String,
        /// Environment.
        pub env: Vec<EnvironmentVariable>,
        /// Ports.
        pub ports: Vec<ContainerPort>,
    }
}

message! {
    /// A variable in the environment of a container.
    pub struct EnvironmentVariable {
        /// Name.
        pub name: String,
        /// Value; empty where it comes from elsewhere.
        pub value: String,
    }
}

message! {
    /// A port of a container.
    pub struct ContainerPort {
        /// Name, which a service may refer to.
        pub name: String,
        /// Port number.
        pub container_port: u32,
        /// Transport. Empty: `TCP`.
        pub protocol: String,
    }
}

message! {
    /// How a pod is.
    pub struct PodStatus {
        /// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
        pub phase: String,
        /// Its address.
        #[serde(rename = "podIP")]
        pub pod_ip: String,
        /// Its addresses of both families.
        #[serde(rename = "podIPs")]
        pub pod_ips: Vec<PodIp>,
        /// Conditions, of which `Ready` counts.
        pub conditions: Vec<PodCondition>,
    }
}

impl PodStatus {
    /// Whether the pod takes traffic.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.conditions.iter().any(|condition| condition.kind == "Ready" && condition.status == "True")
    }
}

message! {
    /// An address of a pod.
    pub struct PodIp {
        /// The address.
        pub ip: String,
    }
}

message! {
    /// A condition of a pod.
    pub struct PodCondition {
        /// Which one.
        #[serde(rename = "type")]
        pub kind: String,
        /// `True`, `False` or `Unknown`.
        pub status: String,
    }
}

message! {
    /// A `Namespace`: its labels are what counts, and they stand in the metadata.
    pub struct Namespace {
    }
}

message! {
    /// A `Node`: its labels are what counts, and they stand in the metadata.
    pub struct Node {
    }
}

message! {
    /// `spec` of a `Deployment`.
    pub struct Deployment {
        /// What its pods are made from.
        pub template: PodTemplate,
    }
}

message! {
    /// What pods are made from.
    pub struct PodTemplate {
        /// Their labels and annotations.
        pub metadata: PodTemplateMetadata,
        /// What is asked for in them.
        pub spec: PodSpec,
    }
}

message! {
    /// Labels and annotations of the pods of a template.
    pub struct PodTemplateMetadata {
        /// Labels.
        pub labels: Labels,
        /// Annotations.
        pub annotations: BTreeMap<String, String>,
    }
}

message! {
    /// `spec` of a `Gateway` of the Kubernetes Gateway API, as far as a `VirtualService` may refer to it.
    pub struct KubernetesGateway {
        /// What is listened on.
        pub listeners: Vec<KubernetesListener>,
    }
}

message! {
    /// A listener of a `Gateway` of the Kubernetes Gateway API.
    pub struct KubernetesListener {
        /// Name, unique in the gateway.
        pub name: String,
        /// Host that it takes requests for, a wildcard allowed. Empty: all.
        pub hostname: String,
        /// Port number.
        pub port: u32,
        /// Protocol, such as `HTTPS`.
        pub protocol: String,
    }
}

message! {
    /// A `Secret`.
    pub struct Secret {
        /// Type, such as `kubernetes.io/tls`. Empty: `Opaque`.
        #[serde(rename = "type")]
        pub kind: String,
        /// Values, base64 in YAML.
        pub data: BTreeMap<String, Bytes>,
        /// Values as text, which win over `data`.
        pub string_data: BTreeMap<String, SecretText>,
    }
}

impl Secret {
    /// The value of a key, from `stringData` or `data`.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&[u8]> {
        self.string_data
            .get(key)
            .map(|text| text.0.as_bytes())
            .or_else(|| self.data.get(key).map(|bytes| bytes.0.as_slice()))
    }
}

message! {
    /// A `ConfigMap`.
    pub struct ConfigMap {
        /// Values.
        pub data: BTreeMap<String, String>,
    }
}
