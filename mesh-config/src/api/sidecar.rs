//! `Sidecar`: what a workload sees of the mesh.

use crate::api::destination_rule::ConnectionPoolSettings;
use crate::api::port::Port;
use crate::api::selector::NetworkingWorkloadSelector;
use crate::api::tls::ServerTlsSettings;
use crate::api::virtual_service::Destination;
use crate::value::proto::{message, proto_enum};

message! {
    /// Limits what a workload sees of the mesh and tunes what it serves. One applies per workload.
    pub struct Sidecar {
        /// Workloads that this is for, in its own namespace. Unset: those that no other `Sidecar` selects.
        #[serde(alias = "workload_selector")]
        pub workload_selector: Option<NetworkingWorkloadSelector>,
        /// What is served. Empty: the ports of the workload's services.
        pub ingress: Vec<IstioIngressListener>,
        /// What is seen. Empty: everything that is exported to the namespace.
        pub egress: Vec<IstioEgressListener>,
        /// Limits for the connections to the application.
        #[serde(alias = "inbound_connection_pool")]
        pub inbound_connection_pool: Option<ConnectionPoolSettings>,
        /// What becomes of requests to unknown hosts. Unset: the mesh's setting.
        #[serde(alias = "outbound_traffic_policy")]
        pub outbound_traffic_policy: Option<OutboundTrafficPolicy>,
    }
}

message! {
    /// A port that the workload serves.
    pub struct IstioIngressListener {
        /// The port. Required.
        pub port: Option<Port>,
        /// Address to listen on. Empty: the workload's.
        pub bind: String,
        /// How traffic is captured.
        #[serde(alias = "capture_mode")]
        pub capture_mode: CaptureMode,
        /// Where the application listens: `127.0.0.1:PORT`, `0.0.0.0:PORT`, `[::1]:PORT`, `[::]:PORT` or `unix://PATH`.
        #[serde(alias = "default_endpoint")]
        pub default_endpoint: String,
        /// TLS of the port, where it is not mutual TLS of the mesh.
        pub tls: Option<ServerTlsSettings>,
        /// Limits for the connections to the application on this port.
        #[serde(alias = "connection_pool")]
        pub connection_pool: Option<ConnectionPoolSettings>,
    }
}

message! {
    /// Hosts that the workload sees, on one port or on all others.
    pub struct IstioEgressListener {
        /// The port. Unset: all ports without a listener of their own.
        pub port: Option<Port>,
        /// Address to listen on. Empty: chosen automatically.
        pub bind: String,
        /// How traffic is captured.
        #[serde(alias = "capture_mode")]
        pub capture_mode: CaptureMode,
        /// Hosts as `namespace/host`, with `*`, `.` and `~` for the namespace and wildcards for the host. Required.
        pub hosts: Vec<String>,
    }
}

proto_enum! {
    /// How traffic to a listener is captured.
    pub enum CaptureMode {
        /// As the environment says.
        #[default]
        Default = 0 => "DEFAULT",
        /// By iptables.
        Iptables = 1 => "IPTABLES",
        /// Not at all: the application connects to the listener.
        None = 2 => "NONE",
    }
}

message! {
    /// What becomes of requests to unknown hosts.
    pub struct OutboundTrafficPolicy {
        /// Whether they pass. The zero value is `REGISTRY_ONLY`, so `outboundTrafficPolicy: {}` means that.
        pub mode: OutboundTrafficPolicyMode,
        /// Sends them to an egress gateway, with `ALLOW_ANY`.
        #[serde(alias = "egress_proxy")]
        pub egress_proxy: Option<Destination>,
    }
}

proto_enum! {
    /// Whether requests to unknown hosts pass.
    pub enum OutboundTrafficPolicyMode {
        /// No: 502.
        #[default]
        RegistryOnly = 0 => "REGISTRY_ONLY",
        /// Yes, to the address that the caller asked for.
        AllowAny = 1 => "ALLOW_ANY",
        /// Yes, to what DNS gives for the name in the request. Only for the whole mesh.
        AllowAnyDynamicDns = 3 => "ALLOW_ANY_DYNAMIC_DNS",
    }
}
