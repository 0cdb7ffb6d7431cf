//! The files of access logs: lines are handed to a thread that writes them. No request waits for it.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use mesh_core::telemetry::Record;
use mesh_core::telemetry::policy::LogFile;

use crate::clock;

/// So many lines of a file may wait to be written; those that come then are left out, and counted.
const MOST_WAITING: usize = 8_192;

/// How often a writer looks whether its file has been moved away.
const LOOKS_EVERY: Duration = Duration::from_secs(1);

/// The writers, one for each file that was ever logged into.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    writers: ArcSwap<HashMap<Box<str>, SyncSender<Vec<u8>>>>,
    growing: Mutex<()>,
    left_out: Arc<AtomicU64>,
    hostname: Hostname,
}

/// The name of this host, as `HOSTNAME` or `/etc/hostname` tell it.
#[derive(Debug)]
struct Hostname(Box<str>);

impl Default for Hostname {
    fn default() -> Self {
        let told = std::env::var("HOSTNAME").ok().or_else(|| std::fs::read_to_string("/etc/hostname").ok());
        Self(told.unwrap_or_default().trim().into())
    }
}

impl Logs {
    /// Lines that were left out, since more than the most waited to be written.
    pub(crate) fn left_out(&self) -> u64 {
        self.left_out.load(Ordering::Relaxed)
    }

    /// Writes the line of a request.
    pub(super) fn write(&self, file: &LogFile, record: &Record) {
        let mut line = Vec::with_capacity(512);
        file.format.write(record, &self.hostname.0, &mut line);
        let known = self.writers.load();
        let sent = match known.get(&file.path) {
            Some(writer) => writer.try_send(line).is_ok(),
            None => self.add(&file.path).is_some_and(|writer| writer.try_send(line).is_ok()),
        };
        if !sent {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn add(&self, path: &str) -> Option<SyncSender<Vec<u8>>> {
        let _growing = self.growing.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.writers.load_full();
        if let Some(writer) = known.get(path) {
            return Some(writer.clone());
        }
        let (sender, lines) = sync_channel(MOST_WAITING);
        let target = Target::of(path);
        // It ends with the last sender, which is with the mesh.
        let writing =
            std::thread::Builder::new().name("mesh-access-log".to_owned()).spawn(move || target.write_all(&lines));
        if let Err(error) = writing {
            tracing::error!(path, %error, "no thread to write the access log");
            return None;
        }
        let mut more = HashMap::clone(&known);
        more.insert(path.into(), sender.clone());
        self.writers.store(Arc::new(more));
        Some(sender)
    }
}

/// Where lines go.
enum Target {
    Stdout,
    Stderr,
    File { path: PathBuf, open: Option<File>, looked: Instant },
}

impl Target {
    fn of(path: &str) -> Self {
        match path {
            "/dev/stdout" => Self::Stdout,
            "/dev/stderr" => Self::Stderr,
            path => Self::File { path: path.into(), open: None, looked: clock::now() },
        }
    }

    fn write_all(mut self, lines: &Receiver<Vec<u8>>) {
        let mut has_failed = false;
        while let Ok(mut batch) = lines.recv() {
            // What waits is written at once.
            while batch.len() < 64 * 1024
                && let Ok(line) = lines.try_recv()
            {
                batch.extend_from_slice(&line);
            }
            match self.write(&batch) {
                Ok(()) => has_failed = false,
                Err(error) if !has_failed => {
                    has_failed = true;
                    tracing::error!(%error, "the access log cannot be written");
                }
                Err(_) => {}
            }
        }
    }

    fn write(&mut self, batch: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout => io::stdout().lock().write_all(batch),
            Self::Stderr => io::stderr().lock().write_all(batch),
            Self::File { path, open, looked } => {
                if clock::now().saturating_duration_since(*looked) >= LOOKS_EVERY {
                    *looked = clock::now();
                    // Whoever rotates logs has moved it away.
                    if open.as_ref().is_some_and(|open| !is_at(open, path)) {
                        *open = None;
                    }
                }
                let file = match open {
                    Some(file) => file,
                    None => open.insert(OpenOptions::new().create(true).append(true).open(path)?),
                };
                file.write_all(batch)
            }
        }
    }
}

/// Whether an open file is the one at a path.
#[cfg(unix)]
fn is_at(open: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let id = |metadata: &std::fs::Metadata| (metadata.dev(), metadata.ino());
    matches!((open.metadata(), std::fs::metadata(path)), (Ok(ref open), Ok(ref there)) if id(open) == id(there))
}

#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> bool {
    path.exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn until(path: &Path, wanted: &str) {
        for _ in 0..1_000 {
            if std::fs::read_to_string(path).is_ok_and(|text| text == wanted) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("{}: {:?}", path.display(), std::fs::read_to_string(path));
    }

    #[test]
    fn a_file_that_was_moved_away_is_begun_anew() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("access.log");
        let (sender, lines) = sync_channel(10);
        let target = Target::of(path.to_str().unwrap());
        let writing = std::thread::spawn(move || target.write_all(&lines));
        sender.send(b"one\n".to_vec()).unwrap();
        until(&path, "one\n");
        let moved = directory.path().join("access.log.1");
        std::fs::rename(&path, &moved).unwrap();
        std::thread::sleep(LOOKS_EVERY);
        sender.send(b"two\n".to_vec()).unwrap();
        until(&path, "two\n");
        until(&moved, "one\n");
        drop(sender);
        writing.join().unwrap();
    }
}
