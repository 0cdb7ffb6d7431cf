//! TLS of a gateway's servers.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mesh_config::api::tls::{ServerTlsMode, TlsProtocol};
use mesh_core::Profile;
use mesh_core::gateway_tls::{ServerCertificate, ServerTls, server_for};
use mesh_core::identity::SpiffeId;
use mesh_core::mesh_tls::{TlsChoice, ToldOfClients};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, ServerConnection};

use super::admitted::Admitted;
use super::anchors::Anchors;
use super::choice::{Spoken, spoken};
use super::credentials::{self, read, text};
use super::leaf::Leaf;
use super::material::certified;
use super::peer::{Certified, TlsPeer};
use super::peer_check::{MeshTrust, identity_of};
use super::pem::BadMaterial;
use super::state::IdentityHandle;
use super::verifiers::{ClientConditions, GatewayClients, MeshClients};
use crate::live::LiveHandle;

/// Decides about the connections of one listener of a gateway.
#[derive(Debug)]
pub(crate) struct GatewayTls {
    live: LiveHandle,
    identity: IdentityHandle,
    place: (u16, Option<std::net::IpAddr>),
    credentials: Option<PathBuf>,
    profile: Profile,
    made: Mutex<Vec<Made>>,
    /// The last problem, so that it is told once and not with every connection.
    told: Mutex<Option<BadMaterial>>,
}

/// A server's configuration, and what it was made of.
#[derive(Debug)]
struct Made {
    settings: ServerTls,
    version: u64,
    files: Vec<[u8; 32]>,
    looked: Instant,
    terms: Arc<Terms>,
}

/// How a server takes connections.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) config: Arc<ServerConfig>,
    /// Judges the certificates of clients, as the configuration does.
    pub(super) clients: Arc<dyn ClientCertVerifier>,
}

/// The server that a connection means.
pub(crate) struct Meant {
    pub(crate) terms: Arc<Terms>,
    mode: ServerTlsMode,
    /// That of the configuration.
    version: u64,
}

/// How often files are looked at, at most.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(1);

impl GatewayTls {
    pub(crate) fn new(
        live: LiveHandle,
        identity: IdentityHandle,
        place: (u16, Option<std::net::IpAddr>),
        credentials: Option<PathBuf>,
        profile: Profile,
    ) -> Self {
        Self { live, identity, place, credentials, profile, made: Mutex::default(), told: Mutex::default() }
    }

    /// How a handshake goes on; nothing if no server is meant, or the one that is has no certificate.
    pub(crate) fn meant(&self, hello: &ClientHello<'_>) -> Option<Meant> {
        let live = self.live.current();
        let mut servers = live.snapshot().gateway_servers().iter();
        let here = servers.find(|server| (server.port, server.bind) == self.place)?;
        let server = server_for(&here.tls, hello.server_name())?;
        match self.made(&server.settings) {
            Ok(terms) => Some(Meant { terms, mode: server.settings.mode, version: live.version() }),
            Err(problem) => {
                self.tell(&server.gateway, problem);
                None
            }
        }
    }

    fn tell(&self, gateway: &str, problem: BadMaterial) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.as_ref() != Some(&problem) {
            let port = self.place.0;
            tracing::error!(gateway, port, %problem, "a server of a Gateway has no certificate: its connections are refused");
            *told = Some(problem);
        }
    }

    /// Who has made a connection; nothing if its certificate does not count any more.
    pub(crate) fn peer(&self, connection: &ServerConnection, meant: Meant) -> Option<TlsPeer> {
        let name: Option<Box<str>> = connection.server_name().map(Box::from);
        let Some(chain) = connection.peer_certificates().filter(|chain| !chain.is_empty()) else {
            return Some(TlsPeer::uncertified(name));
        };
        let leaf = Leaf::read(chain.first()?).ok()?;
        let (id, own) = if meant.mode == ServerTlsMode::IstioMutual {
            let own = self.identity.current().material.as_ref().map(|material| material.id().clone());
            (Some(identity_of(&leaf).ok()?), own)
        } else {
            (self.stranger(&leaf), None)
        };
        let certified = Certified::new(&leaf, id, own.as_ref(), ToldOfClients::ALL);
        let admitted = Some(Admitted::new(chain, meant.terms, meant.version));
        let counts = certified.counts_at(self.identity.options().calendar.seconds());
        counts.then(|| TlsPeer { server_name: name, admitted, certified: Some(Arc::new(certified)) })
    }

    /// Whom policies take the caller of a `MUTUAL` server for: as in Envoy, who its certificate says that it is, by whichever
    /// authority the server believes. With `Profile::Safe` only who is not of the mesh: authorities of strangers do not
    /// vouch for identities of ours.
    fn stranger(&self, leaf: &Leaf<'_>) -> Option<SpiffeId> {
        if self.profile == Profile::Istio {
            return leaf.parsed.valid_uri_names().find_map(|uri| uri.parse().ok());
        }
        let credentials = self.identity.current();
        let ours = credentials.material.as_ref().map(|material| material.id().trust_domain());
        let is_ours = |domain: &str| ours == Some(domain) || credentials.domains.contains(domain);
        identity_of(leaf).ok().filter(|id| !is_ours(id.trust_domain()))
    }

    /// How long a peer's certificate counts yet.
    pub(crate) fn time_left(&self, peer: &TlsPeer) -> Option<Duration> {
        peer.time_left(self.identity.options().calendar.seconds())
    }

    /// Whether the certificate that a connection was made with would still be taken by the server that its requests are for:
    /// authorities, pins and names may have changed since. Looked at with a new version of the configuration and, as files and
    /// the mesh's own trust change without one, once a second.
    pub(crate) fn still_takes(&self, peer: &TlsPeer, settings: &ServerTls, version: u64) -> bool {
        let Some(admitted) = &peer.admitted else { return !settings.wants_certificate() };
        let now = crate::clock::now();
        if admitted.is_fresh(version, now) {
            return true;
        }
        match self.made(settings) {
            Ok(terms) => admitted.check(terms, version, now, &self.identity.options().calendar),
            // With what is broken or missing nobody new comes in; it says nothing about those who are there.
            Err(_) => true,
        }
    }

    fn made(&self, settings: &ServerTls) -> Result<Arc<Terms>, BadMaterial> {
        let version = self.identity.current().version;
        let now = crate::clock::now();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let known = made.iter().position(|made| made.settings == *settings);
        if let Some(known) = known.and_then(|place| made.get_mut(place)) {
            let is_fresh = now.saturating_duration_since(known.looked) < LOOK_AGAIN;
            if known.version == version && is_fresh {
                return Ok(Arc::clone(&known.terms));
            }
            // Counted from here only: under steady traffic they would never be looked at otherwise.
            known.looked = now;
            if known.version == version && self.hashes(settings).is_ok_and(|files| files == known.files) {
                return Ok(Arc::clone(&known.terms));
            }
            // What is broken leaves the last good one in use.
            let Ok(terms) = self.make(settings) else {
                known.looked = now;
                return Ok(Arc::clone(&known.terms));
            };
            let files = self.hashes(settings).unwrap_or_default();
            *known = Made { settings: settings.clone(), version, files, looked: now, terms };
            return Ok(Arc::clone(&known.terms));
        }
        let files = self.hashes(settings)?;
        let terms = self.make(settings)?;
        // Only those of the configuration in use are kept.
        let live = self.live.current();
        let in_use = |settings: &ServerTls| {
            let servers = live.snapshot().gateway_servers();
            servers.iter().flat_map(|server| &server.tls).any(|server| server.settings == *settings)
        };
        made.retain(|made| in_use(&made.settings));
        made.push(Made { settings: settings.clone(), version, files, looked: now, terms: Arc::clone(&terms) });
        Ok(terms)
    }

    fn hashes(&self, settings: &ServerTls) -> Result<Vec<[u8; 32]>, BadMaterial> {
        let mut parts = Vec::new();
        for certificate in &settings.certificates {
            let (chain, key) = self.pair(certificate)?;
            parts.extend([super::sha256(&chain), super::sha256(&key)]);
        }
        for pem in settings.clients.iter().chain(&settings.revoked) {
            parts.push(super::sha256(&text(pem)?));
        }
        Ok(parts)
    }

    fn pair(&self, certificate: &ServerCertificate) -> Result<(Vec<u8>, Vec<u8>), BadMaterial> {
        match certificate {
            ServerCertificate::Given { chain, key } => Ok((text(chain)?, text(key)?)),
            ServerCertificate::Named(name) => {
                let directory = self.credential(name)?;
                Ok((read(&directory.join("tls.crt"))?, read(&directory.join("tls.key"))?))
            }
            _ => Err(BadMaterial::NoCertificate),
        }
    }

    /// The directory of a credential that no Secret is: the gateway's, or else that of the process.
    fn credential(&self, name: &str) -> Result<PathBuf, BadMaterial> {
        let all = self.credentials.as_deref().or(self.identity.options().credentials.as_deref());
        credentials::directory_of(all, name)
    }

    fn make(&self, settings: &ServerTls) -> Result<Arc<Terms>, BadMaterial> {
        let credentials = self.identity.current();
        let (provider, versions) = allowed(settings, &credentials.tls.others);
        let calendar = Arc::new(self.identity.options().calendar.clone());
        let builder = ServerConfig::builder_with_details(provider, calendar).with_protocol_versions(&versions);
        let builder = builder
            .map_err(|_| BadMaterial::Unreadable("no version of TLS or no curve is left that is spoken here".into()))?;
        let (clients, shown): (Arc<dyn ClientCertVerifier>, Arc<dyn ResolvesServerCert>) =
            if settings.mode == ServerTlsMode::IstioMutual {
                let material = credentials.material.clone().ok_or(BadMaterial::NoCertificate)?;
                let key = Arc::clone(&material.key);
                let trust = MeshTrust::new(material, &credentials);
                (Arc::new(MeshClients::new(trust)), Arc::new(rustls::sign::SingleCertAndKey::from(key)))
            } else {
                let mut keys = Vec::new();
                for certificate in &settings.certificates {
                    let (chain, key) = self.pair(certificate)?;
                    keys.push(Arc::new(certified(&chain, &key)?));
                }
                if keys.is_empty() {
                    return Err(BadMaterial::NoCertificate);
                }
                (self.clients(settings)?, Arc::new(Certificates(keys)))
            };
        let mut config = builder.with_client_cert_verifier(Arc::clone(&clients)).with_cert_resolver(shown);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(Terms { config: Arc::new(config), clients }))
    }

    fn clients(&self, settings: &ServerTls) -> Result<Arc<dyn ClientCertVerifier>, BadMaterial> {
        let is_optional = match settings.mode {
            ServerTlsMode::Simple => return Ok(WebPkiClientVerifier::no_client_auth()),
            ServerTlsMode::Mutual => false,
            ServerTlsMode::OptionalMutual => true,
            _ => return Err(BadMaterial::NoRoots),
        };
        let roots = match &settings.clients {
            Some(pem) => text(pem)?,
            None => {
                let name = settings.missing().next().ok_or(BadMaterial::NoRoots)?;
                read(&self.credential(name)?.join("ca.crt"))?
            }
        };
        let mut anchors = Anchors::from_pem(&roots)?;
        if let Some(lists) = &settings.revoked {
            anchors = anchors.with_revoked(&text(lists)?)?;
        }
        let hash = |text: &str| -> Option<[u8; 32]> {
            let digits: String = text.chars().filter(|letter| *letter != ':').collect();
            let bytes: Vec<u8> = (0..digits.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok())
                .collect::<Option<_>>()?;
            bytes.try_into().ok()
        };
        let all = |given: &[Box<str>], read: &dyn Fn(&str) -> Option<[u8; 32]>| {
            given.iter().map(|text| read(text)).collect::<Option<Vec<_>>>()
        };
        // A pin that cannot be read must not be one less.
        let unreadable = || BadMaterial::Unreadable("a hash of a client's certificate cannot be read".into());
        let conditions = ClientConditions {
            names: settings.names.clone(),
            public_keys: all(&settings.public_keys, &super::inspect::hash_of_base64).ok_or_else(unreadable)?,
            certificates: all(&settings.hashes, &hash).ok_or_else(unreadable)?,
        };
        Ok(GatewayClients::new(anchors, conditions, is_optional))
    }
}

/// Several certificates of a server: a client gets the first that it can check.
#[derive(Debug)]
struct Certificates(Vec<Arc<CertifiedKey>>);

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let fits = |key: &&Arc<CertifiedKey>| key.key.choose_scheme(hello.signature_schemes()).is_some();
        self.0.iter().find(fits).or(self.0.first()).cloned()
    }
}

/// What a server allows, of that which is spoken here; where it says nothing of it, what the mesh says.
fn allowed(settings: &ServerTls, defaults: &TlsChoice) -> Spoken {
    let (lowest, highest) = settings.versions;
    let mut versions = Vec::new();
    if highest == TlsProtocol::Auto || highest == TlsProtocol::V1_3 {
        versions.push(&rustls::version::TLS13);
    }
    if lowest != TlsProtocol::V1_3 && !matches!(highest, TlsProtocol::V1_0 | TlsProtocol::V1_1) {
        versions.push(&rustls::version::TLS12);
    }
    let own = &settings.cipher_suites;
    spoken(versions, if own.is_empty() { &defaults.cipher_suites } else { own }, &defaults.curves)
}
