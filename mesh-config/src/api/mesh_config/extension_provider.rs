//! Services outside of the mesh that decide, log or trace.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::value::Duration;
use crate::value::proto::message;

message! {
    /// A provider: a name, and exactly one of the further fields.
    ///
    /// Providers that are not built in are kept as they are and have no effect.
    pub struct ExtensionProvider {
        /// Name, as policies and `Telemetry` refer to it. Required, unique.
        pub name: String,
        /// Decides about requests over HTTP.
        #[serde(alias = "envoy_ext_authz_http")]
        pub envoy_ext_authz_http: Option<ExtAuthzHttpProvider>,
        /// Decides about requests over gRPC.
        #[serde(alias = "envoy_ext_authz_grpc")]
        pub envoy_ext_authz_grpc: Option<ExtAuthzGrpcProvider>,
        /// Takes traces in Zipkin's form.
        pub zipkin: Option<ZipkinTracingProvider>,
        /// Takes traces in OpenTelemetry's form.
        pub opentelemetry: Option<OpenTelemetryTracingProvider>,
        /// Metrics for Prometheus.
        pub prometheus: Option<PrometheusMetricsProvider>,
        /// Access log in a file.
        #[serde(alias = "envoy_file_access_log")]
        pub envoy_file_access_log: Option<EnvoyFileAccessLogProvider>,
        /// Access log over OpenTelemetry.
        #[serde(alias = "envoy_otel_als")]
        pub envoy_otel_als: Option<EnvoyOtelAccessLogProvider>,
        /// Envoy's access log service. Not built in.
        #[serde(alias = "envoy_http_als")]
        pub envoy_http_als: Option<Value>,
        /// Envoy's access log service for TCP. Not built in.
        #[serde(alias = "envoy_tcp_als")]
        pub envoy_tcp_als: Option<Value>,
        /// Not built in.
        pub lightstep: Option<Value>,
        /// Not built in.
        pub datadog: Option<Value>,
        /// Not built in.
        pub stackdriver: Option<Value>,
        /// Not built in.
        pub opencensus: Option<Value>,
        /// Not built in.
        pub skywalking: Option<Value>,
        /// Not built in.
        pub sds: Option<Value>,
    }
}

message! {
    /// Asks an HTTP service about requests: 200 allows.
    ///
    /// Lists of headers take `abc`, `abc*` and `*abc`.
    pub struct ExtAuthzHttpProvider {
        /// The service, `[namespace/]host`. Required.
        pub service: String,
        /// Its port. Required.
        pub port: u32,
        /// Limit for the answer. Default: 600 s.
        pub timeout: Option<Duration>,
        /// Put in front of the path that is asked about.
        #[serde(alias = "path_prefix")]
        pub path_prefix: String,
        /// Allows requests where the service fails. Default: false.
        #[serde(alias = "fail_open")]
        pub fail_open: bool,
        /// Routes a request anew once the service changed its headers. Default: false.
        #[serde(alias = "clear_route_cache")]
        pub clear_route_cache: bool,
        /// Status of the reply where the service fails. Empty: 403.
        #[serde(alias = "status_on_error")]
        pub status_on_error: String,
        /// Deprecated form of `include_request_headers_in_check`, without wildcards.
        #[serde(alias = "include_headers_in_check")]
        pub include_headers_in_check: Vec<String>,
        /// Headers of the request that the service is told.
        #[serde(alias = "include_request_headers_in_check")]
        pub include_request_headers_in_check: Vec<String>,
        /// Further headers for the service.
        #[serde(alias = "include_additional_headers_in_check")]
        pub include_additional_headers_in_check: BTreeMap<String, String>,
        /// Sends the body of the request along. Unset: no.
        #[serde(alias = "include_request_body_in_check")]
        pub include_request_body_in_check: Option<ExtAuthzRequestBody>,
        /// Headers of an allowing answer that replace those of the request.
        #[serde(alias = "headers_to_upstream_on_allow")]
        pub headers_to_upstream_on_allow: Vec<String>,
        /// Headers of a denying answer that the caller gets. Empty: all but the authority.
        #[serde(alias = "headers_to_downstream_on_deny")]
        pub headers_to_downstream_on_deny: Vec<String>,
        /// Headers of an allowing answer that the caller gets.
        #[serde(alias = "headers_to_downstream_on_allow")]
        pub headers_to_downstream_on_allow: Vec<String>,
    }
}

message! {
    /// Asks a gRPC service about requests.
    pub struct ExtAuthzGrpcProvider {
        /// The service, `[namespace/]host`. Required.
        pub service: String,
        /// Its port. Required.
        pub port: u32,
        /// Limit for the answer. Default: 600 s.
        pub timeout: Option<Duration>,
        /// Allows requests where the service fails. Default: false.
        #[serde(alias = "fail_open")]
        pub fail_open: bool,
        /// Routes a request anew once the service changed its headers. Default: false.
        #[serde(alias = "clear_route_cache")]
        pub clear_route_cache: bool,
        /// Status of the reply where the service fails. Empty: 403.
        #[serde(alias = "status_on_error")]
        pub status_on_error: String,
        /// Sends the body of the request along. Unset: no.
        #[serde(alias = "include_request_body_in_check")]
        pub include_request_body_in_check: Option<ExtAuthzRequestBody>,
    }
}

message! {
    /// How the body of a request is sent along.
    #[derive(Copy, Eq)]
    pub struct ExtAuthzRequestBody {
        /// Longest body that is held, in bytes; a longer one is answered with 413.
        #[serde(alias = "max_request_bytes")]
        pub max_request_bytes: u32,
        /// Sends what was read of a longer body instead. Default: false.
        #[serde(alias = "allow_partial_message")]
        pub allow_partial_message: bool,
        /// Sends bytes instead of text (gRPC only). Default: false.
        #[serde(alias = "pack_as_bytes")]
        pub pack_as_bytes: bool,
    }
}

message! {
    /// Takes traces in Zipkin's form.
    pub struct ZipkinTracingProvider {
        /// The service, `[namespace/]host`. Required.
        pub service: String,
        /// Its port. Required.
        pub port: u32,
        /// Longest path in a tag, in bytes. 0: 256.
        #[serde(alias = "max_tag_length")]
        pub max_tag_length: u32,
        /// Makes trace ids of 64 bits instead of 128. Default: false.
        #[serde(rename = "enable64bitTraceId", alias = "enable_64bit_trace_id")]
        pub enable_64bit_trace_id: bool,
        /// Path to post to. Empty: `/api/v2/spans`.
        pub path: String,
        /// Limit for a post. Default: 5 s.
        pub timeout: Option<Duration>,
        /// Headers to send along.
        pub headers: Vec<HttpServiceHeader>,
        /// Which trace headers are used.
        #[serde(alias = "trace_context_option")]
        pub trace_context_option: Option<Value>,
    }
}

message! {
    /// Takes traces in OpenTelemetry's form.
    pub struct OpenTelemetryTracingProvider {
        /// The service, `[namespace/]host`. Required.
        pub service: String,
        /// Its port. Required.
        pub port: u32,
        /// Longest path in a tag, in bytes. 0: 256.
        #[serde(alias = "max_tag_length")]
        pub max_tag_length: u32,
        /// Sends over HTTP. Unset: over gRPC.
        pub http: Option<OpenTelemetryHttpService>,
        /// How it is sent over gRPC.
        pub grpc: Option<Value>,
        /// Where attributes of the resource come from.
        #[serde(alias = "resource_detectors")]
        pub resource_detectors: Option<Value>,
        /// Sampling by Dynatrace. Not built in.
        #[serde(alias = "dynatrace_sampler")]
        pub dynatrace_sampler: Option<Value>,
    }
}

message! {
    /// How traces are sent over HTTP.
    pub struct OpenTelemetryHttpService {
        /// Path to post to. Required.
        pub path: String,
        /// Limit for a post. Default: 3 s.
        pub timeout: Option<Duration>,
        /// Headers to send along.
        pub headers: Vec<HttpServiceHeader>,
    }
}

message! {
    /// A header to send along.
    pub struct HttpServiceHeader {
        /// Name. Required.
        pub name: String,
        /// Value.
        pub value: String,
        /// Environment variable that holds the value, instead of `value`.
        #[serde(alias = "env_name")]
        pub env_name: String,
    }
}

message! {
    /// Metrics for Prometheus. There is nothing to set.
    #[derive(Copy, Eq)]
    pub struct PrometheusMetricsProvider {
    }
}

message! {
    /// Access log in a file.
    pub struct EnvoyFileAccessLogProvider {
        /// The file. Empty: `/dev/stdout`.
        pub path: String,
        /// Format. Unset: the default one.
        #[serde(alias = "log_format")]
        pub log_format: Option<LogFormat>,
        /// Leaves out values that are not there. Default: false.
        #[serde(alias = "omit_empty_values")]
        pub omit_empty_values: bool,
    }
}

message! {
    /// Format of an access log.
    pub struct LogFormat {
        /// A text with `%...%` substitutions.
        pub text: Option<String>,
        /// Names with such texts, for JSON or attributes; empty for the default ones.
        pub labels: Option<BTreeMap<String, Value>>,
    }
}

message! {
    /// Access log over OpenTelemetry.
    pub struct EnvoyOtelAccessLogProvider {
        /// The service, `[namespace/]host`. Required.
        pub service: String,
        /// Its port. Required.
        pub port: u32,
        /// Name of the log. Empty: `otel_envoy_accesslog`.
        #[serde(alias = "log_name")]
        pub log_name: String,
        /// Format. Unset: the default one.
        #[serde(alias = "log_format")]
        pub log_format: Option<LogFormat>,
    }
}
