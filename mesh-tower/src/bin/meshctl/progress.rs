//! How far reading has come, on a terminal.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// A line on standard error that is written over and taken away at the end; nothing where that is no terminal, or where
/// reading is quick.
#[derive(Debug)]
pub(crate) struct Progress {
    done: usize,
    total: usize,
    next: Option<Instant>,
    shown: bool,
}

/// Nothing is shown before this, and a new figure not sooner.
const EVERY: Duration = Duration::from_millis(200);

impl Progress {
    pub(crate) fn new(total: usize) -> Self {
        let shows = io::stderr().is_terminal() && env::var_os("TERM").is_none_or(|term| term != "dumb");
        Self { done: 0, total, next: shows.then(|| now() + EVERY), shown: false }
    }

    pub(crate) fn step(&mut self) {
        self.done += 1;
        let now = now();
        if self.next.is_some_and(|next| now >= next) {
            self.next = Some(now + EVERY);
            self.shown = true;
            let _ = write!(io::stderr(), "\r{} of {} files", self.done, self.total);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            let _ = write!(io::stderr(), "\r\u{1b}[K");
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a person waits here; no test moves this time")]
fn now() -> Instant {
    Instant::now()
}
