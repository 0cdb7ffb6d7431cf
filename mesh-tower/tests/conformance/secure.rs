//! Callers with TLS, and the certificates of a scenario: those of its gateway's servers, and those that callers show.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use mesh_tower::identity::Material;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    SanType,
};
use rustls::ClientConfig;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::anybody::{Anybody, Io, provider};
use crate::record::Step;

/// Who signs everything, on both sides.
fn authority() -> &'static CertifiedIssuer<'static, KeyPair> {
    static AUTHORITY: OnceLock<CertifiedIssuer<'static, KeyPair>> = OnceLock::new();
    AUTHORITY.get_or_init(|| {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    })
}

fn issued(name: SanType) -> (String, String) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.subject_alt_names = vec![name];
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, authority()).unwrap();
    (certificate.pem(), key.serialize_pem())
}

/// What a workload serves with.
pub(crate) fn material(id: &str) -> Material {
    let (chain, key) = issued(SanType::URI(id.try_into().unwrap()));
    Material::from_pem(chain, key, authority().pem()).unwrap()
}

/// A directory with every credential that a configuration names.
pub(crate) fn credentials(config: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let (chain, key) = issued(SanType::DnsName("*.example.com".try_into().unwrap()));
    for part in config.split("credentialName:").skip(1) {
        let name = part.trim_start().split([',', '}', '\n', ' ']).next().unwrap();
        let place = directory.path().join(name);
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join("tls.crt"), &chain).unwrap();
        fs::write(place.join("tls.key"), &key).unwrap();
        fs::write(place.join("ca.crt"), authority().pem()).unwrap();
    }
    directory
}

/// A connection as a step wants it.
pub(crate) async fn connect(address: SocketAddr, step: &Step) -> io::Result<Box<dyn Io>> {
    let stream = TcpStream::connect(address).await?;
    if !step.tls && step.peer.is_none() {
        return Ok(Box::new(stream));
    }
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody));
    let mut config = match &step.peer {
        None => builder.with_no_client_auth(),
        Some(id) => {
            let (chain, key) = issued(SanType::URI(id.as_str().try_into().unwrap()));
            let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<Vec<_>, _>>().unwrap();
            builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap()).unwrap()
        }
    };
    let offered: &[&[u8]] = match (step.tls, step.is_http2()) {
        (true, true) => &[b"h2"],
        (true, false) => &[b"http/1.1"],
        (false, true) => &[b"istio-h2", b"istio", b"h2"],
        (false, false) => &[b"istio-http/1.1", b"istio", b"http/1.1"],
    };
    config.alpn_protocols = offered.iter().map(|protocol| protocol.to_vec()).collect();
    config.enable_sni = step.sni.is_some();
    let name = ServerName::try_from(step.sni.clone().unwrap_or_else(|| "none".into())).unwrap();
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    Ok(Box::new(stream))
}
