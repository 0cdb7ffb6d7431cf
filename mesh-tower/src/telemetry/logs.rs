//! The files of access logs: lines are handed to a thread that writes them. No request waits for it.

mod target;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use mesh_core::telemetry::Record;
use mesh_core::telemetry::policy::LogFile;
use tokio::sync::oneshot;

use self::target::Target;
use crate::clock;

/// So many lines of a file may wait to be written; those that come then are left out, and counted.
const MOST_LINES: usize = 8_192;
/// So many bytes of them, since a header may be long.
const MOST_BYTES: usize = 8 * 1024 * 1024;

/// How long the end of the last mesh waits for what is still to be written.
const WRITTEN_WITHIN: Duration = Duration::from_millis(500);

/// The writers, one for each file that was ever logged into.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    writers: ArcSwap<HashMap<Box<str>, Arc<Writer>>>,
    growing: Mutex<()>,
    left_out: AtomicU64,
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
    /// Lines that were left out, since more than the most waited to be written, or since they could not be.
    pub(crate) fn left_out(&self) -> u64 {
        let lost = |writer: &Arc<Writer>| writer.waiting.lost.load(Ordering::Relaxed);
        self.left_out.load(Ordering::Relaxed) + self.writers.load().values().map(lost).sum::<u64>()
    }

    /// The name of this host.
    pub(super) fn hostname(&self) -> &str {
        &self.hostname.0
    }

    /// Writes the line of a request.
    pub(super) fn write(&self, file: &LogFile, record: &Record) {
        let mut line = Vec::with_capacity(512);
        file.format.write(record, &self.hostname.0, &mut line);
        let known = self.writers.load();
        let is_taken = match known.get(&file.path) {
            Some(writer) => writer.take(line),
            None => self.add(&file.path).is_some_and(|writer| writer.take(line)),
        };
        if !is_taken {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until what was logged until now is written, for so long at most.
    pub(crate) async fn flush(&self, limit: Duration) {
        let writers = self.writers.load_full();
        let begin = |writer: &Arc<Writer>| {
            let (written, all) = oneshot::channel();
            // Who waits may have given up.
            writer.when_written(move || _ = written.send(()));
            all
        };
        let flushed: Vec<_> = writers.values().map(begin).collect();
        let all = async {
            for flushed in flushed {
                // Without an answer the thread is gone, and with it what it had.
                let _gone = flushed.await;
            }
        };
        // What cannot be written in time stays where it is.
        let _late = tokio::time::timeout(limit, all).await;
    }

    fn add(&self, path: &str) -> Option<Arc<Writer>> {
        let _growing = self.growing.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.writers.load_full();
        if let Some(writer) = known.get(path) {
            return Some(Arc::clone(writer));
        }
        let writer = match Writer::start(path) {
            Ok(writer) => Arc::new(writer),
            Err(error) => {
                tracing::error!(path, %error, "no thread to write the access log");
                return None;
            }
        };
        let mut more = HashMap::clone(&known);
        more.insert(path.into(), Arc::clone(&writer));
        self.writers.store(Arc::new(more));
        Some(writer)
    }
}

/// What still waits is written when the last mesh ends, as far as that is done soon: a process that ends then loses nothing.
impl Drop for Logs {
    fn drop(&mut self) {
        let writers = self.writers.load_full();
        let (written, all) = channel();
        for writer in writers.values() {
            let written = written.clone();
            writer.when_written(move || _ = written.send(()));
        }
        drop(written);
        let late = clock::now() + WRITTEN_WITHIN;
        // Ends with the last one, or when the time is over.
        while all.recv_timeout(late.saturating_duration_since(clock::now())).is_ok() {}
    }
}

/// Takes the lines of one file.
#[derive(Debug)]
struct Writer {
    path: Box<str>,
    sender: Sender<Message>,
    waiting: Arc<Waiting>,
    /// Whether it was said that lines are left out.
    has_told: AtomicBool,
}

/// What a thread is told.
enum Message {
    Line(Vec<u8>),
    /// To be done once all lines before it are written.
    Then(Box<dyn FnOnce() + Send>),
}

impl Writer {
    /// Its thread ends with it, which is with the mesh.
    fn start(path: &str) -> io::Result<Self> {
        let (sender, messages) = channel();
        let waiting = Arc::new(Waiting::default());
        let (target, taken) = (Target::of(path), Arc::clone(&waiting));
        let thread = std::thread::Builder::new().name("mesh-access-log".to_owned());
        thread.spawn(move || write_all(target, &messages, &taken))?;
        Ok(Self { path: path.into(), sender, waiting, has_told: AtomicBool::new(false) })
    }

    /// Hands a line to the thread; false if too much waits.
    fn take(&self, line: Vec<u8>) -> bool {
        let bytes = line.len();
        if self.waiting.take(bytes) {
            return self.sender.send(Message::Line(line)).is_ok();
        }
        if !self.has_told.swap(true, Ordering::Relaxed) {
            let path = &*self.path;
            tracing::warn!(path, "lines of the access log are left out: they come faster than they can be written");
        }
        false
    }

    fn when_written(&self, then: impl FnOnce() + Send + 'static) {
        // Where the thread is gone what was to be done goes with the message.
        let _gone = self.sender.send(Message::Then(Box::new(then)));
    }
}

/// What waits to be written.
#[derive(Debug, Default)]
struct Waiting {
    lines: AtomicUsize,
    bytes: AtomicUsize,
    /// Lines that had their turn and could not be written.
    lost: AtomicU64,
}

impl Waiting {
    /// Makes room for a line, if there is some.
    fn take(&self, bytes: usize) -> bool {
        let has_room = self.lines.fetch_add(1, Ordering::Relaxed) < MOST_LINES
            && self.bytes.load(Ordering::Relaxed).saturating_add(bytes) <= MOST_BYTES;
        if has_room {
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
        } else {
            self.lines.fetch_sub(1, Ordering::Relaxed);
        }
        has_room
    }

    fn give_back(&self, lines: usize, bytes: usize) {
        self.lines.fetch_sub(lines, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Batches are written once they are so long, or nothing more waits.
const LONG: usize = 64 * 1024;

/// Writes what comes, until nothing more can come.
fn write_all(mut target: Target, messages: &Receiver<Message>, waiting: &Waiting) {
    let (mut batch, mut then, mut has_failed) = (Vec::new(), Vec::new(), false);
    while let Ok(first) = messages.recv() {
        let mut next = Some(first);
        let mut lines = 0;
        while let Some(message) = next {
            match message {
                Message::Line(line) => {
                    batch.extend_from_slice(&line);
                    lines += 1;
                }
                Message::Then(done) => then.push(done),
            }
            next = if batch.len() < LONG { messages.try_recv().ok() } else { None };
        }
        match target.write(&batch) {
            Ok(()) => has_failed = false,
            Err(error) => {
                waiting.lost.fetch_add(lines as u64, Ordering::Relaxed);
                if !std::mem::replace(&mut has_failed, true) {
                    tracing::error!(path = %target.name(), %error, "the access log cannot be written");
                }
            }
        }
        waiting.give_back(lines, batch.len());
        batch.clear();
        then.drain(..).for_each(|done| done());
    }
}
