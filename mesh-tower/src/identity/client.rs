//! TLS towards endpoints.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mesh_config::api::tls::ClientTlsMode;
use mesh_core::cluster::ClientTls;
use rustls::client::Resumption;
use rustls::client::danger::ServerCertVerifier;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ClientConnection};
use rustls_pki_types::ServerName;

use super::anchors::Anchors;
use super::material::certified;
use super::peer_check::MeshTrust;
use super::provider::provider;
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
    settings: ClientTls,
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
        Self { settings, identity, made: Mutex::default() }
    }

    /// Whether connections differ by the host that a request is for.
    pub(crate) fn depends_on_host(&self) -> bool {
        let sends_host = self.settings.sni.is_none();
        let expects_host = self.settings.names.is_empty() && !self.settings.is_istio_mutual();
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
        let known = made.get_mut(key).filter(|known| known.version == credentials.version);
        let is_known =
            |known: &&mut Made| now.saturating_duration_since(known.looked) < LOOK_AGAIN || self.same_files(known);
        let new = match known {
            Some(known) if is_known(&known) => {
                known.looked = now.max(known.looked);
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

    /// Checks what a session that was taken up again has not: that the server's certificate counts still.
    ///
    /// # Errors
    /// If it does not, or is missing.
    pub(crate) fn check(&self, connection: &ClientConnection, protocol: Protocol) -> Result<(), NoTls> {
        let leaf = connection.peer_certificates().and_then(<[_]>::first).ok_or(NoTls::Expired)?;
        let counts =
            der::facts(leaf).is_some_and(|facts| self.identity.options().calendar.seconds() <= facts.not_after);
        if !counts && !self.settings.insecure_skip_verify {
            return Err(NoTls::Expired);
        }
        match (protocol, connection.alpn_protocol()) {
            (Protocol::Http2, Some(chosen)) if chosen != b"h2" => Err(NoTls::Protocol),
            (Protocol::Http1, Some(b"h2")) => Err(NoTls::Protocol),
            _ => Ok(()),
        }
    }

    fn same_files(&self, made: &Made) -> bool {
        self.files().is_ok_and(|files| files.iter().map(|(_, text)| super::sha256(text)).eq(made.files.iter().copied()))
    }

    /// The files that the settings name, with what is in them.
    fn files(&self) -> Result<Vec<(File, Vec<u8>)>, NoTls> {
        let ClientTls { mode, ca_certificates, ca_crl, client_certificate, private_key, .. } = &self.settings;
        let named = match mode {
            ClientTlsMode::Simple => vec![(File::Roots, ca_certificates), (File::Revoked, ca_crl)],
            ClientTlsMode::Mutual => vec![
                (File::Roots, ca_certificates),
                (File::Revoked, ca_crl),
                (File::Certificate, client_certificate),
                (File::Key, private_key),
            ],
            _ => Vec::new(),
        };
        let read = |path: &str| {
            std::fs::read(Path::new(path))
                .map_err(|error| NoTls::Material(BadMaterial::Unreadable(format!("{path}: {error}"))))
        };
        let named = named.into_iter().filter_map(|(file, path)| Some((file, path.as_deref()?)));
        // Istio's word for the authorities of the operating system.
        named.filter(|(_, path)| *path != "system").map(|(file, path)| Ok((file, read(path)?))).collect()
    }

    fn make(&self, host: &str, credentials: &Credentials, now: Instant) -> Result<Made, NoTls> {
        if self.settings.credential.is_some() {
            return Err(NoTls::Credential);
        }
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
        let configs = if self.settings.is_istio_mutual() {
            [with(&["istio-http/1.1", "istio", "http/1.1"]), with(&["istio-h2", "istio", "h2"])]
        } else {
            [with(&["http/1.1"]), with(&["h2"])]
        };
        let files = files.iter().map(|(_, text)| super::sha256(text)).collect();
        Ok(Made { configs, name, version: credentials.version, files, looked: now })
    }

    fn config<'t>(
        &self,
        host: &str,
        credentials: &Credentials,
        text: impl Fn(File) -> Option<&'t [u8]>,
    ) -> Result<ClientConfig, NoTls> {
        let calendar = Arc::new(self.identity.options().calendar.clone());
        let (verifier, shown): (Arc<dyn ServerCertVerifier>, Option<CertifiedKey>) = match self.settings.mode {
            ClientTlsMode::Disable => return Err(NoTls::Mode),
            ClientTlsMode::IstioMutual => {
                let material = credentials.material.clone().ok_or(NoTls::NoIdentity)?;
                let shown = CertifiedKey::clone(&material.key);
                let trust = MeshTrust { material, domains: Arc::clone(&credentials.domains) };
                (Arc::new(MeshServers { trust, names: self.settings.names.clone() }), Some(shown))
            }
            ClientTlsMode::Simple => (self.named(host, &text)?, None),
            ClientTlsMode::Mutual => {
                let (certificate, key) = (text(File::Certificate), text(File::Key));
                let shown = certified(certificate.ok_or(BadMaterial::NoCertificate)?, key.ok_or(BadMaterial::Key)?)?;
                (self.named(host, &text)?, Some(shown))
            }
        };
        let builder = ClientConfig::builder_with_details(Arc::clone(provider()), calendar)
            .with_safe_default_protocol_versions()
            .map_err(|_| NoTls::Mode)?
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
        if self.settings.insecure_skip_verify {
            let allowed = self.identity.options().skip_verify;
            return if allowed { Ok(Arc::new(AnyServer)) } else { Err(NoTls::SkipVerify) };
        }
        let mut anchors = match text(File::Roots) {
            Some(roots) => Anchors::from_pem(roots)?,
            None => Anchors::of_system()?,
        };
        if let Some(lists) = text(File::Revoked) {
            anchors = anchors.with_revoked(lists)?;
        }
        let names = match self.settings.names.as_slice() {
            [] => vec![host.into()],
            names => names.to_vec(),
        };
        Ok(Arc::new(NamedServers { anchors, names }))
    }

    /// The name that is sent, and whether one is: addresses are not sent, nor what is no name.
    fn server_name(&self, host: &str) -> (ServerName<'static>, bool) {
        let wanted = self.settings.sni.as_deref().unwrap_or(host).trim_start_matches('[').trim_end_matches(']');
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
    /// `credentialName` of a DestinationRule.
    Credential,
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
}

impl From<BadMaterial> for NoTls {
    fn from(problem: BadMaterial) -> Self {
        Self::Material(problem)
    }
}

impl fmt::Display for NoTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Credential => f.write_str("credentialName of a DestinationRule does not act; name the files instead"),
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
        }
    }
}

impl std::error::Error for NoTls {}
