//! One authority, and what servers and clients are made of.

use std::sync::Arc;

use mesh_tower::identity::Material;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType,
};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::BoxError;

/// The name by which bare clients know servers.
pub(crate) const NAME: &str = "server.default.svc.cluster.local";
const PROTOCOL: &[u8] = b"http/1.1";

/// Which end keeps sessions from being taken up again; the other is as it is without a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Sessions {
    Kept,
    /// The client takes none up.
    NotTakenUp,
    /// The server gives none out.
    NotGiven,
}

/// Who signs all of them. Keys are of ECDSA with P-256, as Istio's are unless told otherwise.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Result<Self, BoxError> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "root");
        Ok(Self(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?))
    }

    /// A certificate with an identity of the mesh, and a name for those who know none.
    fn issue(&self, account: &str) -> Result<(String, String), BoxError> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name = DistinguishedName::new();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let id = format!("spiffe://cluster.local/ns/default/sa/{account}");
        params.subject_alt_names = vec![SanType::URI(id.try_into()?), SanType::DnsName(NAME.try_into()?)];
        let key = KeyPair::generate()?;
        Ok((params.signed_by(&key, &self.0)?.pem(), key.serialize_pem()))
    }

    /// For a mesh.
    pub(crate) fn material(&self, account: &str) -> Result<Material, BoxError> {
        let (chain, key) = self.issue(account)?;
        Ok(Material::from_pem(chain, key, self.0.pem())?)
    }

    /// A server that asks for certificates, as rustls has it by default, but for sessions where there are to be none.
    pub(crate) fn server(&self, sessions: Sessions) -> Result<ServerConfig, BoxError> {
        let (chain, key) = pair(&self.issue("server")?)?;
        let clients = WebPkiClientVerifier::builder_with_provider(self.roots()?, provider()).build()?;
        let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
        let mut config = builder.with_client_cert_verifier(clients).with_single_cert(chain, key)?;
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        if sessions == Sessions::NotGiven {
            config.send_tls13_tickets = 0;
            config.session_storage = Arc::new(NoServerSessionStorage {});
        }
        Ok(config)
    }

    /// A client that shows one. To servers of the mesh it makes itself known as one of the mesh.
    pub(crate) fn client(&self, sessions: Sessions) -> Result<ClientConfig, BoxError> {
        let (chain, key) = pair(&self.issue("client")?)?;
        let servers = WebPkiServerVerifier::builder_with_provider(self.roots()?, provider()).build()?;
        let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
        let builder = builder.with_webpki_verifier(servers);
        let mut config = builder.with_client_auth_cert(chain, key)?;
        config.alpn_protocols = vec![b"istio-http/1.1".to_vec(), b"istio".to_vec(), PROTOCOL.to_vec()];
        if sessions == Sessions::NotTakenUp {
            config.resumption = Resumption::disabled();
        }
        Ok(config)
    }

    fn roots(&self) -> Result<Arc<RootCertStore>, BoxError> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone())?;
        Ok(Arc::new(roots))
    }
}

fn pair((chain, key): &(String, String)) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), BoxError> {
    let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<_, _>>()?;
    Ok((chain, PrivateKeyDer::from_pem_slice(key.as_bytes())?))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
