//! Where records of requests go.

use super::exported::LineExporter;
use super::logs::Logs;
use super::tap::Taps;

/// Those who listen, and the files of access logs.
#[derive(Debug, Default)]
pub(crate) struct Sinks {
    pub(crate) taps: Taps,
    pub(crate) logs: Logs,
    /// Who exports lines of access logs.
    pub(crate) exporter: Option<LineExporter>,
}
