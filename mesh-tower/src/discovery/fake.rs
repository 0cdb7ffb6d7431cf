//! Names for tests.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::Resolve;

/// Answers as told, and counts what it is asked. A name it was told nothing about does not exist.
#[derive(Clone, Debug, Default)]
pub(crate) struct FakeDns(Arc<Mutex<Names>>);

#[derive(Debug, Default)]
struct Names {
    answers: HashMap<String, Vec<u8>>,
    asked: HashMap<String, usize>,
    takes: Duration,
}

impl FakeDns {
    /// One that takes its time for each answer.
    pub(crate) fn slow(takes: Duration) -> Self {
        Self(Arc::new(Mutex::new(Names { takes, ..Names::default() })))
    }

    /// From now on `host` is at `10.0.0.x`, for each given x.
    pub(crate) fn answer(&self, host: &str, last: &[u8]) {
        self.0.lock().unwrap().answers.insert(host.into(), last.into());
    }

    /// From now on `host` does not exist.
    pub(crate) fn fail(&self, host: &str) {
        self.0.lock().unwrap().answers.remove(host);
    }

    /// How often `host` was asked for.
    pub(crate) fn asked(&self, host: &str) -> usize {
        self.0.lock().unwrap().asked.get(host).copied().unwrap_or_default()
    }
}

impl Resolve for FakeDns {
    fn resolve(&self, host: &str, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let mut names = self.0.lock().unwrap();
        *names.asked.entry(host.into()).or_default() += 1;
        let answer = match names.answers.get(host) {
            Some(last) => Ok(last.iter().map(|last| SocketAddr::from(([10, 0, 0, *last], port))).collect()),
            None => Err(io::Error::new(io::ErrorKind::NotFound, "no such name")),
        };
        let takes = names.takes;
        async move {
            if !takes.is_zero() {
                tokio::time::sleep(takes).await;
            }
            answer
        }
        .boxed()
    }
}
