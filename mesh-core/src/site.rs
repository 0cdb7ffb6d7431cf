//! Who and where this process is, and how close to Envoy it should stay.

use std::collections::BTreeMap;

use crate::telemetry::policy::LogFile;

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
    /// Whether there is somebody who exports access logs (`envoyOtelAls`).
    pub exports_logs: bool,
    /// Access logs of both sides, beside those that the configuration asks for.
    pub access_logs: Vec<LogFile>,
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
            exports_logs: false,
            access_logs: Vec::new(),
        }
    }
}

/// Which behaviour counts where Istio with Envoy does what no honest client needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Profile {
    /// What Istio with Envoy does, but for what a library cannot or need not do: bodies are kept for
    /// a retry up to 64 KiB and together up to 64 MiB, a mirror may lie 4 MiB behind (all settable),
    /// and trace headers and request ids are carried from a request into the calls made for it.
    Istio,
    /// As `Istio`, with deviations that are harmless to an honest client:
    ///
    /// * where neither a retry budget nor `maxRetries` is set, retries are held to 20 % of the requests
    ///   plus 10 a second (Istio: no limit);
    /// * retries and mirrored copies are marked (`x-mesh-retry`, `x-mesh-mirrored`; answers
    ///   `x-mesh-retries: spent`), so that the meshes behind and before do not multiply them;
    /// * the deadline of a request holds for the calls made for it;
    /// * timeouts run while an endpoint does not take the rest of a request's body;
    /// * a `grpc-status` header of an answer to a plain HTTP/1.1 request is not a reason to try
    ///   again, so that such a request need not be kept;
    /// * policies see a path normalized until nothing changes any more, and judge several lines of one
    ///   header more strictly;
    /// * a method in lower case, a user name in the host and, on HTTP/2, a `host` other than
    ///   `:authority` are answered 400; so is a line of a head that ends with a line feed alone;
    /// * a server takes 200 streams and heads of 16 KiB on an HTTP/2 connection (Envoy: 1,024 and 60 KiB), lets go who
    ///   says nothing at first (10 s where it waits for TLS, 30 s for a head), and cuts off a connection on which an answer
    ///   is not taken for 5 min.
    #[default]
    Safe,
}
