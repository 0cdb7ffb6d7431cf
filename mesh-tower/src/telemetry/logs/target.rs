//! The files that lines are written to, and the two streams of the process.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::clock;

/// How often it is looked whether a file has been moved away.
pub(super) const LOOKS_EVERY: Duration = Duration::from_secs(1);

/// Where lines go.
pub(super) enum Target {
    Stdout,
    Stderr,
    File { path: PathBuf, open: Option<File>, looked: Instant },
}

impl Target {
    pub(super) fn of(path: &str) -> Self {
        match path {
            "/dev/stdout" => Self::Stdout,
            "/dev/stderr" => Self::Stderr,
            path => Self::File { path: path.into(), open: None, looked: clock::now() },
        }
    }

    /// What it is called where something is said of it.
    pub(super) fn name(&self) -> std::borrow::Cow<'_, str> {
        match self {
            Self::Stdout => "/dev/stdout".into(),
            Self::Stderr => "/dev/stderr".into(),
            Self::File { path, .. } => path.to_string_lossy(),
        }
    }

    pub(super) fn write(&mut self, batch: &[u8]) -> io::Result<()> {
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
                let written = file.write_all(batch);
                if written.is_err() {
                    *open = None;
                }
                written
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
