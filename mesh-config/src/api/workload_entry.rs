//! `WorkloadEntry`: one endpoint.

use std::collections::BTreeMap;

use crate::value::Labels;
use crate::value::proto::message;

message! {
    /// One endpoint, as an object of its own or inside a `ServiceEntry`.
    pub struct WorkloadEntry {
        /// IP address, host name, or `unix://` with an absolute path or an abstract name. Required unless `network` is set.
        pub address: String,
        /// Port for each port name of the service. A name that is missing keeps the service's target port.
        pub ports: BTreeMap<String, u32>,
        /// Labels, as subsets and selectors see them.
        pub labels: Labels,
        /// Network that the endpoint is in. Empty: the caller's.
        pub network: String,
        /// `region/zone/subzone`. Empty: unknown.
        pub locality: String,
        /// Share of the traffic among the endpoints. 0: 1.
        pub weight: u32,
        /// Service account that the workload runs as, which gives its identity.
        #[serde(alias = "service_account")]
        pub service_account: String,
    }
}
