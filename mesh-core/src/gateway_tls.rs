//! TLS of a gateway's servers: which server a connection means, and what it is begun with.

use mesh_config::ConfigSet;
use mesh_config::api::gateway::Server;
use mesh_config::api::tls::{ServerTlsMode, ServerTlsSettings, TlsProtocol};

use crate::secrets::{Pem, Secrets};
use crate::snapshot::TableId;

/// A server of a Gateway that ends TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsServer {
    /// The names by which clients ask for it, in lower case: whole ones, `*.` with what they end in, or `*`.
    pub hosts: Vec<Box<str>>,
    /// Its routes: requests on its connections see no other server's.
    pub table: TableId,
    /// Its Gateway, as `namespace/name`.
    pub gateway: Box<str>,
    /// How TLS is begun.
    pub settings: ServerTls,
}

/// How a server begins TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerTls {
    /// Whether clients show a certificate.
    pub mode: ServerTlsMode,
    /// Certificates, of which a client gets the first that it can check. Empty for `ISTIO_MUTUAL`.
    pub certificates: Vec<ServerCertificate>,
    /// The authorities of clients.
    pub clients: Option<Pem>,
    /// Certificates of clients that do not count any more.
    pub revoked: Option<Pem>,
    /// Names of which a client's certificate has to carry one; empty for any.
    pub names: Vec<Box<str>>,
    /// Base64 SHA-256 of public keys of clients; empty for any.
    pub public_keys: Vec<Box<str>>,
    /// Hexadecimal SHA-256 of certificates of clients; empty for any.
    pub hashes: Vec<Box<str>>,
    /// The versions of TLS.
    pub versions: (TlsProtocol, TlsProtocol),
    /// Cipher suites of TLS 1.2, in OpenSSL's names; empty for the usual ones.
    pub cipher_suites: Vec<Box<str>>,
}

impl ServerTls {
    /// Whether nobody is let in without a certificate.
    pub fn wants_certificate(&self) -> bool {
        matches!(self.mode, ServerTlsMode::Mutual | ServerTlsMode::IstioMutual)
    }
}

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerCertificate {
    /// Given.
    Given {
        /// The certificate, followed by those that lead to its root.
        chain: Pem,
        /// Its key.
        key: Pem,
    },
    /// A credential that no Secret among the documents is.
    Named(Box<str>),
}

impl ServerTls {
    /// The settings of a server, with the Secrets of the gateway's namespace.
    pub(crate) fn of(settings: &ServerTlsSettings, set: &ConfigSet, namespace: &str) -> Self {
        let secrets = Secrets::of(set, namespace);
        let file = |path: &str| (!path.is_empty()).then(|| Pem::File(path.into()));
        let pair = |chain: &str, key: &str| Some(ServerCertificate::Given { chain: file(chain)?, key: file(key)? });
        let texts = |list: &[String]| list.iter().map(|text| text.as_str().into()).collect();
        let named: Vec<&str> = [&settings.credential_name]
            .into_iter()
            .chain(&settings.credential_names)
            .map(String::as_str)
            .filter(|name| !name.is_empty())
            .collect();
        let mut certificates: Vec<_> = named.iter().map(|name| certificate(&secrets, name)).collect();
        certificates.extend(pair(&settings.server_certificate, &settings.private_key));
        certificates
            .extend(settings.tls_certificates.iter().filter_map(|one| pair(&one.server_certificate, &one.private_key)));
        let of_files = settings.tls_certificates.iter().find_map(|one| file(&one.ca_certificates));
        let apart = Some(settings.ca_cert_credential_name.as_str()).filter(|name| !name.is_empty());
        let clients =
            apart.map_or_else(|| named.iter().find_map(|name| secrets.roots(name)), |name| secrets.roots(name));
        Self {
            mode: settings.mode,
            certificates,
            clients: clients.or_else(|| file(&settings.ca_certificates)).or(of_files),
            revoked: named.iter().find_map(|name| secrets.revoked(name)).or_else(|| file(&settings.ca_crl)),
            names: texts(&settings.subject_alt_names),
            public_keys: texts(&settings.verify_certificate_spki),
            hashes: texts(&settings.verify_certificate_hash),
            versions: (settings.min_protocol_version, settings.max_protocol_version),
            cipher_suites: texts(&settings.cipher_suites),
        }
    }

    /// Credentials that no Secret among the documents is.
    pub fn missing(&self) -> impl Iterator<Item = &str> {
        self.certificates.iter().filter_map(|certificate| match certificate {
            ServerCertificate::Named(name) => Some(&**name),
            ServerCertificate::Given { .. } => None,
        })
    }
}

fn certificate(secrets: &Secrets<'_>, name: &str) -> ServerCertificate {
    match secrets.pair(name) {
        Some((chain, key)) => ServerCertificate::Given { chain, key },
        None => ServerCertificate::Named(name.into()),
    }
}

/// The server names of a server: its hosts, without the namespaces whose rules may bind.
pub(crate) fn server_names(server: &Server) -> Vec<Box<str>> {
    let name = |host: &String| host.split_once('/').map_or(host.as_str(), |(_, name)| name).to_ascii_lowercase().into();
    server.hosts.iter().map(name).collect()
}

/// The server that a connection means by the name that its client asks for: the one that names it in full, else by the
/// longest ending, else by `*`; nothing if there is none.
pub fn server_for<'a>(servers: &'a [TlsServer], name: Option<&str>) -> Option<&'a TlsServer> {
    let name = name.map(str::to_ascii_lowercase);
    let fit = |host: &str| match (host, name.as_deref()) {
        ("*", _) => Some(0),
        (_, None) => None,
        (host, Some(name)) if host == name => Some(usize::MAX),
        (host, Some(name)) => {
            let ending = host.strip_prefix('*')?;
            (name.len() > ending.len() && name.ends_with(ending)).then_some(ending.len())
        }
    };
    let best = |server: &TlsServer| server.hosts.iter().filter_map(|host| fit(host)).max();
    // The first of several that fit alike.
    servers
        .iter()
        .rev()
        .filter_map(|server| Some((best(server)?, server)))
        .max_by_key(|(fit, _)| *fit)
        .map(|(_, server)| server)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_exact_name_counts() {
        let server = |host: &str, table| TlsServer {
            hosts: vec![host.into()],
            table: TableId(table),
            gateway: "a/b".into(),
            settings: ServerTls::default(),
        };
        let all = [server("*", 0), server("*.com", 1), server("*.example.com", 2), server("a.example.com", 3)];
        let found = |name: Option<&str>| server_for(&all, name).map(|server| server.table.0);
        assert_eq!(found(Some("A.example.com")), Some(3));
        assert_eq!(found(Some("b.example.com")), Some(2));
        assert_eq!(found(Some("c.b.example.com")), Some(2));
        assert_eq!(found(Some("example.com")), Some(1));
        assert_eq!(found(Some("a.org")), Some(0));
        assert_eq!(found(None), Some(0));
        assert!(server_for(&all[1..], None).is_none());
        assert!(server_for(&all[1..], Some("a.org")).is_none());
    }
}
