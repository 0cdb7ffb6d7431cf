//! The cryptography in use, and the clock that certificates are judged by.
//!
//! Always passed on by hand: a process may hold several providers, and its default is the application's to choose.

use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::SystemTime;

use rustls::crypto::CryptoProvider;
use rustls::time_provider::TimeProvider;
use rustls_pki_types::UnixTime;

/// aws-lc-rs, the post-quantum key exchange first.
pub(super) fn provider() -> &'static Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> =
        LazyLock::new(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    &PROVIDER
}

/// What time it is for certificates.
#[derive(Clone)]
pub(super) struct Calendar(Arc<dyn Fn() -> SystemTime + Send + Sync>);

impl Calendar {
    pub(super) fn new(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// Seconds since 1970.
    pub(super) fn seconds(&self) -> i64 {
        let since = (self.0)().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    }
}

impl Default for Calendar {
    #[expect(clippy::disallowed_methods, reason = "certificates count by the calendar, and by nothing else here")]
    fn default() -> Self {
        Self::new(SystemTime::now)
    }
}

impl TimeProvider for Calendar {
    fn current_time(&self) -> Option<UnixTime> {
        let since = (self.0)().duration_since(SystemTime::UNIX_EPOCH).ok()?;
        Some(UnixTime::since_unix_epoch(since))
    }
}

impl fmt::Debug for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Calendar")
    }
}
