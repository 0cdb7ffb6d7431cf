//! A client's certificate at a gateway, after its connection was made.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use rustls::time_provider::TimeProvider as _;
use rustls_pki_types::CertificateDer;

use super::gateway::{LOOK_AGAIN, Terms};
use super::provider::Calendar;

/// What a client has shown, and by which terms it was last found good.
pub(super) struct Admitted {
    /// Its own certificate first.
    chain: Box<[CertificateDer<'static>]>,
    checked: ArcSwap<Checked>,
}

struct Checked {
    terms: Arc<Terms>,
    /// That of the configuration.
    version: u64,
    at: Instant,
    is_good: bool,
}

impl Admitted {
    /// By a handshake, which began with this version of the configuration.
    pub(super) fn new(chain: &[CertificateDer<'_>], terms: Arc<Terms>, version: u64) -> Self {
        let chain = chain.iter().map(|one| one.clone().into_owned()).collect();
        let checked = Checked { terms, version, at: crate::clock::now(), is_good: true };
        Self { chain, checked: ArcSwap::from_pointee(checked) }
    }

    /// Whether it was found good a moment ago, by this version.
    pub(super) fn is_fresh(&self, version: u64, now: Instant) -> bool {
        let last = self.checked.load();
        last.is_good && last.version == version && now.saturating_duration_since(last.at) < LOOK_AGAIN
    }

    /// Whether it is good by these terms. Only other ones than before take the work of a handshake.
    pub(super) fn check(&self, terms: Arc<Terms>, version: u64, now: Instant, calendar: &Calendar) -> bool {
        let last = self.checked.load();
        let is_good = match Arc::ptr_eq(&last.terms, &terms) {
            true => last.is_good,
            false => self.is_taken_by(&terms, calendar),
        };
        self.checked.store(Arc::new(Checked { terms, version, at: now, is_good }));
        is_good
    }

    fn is_taken_by(&self, terms: &Terms, calendar: &Calendar) -> bool {
        let (Some((leaf, others)), Some(time)) = (self.chain.split_first(), calendar.current_time()) else {
            return false;
        };
        // Who asks for no certificates has nothing against one.
        !terms.clients.offer_client_auth() || terms.clients.verify_client_cert(leaf, others, time).is_ok()
    }
}

impl fmt::Debug for Admitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admitted").field("chain", &self.chain.len()).finish_non_exhaustive()
    }
}
