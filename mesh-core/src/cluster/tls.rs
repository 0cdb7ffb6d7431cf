//! Encryption towards the endpoints of a cluster.

use mesh_config::api::tls::{ClientTlsMode, ClientTlsSettings};
use mesh_config::value::Labels;

use super::ClusterKey;
use crate::secrets::{Pem, Secrets};

/// Whether and how connections to the endpoints of a cluster are encrypted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TlsSpec {
    /// Not at all.
    #[default]
    Plaintext,
    /// Mutual TLS with the endpoints that take it, plaintext with the others (auto mTLS). So too where this process has
    /// no certificate to show: nobody asked for it by name.
    Auto(ClientTls),
    /// Always, or no connection is made.
    Always(ClientTls),
}

impl TlsSpec {
    /// What a DestinationRule asks for.
    pub fn of(settings: &ClientTlsSettings) -> Self {
        match settings.mode {
            ClientTlsMode::Disable => Self::Plaintext,
            _ => Self::Always(ClientTls::of(settings)),
        }
    }

    /// The settings, where there are any.
    pub fn settings(&self) -> Option<&ClientTls> {
        match self {
            Self::Plaintext => None,
            Self::Auto(tls) | Self::Always(tls) => Some(tls),
        }
    }

    /// Whether two ask for the same, whatever their Secrets hold at the moment.
    pub(crate) fn same_but_for_secrets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Auto(left), Self::Auto(right)) | (Self::Always(left), Self::Always(right)) => {
                left.same_but_for_secrets(right)
            }
            (left, right) => left == right,
        }
    }

    pub(crate) fn settings_mut(&mut self) -> Option<&mut ClientTls> {
        match self {
            Self::Plaintext => None,
            Self::Auto(tls) | Self::Always(tls) => Some(tls),
        }
    }

    /// In words, for who asks how a cluster is reached; `None` for plaintext.
    pub fn describe(&self) -> Option<&'static str> {
        match self {
            Self::Plaintext => None,
            Self::Auto(_) => Some("mutual TLS with endpoints that take it"),
            Self::Always(tls) => Some(tls.mode.as_str()),
        }
    }
}

/// How TLS is begun.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ClientTls {
    /// With which certificates; never `DISABLE`.
    pub mode: ClientTlsMode,
    /// The server name that is sent; the request's host where it is unset.
    pub sni: Option<Box<str>>,
    /// The names of which the server's certificate has to carry one. Where there are none: the request's host; under
    /// `ISTIO_MUTUAL` any identity of the mesh's trust domains.
    pub names: Vec<Box<str>>,
    /// The authorities that count; the operating system's where it is unset, but never in place of a credential's.
    pub roots: Option<Pem>,
    /// Revoked certificates.
    pub revoked: Option<Pem>,
    /// The certificate that is shown, under `MUTUAL`.
    pub certificate: Option<Pem>,
    /// Its key.
    pub key: Option<Pem>,
    /// The credential that stands for the four (`credentialName`). They are those of the Secret of that name in the
    /// workload's own namespace, or unset where no Secret among the documents has it.
    ///
    /// It acts wherever this process has it. Istio's sidecars pass over it, TLS and all, unless the rule has a
    /// `workloadSelector`; here nothing goes out in plaintext for that.
    pub credential: Option<Box<str>>,
    /// Any server is believed. Acts only where the process allows it.
    pub insecure_skip_verify: bool,
}

impl ClientTls {
    fn of(settings: &ClientTlsSettings) -> Self {
        let set = |text: &String| (!text.is_empty()).then(|| text.as_str().into());
        Self {
            mode: settings.mode,
            sni: set(&settings.sni),
            names: settings.subject_alt_names.iter().map(|name| name.as_str().into()).collect(),
            roots: Pem::file(&settings.ca_certificates),
            revoked: Pem::file(&settings.ca_crl),
            certificate: Pem::file(&settings.client_certificate),
            key: Pem::file(&settings.private_key),
            credential: set(&settings.credential_name),
            insecure_skip_verify: settings.insecure_skip_verify.unwrap_or_default(),
        }
    }

    /// Takes what a credential stands for from the Secrets.
    pub(crate) fn fill(&mut self, secrets: &Secrets<'_>) {
        let Some(name) = &self.credential else { return };
        (self.roots, self.revoked) = (secrets.roots(name), secrets.revoked(name));
        (self.certificate, self.key) = secrets.pair(name).unzip();
    }

    /// Whether there is a credential that no Secret among the documents is.
    pub fn lacks_secret(&self) -> bool {
        self.credential.is_some() && self.roots.is_none() && self.certificate.is_none()
    }

    /// The same but for what a Secret holds, which may be replaced while connections go on.
    fn same_but_for_secrets(&self, other: &Self) -> bool {
        let bare = |tls: &Self| match tls.credential {
            Some(_) => Self { roots: None, revoked: None, certificate: None, key: None, ..tls.clone() },
            None => tls.clone(),
        };
        bare(self) == bare(other)
    }

    /// Mutual TLS of the mesh, with nothing said about it.
    pub(crate) fn istio_mutual() -> Self {
        Self { mode: ClientTlsMode::IstioMutual, ..Self::default() }
    }

    /// Whether both sides show certificates of the mesh.
    pub fn is_istio_mutual(&self) -> bool {
        self.mode == ClientTlsMode::IstioMutual
    }
}

/// The server name by which sidecars know a cluster: `outbound_.80_.v1_.reviews.default.svc.cluster.local`.
pub(crate) fn cluster_server_name(key: &ClusterKey) -> Option<Box<str>> {
    match key {
        ClusterKey::Outbound { port, subset, host } => Some(format!("outbound_.{port}_.{subset}_.{host}").into()),
        ClusterKey::Passthrough => None,
    }
}

/// What an endpoint says about its own security.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Announced {
    /// Whether it takes mutual TLS.
    pub mtls: bool,
    /// Its service account.
    pub account: Option<Box<str>>,
}

/// The label by which a workload says whether it takes mutual TLS.
const TLS_MODE: &str = "security.istio.io/tlsMode";

impl Announced {
    /// By the label `security.istio.io/tlsMode: istio`, and where that is not there by having a service account.
    pub fn of(labels: &Labels, account: &str) -> Self {
        Self {
            mtls: labels.get(TLS_MODE).map_or(!account.is_empty(), |mode| mode == "istio"),
            account: (!account.is_empty()).then(|| account.into()),
        }
    }

    /// By the label only: a Pod always has an account.
    pub fn of_pod(labels: &Labels, account: &str) -> Self {
        Self { mtls: labels.get(TLS_MODE).is_some_and(|mode| mode == "istio"), ..Self::of(labels, account) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_takes_mutual_tls_by_its_label_else_by_having_an_account() {
        let label = |mode: &str| Labels::from([(TLS_MODE.to_owned(), mode.to_owned())]);
        assert!(Announced::of(&label("istio"), "").mtls);
        assert!(!Announced::of(&label("disabled"), "reviews").mtls);
        assert!(Announced::of(&Labels::new(), "reviews").mtls);
        assert!(!Announced::of(&Labels::new(), "").mtls);
        assert!(!Announced::of_pod(&Labels::new(), "reviews").mtls);
    }

    #[test]
    fn sidecars_know_a_cluster_by_its_parts() {
        let key = ClusterKey::outbound(80, "v1", "a.b");
        assert_eq!(cluster_server_name(&key).as_deref(), Some("outbound_.80_.v1_.a.b"));
    }
}
