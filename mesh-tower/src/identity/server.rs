//! TLS of the ports of a workload, by its PeerAuthentications.

use std::sync::{Arc, Mutex, PoisonError};

use mesh_core::authn::MtlsMode;
use rustls::server::ClientHello;
use rustls::{ServerConfig, ServerConnection};

use super::choice::chosen;
use super::leaf::Leaf;
use super::peer::{Certified, TlsPeer};
use super::peer_check::{MeshTrust, identity_of};
use super::recent::Recent;
use super::state::{Credentials, IdentityHandle};
use super::verifiers::MeshClients;
use crate::live::LiveHandle;

/// Decides about the connections of one port of the workload.
#[derive(Debug)]
pub(crate) struct WorkloadTls {
    live: LiveHandle,
    identity: IdentityHandle,
    port: u16,
    made: Mutex<Option<(u64, Configs)>>,
    recent: Recent,
}

/// For clients whose protocols we speak, and for those who offer others only: to them none is named, as BoringSSL does.
type Configs = [Arc<ServerConfig>; 2];

/// The protocols by which clients of the mesh make themselves known.
const MESH_PROTOCOLS: &[&[u8]] = &[b"istio", b"istio-peer-exchange", b"istio-http/1.0", b"istio-http/1.1", b"istio-h2"];

impl WorkloadTls {
    pub(crate) fn new(live: LiveHandle, identity: IdentityHandle, port: u16) -> Self {
        Self { live, identity, port, made: Mutex::default(), recent: Recent::default() }
    }

    /// Which connections are taken at this moment.
    pub(crate) fn mode(&self) -> MtlsMode {
        self.live.current().snapshot().peer_modes().served_at(self.port)
    }

    pub(crate) fn has_certificate(&self) -> bool {
        self.identity.has_certificate()
    }

    /// How a handshake goes on; nothing if it does not.
    ///
    /// Under `PERMISSIVE` TLS that is not the mesh's has no place on a port of HTTP.
    pub(crate) fn config(&self, hello: &ClientHello<'_>, mode: MtlsMode) -> Option<Arc<ServerConfig>> {
        let offered: Vec<&[u8]> = hello.alpn().map(Iterator::collect).unwrap_or_default();
        if mode == MtlsMode::Permissive && !offered.iter().any(|protocol| MESH_PROTOCOLS.contains(protocol)) {
            return None;
        }
        let credentials = self.identity.current();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let is_current = made.as_ref().is_some_and(|(version, _)| *version == credentials.version);
        if !is_current {
            *made = Some((credentials.version, configs(&credentials, &self.identity)?));
        }
        let (_, [ours, others]) = made.as_ref()?;
        let spoken = offered.iter().any(|protocol| matches!(*protocol, b"h2" | b"http/1.1"));
        Some(Arc::clone(if spoken || offered.is_empty() { ours } else { others }))
    }

    /// Who has made a connection; nothing if its certificate does not count, as after a session was taken up again that
    /// is older than the certificate may be.
    pub(crate) fn peer(&self, connection: &ServerConnection) -> Option<TlsPeer> {
        let der = connection.peer_certificates()?.first()?;
        let credentials = self.identity.current();
        let told = self.live.current().snapshot().tls().told;
        let certified = self.recent.certified(der, credentials.version, told, || {
            let leaf = Leaf::read(der).ok()?;
            let own = credentials.material.as_ref().map(|material| material.id());
            Some(Certified::new(&leaf, Some(identity_of(&leaf).ok()?), own, told))
        })?;
        let server_name = connection.server_name().map(Box::from);
        let counts = certified.counts_at(self.identity.options().calendar.seconds());
        counts.then(|| TlsPeer { server_name, certified: Some(certified), ..TlsPeer::default() })
    }

    /// How long a peer's certificate counts yet.
    pub(crate) fn time_left(&self, peer: &TlsPeer) -> Option<std::time::Duration> {
        peer.time_left(self.identity.options().calendar.seconds())
    }
}

fn configs(credentials: &Credentials, identity: &IdentityHandle) -> Option<Configs> {
    let material = credentials.material.clone()?;
    let key = Arc::clone(&material.key);
    let trust = MeshTrust::new(material, credentials);
    let calendar = Arc::new(identity.options().calendar.clone());
    let (provider, versions) = chosen(&credentials.tls.workloads);
    let mut config = ServerConfig::builder_with_details(provider, calendar)
        .with_protocol_versions(&versions)
        .ok()?
        .with_client_cert_verifier(Arc::new(MeshClients::new(trust)))
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(key)));
    let others = Arc::new(config.clone());
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Some([Arc::new(config), others])
}
