//! The line of those who wait for a connection.

use std::collections::BTreeMap;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use mesh_core::Failure;
use mesh_core::limits::Permit;
use tokio::sync::oneshot;

use super::connector::Broken;
use super::pool::Pool;
use super::{Checkout, Protocol};
use crate::Error;

/// What somebody who waits gets in the end.
pub(super) type Granted = Result<Checkout, Broken>;

/// First come, first served.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    line: Line,
    /// Those that want no connection which has served anybody.
    fresh: Line,
    last: u64,
}

type Line = BTreeMap<u64, oneshot::Sender<Granted>>;

impl Waiters {
    /// A place at the end of the line; `fresh`: for a new connection only.
    pub(super) fn enter(&mut self, pool: &Arc<Pool>, protocol: Protocol, fresh: bool, pending: Permit) -> Waiter {
        let (grant, granted) = oneshot::channel();
        self.last += 1;
        if fresh { &mut self.fresh } else { &mut self.line }.insert(self.last, grant);
        Waiter { granted, pool: Arc::clone(pool), protocol, ticket: self.last, _pending: pending }
    }

    /// Who is to be served next, by a connection that is `used` or new.
    pub(super) fn next(&mut self, used: bool) -> Option<oneshot::Sender<Granted>> {
        let first = |line: &Line| line.first_key_value().map_or(u64::MAX, |(ticket, _)| *ticket);
        let is_fresh = !used && first(&self.fresh) < first(&self.line);
        if is_fresh { &mut self.fresh } else { &mut self.line }.pop_first().map(|(_, grant)| grant)
    }

    /// Everybody.
    pub(super) fn take(&mut self) -> impl Iterator<Item = oneshot::Sender<Granted>> + use<> {
        mem::take(&mut self.line).into_values().chain(mem::take(&mut self.fresh).into_values())
    }

    pub(super) fn leave(&mut self, ticket: u64) {
        self.line.remove(&ticket).or_else(|| self.fresh.remove(&ticket));
    }

    pub(super) fn len(&self) -> usize {
        self.line.len() + self.fresh.len()
    }
}

/// A place in the line, and a slot of the pending requests.
///
/// Who leaves after having been served puts the connection back: it is in `granted`, and returns when
/// that is dropped.
#[derive(Debug)]
pub(super) struct Waiter {
    granted: oneshot::Receiver<Granted>,
    pool: Arc<Pool>,
    protocol: Protocol,
    ticket: u64,
    _pending: Permit,
}

impl Future for Waiter {
    type Output = Result<Checkout, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.granted).poll(cx).map(|granted| match granted {
            Ok(granted) => granted.map_err(Error::from),
            // The runtime that was to open a connection has shut down.
            Err(_) => Err(Failure::ConnectFailed.into()),
        })
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.pool.leave(self.protocol, self.ticket);
    }
}
