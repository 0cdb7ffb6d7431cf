//! TLS on either side of a connection: shared by `Gateway`, `Sidecar` and `DestinationRule`.

use crate::value::proto::{message, proto_enum};

message! {
    /// TLS of a server that a gateway or a sidecar listens with.
    pub struct ServerTlsSettings {
        /// Answers every plain HTTP request with a 301 to `https://`. Only for HTTP servers.
        #[serde(alias = "https_redirect")]
        pub https_redirect: bool,
        /// How TLS is ended. Unset is `PASSTHROUGH`.
        pub mode: ServerTlsMode,
        /// File with the server's certificate chain. Required for `SIMPLE` and `MUTUAL` unless a credential is named.
        #[serde(alias = "server_certificate")]
        pub server_certificate: String,
        /// File with the private key of the certificate.
        #[serde(alias = "private_key")]
        pub private_key: String,
        /// File with the CA certificates that client certificates are checked against.
        #[serde(alias = "ca_certificates")]
        pub ca_certificates: String,
        /// File with the certificate revocation list for client certificates.
        #[serde(alias = "ca_crl")]
        pub ca_crl: String,
        /// Name of the secret that holds key, certificate and, for `MUTUAL`, CA certificates.
        #[serde(alias = "credential_name")]
        pub credential_name: String,
        /// Names of at most two secrets, for an RSA and an ECDSA certificate side by side.
        #[serde(alias = "credential_names")]
        pub credential_names: Vec<String>,
        /// Name of the secret that holds the CA certificates, where it is another than that of the certificate.
        #[serde(alias = "ca_cert_credential_name")]
        pub ca_cert_credential_name: String,
        /// At most two certificates from files, instead of the three fields above.
        #[serde(alias = "tls_certificates")]
        pub tls_certificates: Vec<TlsCertificate>,
        /// Names of which a client certificate has to carry one. Empty: any.
        #[serde(alias = "subject_alt_names")]
        pub subject_alt_names: Vec<String>,
        /// Base64 SHA-256 of public keys of which a client certificate has to have one. Empty: any.
        #[serde(alias = "verify_certificate_spki")]
        pub verify_certificate_spki: Vec<String>,
        /// Hex SHA-256 of certificates of which a client has to present one. Empty: any.
        #[serde(alias = "verify_certificate_hash")]
        pub verify_certificate_hash: Vec<String>,
        /// Lowest TLS version. Default: TLS 1.2.
        #[serde(alias = "min_protocol_version")]
        pub min_protocol_version: TlsProtocol,
        /// Highest TLS version. Default: TLS 1.3.
        #[serde(alias = "max_protocol_version")]
        pub max_protocol_version: TlsProtocol,
        /// Cipher suites up to TLS 1.2, in OpenSSL's names. Empty: the default list.
        #[serde(alias = "cipher_suites")]
        pub cipher_suites: Vec<String>,
        /// Takes client certificates that no CA signed. Default: false.
        #[serde(alias = "insecure_skip_verify")]
        pub insecure_skip_verify: Option<bool>,
    }
}

message! {
    /// A server certificate from files.
    pub struct TlsCertificate {
        /// File with the certificate chain.
        #[serde(alias = "server_certificate")]
        pub server_certificate: String,
        /// File with the private key.
        #[serde(alias = "private_key")]
        pub private_key: String,
        /// File with CA certificates.
        #[serde(alias = "ca_certificates")]
        pub ca_certificates: String,
    }
}

proto_enum! {
    /// How a server ends TLS.
    pub enum ServerTlsMode {
        /// Not at all: the server name chooses where the bytes go. The zero value, so `tls: {}` means this.
        #[default]
        Passthrough = 0 => "PASSTHROUGH",
        /// With the server's certificate only.
        Simple = 1 => "SIMPLE",
        /// With a client certificate too.
        Mutual = 2 => "MUTUAL",
        /// As `PASSTHROUGH`, with the destination taken from the server name, between networks of one mesh.
        AutoPassthrough = 3 => "AUTO_PASSTHROUGH",
        /// With the mesh's own workload certificates.
        IstioMutual = 4 => "ISTIO_MUTUAL",
        /// With a client certificate where the client has one.
        OptionalMutual = 5 => "OPTIONAL_MUTUAL",
    }
}

proto_enum! {
    /// A TLS version.
    pub enum TlsProtocol {
        /// The default of the field.
        #[default]
        Auto = 0 => "TLS_AUTO",
        /// TLS 1.0.
        V1_0 = 1 => "TLSV1_0",
        /// TLS 1.1.
        V1_1 = 2 => "TLSV1_1",
        /// TLS 1.2.
        V1_2 = 3 => "TLSV1_2",
        /// TLS 1.3.
        V1_3 = 4 => "TLSV1_3",
    }
}

message! {
    /// TLS of a client towards a destination.
    pub struct ClientTlsSettings {
        /// Whether and how connections are encrypted. Unset is `DISABLE`.
        pub mode: ClientTlsMode,
        /// File with the client's certificate chain. Required for `MUTUAL`.
        #[serde(alias = "client_certificate")]
        pub client_certificate: String,
        /// File with the client's private key. Required for `MUTUAL`.
        #[serde(alias = "private_key")]
        pub private_key: String,
        /// File with the CA certificates to check the server against. Empty: those of the operating system.
        #[serde(alias = "ca_certificates")]
        pub ca_certificates: String,
        /// Name of the secret with key, certificate and CA certificates. Read by gateways, and by workloads that a
        /// `workloadSelector` picks.
        #[serde(alias = "credential_name")]
        pub credential_name: String,
        /// Names of which the server certificate has to carry one. Empty: those of the `ServiceEntry`, else the host.
        #[serde(alias = "subject_alt_names")]
        pub subject_alt_names: Vec<String>,
        /// Server name sent in the handshake. Empty: the `Host` of the request.
        pub sni: String,
        /// Trusts any server. Default: false.
        #[serde(alias = "insecure_skip_verify")]
        pub insecure_skip_verify: Option<bool>,
        /// File with the certificate revocation list for server certificates.
        #[serde(alias = "ca_crl")]
        pub ca_crl: String,
    }
}

proto_enum! {
    /// Whether and how a client encrypts.
    pub enum ClientTlsMode {
        /// Plain text, automatic mutual TLS included.
        #[default]
        Disable = 0 => "DISABLE",
        /// TLS; the server is verified.
        Simple = 1 => "SIMPLE",
        /// TLS with a client certificate from files.
        Mutual = 2 => "MUTUAL",
        /// TLS with the workload's own identity.
        IstioMutual = 3 => "ISTIO_MUTUAL",
    }
}
