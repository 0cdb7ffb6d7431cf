//! What of a match block is known when the configuration is compiled.
//!
//! `port`, `gateways`, `sourceLabels` and `sourceNamespace` do not look at requests. They decide
//! whether a block has a route at all for a workload and a listener.

use std::collections::BTreeMap;

use mesh_config::api::virtual_service::HttpMatchRequest;
use mesh_config::value::{Labels, host, labels};

/// For whom and for which listener routes are made.
#[derive(Clone, Copy, Debug)]
pub struct MatchSite<'a> {
    /// The labels of the workload: the caller, or the gateway.
    pub labels: &'a BTreeMap<String, String>,
    /// The namespace of the workload.
    pub namespace: &'a str,
    /// The Gateway as `namespace/name`; `None` in the mesh.
    pub gateway: Option<&'a str>,
    /// The listener port: that of the service, or that of the gateway's server.
    pub port: u16,
    /// The namespace of the VirtualService, which a gateway without namespace belongs to.
    pub virtual_service_namespace: &'a str,
}

/// Whether a match block has a route at the site.
///
/// With `gateways` set, labels and namespace of the source are not asked.
pub fn applies(block: &HttpMatchRequest, site: &MatchSite<'_>) -> bool {
    if block.port != 0 && block.port != u32::from(site.port) {
        return false;
    }
    if !block.gateways.is_empty() {
        return block.gateways.iter().any(|gateway| names(gateway, site.virtual_service_namespace, site.gateway));
    }
    takes_source(&block.source_labels, &block.source_namespace, site)
}

/// Whether the workload at the site has these labels and is in this namespace; empty is any.
pub fn takes_source(wanted: &Labels, namespace: &str, site: &MatchSite<'_>) -> bool {
    labels::subset_of(wanted, site.labels) && (namespace.is_empty() || namespace == site.namespace)
}

/// Whether an entry of a list of gateways names the one at hand (`None`: the mesh).
pub fn names(entry: &str, namespace: &str, gateway: Option<&str>) -> bool {
    match gateway {
        None => entry == "mesh",
        Some(gateway) => entry != "mesh" && host::resolve_gateway_name(entry, namespace) == gateway,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::testing::parse;

    fn site_labels() -> BTreeMap<String, String> {
        [("app", "web"), ("version", "v1")].map(|(key, value)| (key.to_owned(), value.to_owned())).into()
    }

    fn at(gateway: Option<&str>, block: serde_json::Value) -> bool {
        let labels = site_labels();
        let virtual_service_namespace = "default";
        let site = MatchSite { labels: &labels, namespace: "prod", gateway, port: 9080, virtual_service_namespace };
        applies(&parse(block), &site)
    }

    #[test]
    fn labels_namespace_and_port_select_the_caller() {
        use serde_json::json;
        for (block, expected) in [
            (json!({}), true),
            (json!({"port": 9080}), true),
            (json!({"port": 80}), false),
            (json!({"sourceLabels": {"app": "web"}}), true),
            (json!({"sourceLabels": {"app": "web", "version": "v1"}}), true),
            (json!({"sourceLabels": {"app": "other"}}), false),
            (json!({"sourceLabels": {"missing": "x"}}), false),
            (json!({"sourceNamespace": "prod"}), true),
            (json!({"sourceNamespace": "default"}), false),
            (json!({"sourceLabels": {"app": "web"}, "sourceNamespace": "default"}), false),
        ] {
            assert_eq!(at(None, block.clone()), expected, "{block}");
        }
    }

    #[test]
    fn gateways_replace_the_source() {
        let block = serde_json::json!({"gateways": ["mesh"], "sourceLabels": {"app": "other"}, "sourceNamespace": "x"});
        assert!(at(None, block.clone()));
        assert!(!at(Some("default/gw"), block));
    }

    #[test]
    fn a_gateway_is_named_in_four_ways() {
        for entry in ["gw", "./gw", "default/gw", "gw.default", "gw.default.svc.cluster.local"] {
            assert!(at(Some("default/gw"), serde_json::json!({"gateways": [entry]})), "{entry}");
            assert!(!at(None, serde_json::json!({"gateways": [entry]})), "{entry}");
            assert!(!at(Some("other/gw"), serde_json::json!({"gateways": [entry]})), "{entry}");
        }
    }
}
