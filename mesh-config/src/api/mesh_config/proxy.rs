//! `defaultConfig`: settings of the single proxy, as far as an embedded mesh has them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::api::proxy_config::ProxyImage;
use crate::api::telemetry::CustomTag;
use crate::api::tls::ClientTlsSettings;
use crate::value::Duration;
use crate::value::proto::{message, proto_enum};

message! {
    /// Settings of the single proxy (`defaultConfig`, and the annotation `proxy.istio.io/config`).
    ///
    /// The fields of the last group are read and have no effect in process.
    pub struct MeshProxyConfig {
        /// What stands in front of a gateway.
        #[serde(alias = "gateway_topology")]
        pub gateway_topology: Option<GatewayTopology>,
        /// Traces.
        pub tracing: Option<MeshTracing>,
        /// Which headers are added to requests and responses.
        #[serde(alias = "proxy_headers")]
        pub proxy_headers: Option<ProxyHeaders>,
        /// How long open connections may go on when the process ends. Default: 45 s.
        #[serde(alias = "drain_duration")]
        pub drain_duration: Option<Duration>,
        /// How long the process waits before it ends. Default: 5 s.
        #[serde(alias = "termination_drain_duration")]
        pub termination_drain_duration: Option<Duration>,
        /// Root certificates, as PEM, besides those of the workload's own authority.
        #[serde(alias = "ca_certificates_pem")]
        pub ca_certificates_pem: Vec<String>,
        /// Name of the mesh in telemetry.
        #[serde(alias = "mesh_id")]
        pub mesh_id: String,

        /// Worker threads.
        pub concurrency: Option<i32>,
        /// Image of the proxy.
        pub image: Option<ProxyImage>,
        /// Environment variables of the proxy.
        #[serde(alias = "proxy_metadata")]
        pub proxy_metadata: BTreeMap<String, Value>,
        /// Switches of Envoy.
        #[serde(alias = "runtime_values")]
        pub runtime_values: BTreeMap<String, Value>,
        /// Directory of the generated configuration.
        #[serde(alias = "config_path")]
        pub config_path: Option<Value>,
        /// Path of the proxy's binary.
        #[serde(alias = "binary_path")]
        pub binary_path: Option<Value>,
        /// Name of the service.
        #[serde(alias = "service_cluster")]
        pub service_cluster: Option<Value>,
        /// How that name is found.
        #[serde(alias = "tracing_service_name")]
        pub tracing_service_name: Option<Value>,
        /// Address of the control plane.
        #[serde(alias = "discovery_address")]
        pub discovery_address: Option<Value>,
        /// Deprecated.
        #[serde(alias = "discovery_refresh_delay")]
        pub discovery_refresh_delay: Option<Value>,
        /// Deprecated form of the address in `tracing`.
        #[serde(alias = "zipkin_address")]
        pub zipkin_address: Option<Value>,
        /// Address of a statsd server.
        #[serde(alias = "statsd_udp_address")]
        pub statsd_udp_address: Option<Value>,
        /// Deprecated.
        #[serde(alias = "envoy_metrics_service_address")]
        pub envoy_metrics_service_address: Option<Value>,
        /// Port of Envoy's admin pages.
        #[serde(alias = "proxy_admin_port")]
        pub proxy_admin_port: Option<Value>,
        /// Deprecated.
        #[serde(alias = "availability_zone")]
        pub availability_zone: Option<Value>,
        /// Authentication towards the control plane.
        #[serde(alias = "control_plane_auth_policy")]
        pub control_plane_auth_policy: Option<Value>,
        /// File with Envoy's bootstrap.
        #[serde(alias = "custom_config_file")]
        pub custom_config_file: Option<Value>,
        /// Longest name in Envoy's statistics.
        #[serde(alias = "stat_name_length")]
        pub stat_name_length: Option<Value>,
        /// Template of Envoy's bootstrap.
        #[serde(alias = "proxy_bootstrap_template_path")]
        pub proxy_bootstrap_template_path: Option<Value>,
        /// How traffic is captured.
        #[serde(alias = "interception_mode")]
        pub interception_mode: Option<Value>,
        /// Deprecated.
        pub sds: Option<Value>,
        /// Envoy's access log service.
        #[serde(alias = "envoy_access_log_service")]
        pub envoy_access_log_service: Option<Value>,
        /// Envoy's metrics service.
        #[serde(alias = "envoy_metrics_service")]
        pub envoy_metrics_service: Option<Value>,
        /// Port of the agent's own pages.
        #[serde(alias = "status_port")]
        pub status_port: Option<Value>,
        /// Deprecated.
        #[serde(alias = "extra_stat_tags")]
        pub extra_stat_tags: Option<Value>,
        /// Probe of a workload on a virtual machine.
        #[serde(alias = "readiness_probe")]
        pub readiness_probe: Option<Value>,
        /// Which of Envoy's statistics are kept.
        #[serde(alias = "proxy_stats_matcher")]
        pub proxy_stats_matcher: Option<Value>,
        /// Starts the application after the proxy.
        #[serde(alias = "hold_application_until_proxy_starts")]
        pub hold_application_until_proxy_starts: Option<Value>,
        /// Where private keys are kept.
        #[serde(alias = "private_key_provider")]
        pub private_key_provider: Option<Value>,
        /// When Envoy writes its files.
        #[serde(alias = "file_flush_interval")]
        pub file_flush_interval: Option<Value>,
        /// When Envoy writes its files.
        #[serde(alias = "file_flush_min_size_kb")]
        pub file_flush_min_size_kb: Option<Value>,
        /// Compresses the metrics page.
        #[serde(alias = "stats_compression")]
        pub stats_compression: Option<Value>,
        /// Limits of Envoy's listeners.
        #[serde(alias = "connection_settings")]
        pub connection_settings: Option<Value>,
        /// Deprecated.
        #[serde(alias = "parent_shutdown_duration")]
        pub parent_shutdown_duration: Option<Value>,
    }
}

impl MeshProxyConfig {
    /// The fields that are set and have no effect in process, by their names in YAML.
    #[must_use]
    pub fn without_effect(&self) -> Vec<&'static str> {
        [
            ("concurrency", self.concurrency.is_some()),
            ("image", self.image.is_some()),
            ("proxyMetadata", !self.proxy_metadata.is_empty()),
            ("runtimeValues", !self.runtime_values.is_empty()),
            ("configPath", self.config_path.is_some()),
            ("binaryPath", self.binary_path.is_some()),
            ("serviceCluster", self.service_cluster.is_some()),
            ("tracingServiceName", self.tracing_service_name.is_some()),
            ("discoveryAddress", self.discovery_address.is_some()),
            ("discoveryRefreshDelay", self.discovery_refresh_delay.is_some()),
            ("zipkinAddress", self.zipkin_address.is_some()),
            ("statsdUdpAddress", self.statsd_udp_address.is_some()),
            ("envoyMetricsServiceAddress", self.envoy_metrics_service_address.is_some()),
            ("proxyAdminPort", self.proxy_admin_port.is_some()),
            ("availabilityZone", self.availability_zone.is_some()),
            ("controlPlaneAuthPolicy", self.control_plane_auth_policy.is_some()),
            ("customConfigFile", self.custom_config_file.is_some()),
            ("statNameLength", self.stat_name_length.is_some()),
            ("proxyBootstrapTemplatePath", self.proxy_bootstrap_template_path.is_some()),
            ("interceptionMode", self.interception_mode.is_some()),
            ("sds", self.sds.is_some()),
            ("envoyAccessLogService", self.envoy_access_log_service.is_some()),
            ("envoyMetricsService", self.envoy_metrics_service.is_some()),
            ("statusPort", self.status_port.is_some()),
            ("extraStatTags", self.extra_stat_tags.is_some()),
            ("readinessProbe", self.readiness_probe.is_some()),
            ("proxyStatsMatcher", self.proxy_stats_matcher.is_some()),
            ("holdApplicationUntilProxyStarts", self.hold_application_until_proxy_starts.is_some()),
            ("privateKeyProvider", self.private_key_provider.is_some()),
            ("fileFlushInterval", self.file_flush_interval.is_some()),
            ("fileFlushMinSizeKb", self.file_flush_min_size_kb.is_some()),
            ("statsCompression", self.stats_compression.is_some()),
            ("connectionSettings", self.connection_settings.is_some()),
            ("parentShutdownDuration", self.parent_shutdown_duration.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, is_set)| is_set.then_some(name))
        .collect()
    }
}

message! {
    /// What stands in front of a gateway.
    pub struct GatewayTopology {
        /// Proxies whose entries in `x-forwarded-for` are trusted. Default: 0.
        #[serde(alias = "num_trusted_proxies")]
        pub num_trusted_proxies: u32,
        /// What becomes of the caller's `x-forwarded-client-cert`. Unset: it is replaced.
        #[serde(alias = "forward_client_cert_details")]
        pub forward_client_cert_details: ForwardClientCertDetails,
        /// Reads the caller's address from the PROXY protocol. Unset: not.
        #[serde(alias = "proxy_protocol")]
        pub proxy_protocol: Option<Value>,
    }
}

message! {
    /// Which headers are added to requests and responses.
    pub struct ProxyHeaders {
        /// What becomes of the caller's `x-forwarded-client-cert` at workloads. Unset: the caller's certificate is added.
        #[serde(alias = "forwarded_client_cert")]
        pub forwarded_client_cert: ForwardClientCertDetails,
        /// What of the caller's certificate is told.
        #[serde(alias = "set_current_client_cert_details")]
        pub set_current_client_cert_details: Option<SetCurrentClientCertDetails>,
        /// `x-request-id`. Has no effect in process.
        #[serde(alias = "request_id")]
        pub request_id: Option<Value>,
        /// `server`. Has no effect in process.
        pub server: Option<Value>,
        /// `x-envoy-attempt-count`. Has no effect in process.
        #[serde(alias = "attempt_count")]
        pub attempt_count: Option<Value>,
        /// Envoy's `x-envoy-` headers of responses. Has no effect in process.
        #[serde(alias = "envoy_debug_headers")]
        pub envoy_debug_headers: Option<Value>,
        /// Istio's headers about workloads. Has no effect in process.
        #[serde(alias = "metadata_exchange_headers")]
        pub metadata_exchange_headers: Option<Value>,
        /// Case of header names in HTTP/1. Has no effect in process.
        #[serde(alias = "preserve_http1_header_case")]
        pub preserve_http1_header_case: Option<bool>,
        /// `x-forwarded-host`. Has no effect in process.
        #[serde(alias = "x_forwarded_host")]
        pub x_forwarded_host: Option<Value>,
        /// `x-forwarded-port`. Has no effect in process.
        #[serde(alias = "x_forwarded_port")]
        pub x_forwarded_port: Option<Value>,
    }
}

impl ProxyHeaders {
    /// The fields that are set and have no effect in process, by their names in YAML.
    #[must_use]
    pub fn without_effect(&self) -> Vec<&'static str> {
        let chain = self.set_current_client_cert_details.as_ref().and_then(|details| details.chain);
        [
            ("requestId", self.request_id.is_some()),
            ("server", self.server.is_some()),
            ("attemptCount", self.attempt_count.is_some()),
            ("envoyDebugHeaders", self.envoy_debug_headers.is_some()),
            ("metadataExchangeHeaders", self.metadata_exchange_headers.is_some()),
            ("preserveHttp1HeaderCase", self.preserve_http1_header_case == Some(true)),
            ("xForwardedHost", self.x_forwarded_host.is_some()),
            ("xForwardedPort", self.x_forwarded_port.is_some()),
            ("setCurrentClientCertDetails.chain", chain == Some(true)),
        ]
        .into_iter()
        .filter_map(|(name, is_set)| is_set.then_some(name))
        .collect()
    }
}

message! {
    /// What is told of the caller's certificate. Each that is unset: as Istio has it, the subject and the URIs.
    #[derive(Copy, Eq)]
    pub struct SetCurrentClientCertDetails {
        /// Its subject. Default: true.
        pub subject: Option<bool>,
        /// Itself, as PEM in a URL. Default: false.
        pub cert: Option<bool>,
        /// Its whole chain. Has no effect in process.
        pub chain: Option<bool>,
        /// Its DNS names. Default: false.
        pub dns: Option<bool>,
        /// Its URIs. Default: true.
        pub uri: Option<bool>,
    }
}

proto_enum! {
    /// What becomes of the caller's `x-forwarded-client-cert`.
    pub enum ForwardClientCertDetails {
        /// The default of the place: replaced at gateways, appended to in sidecars.
        #[default]
        Undefined = 0 => "UNDEFINED",
        /// It is removed.
        Sanitize = 1 => "SANITIZE",
        /// It is kept under mutual TLS.
        ForwardOnly = 2 => "FORWARD_ONLY",
        /// The caller's certificate is added under mutual TLS.
        AppendForward = 3 => "APPEND_FORWARD",
        /// It is replaced by the caller's certificate under mutual TLS.
        SanitizeSet = 4 => "SANITIZE_SET",
        /// It is always kept.
        AlwaysForwardOnly = 5 => "ALWAYS_FORWARD_ONLY",
    }
}

message! {
    /// Traces, in the older form. `Telemetry` outranks it.
    pub struct MeshTracing {
        /// Zipkin.
        pub zipkin: Option<ZipkinAddress>,
        /// Share of the calls that are traced where the caller has not decided, 0 to 100 %. Default: 1.
        pub sampling: Option<f64>,
        /// Further tags of a span, by name.
        #[serde(alias = "custom_tags")]
        pub custom_tags: BTreeMap<String, CustomTag>,
        /// Longest path in a tag, in bytes. 0: 256.
        #[serde(alias = "max_path_tag_length")]
        pub max_path_tag_length: u32,
        /// TLS towards the tracing service.
        #[serde(alias = "tls_settings")]
        pub tls_settings: Option<ClientTlsSettings>,
        /// Adds Istio's own tags to a span. Default: true.
        #[serde(alias = "enable_istio_tags")]
        pub enable_istio_tags: Option<bool>,
        /// Not built in.
        pub lightstep: Option<Value>,
        /// Not built in.
        pub datadog: Option<Value>,
        /// Not built in.
        pub stackdriver: Option<Value>,
        /// Not built in.
        #[serde(alias = "open_census_agent")]
        pub open_census_agent: Option<Value>,
    }
}

message! {
    /// Where Zipkin is.
    pub struct ZipkinAddress {
        /// `host:port`.
        pub address: String,
    }
}
