//! `WorkloadGroup`: a template for endpoints that register themselves.

use std::collections::BTreeMap;

use crate::api::workload_entry::WorkloadEntry;
use crate::value::Labels;
use crate::value::proto::message;

message! {
    /// Describes workloads outside of Kubernetes of one sort.
    pub struct WorkloadGroup {
        /// Labels and annotations of the entries that are made.
        pub metadata: Option<WorkloadGroupMetadata>,
        /// What the entries look like. Required.
        pub template: Option<WorkloadEntry>,
        /// How health is checked. Unset: not at all.
        pub probe: Option<ReadinessProbe>,
    }
}

message! {
    /// Labels and annotations of the entries that are made.
    pub struct WorkloadGroupMetadata {
        /// Labels.
        pub labels: Labels,
        /// Annotations.
        pub annotations: BTreeMap<String, String>,
    }
}

message! {
    /// How health is checked: one of the four checks, and how often.
    pub struct ReadinessProbe {
        /// Seconds before the first check. Default: 0.
        #[serde(alias = "initial_delay_seconds")]
        pub initial_delay_seconds: i32,
        /// Seconds that a check may take. 0: 1.
        #[serde(alias = "timeout_seconds")]
        pub timeout_seconds: i32,
        /// Seconds between checks. 0: 10.
        #[serde(alias = "period_seconds")]
        pub period_seconds: i32,
        /// Successes in a row that make the workload healthy. 0: 1.
        #[serde(alias = "success_threshold")]
        pub success_threshold: i32,
        /// Failures in a row that make the workload unhealthy. 0: 3.
        #[serde(alias = "failure_threshold")]
        pub failure_threshold: i32,
        /// Healthy if an HTTP request is answered with 200 to 399.
        #[serde(alias = "http_get")]
        pub http_get: Option<HttpHealthCheck>,
        /// Healthy if a connection can be made.
        #[serde(alias = "tcp_socket")]
        pub tcp_socket: Option<TcpHealthCheck>,
        /// Healthy if a command ends with 0.
        pub exec: Option<ExecHealthCheck>,
        /// Healthy if the gRPC health service says so.
        pub grpc: Option<GrpcHealthCheck>,
    }
}

message! {
    /// A check by an HTTP request.
    pub struct HttpHealthCheck {
        /// Path. Empty: `/`.
        pub path: String,
        /// Port. Required.
        pub port: u32,
        /// Host. Empty: the workload itself.
        pub host: String,
        /// `HTTP` or `HTTPS`. Empty: `HTTP`.
        pub scheme: String,
        /// Headers to send.
        #[serde(alias = "http_headers")]
        pub http_headers: Vec<HttpHeader>,
    }
}

message! {
    /// A header with its value.
    pub struct HttpHeader {
        /// Name.
        pub name: String,
        /// Value.
        pub value: String,
    }
}

message! {
    /// A check by a connection.
    pub struct TcpHealthCheck {
        /// Host. Empty: the workload itself.
        pub host: String,
        /// Port. Required.
        pub port: u32,
    }
}

message! {
    /// A check by a command.
    pub struct ExecHealthCheck {
        /// The command and its arguments. Required.
        pub command: Vec<String>,
    }
}

message! {
    /// A check by the gRPC health service.
    pub struct GrpcHealthCheck {
        /// Port. Required.
        pub port: u32,
        /// Name of the service to ask for. Empty: the server as a whole.
        pub service: String,
    }
}
