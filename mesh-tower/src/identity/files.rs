//! [`FileIdentity`]: material in files, followed as they change.

use std::path::{Path, PathBuf};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use mesh_core::identity::TrustDomain;

use super::credentials::read;
use super::{BadMaterial, IdentitySink, IdentitySource, Material};
use crate::source::Watch;

/// A certificate, its key and its roots in PEM files, read again whenever they change.
///
/// The directory is watched as one of configuration is: it may be written in place, replaced by a rename, or be a mounted
/// volume whose link Kubernetes swaps. A set that does not fit together (a key of another certificate, half a file) is
/// waited out: the last good one stays in use, and the problem is logged.
#[derive(Clone, Debug)]
pub struct FileIdentity {
    name: String,
    certificate: PathBuf,
    key: PathBuf,
    roots: PathBuf,
    further_roots: Vec<(TrustDomain, PathBuf)>,
    revoked: Option<PathBuf>,
    seen: Option<Contents>,
}

/// What the files held, without which nothing is read again. A hash, so that no key stays in memory for it.
type Contents = [u8; 32];

impl FileIdentity {
    /// The files that Istio's agent and Istio's own mounts have: `cert-chain.pem`, `key.pem` and `root-cert.pem`.
    pub fn directory(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        Self::files(path.join("cert-chain.pem"), path.join("key.pem"), path.join("root-cert.pem"))
    }

    /// The files of a mounted Secret of type `kubernetes.io/tls`, as cert-manager makes them: `tls.crt`, `tls.key` and
    /// `ca.crt`.
    pub fn secret(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        Self::files(path.join("tls.crt"), path.join("tls.key"), path.join("ca.crt"))
    }

    /// Files of any name: the certificate with those that lead to its root, its key, and the roots.
    pub fn files(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>, roots: impl Into<PathBuf>) -> Self {
        let certificate = certificate.into();
        Self {
            name: certificate.display().to_string(),
            certificate,
            key: key.into(),
            roots: roots.into(),
            further_roots: Vec::new(),
            revoked: None,
            seen: None,
        }
    }

    /// Believes another trust domain by the roots in a file.
    #[must_use]
    pub fn trust(mut self, domain: TrustDomain, roots: impl Into<PathBuf>) -> Self {
        self.further_roots.push((domain, roots.into()));
        self
    }

    /// Refuses the certificates that the lists in a file name.
    #[must_use]
    pub fn revoked(mut self, lists: impl Into<PathBuf>) -> Self {
        self.revoked = Some(lists.into());
        self
    }

    /// Reads the files; nothing if they are what they were.
    fn read(&mut self) -> Result<Option<Material>, BadMaterial> {
        let (certificate, key, roots) = (read(&self.certificate)?, read(&self.key)?, read(&self.roots)?);
        let further: Vec<_> = self.further_roots.iter().map(|(_, path)| read(path)).collect::<Result<_, _>>()?;
        let revoked = self.revoked.as_deref().map(read).transpose()?;
        let mut all = Vec::new();
        for part in [&certificate, &key, &roots].into_iter().chain(&further).chain(&revoked) {
            all.extend_from_slice(&super::sha256(part));
        }
        let contents = super::sha256(&all);
        if self.seen == Some(contents) {
            return Ok(None);
        }
        let mut material = Material::from_pem(certificate, key, roots)?;
        for ((domain, _), roots) in self.further_roots.iter().zip(further) {
            material = material.with_roots(domain, roots)?;
        }
        if let Some(lists) = revoked {
            material = material.with_revoked(lists)?;
        }
        self.seen = Some(contents);
        Ok(Some(material))
    }
}

impl IdentitySource for FileIdentity {
    fn name(&self) -> &str {
        &self.name
    }

    fn first(&mut self) -> Result<Material, BadMaterial> {
        self.seen = None;
        self.read()?.ok_or(BadMaterial::NoCertificate)
    }

    fn run(self: Box<Self>, sink: IdentitySink) -> BoxFuture<'static, ()> {
        let directory = match self.certificate.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        async move {
            let mut watch = Watch::new(&directory);
            let mut source = self;
            let mut told = None;
            loop {
                let read = tokio::task::spawn_blocking(move || {
                    let found = source.read();
                    (source, found)
                });
                let Ok((same, found)) = read.await else { return };
                source = same;
                match found {
                    Ok(Some(material)) => {
                        sink.replace(material);
                        told = None;
                    }
                    Ok(None) => told = None,
                    Err(problem) => {
                        if told.as_ref() != Some(&problem) {
                            tracing::error!(files = %source.name, %problem, "certificates refused; the last good ones stay in use");
                        }
                        told = Some(problem);
                    }
                }
                watch.changed().await;
            }
        }
        .boxed()
    }
}
