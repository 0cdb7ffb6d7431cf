//! [`DirSource`]: a directory or file that is watched.
//!
//! Events only say *when* to look; *whether* something changed is told by a hash of the contents,
//! and the files are read as a whole each time. That follows whatever a file may do: be written in
//! place, be replaced by a rename, or move with the symbolic link that Kubernetes swaps in a mounted
//! ConfigMap. Where the system gives no events, and now and then where it does, the files are looked
//! at without one.
//!
//! A file that is being written is waited for (up to a second), and a set that changes while it is
//! read is read again, so that half of a file is not taken for all of it.

mod debounce;
mod fingerprint;
mod watch;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use mesh_config::dir::read_path;
use mesh_config::{Document, ParseOptions, Report};

use super::sink::on_thread;
use super::{ConfigSink, ConfigSource, SourceError};

use self::fingerprint::Fingerprint;
pub(crate) use self::watch::Watch;

/// The YAML and JSON files of a directory, or one file; read at once, and again whenever they
/// change.
///
/// A change is in use within about 100 ms, and within about 200 ms however fast others follow. A
/// path that does not exist is a finding and is waited for.
#[derive(Clone, Debug)]
pub struct DirSource {
    path: PathBuf,
    name: String,
    options: ParseOptions,
    /// What was read last.
    seen: Option<Fingerprint>,
}

impl DirSource {
    /// A source that will read `path`.
    pub fn new(path: impl Into<PathBuf>, options: ParseOptions) -> Self {
        let path = path.into();
        Self { name: path.display().to_string(), path, options, seen: None }
    }

    /// Reads the files now. What was read here is not delivered again when the source
    /// [runs](ConfigSource::run), unless it has changed by then.
    pub fn read(&mut self) -> (Vec<Document>, Report) {
        let mut seen = Fingerprint::of(&self.path);
        let mut tries = 0;
        loop {
            let read = read_path(&self.path, &self.options);
            let now = Fingerprint::of(&self.path);
            tries += 1;
            // Files that never stand still are taken as they come.
            if now == seen || tries == TRIES {
                self.seen = Some(seen);
                return read;
            }
            seen = now;
            std::thread::sleep(PAUSE);
        }
    }

    /// Reads and delivers the files, unless they are what they were.
    fn deliver(&mut self, sink: &ConfigSink) {
        if self.seen != Some(Fingerprint::of(&self.path)) {
            let (documents, report) = self.read();
            sink.replace(documents, report);
        }
    }
}

impl ConfigSource for DirSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn run(self: Box<Self>, sink: ConfigSink) -> BoxFuture<'static, Result<(), SourceError>> {
        async move {
            // Before the first look, so that no change falls in between.
            let mut watch = Watch::new(&self.path);
            let mut source = self;
            loop {
                let to = sink.clone();
                source = on_thread(move || {
                    source.deliver(&to);
                    source
                })
                .await?;
                watch.changed().await;
            }
        }
        .boxed()
    }
}

const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(5);
