//! The identity in use: shared by all servers and clients of a mesh, and replaced as a whole.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use mesh_core::identity::{SpiffeId, TrustDomains};
use mesh_core::mesh_tls::MeshTls;

use super::Material;
use super::anchors::Anchors;
use super::provider::Calendar;

/// What handshakes are made with.
#[derive(Clone, Debug, Default)]
pub(super) struct Credentials {
    /// `None` for a process without a certificate.
    pub(super) material: Option<Arc<Material>>,
    /// Which trust domains are this mesh's.
    pub(super) domains: Arc<TrustDomains>,
    /// What the mesh says of TLS.
    pub(super) tls: Arc<MeshTls>,
    /// By trust domain: those that come with the material, and the mesh's further ones.
    pub(super) roots: Arc<BTreeMap<Box<str>, Anchors>>,
    /// Since when that is in use.
    #[cfg_attr(not(feature = "admin"), expect(dead_code, reason = "who asks is the admin server"))]
    pub(super) since: Option<std::time::SystemTime>,
    /// Counts changes: configurations and session stores of an older one are not used again.
    pub(super) version: u64,
}

impl Credentials {
    /// Roots of the mesh vouch for the domains that they are for, beside those that do already, and else for our own.
    fn all_roots(&self) -> BTreeMap<Box<str>, Anchors> {
        let Some(material) = &self.material else { return BTreeMap::new() };
        let mut roots = material.roots.clone();
        let own = material.id.trust_domain();
        for further in &self.tls.roots {
            let anchors = match Anchors::from_pem(further.pem.as_bytes()) {
                Ok(anchors) => anchors,
                Err(problem) => {
                    tracing::warn!(%problem, "roots of the MeshConfig (caCertificates) cannot be read: they count for nobody");
                    continue;
                }
            };
            let named: Vec<&str> = match further.domains.as_slice() {
                [] => vec![own],
                domains => domains.iter().map(|domain| &**domain).collect(),
            };
            for domain in named {
                let stands_for_own = if self.domains.contains(domain) { roots.get(own) } else { None };
                let before = roots.get(domain).or(stands_for_own);
                let joined = before.map_or_else(|| anchors.clone(), |before| before.joined(&anchors));
                roots.insert(domain.into(), joined);
            }
        }
        roots
    }
}

/// The identity of a mesh; clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct IdentityHandle(Arc<State>);

#[derive(Debug, Default)]
struct State {
    current: ArcSwap<Credentials>,
    changes: AtomicU64,
    options: Options,
}

/// What is chosen when the mesh is built.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(super) calendar: Calendar,
    /// Whether `insecureSkipVerify` acts.
    pub(super) skip_verify: bool,
    /// Where the credentials are that no Secret is.
    pub(super) credentials: Option<PathBuf>,
}

impl IdentityHandle {
    pub(crate) fn new(options: Options) -> Self {
        Self(Arc::new(State { options, ..State::default() }))
    }

    pub(super) fn current(&self) -> Arc<Credentials> {
        self.0.current.load_full()
    }

    pub(super) fn options(&self) -> &Options {
        &self.0.options
    }

    /// Whether this process has a certificate to show.
    pub(crate) fn has_certificate(&self) -> bool {
        self.0.current.load().material.is_some()
    }

    /// Who this process is by the certificate that it shows.
    pub(crate) fn id(&self) -> Option<SpiffeId> {
        self.0.current.load().material.as_ref().map(|material| material.id().clone())
    }

    /// When the certificate that this process shows expires.
    pub(crate) fn expires(&self) -> Option<std::time::SystemTime> {
        self.0.current.load().material.as_ref().map(|material| material.expires())
    }

    /// Since when its certificate is in use.
    #[cfg(feature = "admin")]
    pub(crate) fn since(&self) -> Option<std::time::SystemTime> {
        self.0.current.load().since
    }

    /// The certificates that this process shows, its own first.
    #[cfg(feature = "admin")]
    pub(crate) fn chain(&self) -> Vec<super::CertificateInfo> {
        let current = self.0.current.load();
        let chain = current.material.iter().flat_map(|material| &material.key.cert);
        chain.filter_map(|certificate| super::inspect::info(certificate).ok()).collect()
    }

    /// Takes another certificate into use.
    pub(crate) fn replace(&self, material: Material) {
        let (id, expires) = (material.id().clone(), material.expires());
        let material = Arc::new(material);
        let since = Some(crate::clock::wall());
        self.change(|before| Credentials { material: Some(Arc::clone(&material)), since, ..before.clone() });
        tracing::info!(%id, expires = ?expires, "certificate in use");
    }

    /// Learns which trust domains are the mesh's, and what it says of TLS.
    pub(crate) fn follow(&self, domains: &TrustDomains, tls: &MeshTls) {
        let current = self.0.current.load();
        if *current.domains == *domains && *current.tls == *tls {
            return;
        }
        let (domains, tls) = (Arc::new(domains.clone()), Arc::new(tls.clone()));
        self.change(|before| Credentials { domains: Arc::clone(&domains), tls: Arc::clone(&tls), ..before.clone() });
    }

    fn change(&self, change: impl Fn(&Credentials) -> Credentials) {
        self.0.current.rcu(|before| {
            let version = self.0.changes.fetch_add(1, Ordering::Relaxed) + 1;
            let mut next = Credentials { version, ..change(before) };
            next.roots = Arc::new(next.all_roots());
            next
        });
    }
}

impl Options {
    pub(crate) fn calendar(&mut self, now: impl Fn() -> std::time::SystemTime + Send + Sync + 'static) {
        self.calendar = Calendar::new(now);
    }

    pub(crate) fn credentials(&mut self, directory: PathBuf) {
        self.credentials = Some(directory);
    }

    pub(crate) fn allow_skip_verify(&mut self) {
        self.skip_verify = true;
    }
}
