//! `ProxyConfig`: settings of the proxy process, which an embedded mesh does not have.

use std::collections::BTreeMap;

use crate::api::selector::WorkloadSelector;
use crate::value::proto::message;

message! {
    /// Settings of the proxy process. Accepted and without effect in process.
    pub struct ProxyConfig {
        /// Workloads that this is for. Unset: all in the namespace (in the root namespace: in the mesh).
        pub selector: Option<WorkloadSelector>,
        /// Worker threads; 0 is as many as there are cores. Unset: by the CPU limit.
        pub concurrency: Option<i32>,
        /// Environment variables of the proxy.
        #[serde(alias = "environment_variables")]
        pub environment_variables: BTreeMap<String, String>,
        /// Image of the proxy.
        pub image: Option<ProxyImage>,
    }
}

message! {
    /// Image of the proxy.
    pub struct ProxyImage {
        /// Kind of image: `default`, `debug` or `distroless`.
        #[serde(alias = "image_type")]
        pub image_type: String,
    }
}
