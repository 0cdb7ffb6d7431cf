//! [`Peer`]: who is at the other end of a connection, as the connection proves it.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use mesh_core::PeerView;
use mesh_core::identity::SpiffeId;
use mesh_core::mesh_tls::ToldOfClients;
use mesh_core::telemetry::record::TlsFacts;
use rustls_pki_types::CertificateDer;

use super::admitted::Admitted;
use super::leaf::Leaf;
use super::{der, sha256};
use crate::serve::{Address, PeerAddress};

/// Who sent a request: the caller's address, and its identity where mutual TLS has proved one.
///
/// An extension of every request (in tonic as `request.extensions().get::<Peer>()`), and with the feature `axum` an
/// extractor. It tells what the connection proves, and is never read from a header.
///
/// ```
/// # use mesh_tower::identity::Peer;
/// fn may_refund(peer: &Peer) -> bool {
///     peer.namespace() == Some("billing")
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Peer {
    address: PeerAddress,
    local: Option<SocketAddr>,
    tls: Option<Arc<TlsPeer>>,
}

impl Peer {
    pub(crate) fn new(address: PeerAddress, local: Option<SocketAddr>, tls: Option<Arc<TlsPeer>>) -> Self {
        Self { address, local, tls }
    }

    /// The address of the other end of the connection.
    pub fn address(&self) -> &Address {
        &self.address.0
    }

    /// Our end of the connection; `None` for a unix socket, and for a listener of one's own that does not tell
    /// ([`Listener::local_end`](crate::serve::Listener::local_end)).
    pub fn local_address(&self) -> Option<SocketAddr> {
        self.local
    }

    /// Whether the connection is encrypted.
    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// The identity; `None` without mutual TLS.
    pub fn id(&self) -> Option<&SpiffeId> {
        self.tls.as_deref()?.id()
    }

    /// The identity as policies name principals: `cluster.local/ns/default/sa/reviews`.
    pub fn principal(&self) -> Option<&str> {
        self.id().map(SpiffeId::principal)
    }

    /// The trust domain of the identity.
    pub fn trust_domain(&self) -> Option<&str> {
        self.id().map(SpiffeId::trust_domain)
    }

    /// The namespace of a Kubernetes workload.
    pub fn namespace(&self) -> Option<&str> {
        self.id()?.namespace()
    }

    /// The service account of a Kubernetes workload.
    pub fn service_account(&self) -> Option<&str> {
        self.id()?.service_account()
    }

    /// The server name that the caller asked for in the handshake (SNI).
    pub fn server_name(&self) -> Option<&str> {
        self.tls.as_deref()?.server_name.as_deref()
    }

    /// What logs and spans tell of the connection's TLS.
    pub(crate) fn facts(&self) -> TlsFacts {
        TlsFacts {
            is_tls: self.is_tls(),
            server_name: self.server_name().map(Into::into),
            peer_uri: self.id().map(|id| id.as_str().into()),
            local_uri: self.tls.as_deref().and_then(|tls| tls.certified.as_deref()?.own.clone()),
        }
    }

    /// The caller as policies see it.
    pub fn view(&self) -> PeerView<'_> {
        PeerView {
            address: self.address.ip(),
            principal: self.id().map(SpiffeId::as_str),
            sni: self.server_name(),
            local_address: self.local.map(|at| at.ip()),
            ..PeerView::default()
        }
    }

    pub(crate) fn tls(&self) -> Option<&TlsPeer> {
        self.tls.as_deref()
    }
}

#[cfg(feature = "axum")]
impl<S: Sync> axum_core::extract::FromRequestParts<S> for Peer {
    type Rejection = http::StatusCode;

    async fn from_request_parts(parts: &mut http::request::Parts, _: &S) -> Result<Self, Self::Rejection> {
        // Missing only where no server of the mesh has had the request: an error of whoever put it together.
        parts.extensions.get().cloned().ok_or(http::StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// What a handshake has shown of a caller.
#[derive(Debug, Default)]
pub(crate) struct TlsPeer {
    pub(super) server_name: Option<Box<str>>,
    /// At a gateway, by what its certificate was taken.
    pub(super) admitted: Option<Admitted>,
    /// What its certificate says, where it has shown one.
    pub(super) certified: Option<Arc<Certified>>,
}

/// What a caller's certificate says.
#[derive(Debug, Default)]
pub(super) struct Certified {
    pub(super) id: Option<SpiffeId>,
    /// Until when it counts, in seconds since 1970.
    pub(super) not_after: i64,
    /// What is told of it further on.
    pub(super) forwarded: Option<HeaderValue>,
    /// The identity of this side, where it has one.
    pub(super) own: Option<Box<str>>,
}

impl Certified {
    /// `own` is the identity of this side, where it has one.
    pub(super) fn new(leaf: &Leaf<'_>, id: Option<SpiffeId>, own: Option<&SpiffeId>, told: ToldOfClients) -> Self {
        let forwarded = forwarded(leaf, own, told);
        Self { id, not_after: leaf.facts.not_after, forwarded, own: own.map(|own| own.as_str().into()) }
    }

    /// Whether it counts yet, at a second since 1970; the last one counts to its end.
    pub(super) fn counts_at(&self, now: i64) -> bool {
        now <= self.not_after
    }
}

impl TlsPeer {
    /// A caller without a certificate.
    pub(super) fn uncertified(server_name: Option<Box<str>>) -> Self {
        Self { server_name, ..Self::default() }
    }

    fn id(&self) -> Option<&SpiffeId> {
        self.certified.as_deref()?.id.as_ref()
    }

    /// How long its certificate counts yet, at a second since 1970; the last one counts to its end.
    pub(super) fn time_left(&self, now: i64) -> Option<Duration> {
        let left = u64::try_from(self.certified.as_deref()?.not_after.saturating_sub(now)).unwrap_or(0);
        Some(Duration::from_secs(left.saturating_add(1)))
    }

    /// Its element of `x-forwarded-client-cert`.
    pub(crate) fn forwarded(&self) -> Option<&HeaderValue> {
        self.certified.as_deref()?.forwarded.as_ref()
    }
}

/// An element of `x-forwarded-client-cert` as Istio has Envoy write it; whose it is, and its hash, are always told.
fn forwarded(leaf: &Leaf<'_>, own: Option<&SpiffeId>, told: ToldOfClients) -> Option<HeaderValue> {
    let mut text = String::with_capacity(256);
    if let Some(own) = own {
        let _infallible = write!(text, "By={own};");
    }
    text.push_str("Hash=");
    for byte in sha256(leaf.der) {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
        }
    }
    if told.certificate {
        let _infallible = write!(text, ";Cert=\"{}\"", pem_in_a_url(leaf.der));
    }
    if told.subject {
        let subject = der::name_in_words(leaf.facts.subject).replace('\\', "\\\\").replace('"', "\\\"");
        let _infallible = write!(text, ";Subject=\"{subject}\"");
    }
    if told.uri && leaf.parsed.valid_uri_names().next().is_none() {
        // As Envoy says it.
        text.push_str(";URI=");
    }
    for uri in leaf.parsed.valid_uri_names().filter(|_| told.uri) {
        // A URI that would begin another field of the header is left out.
        if !uri.contains([';', ',', '"', '=']) {
            let _infallible = write!(text, ";URI={uri}");
        }
    }
    if told.dns {
        for name in leaf.parsed.valid_dns_names() {
            let _infallible = write!(text, ";DNS={name}");
        }
    }
    HeaderValue::from_str(&text).ok()
}

/// A certificate in PEM, percent-encoded.
fn pem_in_a_url(certificate: &CertificateDer<'_>) -> String {
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in super::inspect::base64(certificate).as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    let mut out = String::with_capacity(pem.len() + 64);
    for byte in pem.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            let _infallible = write!(out, "%{byte:02X}");
        }
    }
    out
}
