//! `tls` of a server.

use super::rule::{NAME_OR_NAMES, NAMES_OR_CERTIFICATES};
use super::schema::{BOOLEAN, Schema, TEXT, list, object, one_of};

const VERSION: Schema = one_of(&["TLS_AUTO", "TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3"]);

const CERTIFICATE: Schema = object(&[("caCertificates", TEXT), ("privateKey", TEXT), ("serverCertificate", TEXT)]);

pub(super) const SERVER_TLS: Schema = object(&[
    ("caCertCredentialName", TEXT),
    ("caCertificates", TEXT),
    ("caCrl", TEXT),
    ("cipherSuites", list(&TEXT)),
    ("credentialName", TEXT),
    ("credentialNames", list(&TEXT).at_least(1).at_most(2)),
    ("httpsRedirect", BOOLEAN),
    ("insecureSkipVerify", BOOLEAN.nullable()),
    ("maxProtocolVersion", VERSION),
    ("minProtocolVersion", VERSION),
    ("mode", one_of(&["PASSTHROUGH", "SIMPLE", "MUTUAL", "AUTO_PASSTHROUGH", "ISTIO_MUTUAL", "OPTIONAL_MUTUAL"])),
    ("privateKey", TEXT),
    ("serverCertificate", TEXT),
    ("subjectAltNames", list(&TEXT)),
    ("tlsCertificates", list(&CERTIFICATE).at_least(1).at_most(2)),
    ("verifyCertificateHash", list(&TEXT)),
    ("verifyCertificateSpki", list(&TEXT)),
])
// A third rule has the expression of the first and names other fields; it cannot fail alone.
.rules(&[NAMES_OR_CERTIFICATES, NAME_OR_NAMES]);
