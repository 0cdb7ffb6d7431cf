//! `PeerAuthentication`: whether a workload takes plain text, mutual TLS, or both.

use std::collections::BTreeMap;

use crate::api::selector::WorkloadSelector;
use crate::value::proto::{message, proto_enum};

message! {
    /// Which connections a workload takes.
    pub struct PeerAuthentication {
        /// Workloads that this is for. Unset: all in the namespace (in the root namespace: in the mesh).
        pub selector: Option<WorkloadSelector>,
        /// Mutual TLS on all ports. Unset: inherited.
        pub mtls: Option<MutualTls>,
        /// Mutual TLS on single ports of the workload (not of its service). Needs a selector; an empty map is an error,
        /// which is why presence is kept. Keys are numbers or numbers in quotes.
        #[serde(alias = "port_level_mtls")]
        pub port_level_mtls: Option<BTreeMap<u32, MutualTls>>,
    }
}

message! {
    /// Mutual TLS of a workload or of a port.
    #[derive(Copy, Eq)]
    pub struct MutualTls {
        /// Which connections are taken.
        pub mode: MutualTlsMode,
    }
}

proto_enum! {
    /// Which connections are taken.
    pub enum MutualTlsMode {
        /// As the wider scope says; `PERMISSIVE` where none says anything.
        #[default]
        Unset = 0 => "UNSET",
        /// Plain text only.
        Disable = 1 => "DISABLE",
        /// Plain text and mutual TLS.
        Permissive = 2 => "PERMISSIVE",
        /// Mutual TLS only.
        Strict = 3 => "STRICT",
    }
}
