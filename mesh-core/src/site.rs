//! Who and where this process is, and how close to Envoy it should stay.

use std::collections::BTreeMap;

/// The workload that this process is.
///
/// Labels decide which policies and Sidecars select it and which `sourceLabels` match; the
/// namespace decides what is visible and how short names resolve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// The workload's namespace; short hosts resolve in the namespace of the object that names them.
    pub namespace: String,
    /// The service account, part of the SPIFFE identity.
    pub service_account: Option<String>,
    /// The workload's labels.
    pub labels: BTreeMap<String, String>,
    /// Where it runs, as `region/zone/subzone`; empty when unknown.
    pub locality: String,
    /// The network it is on, for endpoints that name theirs.
    pub network: Option<String>,
    /// The cluster's DNS domain, `cluster.local` unless told otherwise.
    pub cluster_domain: String,
    /// How close to Envoy to stay where Envoy is lenient.
    pub profile: Profile,
}

impl Site {
    /// The domain in which the workload looks names up: those of its namespace need not name it.
    pub fn dns_domain(&self) -> String {
        format!("{}.svc.{}", self.namespace, self.cluster_domain)
    }
}

impl Default for Site {
    fn default() -> Self {
        Self {
            namespace: "default".into(),
            service_account: None,
            labels: BTreeMap::new(),
            locality: String::new(),
            network: None,
            cluster_domain: "cluster.local".into(),
            profile: Profile::default(),
        }
    }
}

/// Which behaviour counts where Istio with Envoy does what no honest client needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Profile {
    /// Request for request what Istio with Envoy does.
    Istio,
    /// As `Istio`, with deviations that are harmless to an honest client:
    ///
    /// * where no retry budget is set, retries are held to 20 % of the active requests plus 10 a
    ///   second (Istio: no limit);
    /// * bodies kept for a retry or a mirror are capped (64 KiB each by default);
    /// * a `grpc-status` header of an answer to a plain HTTP/1.1 request is not a reason to try
    ///   again, so that such a request need not be kept.
    #[default]
    Safe,
}
