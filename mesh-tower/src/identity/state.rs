//! The identity in use: shared by all servers and clients of a mesh, and replaced as a whole.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use mesh_core::identity::TrustDomains;

use super::Material;
use super::provider::Calendar;

/// What handshakes are made with.
#[derive(Clone, Debug, Default)]
pub(super) struct Credentials {
    /// `None` for a process without a certificate.
    pub(super) material: Option<Arc<Material>>,
    /// Which trust domains are this mesh's.
    pub(super) domains: Arc<TrustDomains>,
    /// Counts changes: configurations and session stores of an older one are not used again.
    pub(super) version: u64,
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

    /// Takes another certificate into use.
    pub(crate) fn replace(&self, material: Material) {
        let (id, expires) = (material.id().clone(), material.expires());
        let material = Arc::new(material);
        self.change(|before| Credentials { material: Some(Arc::clone(&material)), ..before.clone() });
        tracing::info!(%id, expires = ?expires, "certificate in use");
    }

    /// Learns which trust domains are the mesh's.
    pub(crate) fn set_domains(&self, domains: &TrustDomains) {
        if *self.0.current.load().domains != *domains {
            let domains = Arc::new(domains.clone());
            self.change(|before| Credentials { domains: Arc::clone(&domains), ..before.clone() });
        }
    }

    fn change(&self, change: impl Fn(&Credentials) -> Credentials) {
        self.0.current.rcu(|before| {
            let version = self.0.changes.fetch_add(1, Ordering::Relaxed) + 1;
            Credentials { version, ..change(before) }
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
