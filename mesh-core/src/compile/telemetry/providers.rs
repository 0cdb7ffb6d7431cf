//! The extension providers of a mesh by name, with those that Istio brings.

use std::borrow::Cow;

use mesh_config::api::MeshConfig;
use mesh_config::api::mesh_config::{EnvoyFileAccessLogProvider, ExtensionProvider, PrometheusMetricsProvider};

/// The provider of access logs that is there without being written: a file, in the format of MeshConfig.
pub(super) const BUILT_IN_LOG: &str = "envoy";
/// The provider of metrics that is there without being written.
pub(super) const BUILT_IN_METRICS: &str = "prometheus";

#[derive(Debug)]
pub(super) struct Providers<'m> {
    mesh: &'m MeshConfig,
}

impl<'m> Providers<'m> {
    pub(super) const fn new(mesh: &'m MeshConfig) -> Self {
        Self { mesh }
    }

    pub(super) fn get(&self, name: &str) -> Option<Cow<'m, ExtensionProvider>> {
        if let Some(provider) = self.mesh.extension_providers.iter().find(|provider| provider.name == name) {
            return Some(Cow::Borrowed(provider));
        }
        let empty = ExtensionProvider { name: name.to_owned(), ..ExtensionProvider::default() };
        Some(Cow::Owned(match name {
            BUILT_IN_LOG => ExtensionProvider {
                envoy_file_access_log: Some(EnvoyFileAccessLogProvider {
                    path: "/dev/stdout".to_owned(),
                    ..EnvoyFileAccessLogProvider::default()
                }),
                ..empty
            },
            BUILT_IN_METRICS => ExtensionProvider { prometheus: Some(PrometheusMetricsProvider::default()), ..empty },
            // Known to Istio, and to nobody here.
            "stackdriver" => ExtensionProvider { stackdriver: Some(serde_json::Value::Null), ..empty },
            _ => return None,
        }))
    }

    pub(super) fn default_logs(&self) -> &'m [String] {
        self.mesh.default_providers.as_ref().map_or(&[], |providers| &providers.access_logging)
    }

    pub(super) fn default_tracing(&self) -> &'m [String] {
        self.mesh.default_providers.as_ref().map_or(&[], |providers| &providers.tracing)
    }

    /// Istio's installations name `prometheus` where nobody says anything.
    pub(super) fn default_metrics(&self) -> Vec<&'m str> {
        let named = self.mesh.default_providers.iter().flat_map(|providers| &providers.metrics);
        let named: Vec<_> = named.map(String::as_str).collect();
        if named.is_empty() { vec![BUILT_IN_METRICS] } else { named }
    }
}
