//! What a MeshConfig says of TLS for all workloads: versions and algorithms, further roots, and what applications are told
//! of their callers' certificates.

use mesh_config::api::MeshConfig;
use mesh_config::api::mesh_config::{
    ForwardClientCertDetails, MeshProxyConfig, MeshTlsConfig, MeshTlsProtocol, ProxyHeaders,
};

/// TLS of the mesh, as its MeshConfig has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MeshTls {
    /// Of the servers of workloads, towards clients of the mesh (`meshMTLS`). Clients go on offering what they offer, as
    /// Istio's do: their servers need not be of this mesh.
    pub workloads: TlsChoice,
    /// Of all other TLS (`tlsDefaults`): gateways' servers, where they say nothing of it themselves, and clients under
    /// `SIMPLE` and `MUTUAL`.
    pub others: TlsChoice,
    /// Authorities that count beside those that come with the workload's certificate (`caCertificates`,
    /// `defaultConfig.caCertificatesPem`).
    pub roots: Vec<FurtherRoots>,
    /// What applications are told.
    pub told: ToldOfClients,
    /// What is told behind gateways.
    pub told_at_gateways: ForwardClientCertDetails,
}

/// Which versions and algorithms are spoken. What is empty leaves the usual ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsChoice {
    /// TLS 1.2 is not spoken.
    pub without_1_2: bool,
    /// Suites of TLS 1.2, in OpenSSL's names. Those that are not [`SPOKEN_SUITES`] are passed over, and TLS 1.3, which has
    /// suites of its own, stays.
    pub cipher_suites: Vec<Box<str>>,
    /// Groups of the key exchange, in OpenSSL's names. Those that are not [`SPOKEN_CURVES`] are passed over; where none is
    /// left no connection is made, since nothing that was allowed can be spoken.
    pub curves: Vec<Box<str>>,
}

/// Roots in PEM, and whose they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FurtherRoots {
    /// The certificates.
    pub pem: Box<str>,
    /// The trust domains that they vouch for; empty for that of the workload, and those that stand for it.
    pub domains: Vec<Box<str>>,
}

/// What an application is told of a caller's certificate in `x-forwarded-client-cert`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToldOfClients {
    /// What becomes of what the caller says.
    pub details: ForwardClientCertDetails,
    /// Whether the certificate is told in PEM.
    pub certificate: bool,
    /// Whether its DNS names are.
    pub dns: bool,
    /// Whether its subject is.
    pub subject: bool,
    /// Whether its URIs are.
    pub uri: bool,
}

/// As Istio has sidecars tell it.
impl Default for ToldOfClients {
    fn default() -> Self {
        let details = ForwardClientCertDetails::AppendForward;
        Self { details, certificate: false, dns: false, subject: true, uri: true }
    }
}

impl ToldOfClients {
    /// All, as Istio has gateways tell it.
    pub const ALL: Self =
        Self { details: ForwardClientCertDetails::SanitizeSet, certificate: true, dns: true, subject: true, uri: true };

    fn of(headers: &ProxyHeaders) -> Self {
        let default = Self::default();
        let details = match headers.forwarded_client_cert {
            ForwardClientCertDetails::Undefined => default.details,
            details => details,
        };
        let Some(set) = &headers.set_current_client_cert_details else { return Self { details, ..default } };
        Self {
            details,
            certificate: set.cert.unwrap_or(default.certificate),
            dns: set.dns.unwrap_or(default.dns),
            subject: set.subject.unwrap_or(default.subject),
            uri: set.uri.unwrap_or(default.uri),
        }
    }
}

/// The suites of TLS 1.2 that are spoken here.
pub const SPOKEN_SUITES: [&str; 6] = [
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-CHACHA20-POLY1305",
];

/// The groups of the key exchange that are spoken here.
pub const SPOKEN_CURVES: [&str; 4] = ["X25519MLKEM768", "X25519", "P-256", "P-384"];

impl MeshTls {
    pub(crate) fn of(mesh: &MeshConfig) -> Self {
        let proxy = mesh.default_config.as_ref();
        let headers = proxy.and_then(|proxy| proxy.proxy_headers.as_ref());
        let topology = proxy.and_then(|proxy| proxy.gateway_topology.as_ref());
        let details = topology.map(|topology| topology.forward_client_cert_details).unwrap_or_default();
        Self {
            workloads: mesh.mesh_mtls.as_ref().map(TlsChoice::of).unwrap_or_default(),
            // Its lowest version is one of the fields that Istio does not read.
            others: mesh
                .tls_defaults
                .as_ref()
                .map(|tls| TlsChoice { without_1_2: false, ..TlsChoice::of(tls) })
                .unwrap_or_default(),
            roots: roots(mesh, proxy),
            told: headers.map(ToldOfClients::of).unwrap_or_default(),
            told_at_gateways: match details {
                ForwardClientCertDetails::Undefined => ForwardClientCertDetails::SanitizeSet,
                details => details,
            },
        }
    }
}

impl TlsChoice {
    fn of(tls: &MeshTlsConfig) -> Self {
        let texts =
            |list: &[String]| list.iter().filter(|text| !text.is_empty()).map(|text| text.as_str().into()).collect();
        Self {
            without_1_2: tls.min_protocol_version == MeshTlsProtocol::V1_3,
            cipher_suites: texts(&tls.cipher_suites),
            curves: texts(&tls.ecdh_curves),
        }
    }

    /// What is named and not spoken here: suites, then curves.
    pub(crate) fn unspoken(&self) -> (Vec<&str>, Vec<&str>) {
        let others = |named: &'_ [Box<str>], spoken: &[&str]| -> Vec<usize> {
            (0..named.len()).filter(|at| !spoken.contains(&&*named[*at])).collect()
        };
        let suites =
            others(&self.cipher_suites, &SPOKEN_SUITES).into_iter().map(|at| &*self.cipher_suites[at]).collect();
        let curves = others(&self.curves, &SPOKEN_CURVES).into_iter().map(|at| &*self.curves[at]).collect();
        (suites, curves)
    }
}

/// Those that a certificate is signed by whom Kubernetes asked are left out: here nobody knows who that was.
fn roots(mesh: &MeshConfig, proxy: Option<&MeshProxyConfig>) -> Vec<FurtherRoots> {
    let of_mesh = mesh.ca_certificates.iter().filter(|data| data.cert_signers.is_empty()).filter_map(|data| {
        let domains = data.trust_domains.iter().map(|domain| domain.as_str().into()).collect();
        Some(FurtherRoots { pem: data.pem.as_deref().filter(|pem| !pem.is_empty())?.into(), domains })
    });
    let of_proxy = proxy.into_iter().flat_map(|proxy| &proxy.ca_certificates_pem);
    let of_proxy = of_proxy.map(|pem| FurtherRoots { pem: pem.as_str().into(), domains: Vec::new() });
    of_mesh.chain(of_proxy).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(mesh: &str) -> MeshTls {
        MeshTls::of(&serde_json::from_str(mesh).unwrap())
    }

    #[test]
    fn nothing_is_asked_for_unless_it_is_written() {
        let tls = of("{}");
        assert_eq!((&tls.workloads, &tls.others), (&TlsChoice::default(), &TlsChoice::default()));
        assert_eq!((tls.told, tls.roots), (ToldOfClients::default(), Vec::new()));
        assert_eq!(tls.told_at_gateways, ForwardClientCertDetails::SanitizeSet);
    }

    #[test]
    fn versions_are_asked_of_workloads_and_curves_of_the_others() {
        let tls =
            of(r#"{"meshMTLS": {"minProtocolVersion": "TLSV1_3", "cipherSuites": ["ECDHE-RSA-AES128-GCM-SHA256"]},
                         "tlsDefaults": {"minProtocolVersion": "TLSV1_3", "ecdhCurves": ["P-256", "P-521"]}}"#);
        assert!(tls.workloads.without_1_2 && !tls.others.without_1_2);
        assert_eq!(tls.workloads.unspoken(), (vec![], vec![]));
        assert_eq!(tls.others.unspoken(), (vec![], vec!["P-521"]));
    }

    #[test]
    fn roots_are_of_some_domains_or_of_the_own() {
        let tls = of(r#"{"caCertificates": [{"pem": "A"}, {"pem": "B", "trustDomains": ["b"]},
                         {"pem": "C", "certSigners": ["s"]}, {"spiffeBundleUrl": "https://d"}],
                         "defaultConfig": {"caCertificatesPem": ["E"]}}"#);
        let found: Vec<_> = tls.roots.iter().map(|roots| (&*roots.pem, roots.domains.len())).collect();
        assert_eq!(found, [("A", 0), ("B", 1), ("E", 0)]);
    }

    #[test]
    fn what_is_told_of_certificates_differs_from_the_usual_where_it_is_written() {
        let tls = of(
            r#"{"defaultConfig": {"proxyHeaders": {"setCurrentClientCertDetails": {"cert": true, "subject": false}}}}"#,
        );
        let expected = ToldOfClients { certificate: true, subject: false, ..ToldOfClients::default() };
        assert_eq!(tls.told, expected);
        let tls = of(r#"{"defaultConfig": {"proxyHeaders": {"forwardedClientCert": "SANITIZE"}}}"#);
        assert_eq!(tls.told.details, ForwardClientCertDetails::Sanitize);
    }
}
