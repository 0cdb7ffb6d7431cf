//! What applies where nothing is set: Istio's defaults.

use super::{MeshConfig, NormalizationType};
use crate::api::sidecar::OutboundTrafficPolicyMode;
use crate::api::telemetry::ProviderRef;
use crate::value::Duration;

impl MeshConfig {
    /// Whether requests to unknown hosts pass. Default: they do.
    #[must_use]
    pub fn outbound_traffic_policy_mode(&self) -> OutboundTrafficPolicyMode {
        self.outbound_traffic_policy.as_ref().map_or(OutboundTrafficPolicyMode::AllowAny, |policy| policy.mode)
    }

    /// Limit for making a connection. Default: 10 s.
    #[must_use]
    pub fn connect_timeout(&self) -> Duration {
        self.connect_timeout.unwrap_or(Duration::from_secs(10))
    }

    /// Time before DNS is asked again after a failure. Default: 60 s.
    #[must_use]
    pub fn dns_refresh_rate(&self) -> Duration {
        self.dns_refresh_rate.unwrap_or(Duration::from_secs(60))
    }

    /// Namespace whose objects apply everywhere. Default: `istio-system`.
    #[must_use]
    pub fn root_namespace(&self) -> &str {
        self.root_namespace.as_deref().unwrap_or("istio-system")
    }

    /// Trust domain of the mesh's identities. Default: `cluster.local`.
    #[must_use]
    pub fn trust_domain(&self) -> &str {
        self.trust_domain.as_deref().unwrap_or("cluster.local")
    }

    /// Whether mutual TLS is used towards destinations that can. Default: true.
    #[must_use]
    pub fn enable_auto_mtls(&self) -> bool {
        self.enable_auto_mtls.unwrap_or(true)
    }

    /// Whether calls are traced. Default: true.
    #[must_use]
    pub fn enable_tracing(&self) -> bool {
        self.enable_tracing.unwrap_or(true)
    }

    /// Whether server certificates are checked where a rule says nothing. Default: true.
    #[must_use]
    pub fn verify_certificate_at_client(&self) -> bool {
        self.verify_certificate_at_client.unwrap_or(true)
    }

    /// Whether locality counts in load balancing where a rule says nothing. Default: true.
    #[must_use]
    pub fn locality_lb_enabled(&self) -> bool {
        self.locality_lb_setting.as_ref().and_then(|setting| setting.enabled).unwrap_or(true)
    }

    /// How far paths are brought into one form; `DEFAULT` is told as what it stands for. Default: `BASE`.
    #[must_use]
    pub fn normalization(&self) -> NormalizationType {
        match self.path_normalization.unwrap_or_default().normalization {
            NormalizationType::Default => NormalizationType::Base,
            other => other,
        }
    }

    /// Trusted proxies in front of a gateway. Default: 0.
    #[must_use]
    pub fn num_trusted_proxies(&self) -> u32 {
        self.default_config
            .as_ref()
            .and_then(|config| config.gateway_topology.as_ref())
            .map_or(0, |topology| topology.num_trusted_proxies)
    }

    /// The extension provider of that name.
    #[must_use]
    pub fn extension_provider(&self, reference: &ProviderRef) -> Option<&super::ExtensionProvider> {
        self.extension_providers.iter().find(|provider| provider.name == reference.name)
    }

    /// The fields that are set and have no effect in process, by their names in YAML.
    ///
    /// ```
    /// use mesh_config::api::MeshConfig;
    ///
    /// let mesh: MeshConfig = serde_json::from_str(r#"{"proxyListenPort": 15001, "trustDomain": "a"}"#)?;
    /// assert_eq!(mesh.without_effect(), ["proxyListenPort"]);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    #[must_use]
    pub fn without_effect(&self) -> Vec<&'static str> {
        [
            ("proxyListenPort", &self.proxy_listen_port),
            ("proxyInboundListenPort", &self.proxy_inbound_listen_port),
            ("proxyHttpPort", &self.proxy_http_port),
            ("protocolDetectionTimeout", &self.protocol_detection_timeout),
            ("inboundTrafficPolicy", &self.inbound_traffic_policy),
            ("ingressClass", &self.ingress_class),
            ("ingressService", &self.ingress_service),
            ("ingressControllerMode", &self.ingress_controller_mode),
            ("ingressSelector", &self.ingress_selector),
            ("enableEnvoyAccessLogService", &self.enable_envoy_access_log_service),
            ("disableEnvoyListenerLog", &self.disable_envoy_listener_log),
            ("configSources", &self.config_sources),
            ("certificates", &self.certificates),
            ("ca", &self.ca),
            ("serviceSettings", &self.service_settings),
            ("serviceScopeConfigs", &self.service_scope_configs),
            ("discoverySelectors", &self.discovery_selectors),
            ("enablePrometheusMerge", &self.enable_prometheus_merge),
            ("inboundClusterStatName", &self.inbound_cluster_stat_name),
            ("outboundClusterStatName", &self.outbound_cluster_stat_name),
            ("compliancePolicy", &self.compliance_policy),
        ]
        .into_iter()
        .filter_map(|(name, value)| value.is_some().then_some(name))
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mesh(yaml: &str) -> MeshConfig {
        crate::document::from_str(yaml).unwrap()
    }

    #[test]
    fn the_defaults_are_those_of_istio() {
        let mesh = MeshConfig::default();
        assert_eq!(mesh.outbound_traffic_policy_mode(), OutboundTrafficPolicyMode::AllowAny);
        assert_eq!(mesh.connect_timeout(), Duration::from_secs(10));
        assert_eq!(mesh.dns_refresh_rate(), Duration::from_secs(60));
        assert_eq!(mesh.root_namespace(), "istio-system");
        assert_eq!(mesh.trust_domain(), "cluster.local");
        assert_eq!(mesh.normalization(), NormalizationType::Base);
        assert_eq!(mesh.num_trusted_proxies(), 0);
        assert!(mesh.enable_auto_mtls());
        assert!(mesh.enable_tracing());
        assert!(mesh.verify_certificate_at_client());
        assert!(mesh.locality_lb_enabled());
        assert!(mesh.without_effect().is_empty());
    }

    #[test]
    fn what_is_set_wins_over_the_defaults() {
        let mesh = mesh(
            "{outboundTrafficPolicy: {}, connectTimeout: 1s, rootNamespace: root, trustDomain: td, \
             enableAutoMtls: false, localityLbSetting: {enabled: false}, \
             pathNormalization: {normalization: NONE}, defaultConfig: {gatewayTopology: {numTrustedProxies: 2}}}",
        );
        assert_eq!(mesh.outbound_traffic_policy_mode(), OutboundTrafficPolicyMode::RegistryOnly);
        assert_eq!(mesh.connect_timeout(), Duration::from_secs(1));
        assert_eq!(mesh.root_namespace(), "root");
        assert_eq!(mesh.trust_domain(), "td");
        assert_eq!(mesh.normalization(), NormalizationType::None);
        assert_eq!(mesh.num_trusted_proxies(), 2);
        assert!(!mesh.enable_auto_mtls());
        assert!(!mesh.locality_lb_enabled());
    }

    #[test]
    fn every_loosely_typed_field_is_one_without_effect() {
        let names = crate::value::field_names::<MeshConfig>();
        let mut loose = 0;
        for name in names {
            // A plain number fits only the fields whose content is not looked at.
            if serde_json::from_str::<MeshConfig>(&format!("{{{name:?}: 123456}}")).is_ok() {
                loose += usize::from(!name.contains('_'));
            }
        }
        let all: String =
            names.iter().filter(|name| !name.contains('_')).map(|name| format!("{name}: null\n")).collect();
        assert!(mesh(&all).without_effect().is_empty());
        assert_eq!(loose, 21);
    }
}
