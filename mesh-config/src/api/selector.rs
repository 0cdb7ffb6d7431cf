//! What a policy applies to: messages that several kinds share.

use crate::value::Labels;
use crate::value::proto::message;

message! {
    /// Selects workloads by their labels (security, telemetry, `ProxyConfig` and `DestinationRule`).
    ///
    /// A workload is selected when it has every label with the same value. An object in the root namespace selects in all
    /// namespaces, any other one in its own.
    pub struct WorkloadSelector {
        /// The labels to have. Empty: every workload in scope.
        #[serde(alias = "match_labels")]
        pub match_labels: Labels,
    }
}

message! {
    /// Selects workloads by their labels, in the spelling of `ServiceEntry` and `Sidecar`: only in the object's own namespace.
    pub struct NetworkingWorkloadSelector {
        /// The labels to have. Empty: every workload in scope.
        pub labels: Labels,
    }
}

message! {
    /// Names the resource that a policy attaches to.
    ///
    /// A policy with targets applies to gateways and waypoints only; workloads without one ignore it.
    pub struct PolicyTargetReference {
        /// API group of the resource; empty for the core group.
        pub group: String,
        /// Kind: `Service`, `ServiceEntry`, `Gateway` or `GatewayClass`.
        pub kind: String,
        /// Name of the resource. Required.
        pub name: String,
        /// Has to stay empty: references across namespaces are not supported.
        pub namespace: String,
    }
}
