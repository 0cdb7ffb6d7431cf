//! [`ConfigSink`]: the place where a source delivers.

use std::fmt;
use std::sync::Arc;

use mesh_config::{Document, Report};

use super::SourceError;

/// What became of a set of documents.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Applied {
    /// The version in use now.
    pub version: u64,
    /// Everything found in the set: by reading, checking and compiling it.
    pub report: Arc<Report>,
    /// Whether the set is in use. If not, nothing has changed.
    pub accepted: bool,
}

impl Applied {
    /// The outcome of one set.
    pub fn new(version: u64, report: impl Into<Arc<Report>>, accepted: bool) -> Self {
        Self { version, report: report.into(), accepted }
    }
}

/// Takes sets of documents: checks, compiles and publishes them.
pub trait Apply: Send + Sync + 'static {
    /// Puts `documents` in the place of all that `source` gave before. `report` holds what was found
    /// while they were read; with an error in it the set is not taken.
    fn apply(&self, source: &str, documents: Vec<Document>, report: Report) -> Applied;
}

/// Where a source delivers; clones deliver to the same place under the same name.
#[derive(Clone)]
pub struct ConfigSink {
    apply: Arc<dyn Apply>,
    source: Arc<str>,
}

impl ConfigSink {
    /// The sink of the source with this name.
    pub fn new(apply: Arc<dyn Apply>, source: impl Into<Arc<str>>) -> Self {
        Self { apply, source: source.into() }
    }

    /// The name of the source that this sink belongs to.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Puts `documents` in the place of all that came through this sink before; `report` holds what
    /// was found while they were read. Compiles before it returns, on the calling thread: a large
    /// set takes some milliseconds.
    pub fn replace(&self, documents: Vec<Document>, report: Report) -> Applied {
        self.apply.apply(&self.source, documents, report)
    }

    /// As [`replace`](Self::replace), without holding up the tasks of this thread.
    ///
    /// # Errors
    ///
    /// If the runtime is shutting down.
    pub async fn replace_async(&self, documents: Vec<Document>, report: Report) -> Result<Applied, SourceError> {
        let sink = self.clone();
        on_thread(move || sink.replace(documents, report)).await
    }
}

impl fmt::Debug for ConfigSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigSink").field("source", &self.source).finish_non_exhaustive()
    }
}

/// Runs what takes long on a thread for such things.
pub(super) async fn on_thread<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> Result<T, SourceError> {
    tokio::task::spawn_blocking(run)
        .await
        .map_err(|error| SourceError::new("the configuration could not be processed").because(error))
}
