//! TLS towards endpoints.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use mesh_config::api::tls::ClientTlsMode;
use mesh_core::cluster::ClientTls;
use mesh_core::identity::SpiffeId;
use mesh_core::mesh_tls::{MeshTls, TlsChoice};
use mesh_core::secrets::Pem;
use rustls::client::Resumption;
use rustls::client::danger::ServerCertVerifier;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ClientConnection};
use rustls_pki_types::ServerName;

use super::anchors::Anchors;
use super::choice::chosen;
use super::credentials::{self, read};
use super::leaf::Leaf;
use super::material::certified;
use super::peer_check::{MeshTrust, identity_of};
use super::state::{Credentials, IdentityHandle};
use super::verifiers::{AnyServer, MeshServers, NamedServers};
use super::{BadMaterial, der};
use crate::endpoint::Protocol;

/// Begins TLS for the connections of one cluster.
///
/// There is one configuration with one store of sessions for each set of names that are expected, so that a session that
/// is taken up again was begun with the same checks. It is made anew when the identity, the trust domains or the files
/// change.
#[derive(Debug)]
pub(crate) struct Originator {
    settings: ArcSwap<ClientTls>,
    identity: IdentityHandle,
    made: Mutex<HashMap<Box<str>, Made>>,
}

/// A configuration, and what it was made of.
#[derive(Debug)]
struct Made {
    /// For HTTP/1.1, and for HTTP/2: they differ in the protocols offered and share the sessions.
    configs: [Arc<ClientConfig>; 2],
    name: ServerName<'static>,
    version: u64,
    /// What the mesh said of TLS.
    tls: Arc<MeshTls>,
    files: Files,
    looked: Instant,
}

/// Hashes of the files that a configuration was made of.
type Files = Vec<[u8; 32]>;

/// How often files are looked at, at most.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How many hosts a cluster keeps a configuration for; past that it starts over.
const MOST_HOSTS: usize = 256;
/// Sessions that are kept of one set of names.
const SESSIONS: usize = 64;

impl Originator {
    pub(crate) fn new(settings: ClientTls, identity: IdentityHandle) -> Self {
        Self { settings: ArcSwap::from_pointee(settings), identity, made: Mutex::default() }
    }

    /// Goes on with settings that differ in what a Secret holds.
    pub(crate) fn renew(&self, settings: &ClientTls) {
        if **self.settings.load() != *settings {
            self.settings.store(Arc::new(settings.clone()));
        }
    }

    /// Whether connections differ by the host that a request is for.
    pub(crate) fn depends_on_host(&self) -> bool {
        let settings = self.settings.load();
        let sends_host = settings.sni.is_none();
        let expects_host = settings.names.is_empty() && !settings.is_istio_mutual();
        sends_host || expects_host
    }

    /// A connection to be, for requests to a host.
    ///
    /// # Errors
    /// If the configuration asks for what cannot be done: no plaintext takes its place.
    pub(crate) fn begin(
        &self,
        host: &str,
        protocol: Protocol,
    ) -> Result<(Arc<ClientConfig>, ServerName<'static>), NoTls> {
        let credentials = self.identity.current();
        let now = crate::clock::now();
        let key = if self.depends_on_host() { host } else { "" };
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        // Only mutual TLS of the mesh is made with the workload's certificate.
        let is_ours = self.settings.load().is_istio_mutual();
        let is_current = |known: &&mut Made| match is_ours {
            true => known.version == credentials.version,
            false => Arc::ptr_eq(&known.tls, &credentials.tls),
        };
        let known = made.get_mut(key).filter(is_current);
        let new = match known {
            Some(known) if now.saturating_duration_since(known.looked) < LOOK_AGAIN => {
                return Ok((Arc::clone(&known.configs[protocol as usize]), known.name.clone()));
            }
            // Counted from here only: under steady traffic they would never be looked at otherwise.
            Some(known) if self.same_files(known) => {
                known.looked = now;
                return Ok((Arc::clone(&known.configs[protocol as usize]), known.name.clone()));
            }
            // Files that are broken leave the last good ones in use.
            Some(known) => match self.make(host, &credentials, now) {
                Ok(new) => new,
                Err(problem) => {
                    tracing::warn!(%problem, "the files of a DestinationRule are refused; the last good ones stay in use");
                    known.looked = now;
                    return Ok((Arc::clone(&known.configs[protocol as usize]), known.name.clone()));
                }
            },
            None => self.make(host, &credentials, now)?,
        };
        let found = (Arc::clone(&new.configs[protocol as usize]), new.name.clone());
        if made.len() >= MOST_HOSTS {
            made.clear();
        }
        made.insert(key.into(), new);
        Ok(found)
    }

    /// Checks what a session that was taken up again has not: that the server's certificate counts still. Gives the time
    /// that it will; `None` where nobody asks.
    ///
    /// # Errors
    /// If it does not, or is missing.
    pub(crate) fn check(&self, connection: &ClientConnection, protocol: Protocol) -> Result<Option<Duration>, NoTls> {
        let leaf = connection.peer_certificates().and_then(<[_]>::first).ok_or(NoTls::Expired)?;
        let left = der::facts(leaf)
            .and_then(|facts| u64::try_from(facts.not_after - self.identity.options().calendar.seconds()).ok());
        let is_checked = !self.settings.load().insecure_skip_verify;
        if left.is_none() && is_checked {
            return Err(NoTls::Expired);
        }
        match (protocol, connection.alpn_protocol()) {
            (Protocol::Http2, Some(chosen)) if chosen != b"h2" => Err(NoTls::Protocol),
            (Protocol::Http1, Some(b"h2")) => Err(NoTls::Protocol),
            // Its last second counts.
            _ => Ok(left.filter(|_| is_checked).map(|left| Duration::from_secs(left.saturating_add(1)))),
        }
    }

    /// Whom mutual TLS of the mesh has proved the server to be.
    pub(crate) fn proved(&self, connection: &ClientConnection) -> Option<SpiffeId> {
        if !self.settings.load().is_istio_mutual() {
            return None;
        }
        identity_of(&Leaf::read(connection.peer_certificates()?.first()?).ok()?).ok()
    }

    fn same_files(&self, made: &Made) -> bool {
        self.files().is_ok_and(|files| files.iter().map(|(_, text)| super::sha256(text)).eq(made.files.iter().copied()))
    }

    /// What the settings name, with what is in it.
    fn files(&self) -> Result<Vec<(File, Vec<u8>)>, NoTls> {
        let settings = self.settings.load();
        let is_mutual = settings.mode == ClientTlsMode::Mutual;
        if settings.is_istio_mutual() {
            return Ok(Vec::new());
        }
        if let Some(name) = settings.credential.as_deref().filter(|_| settings.lacks_secret()) {
            let directory = credentials::directory_of(self.identity.options().credentials.as_deref(), name)?;
            let mut files = vec![(File::Roots, read(&directory.join("ca.crt"))?)];
            if is_mutual {
                files.push((File::Certificate, read(&directory.join("tls.crt"))?));
                files.push((File::Key, read(&directory.join("tls.key"))?));
            }
            return Ok(files);
        }
        let shown = [(File::Certificate, &settings.certificate), (File::Key, &settings.key)];
        let checked = [(File::Roots, &settings.roots), (File::Revoked, &settings.revoked)];
        let named = checked.into_iter().chain(shown.into_iter().filter(|_| is_mutual));
        let named = named.filter_map(|(file, pem)| Some((file, pem.as_ref()?)));
        // Istio's word for the authorities of the operating system.
        let named = named.filter(|(_, pem)| !matches!(pem, Pem::File(path) if **path == *"system"));
        named.map(|(file, pem)| Ok((file, credentials::text(pem)?))).collect()
    }

    fn make(&self, host: &str, credentials: &Credentials, now: Instant) -> Result<Made, NoTls> {
        let files = self.files()?;
        let text = |wanted: File| files.iter().find(|(file, _)| *file == wanted).map(|(_, text)| text.as_slice());
        let config = self.config(host, credentials, text)?;
        let (name, has_name) = self.server_name(host);
        let with = |protocols: &[&str]| {
            let mut config = config.clone();
            config.enable_sni = has_name;
            config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
            Arc::new(config)
        };
        let configs = if self.settings.load().is_istio_mutual() {
            [with(&["istio-http/1.1", "istio", "http/1.1"]), with(&["istio-h2", "istio", "h2"])]
        } else {
            [with(&["http/1.1"]), with(&["h2"])]
        };
        let files = files.iter().map(|(_, text)| super::sha256(text)).collect();
        Ok(Made { configs, name, version: credentials.version, tls: Arc::clone(&credentials.tls), files, looked: now })
    }

    fn config<'t>(
        &self,
        host: &str,
        credentials: &Credentials,
        text: impl Fn(File) -> Option<&'t [u8]>,
    ) -> Result<ClientConfig, NoTls> {
        let calendar = Arc::new(self.identity.options().calendar.clone());
        let settings = self.settings.load();
        let (verifier, shown): (Arc<dyn ServerCertVerifier>, Option<CertifiedKey>) = match settings.mode {
            ClientTlsMode::Disable => return Err(NoTls::Mode),
            ClientTlsMode::IstioMutual => {
                let material = credentials.material.clone().ok_or(NoTls::NoIdentity)?;
                let shown = CertifiedKey::clone(&material.key);
                let trust = MeshTrust::new(material, credentials);
                (Arc::new(MeshServers { trust, names: settings.names.clone() }), Some(shown))
            }
            ClientTlsMode::Simple => (self.named(host, &text)?, None),
            ClientTlsMode::Mutual => {
                let (certificate, key) = (text(File::Certificate), text(File::Key));
                let shown = certified(certificate.ok_or(BadMaterial::NoCertificate)?, key.ok_or(BadMaterial::Key)?)?;
                (self.named(host, &text)?, Some(shown))
            }
        };
        // Among themselves workloads offer all that they speak, as in Istio: what is allowed is for servers to say.
        let choice = if settings.is_istio_mutual() { &TlsChoice::default() } else { &credentials.tls.others };
        let (provider, versions) = chosen(choice);
        let builder = ClientConfig::builder_with_details(provider, calendar)
            .with_protocol_versions(&versions)
            .map_err(|_| NoTls::Unspoken)?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match shown {
            None => builder.with_no_client_auth(),
            Some(key) => builder.with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(key))),
        };
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        Ok(config)
    }

    fn named<'t>(
        &self,
        host: &str,
        text: &impl Fn(File) -> Option<&'t [u8]>,
    ) -> Result<Arc<dyn ServerCertVerifier>, NoTls> {
        let settings = self.settings.load();
        if settings.insecure_skip_verify {
            let allowed = self.identity.options().skip_verify;
            return if allowed { Ok(Arc::new(AnyServer)) } else { Err(NoTls::SkipVerify) };
        }
        let mut anchors = match text(File::Roots) {
            Some(roots) => Anchors::from_pem(roots)?,
            // Whoever names a credential means its authorities.
            None if settings.credential.is_some() => return Err(BadMaterial::NoRoots.into()),
            None => Anchors::of_system()?,
        };
        if let Some(lists) = text(File::Revoked) {
            anchors = anchors.with_revoked(lists)?;
        }
        let names = match settings.names.as_slice() {
            [] => vec![host.into()],
            names => names.to_vec(),
        };
        Ok(Arc::new(NamedServers { anchors, names }))
    }

    /// The name that is sent, and whether one is: addresses are not sent, nor what is no name.
    fn server_name(&self, host: &str) -> (ServerName<'static>, bool) {
        let settings = self.settings.load();
        let wanted = settings.sni.as_deref().unwrap_or(host).trim_start_matches('[').trim_end_matches(']');
        match ServerName::try_from(wanted.to_owned()) {
            Ok(name) => (name, true),
            Err(_) => (ServerName::IpAddress(std::net::Ipv4Addr::UNSPECIFIED.into()), false),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum File {
    Roots,
    Revoked,
    Certificate,
    Key,
}

/// Why TLS is not begun.
#[derive(Clone, Debug)]
pub(crate) enum NoTls {
    /// A session was taken up again whose server's certificate does not count any more.
    Expired,
    Material(BadMaterial),
    Mode,
    /// This process has no certificate to show.
    NoIdentity,
    /// The server has agreed on another protocol.
    Protocol,
    /// `insecureSkipVerify` does not act unless the process allows it.
    SkipVerify,
    /// The mesh allows nothing that is spoken here.
    Unspoken,
}

impl From<BadMaterial> for NoTls {
    fn from(problem: BadMaterial) -> Self {
        Self::Material(problem)
    }
}

impl fmt::Display for NoTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired => f.write_str("the server's certificate does not count any more"),
            Self::Material(problem) => problem.fmt(f),
            Self::Mode => f.write_str("the mode is none of TLS"),
            Self::NoIdentity => {
                f.write_str("mutual TLS of the mesh needs a certificate, and this process has none (MeshBuilder::identity)")
            }
            Self::Protocol => f.write_str("the server speaks another version of HTTP"),
            Self::SkipVerify => f.write_str(
                "insecureSkipVerify acts only where the process allows it (identity::danger::allow_insecure_skip_verify)",
            ),
            Self::Unspoken => f.write_str("of the curves that the MeshConfig allows (tlsDefaults) none is spoken here"),
        }
    }
}

impl std::error::Error for NoTls {}
