//! Word from the file system.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::debounce::Debounce;

/// Watches a directory or file and its parent directory, through which it may be replaced.
#[derive(Debug)]
pub(crate) struct Watch {
    path: PathBuf,
    parent: PathBuf,
    watcher: Option<RecommendedWatcher>,
    events: mpsc::UnboundedReceiver<Event>,
    /// Files that were written to and not closed yet.
    writing: HashSet<PathBuf>,
    /// Whether the path itself may be another directory by now.
    replaced: bool,
}

impl Watch {
    pub(crate) fn new(path: &Path) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let send = move |event: notify::Result<Event>| {
            // An error is a lost event: look.
            let event = event.unwrap_or_else(|_| Event::new(EventKind::Any));
            if is_of_interest(&event.kind) {
                let _ = sender.send(event);
            }
        };
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let watcher = match notify::recommended_watcher(send) {
            Ok(watcher) => Some(watcher),
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "file events are not available; polling instead");
                None
            }
        };
        let mut watch =
            Self { path: path.to_owned(), parent, watcher, events, writing: HashSet::new(), replaced: true };
        watch.renew();
        watch
    }

    /// Waits until it is time to look: something has happened, or nothing has for a while. Loses
    /// nothing when it is dropped before.
    pub(crate) async fn changed(&mut self) {
        let mut pending: Option<Debounce> = None;
        let unasked = Instant::now() + if self.watcher.is_some() { RESCAN } else { POLL };
        loop {
            let due = pending.map_or(unasked, |debounce| debounce.due(!self.writing.is_empty()));
            tokio::select! {
                biased;
                Some(event) = self.events.recv() => {
                    if self.take(&event) {
                        let now = Instant::now();
                        pending.get_or_insert_with(|| Debounce::new(now)).event(now);
                    }
                }
                () = sleep_until(due) => break,
            }
        }
        self.writing.clear();
        self.renew();
    }

    /// Notes an event; returns whether it is a reason to look.
    fn take(&mut self, event: &Event) -> bool {
        if event.paths.is_empty() {
            return true;
        }
        if TELLS_CLOSING {
            self.follow_writing(event);
        }
        let (path, name) = (self.path.clone(), self.path.file_name());
        let itself =
            |changed: &&PathBuf| **changed == path || (!changed.starts_with(&path) && changed.file_name() == name);
        if event.paths.iter().any(|changed| itself(&changed)) {
            self.replaced = true;
            return true;
        }
        event.paths.iter().any(|changed| changed.starts_with(&path) || changed.file_name().is_some_and(is_mount_link))
    }

    fn follow_writing(&mut self, event: &Event) {
        match event.kind {
            EventKind::Modify(ModifyKind::Data(_)) => self.writing.extend(event.paths.iter().cloned()),
            EventKind::Access(_) | EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)) => {
                for path in &event.paths {
                    self.writing.remove(path);
                }
            }
            _ => {}
        }
    }

    /// Watches what stands at the path now.
    fn renew(&mut self) {
        let Some(watcher) = &mut self.watcher else { return };
        if !self.replaced {
            return;
        }
        // Fails if it was not watched, or is gone; there is nothing to lose.
        let _ = watcher.unwatch(&self.path);
        let parent = watcher.watch(&self.parent, RecursiveMode::NonRecursive);
        let itself = if self.path.is_dir() { watcher.watch(&self.path, RecursiveMode::Recursive) } else { Ok(()) };
        // Tried again at the next look.
        self.replaced = parent.is_err() || itself.is_err() || !self.path.exists();
    }
}

fn is_of_interest(kind: &EventKind) -> bool {
    match kind {
        EventKind::Access(access) => *access == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}

/// Kubernetes swaps `..data` beside the links to a mounted volume's files.
fn is_mount_link(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b"..")
}

/// Whether the system tells that a written file was closed.
const TELLS_CLOSING: bool = cfg!(any(target_os = "linux", target_os = "android"));
/// How often to look where there are events: some never come, for example from a network mount.
const RESCAN: Duration = Duration::from_secs(5);
/// How often to look where there are none.
const POLL: Duration = Duration::from_millis(100);
