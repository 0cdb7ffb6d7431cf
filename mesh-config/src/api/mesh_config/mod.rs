//! `MeshConfig`: settings of the mesh as a whole.
//!
//! It stands in files in several forms ([`form`] tells them apart): as a document of its own, in the ConfigMap `istio`, or in
//! the values of an installation. A field whose default in Istio is not the zero value is an `Option` here, and the method of
//! the same name gives what applies, so that a setting that was made and one that was not stay apart.
//!
//! ```
//! use mesh_config::api::MeshConfig;
//! use mesh_config::value::Duration;
//!
//! let mesh = MeshConfig::default();
//! assert_eq!(mesh.root_namespace(), "istio-system");
//! assert_eq!(mesh.connect_timeout(), Duration::from_secs(10));
//! ```

use serde_json::Value;

use crate::api::destination_rule::{
    ConnectionPoolSettings, LocalityLoadBalancerSetting, OutlierDetection, TcpKeepalive, ZoneAwareLoadBalancerSetting,
};
use crate::api::sidecar::OutboundTrafficPolicyMode;
use crate::api::tls::ClientTlsSettings;
use crate::api::virtual_service::HttpRetry;
use crate::value::Duration;
use crate::value::proto::{message, proto_enum};

mod defaults;
mod extension_provider;
pub mod form;
mod proxy;

pub use extension_provider::{
    EnvoyFileAccessLogProvider, EnvoyOtelAccessLogProvider, ExtAuthzGrpcProvider, ExtAuthzHttpProvider,
    ExtAuthzRequestBody, ExtensionProvider, HttpServiceHeader, LogFormat, OpenTelemetryHttpService,
    OpenTelemetryTracingProvider, PrometheusMetricsProvider, ZipkinTracingProvider,
};
pub use form::{MeshConfigError, MeshConfigForm};
pub use proxy::{
    ForwardClientCertDetails, GatewayTopology, MeshProxyConfig, MeshTracing, ProxyHeaders, SetCurrentClientCertDetails,
    ZipkinAddress,
};

message! {
    /// Settings of the mesh as a whole.
    ///
    /// The fields of the last group are read and have no effect in process; [`MeshConfig::without_effect`] names those that are set.
    pub struct MeshConfig {
        /// What becomes of requests to unknown hosts. Default: they pass.
        #[serde(alias = "outbound_traffic_policy")]
        pub outbound_traffic_policy: Option<MeshOutboundTrafficPolicy>,
        /// `exportTo` of services that have none. Empty: `*`.
        #[serde(alias = "default_service_export_to")]
        pub default_service_export_to: Vec<String>,
        /// `exportTo` of `VirtualService` objects that have none. Empty: `*`.
        #[serde(alias = "default_virtual_service_export_to")]
        pub default_virtual_service_export_to: Vec<String>,
        /// `exportTo` of `DestinationRule` objects that have none. Empty: `*`.
        #[serde(alias = "default_destination_rule_export_to")]
        pub default_destination_rule_export_to: Vec<String>,
        /// Retries of rules that say nothing about them. Default: 2 of the built-in list. `attempts: 0` turns them off.
        #[serde(alias = "default_http_retry_policy")]
        pub default_http_retry_policy: Option<HttpRetry>,
        /// Retries between the mesh and the application on the server's side.
        #[serde(alias = "default_inbound_http_retry_policy")]
        pub default_inbound_http_retry_policy: Option<HttpRetry>,
        /// Blocks of a traffic policy for destinations whose rule leaves them out.
        #[serde(alias = "default_traffic_policy")]
        pub default_traffic_policy: Option<DefaultTrafficPolicy>,
        /// Limit for making a connection. Default: 10 s.
        #[serde(alias = "connect_timeout")]
        pub connect_timeout: Option<Duration>,
        /// Probes on idle connections. Unset: none.
        #[serde(alias = "tcp_keepalive")]
        pub tcp_keepalive: Option<TcpKeepalive>,
        /// Whether HTTP/2 is spoken to destinations whose rule leaves it to the mesh. Default: no.
        #[serde(alias = "h2_upgrade_policy")]
        pub h2_upgrade_policy: MeshH2UpgradePolicy,
        /// Time before DNS is asked again after a failure. Default: 60 s.
        #[serde(alias = "dns_refresh_rate")]
        pub dns_refresh_rate: Option<Duration>,
        /// Namespace whose objects apply everywhere. Default: `istio-system`.
        #[serde(alias = "root_namespace")]
        pub root_namespace: Option<String>,
        /// Trust domain of the mesh's identities. Default: `cluster.local`.
        #[serde(alias = "trust_domain")]
        pub trust_domain: Option<String>,
        /// Trust domains that count as the mesh's own.
        #[serde(alias = "trust_domain_aliases")]
        pub trust_domain_aliases: Vec<String>,
        /// Root certificates besides those of the workload's own authority.
        #[serde(alias = "ca_certificates")]
        pub ca_certificates: Vec<CertificateData>,
        /// Uses mutual TLS towards destinations that can, unless their rule says otherwise. Default: true.
        #[serde(alias = "enable_auto_mtls")]
        pub enable_auto_mtls: Option<bool>,
        /// Mutual TLS between workloads.
        #[serde(rename = "meshMTLS", alias = "mesh_mTLS")]
        pub mesh_mtls: Option<MeshTlsConfig>,
        /// TLS other than between workloads.
        #[serde(alias = "tls_defaults")]
        pub tls_defaults: Option<MeshTlsConfig>,
        /// Whether a server certificate is checked where a rule says nothing. Default: true.
        #[serde(alias = "verify_certificate_at_client")]
        pub verify_certificate_at_client: Option<bool>,
        /// How paths are brought into one form before they are compared.
        #[serde(alias = "path_normalization")]
        pub path_normalization: Option<PathNormalization>,
        /// Where traffic goes by locality, for rules that say nothing. Default: on, with nothing set.
        #[serde(alias = "locality_lb_setting")]
        pub locality_lb_setting: Option<LocalityLoadBalancerSetting>,
        /// Keeps traffic in the caller's zone, for rules that say nothing.
        #[serde(alias = "zone_aware_lb_setting")]
        pub zone_aware_lb_setting: Option<ZoneAwareLoadBalancerSetting>,
        /// File for the access log, `/dev/stdout` included. Empty: no log.
        #[serde(alias = "access_log_file")]
        pub access_log_file: String,
        /// Format of the access log: a text, or the text of a JSON object with `JSON`. Empty: the default format.
        #[serde(alias = "access_log_format")]
        pub access_log_format: String,
        /// Encoding of the access log. Default: text.
        #[serde(alias = "access_log_encoding")]
        pub access_log_encoding: AccessLogEncoding,
        /// Traces calls and gives requests an id. Default: true.
        #[serde(alias = "enable_tracing")]
        pub enable_tracing: Option<bool>,
        /// Names of the providers that `Telemetry` uses where it names none.
        #[serde(alias = "default_providers")]
        pub default_providers: Option<DefaultProviders>,
        /// Services outside of the mesh that decide, log or trace.
        #[serde(alias = "extension_providers")]
        pub extension_providers: Vec<ExtensionProvider>,
        /// Settings of the single proxy, here of the embedded mesh.
        #[serde(alias = "default_config")]
        pub default_config: Option<MeshProxyConfig>,

        /// Ports of the proxy: no traffic is captured in process.
        #[serde(alias = "proxy_listen_port")]
        pub proxy_listen_port: Option<Value>,
        /// Ports of the proxy: no traffic is captured in process.
        #[serde(alias = "proxy_inbound_listen_port")]
        pub proxy_inbound_listen_port: Option<Value>,
        /// Ports of the proxy: no traffic is captured in process.
        #[serde(alias = "proxy_http_port")]
        pub proxy_http_port: Option<Value>,
        /// How long the proxy looks for the protocol of a connection.
        #[serde(alias = "protocol_detection_timeout")]
        pub protocol_detection_timeout: Option<Value>,
        /// Where captured traffic goes to: in process it is the application itself.
        #[serde(alias = "inbound_traffic_policy")]
        pub inbound_traffic_policy: Option<Value>,
        /// Kubernetes Ingress is not read.
        #[serde(alias = "ingress_class")]
        pub ingress_class: Option<Value>,
        /// Kubernetes Ingress is not read.
        #[serde(alias = "ingress_service")]
        pub ingress_service: Option<Value>,
        /// Kubernetes Ingress is not read.
        #[serde(alias = "ingress_controller_mode")]
        pub ingress_controller_mode: Option<Value>,
        /// Kubernetes Ingress is not read.
        #[serde(alias = "ingress_selector")]
        pub ingress_selector: Option<Value>,
        /// Envoy's access log service.
        #[serde(alias = "enable_envoy_access_log_service")]
        pub enable_envoy_access_log_service: Option<Value>,
        /// Envoy's listener log.
        #[serde(alias = "disable_envoy_listener_log")]
        pub disable_envoy_listener_log: Option<Value>,
        /// Sources of the control plane.
        #[serde(alias = "config_sources")]
        pub config_sources: Option<Value>,
        /// Certificates of the control plane.
        pub certificates: Option<Value>,
        /// Certificate authority of the control plane.
        pub ca: Option<Value>,
        /// Cluster-local services of several clusters.
        #[serde(alias = "service_settings")]
        pub service_settings: Option<Value>,
        /// Scopes of services in ambient mode.
        #[serde(alias = "service_scope_configs")]
        pub service_scope_configs: Option<Value>,
        /// Namespaces that the control plane watches.
        #[serde(alias = "discovery_selectors")]
        pub discovery_selectors: Option<Value>,
        /// Metrics of the application merged into those of the proxy.
        #[serde(alias = "enable_prometheus_merge")]
        pub enable_prometheus_merge: Option<Value>,
        /// Names in Envoy's statistics.
        #[serde(alias = "inbound_cluster_stat_name")]
        pub inbound_cluster_stat_name: Option<Value>,
        /// Names in Envoy's statistics.
        #[serde(alias = "outbound_cluster_stat_name")]
        pub outbound_cluster_stat_name: Option<Value>,
        /// Limits TLS to what a standard allows.
        #[serde(alias = "compliance_policy")]
        pub compliance_policy: Option<Value>,
    }
}

message! {
    /// What becomes of requests to unknown hosts, in the whole mesh.
    pub struct MeshOutboundTrafficPolicy {
        /// Whether they pass. The zero value is `REGISTRY_ONLY`.
        pub mode: OutboundTrafficPolicyMode,
        /// TLS towards unknown hosts, with `ALLOW_ANY_DYNAMIC_DNS`.
        pub tls: Option<ClientTlsSettings>,
    }
}

message! {
    /// Blocks of a traffic policy for destinations whose rule leaves them out.
    pub struct DefaultTrafficPolicy {
        /// Limits for connections and requests.
        #[serde(alias = "connection_pool")]
        pub connection_pool: Option<ConnectionPoolSettings>,
        /// When an endpoint is taken out for a while.
        #[serde(alias = "outlier_detection")]
        pub outlier_detection: Option<OutlierDetection>,
    }
}

proto_enum! {
    /// Whether HTTP/2 is spoken to destinations.
    pub enum MeshH2UpgradePolicy {
        /// No.
        #[default]
        DoNotUpgrade = 0 => "DO_NOT_UPGRADE",
        /// Yes.
        Upgrade = 1 => "UPGRADE",
    }
}

message! {
    /// A root certificate: one of the first two.
    pub struct CertificateData {
        /// The certificate, as PEM.
        pub pem: Option<String>,
        /// URL of a SPIFFE trust bundle.
        #[serde(alias = "spiffe_bundle_url")]
        pub spiffe_bundle_url: Option<String>,
        /// Kubernetes signers that use it.
        #[serde(alias = "cert_signers")]
        pub cert_signers: Vec<String>,
        /// Trust domains it is for. Empty: all.
        #[serde(alias = "trust_domains")]
        pub trust_domains: Vec<String>,
    }
}

message! {
    /// Versions and algorithms of TLS.
    pub struct MeshTlsConfig {
        /// Lowest version. Default: TLS 1.2.
        #[serde(alias = "min_protocol_version")]
        pub min_protocol_version: MeshTlsProtocol,
        /// Curves of the key exchange.
        #[serde(alias = "ecdh_curves")]
        pub ecdh_curves: Vec<String>,
        /// Cipher suites of TLS 1.2, in OpenSSL's names.
        #[serde(alias = "cipher_suites")]
        pub cipher_suites: Vec<String>,
    }
}

proto_enum! {
    /// A TLS version.
    pub enum MeshTlsProtocol {
        /// The default of the field.
        #[default]
        Auto = 0 => "TLS_AUTO",
        /// TLS 1.2.
        V1_2 = 1 => "TLSV1_2",
        /// TLS 1.3.
        V1_3 = 2 => "TLSV1_3",
    }
}

message! {
    /// How paths are brought into one form.
    #[derive(Copy, Eq)]
    pub struct PathNormalization {
        /// How far.
        pub normalization: NormalizationType,
    }
}

proto_enum! {
    /// How far paths are brought into one form, for comparison and for the upstream.
    pub enum NormalizationType {
        /// As `BASE`.
        #[default]
        Default = 0 => "DEFAULT",
        /// Not at all.
        None = 1 => "NONE",
        /// By RFC 3986: dot segments, escaped unreserved characters, backslashes.
        Base = 2 => "BASE",
        /// Repeated slashes too.
        MergeSlashes = 3 => "MERGE_SLASHES",
        /// Escaped slashes too.
        DecodeAndMergeSlashes = 4 => "DECODE_AND_MERGE_SLASHES",
    }
}

proto_enum! {
    /// Encoding of the access log.
    pub enum AccessLogEncoding {
        /// Lines of text.
        #[default]
        Text = 0 => "TEXT",
        /// A JSON object in each line.
        Json = 1 => "JSON",
    }
}

message! {
    /// Names of the providers that `Telemetry` uses where it names none.
    pub struct DefaultProviders {
        /// For traces.
        pub tracing: Vec<String>,
        /// For metrics.
        pub metrics: Vec<String>,
        /// For access logs.
        #[serde(alias = "access_logging")]
        pub access_logging: Vec<String>,
    }
}
