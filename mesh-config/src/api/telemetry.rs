//! `Telemetry`: what is measured, logged and traced.

use std::collections::BTreeMap;

use crate::api::selector::{PolicyTargetReference, WorkloadSelector};
use crate::value::Duration;
use crate::value::proto::{is_unset, message, null_is_empty, proto_enum};

message! {
    /// Tunes metrics, access logs and traces. A narrower scope overrides a wider one.
    pub struct Telemetry {
        /// Workloads that this is for. Unset: all in the namespace (in the root namespace: in the mesh).
        pub selector: Option<WorkloadSelector>,
        /// Deprecated form of `target_refs`.
        #[serde(alias = "target_ref")]
        pub target_ref: Option<PolicyTargetReference>,
        /// Gateways and waypoints that this is for, instead of a selector.
        #[serde(alias = "target_refs")]
        pub target_refs: Vec<PolicyTargetReference>,
        /// Traces; one entry is supported.
        pub tracing: Vec<Tracing>,
        /// Metrics.
        pub metrics: Vec<Metrics>,
        /// Access logs.
        #[serde(alias = "access_logging")]
        pub access_logging: Vec<AccessLogging>,
    }
}

message! {
    /// Names an extension provider of the mesh.
    pub struct ProviderRef {
        /// Name of the provider. Required.
        pub name: String,
    }
}

proto_enum! {
    /// Which side of a call.
    pub enum WorkloadMode {
        /// Both.
        #[default]
        ClientAndServer = 0 => "CLIENT_AND_SERVER",
        /// The caller's.
        Client = 1 => "CLIENT",
        /// The callee's.
        Server = 2 => "SERVER",
    }
}

message! {
    /// How calls are traced.
    pub struct Tracing {
        /// Which side this is for.
        #[serde(rename = "match")]
        pub matches: Option<TracingSelector>,
        /// Where spans go; one is supported. Empty: the mesh's default.
        pub providers: Vec<ProviderRef>,
        /// Share of the calls that are traced where the caller has not decided, 0 to 100 %. Unset: inherited, in the end 1.
        #[serde(alias = "random_sampling_percentage")]
        pub random_sampling_percentage: Option<f64>,
        /// Reports no spans; context still travels. Unset: inherited.
        #[serde(alias = "disable_span_reporting")]
        pub disable_span_reporting: Option<bool>,
        /// Further tags of a span, by name.
        #[serde(alias = "custom_tags")]
        pub custom_tags: BTreeMap<String, CustomTag>,
        /// Notes the sampling decision in `x-request-id` and reads it from there. Default: true.
        #[serde(alias = "use_request_id_for_trace_sampling")]
        pub use_request_id_for_trace_sampling: Option<bool>,
        /// Adds Istio's own tags to a span. Default: true.
        #[serde(alias = "enable_istio_tags")]
        pub enable_istio_tags: Option<bool>,
        /// Leaves the trace headers of a request alone. Default: false.
        #[serde(alias = "disable_context_propagation")]
        pub disable_context_propagation: Option<bool>,
    }
}

message! {
    /// Which calls are traced so.
    #[derive(Copy, Eq)]
    pub struct TracingSelector {
        /// Which side.
        pub mode: WorkloadMode,
    }
}

/// Where the value of a tag comes from: one of the four.
///
/// Null is read as a tag without a source, which validation reports by the name of the tag.
#[derive(Clone, Debug, Default, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(remote = "Self", default)]
pub struct CustomTag {
    /// A fixed text.
    #[serde(skip_serializing_if = "is_unset")]
    pub literal: Option<LiteralTag>,
    /// An environment variable.
    #[serde(skip_serializing_if = "is_unset")]
    pub environment: Option<EnvironmentTag>,
    /// A request header.
    #[serde(skip_serializing_if = "is_unset")]
    pub header: Option<HeaderTag>,
    /// A text with substitutions, as in access logs.
    #[serde(skip_serializing_if = "is_unset")]
    pub formatter: Option<FormatterTag>,
}

null_is_empty!(CustomTag);

message! {
    /// A fixed text.
    pub struct LiteralTag {
        /// The text. Required.
        pub value: String,
    }
}

message! {
    /// An environment variable.
    pub struct EnvironmentTag {
        /// Name of the variable. Required.
        pub name: String,
        /// Value where the variable is not set.
        #[serde(alias = "default_value")]
        pub default_value: String,
    }
}

message! {
    /// A request header.
    pub struct HeaderTag {
        /// Name of the header. Required.
        pub name: String,
        /// Value where the header is missing.
        #[serde(alias = "default_value")]
        pub default_value: String,
    }
}

message! {
    /// A text with substitutions.
    pub struct FormatterTag {
        /// The text. Required.
        pub value: String,
    }
}

message! {
    /// How metrics are reported.
    pub struct Metrics {
        /// Where metrics go. Empty: the mesh's default.
        pub providers: Vec<ProviderRef>,
        /// Changes to single metrics, in order.
        pub overrides: Vec<MetricsOverrides>,
        /// Time between reports of TCP metrics. Default: 5 s.
        #[serde(alias = "reporting_interval")]
        pub reporting_interval: Option<Duration>,
    }
}

message! {
    /// A change to some metrics.
    pub struct MetricsOverrides {
        /// Which metrics. Unset: all, on both sides.
        #[serde(rename = "match")]
        pub matches: Option<MetricSelector>,
        /// Turns the metrics off or on. Unset: inherited.
        pub disabled: Option<bool>,
        /// Changes to labels, by name.
        #[serde(alias = "tag_overrides")]
        pub tag_overrides: BTreeMap<String, TagOverride>,
    }
}

message! {
    /// Names metrics: `metric` or `custom_metric`.
    pub struct MetricSelector {
        /// One of Istio's own metrics.
        pub metric: Option<IstioMetric>,
        /// Any other metric, by name.
        #[serde(alias = "custom_metric")]
        pub custom_metric: Option<String>,
        /// Which side.
        pub mode: WorkloadMode,
    }
}

proto_enum! {
    /// Istio's own metrics.
    pub enum IstioMetric {
        /// All of them.
        #[default]
        AllMetrics = 0 => "ALL_METRICS",
        /// `istio_requests_total`.
        RequestCount = 1 => "REQUEST_COUNT",
        /// `istio_request_duration_milliseconds`.
        RequestDuration = 2 => "REQUEST_DURATION",
        /// `istio_request_bytes`.
        RequestSize = 3 => "REQUEST_SIZE",
        /// `istio_response_bytes`.
        ResponseSize = 4 => "RESPONSE_SIZE",
        /// `istio_tcp_connections_opened_total`.
        TcpOpenedConnections = 5 => "TCP_OPENED_CONNECTIONS",
        /// `istio_tcp_connections_closed_total`.
        TcpClosedConnections = 6 => "TCP_CLOSED_CONNECTIONS",
        /// `istio_tcp_sent_bytes_total`.
        TcpSentBytes = 7 => "TCP_SENT_BYTES",
        /// `istio_tcp_received_bytes_total`.
        TcpReceivedBytes = 8 => "TCP_RECEIVED_BYTES",
        /// `istio_request_messages_total`.
        GrpcRequestMessages = 9 => "GRPC_REQUEST_MESSAGES",
        /// `istio_response_messages_total`.
        GrpcResponseMessages = 10 => "GRPC_RESPONSE_MESSAGES",
    }
}

message! {
    /// A change to a label.
    pub struct TagOverride {
        /// What is done.
        pub operation: TagOverrideOperation,
        /// The new value, as a CEL expression. Required for `UPSERT`, not allowed otherwise.
        pub value: String,
    }
}

proto_enum! {
    /// What is done to a label.
    pub enum TagOverrideOperation {
        /// It is set.
        #[default]
        Upsert = 0 => "UPSERT",
        /// It is left out.
        Remove = 1 => "REMOVE",
    }
}

message! {
    /// How calls are logged.
    pub struct AccessLogging {
        /// Which side this is for.
        #[serde(rename = "match")]
        pub matches: Option<LogSelector>,
        /// Where logs go. Empty: the mesh's default.
        pub providers: Vec<ProviderRef>,
        /// Turns the log off or on. Unset: inherited.
        pub disabled: Option<bool>,
        /// Which calls are logged. Unset: all.
        pub filter: Option<AccessLogFilter>,
    }
}

message! {
    /// Which side logs.
    #[derive(Copy, Eq)]
    pub struct LogSelector {
        /// Which side.
        pub mode: WorkloadMode,
    }
}

message! {
    /// Which calls are logged.
    pub struct AccessLogFilter {
        /// A CEL expression that has to be true.
        pub expression: String,
    }
}
