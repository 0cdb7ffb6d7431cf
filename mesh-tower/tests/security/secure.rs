//! Callers with certificates, and the identity that they meet.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use mesh_tower::MeshBuilder;
use mesh_tower::identity::{Material, MemoryIdentity, danger};
use rustls::ClientConfig;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;

use crate::anybody::{Anybody, Io, provider};

/// How a caller connects.
#[derive(Clone, Debug)]
pub(crate) enum Caller {
    Plaintext,
    /// With TLS: the certificate's file without its ending, and the name that is asked for.
    Tls {
        certificate: Option<PathBuf>,
        sni: Option<String>,
        offers: &'static [&'static [u8]],
    },
}

impl Caller {
    pub(crate) async fn connect(&self, address: SocketAddr, is_http2: bool) -> io::Result<Box<dyn Io>> {
        let stream = TcpStream::connect(address).await?;
        let Self::Tls { certificate, sni, offers } = self else { return Ok(Box::new(stream)) };
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody));
        let mut config = match certificate {
            None => builder.with_no_client_auth(),
            Some(file) => {
                let chain = CertificateDer::pem_file_iter(file.with_extension("chain.pem")).unwrap();
                let key = PrivateKeyDer::from_pem_file(file.with_extension("key.pem")).unwrap();
                builder.with_client_auth_cert(chain.collect::<Result<_, _>>().unwrap(), key).unwrap()
            }
        };
        let own: &[u8] = if is_http2 { b"h2" } else { b"http/1.1" };
        config.alpn_protocols = offers.iter().copied().chain([own]).map(<[u8]>::to_vec).collect();
        config.enable_sni = sni.is_some();
        let name = ServerName::try_from(sni.clone().unwrap_or_else(|| "none".into())).unwrap();
        Ok(Box::new(tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await?))
    }
}

/// The identity of the cases' server, at their time.
pub(crate) fn identified(builder: MeshBuilder, folder: &Path, clock: u64) -> MeshBuilder {
    let read = |name: &str| std::fs::read(folder.join("certs").join(name)).unwrap();
    let material = Material::from_pem(read("server.chain.pem"), read("server.key.pem"), read("root.pem")).unwrap();
    let now = UNIX_EPOCH + Duration::from_secs(clock);
    danger::calendar(builder, move || now).identity(MemoryIdentity::new(material))
}
