//! `ServiceEntry`: hosts that the mesh is to know.

use crate::api::selector::NetworkingWorkloadSelector;
use crate::api::workload_entry::WorkloadEntry;
use crate::value::proto::{message, proto_enum};

message! {
    /// Registers hosts as services.
    pub struct ServiceEntry {
        /// Host names, a wildcard in front allowed. Required.
        pub hosts: Vec<String>,
        /// Virtual addresses, or CIDR blocks with `NONE` and `STATIC`.
        pub addresses: Vec<String>,
        /// Ports of the services.
        pub ports: Vec<ServicePort>,
        /// Whether the service is a part of the mesh.
        pub location: Location,
        /// How endpoints are found.
        pub resolution: Resolution,
        /// Endpoints. Not together with `workload_selector`.
        pub endpoints: Vec<WorkloadEntry>,
        /// Takes the `WorkloadEntry` objects and pods of its namespace with these labels as endpoints.
        #[serde(alias = "workload_selector")]
        pub workload_selector: Option<NetworkingWorkloadSelector>,
        /// Namespaces that know the hosts: names, `.`, `*`, or `~` for none. Empty: the mesh's default.
        #[serde(alias = "export_to")]
        pub export_to: Vec<String>,
        /// Names that a server certificate may carry.
        #[serde(alias = "subject_alt_names")]
        pub subject_alt_names: Vec<String>,
    }
}

message! {
    /// A port of a service.
    pub struct ServicePort {
        /// Port number, 1 to 65535, unique in the entry. Required.
        pub number: u32,
        /// Protocol, in any case; see [`crate::value::Protocol`]. Empty: found out by looking.
        pub protocol: String,
        /// Name, a DNS label, unique in the entry. Required.
        pub name: String,
        /// Port of the endpoints. 0: the same.
        #[serde(alias = "target_port")]
        pub target_port: u32,
    }
}

proto_enum! {
    /// Whether a service is a part of the mesh.
    pub enum Location {
        /// No: no automatic mutual TLS.
        #[default]
        MeshExternal = 0 => "MESH_EXTERNAL",
        /// Yes.
        MeshInternal = 1 => "MESH_INTERNAL",
    }
}

proto_enum! {
    /// How the endpoints of a service are found.
    pub enum Resolution {
        /// Not at all: a request goes to the address that the caller asked for.
        #[default]
        None = 0 => "NONE",
        /// They stand in the configuration, as addresses.
        Static = 1 => "STATIC",
        /// By DNS; every address of an answer is an endpoint.
        Dns = 2 => "DNS",
        /// By DNS; a new connection goes to the first address of the latest answer.
        DnsRoundRobin = 3 => "DNS_ROUND_ROBIN",
        /// By DNS of the name in the request, for wildcard hosts.
        DynamicDns = 4 => "DYNAMIC_DNS",
    }
}
