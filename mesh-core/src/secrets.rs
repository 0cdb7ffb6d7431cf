//! Certificates and keys: in files, or in Secrets among the documents.

use std::fmt;
use std::sync::Arc;

use mesh_config::ConfigSet;
use mesh_config::api::kubernetes::Secret;

/// PEM, whose text is never printed.
#[derive(Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Pem {
    /// In a file.
    File(Box<str>),
    /// From a Secret.
    Text(Arc<[u8]>),
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "File({path})"),
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
        }
    }
}

impl Pem {
    pub(crate) fn file(path: &str) -> Option<Self> {
        (!path.is_empty()).then(|| Self::File(path.into()))
    }

    fn text(bytes: &[u8]) -> Self {
        Self::Text(bytes.into())
    }
}

/// The Secrets that a workload may name: those of its own namespace.
///
/// Both forms that Istio takes: `tls.crt`, `tls.key` and `ca.crt` of the type `kubernetes.io/tls`, and the generic one
/// with `cert`, `key` and `cacert`.
pub(crate) struct Secrets<'a> {
    set: &'a ConfigSet,
    namespace: &'a str,
}

impl<'a> Secrets<'a> {
    pub(crate) fn of(set: &'a ConfigSet, namespace: &'a str) -> Self {
        Self { set, namespace }
    }

    fn find(&self, name: &str) -> Option<&'a Secret> {
        let named = |meta: &mesh_config::ObjectMeta| meta.namespace == self.namespace && meta.name == name;
        self.set.secrets().find(|secret| named(&secret.meta)).map(|secret| &secret.spec)
    }

    /// The certificate with its key.
    pub(crate) fn pair(&self, name: &str) -> Option<(Pem, Pem)> {
        let secret = self.find(name)?;
        let named = |chain: &str, key: &str| Some((Pem::text(secret.value(chain)?), Pem::text(secret.value(key)?)));
        named("tls.crt", "tls.key").or_else(|| named("cert", "key"))
    }

    /// Authorities in the Secret itself, or in the one beside it.
    pub(crate) fn roots(&self, name: &str) -> Option<Pem> {
        let of = |secret: &Secret| secret.value("cacert").or_else(|| secret.value("ca.crt")).map(Pem::text);
        self.find(name).and_then(of).or_else(|| self.find(&format!("{name}-cacert")).and_then(of))
    }

    /// Certificates that do not count any more.
    pub(crate) fn revoked(&self, name: &str) -> Option<Pem> {
        let secret = self.find(name)?;
        secret.value("ca.crl").or_else(|| secret.value("crl")).map(Pem::text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_secret_holds_is_never_printed() {
        let printed = format!("{:?}", (Pem::text(b"canary"), Pem::file("c")));
        assert!(!printed.contains("canary") && printed.contains("File(c)"), "{printed}");
    }
}
