//! A client that is no mesh: rustls and a few bytes.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{ClientConfig, NamedGroup, ProtocolVersion, RootCertStore, SupportedCipherSuite};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::authority::{Authority, Issued};

/// What it speaks and shows.
pub(crate) struct Stranger<'a> {
    pub(crate) roots: &'a Authority,
    pub(crate) shown: Option<&'a Issued>,
    pub(crate) version: ProtocolVersion,
    pub(crate) name: &'a str,
}

/// What it has got.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) text: String,
    pub(crate) suite: SupportedCipherSuite,
    pub(crate) group: Option<NamedGroup>,
}

impl Stranger<'_> {
    fn config(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.roots.pem().as_bytes()).unwrap()).unwrap();
        let provider = CryptoProvider { kx_groups: aws_lc_rs::ALL_KX_GROUPS.to_vec(), ..aws_lc_rs::default_provider() };
        let version = match self.version {
            ProtocolVersion::TLSv1_2 => &rustls::version::TLS12,
            _ => &rustls::version::TLS13,
        };
        let builder =
            ClientConfig::builder_with_provider(Arc::new(provider)).with_protocol_versions(&[version]).unwrap();
        let builder = builder.with_root_certificates(roots);
        let mut config = match self.shown {
            None => builder.with_no_client_auth(),
            Some(Issued { chain, key }) => {
                let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).map(Result::unwrap).collect();
                builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap()).unwrap()
            }
        };
        config.alpn_protocols = ["istio-http/1.1", "istio", "http/1.1"].map(|name| name.as_bytes().to_vec()).to_vec();
        config
    }

    /// A connection on which TLS has begun.
    pub(crate) async fn connect(&self, address: SocketAddr) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from(self.name.to_owned()).unwrap();
        TlsConnector::from(Arc::new(self.config())).connect(name, stream).await
    }

    /// Asks for `/`, with further lines of the head.
    pub(crate) async fn ask(&self, address: SocketAddr, lines: &str) -> std::io::Result<Got> {
        let mut stream = self.connect(address).await?;
        let head = format!("GET / HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{lines}\r\n", self.name);
        stream.write_all(head.as_bytes()).await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        let connection = stream.get_ref().1;
        let group = connection.negotiated_key_exchange_group().map(|group| group.name());
        let suite = connection.negotiated_cipher_suite().unwrap();
        let text = text.split_once("\r\n\r\n").map_or(text.clone(), |(_, body)| body.to_owned());
        Ok(Got { text, suite, group })
    }
}
