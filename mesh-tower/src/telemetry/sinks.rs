//! Where records of requests go.

#[cfg(feature = "admin")]
use std::sync::OnceLock;

use super::exported::LineExporter;
use super::logs::Logs;
use super::tap::Taps;
#[cfg(feature = "admin")]
use super::traffic::Traffic;

/// Those who listen, and the files of access logs.
#[derive(Debug, Default)]
pub(crate) struct Sinks {
    pub(crate) taps: Taps,
    pub(crate) logs: Logs,
    /// Who exports lines of access logs.
    pub(crate) exporter: Option<LineExporter>,
    /// What they came to of late, once somebody may ask.
    #[cfg(feature = "admin")]
    pub(crate) traffic: OnceLock<Traffic>,
}

impl Sinks {
    /// Whether every request is wanted, whatever the configuration says.
    #[cfg(feature = "admin")]
    pub(super) fn want_all(&self) -> bool {
        self.traffic.get().is_some()
    }

    /// Nobody asks.
    #[cfg(not(feature = "admin"))]
    #[expect(clippy::unused_self, reason = "as with an admin server")]
    pub(super) const fn want_all(&self) -> bool {
        false
    }
}
