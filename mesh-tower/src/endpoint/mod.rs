//! Connections to one endpoint: our own pool, for HTTP/1.1 and HTTP/2.
//!
//! A connection is checked out and then used, in two steps, because a try's clock starts between
//! them. Limits are the cluster's ([`Permits`]): a request that finds no connection takes a slot of
//! the pending requests while one is opened or becomes free, and where there is no slot it is
//! refused at once. An endpoint may always have one connection, whatever the cluster's limit says.
//!
//! The pool closes with its last user: nothing has to be drained when an endpoint goes.

pub(crate) mod classify;
mod connector;
mod http1;
mod http2;
mod lease;
mod occupied;
mod upload;

#[cfg(test)]
mod tests;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use mesh_core::cluster::{ClusterSpec, EndpointAddress, PoolSpec};
use mesh_core::failure::Limit;
use mesh_core::limits::{Permit, Permits};
use tokio::sync::Notify;

use crate::{Body, Error};

pub(crate) use lease::Lease;

/// What is spoken on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

/// How connections are made and kept.
#[derive(Clone, Debug)]
pub(crate) struct PoolOptions {
    pub(crate) connect_timeout: Duration,
    pub(crate) pool: PoolSpec,
}

impl PoolOptions {
    pub(crate) fn of(spec: &ClusterSpec) -> Self {
        Self { connect_timeout: spec.connect_timeout, pool: spec.pool.clone() }
    }
}

/// The connections of one endpoint.
#[derive(Debug)]
pub(crate) struct EndpointPool {
    address: EndpointAddress,
    options: PoolOptions,
    permits: Arc<Permits>,
    shared: Arc<Shared>,
    http1: Arc<http1::Idle>,
    http2: http2::Connections,
}

/// What the pool and its connections share.
#[derive(Debug, Default)]
struct Shared {
    open: AtomicU32,
    waiting: AtomicU32,
    /// Told once for each connection that becomes free or ends, and each stream that ends.
    freed: Notify,
}

impl EndpointPool {
    pub(crate) fn new(address: EndpointAddress, options: PoolOptions, permits: Arc<Permits>) -> Arc<Self> {
        Arc::new(Self {
            address,
            options,
            permits,
            shared: Arc::default(),
            http1: Arc::default(),
            http2: http2::Connections::default(),
        })
    }

    /// Connections that are open.
    pub(crate) fn open(&self) -> u32 {
        self.shared.open.load(Ordering::Relaxed)
    }

    /// A connection that is ready for a request: one that is free, a new one, or the next that
    /// becomes free.
    ///
    /// # Errors
    /// [`Overflow`](mesh_core::Failure::Overflow) where nobody may wait any more, and what keeps a
    /// connection from being made.
    pub(crate) async fn checkout(&self, protocol: Protocol) -> Result<Checkout, Error> {
        match protocol {
            Protocol::Http1 => self.checkout_http1().await.map(Checkout::Http1),
            Protocol::Http2 => self.checkout_http2().await.map(Checkout::Http2),
        }
    }

    async fn checkout_http1(&self) -> Result<http1::Connection, Error> {
        // Those who wait already come first.
        if self.shared.waiting.load(Ordering::Relaxed) == 0
            && let Some(connection) = self.http1.take(&self.options.pool).await
        {
            return Ok(connection);
        }
        let _pending = self.permits.try_acquire(Limit::PendingRequests)?;
        let slot = loop {
            // In line before looking: what becomes free meanwhile wakes this one.
            let mut freed = pin!(self.shared.freed.notified());
            freed.as_mut().enable();
            if let Some(slot) = self.slot() {
                break slot;
            }
            let _waiting = Counted::new(&self.shared.waiting);
            freed.await;
            if let Some(connection) = self.http1.take(&self.options.pool).await {
                return Ok(connection);
            }
        };
        let io = connector::connect(&self.address, &self.options).await?;
        http1::handshake(io, slot, &self.http1, self.options.pool.idle_timeout).await
    }

    async fn checkout_http2(&self) -> Result<http2::Stream, Error> {
        if let Some(stream) = self.http2.take(&self.options.pool) {
            return Ok(stream);
        }
        let _pending = self.permits.try_acquire(Limit::PendingRequests)?;
        // One connection is opened at a time: those who wait for it will mostly share it.
        let _opening = self.http2.opening.lock().await;
        loop {
            let mut freed = pin!(self.shared.freed.notified());
            freed.as_mut().enable();
            if let Some(stream) = self.http2.take(&self.options.pool) {
                return Ok(stream);
            }
            if let Some(slot) = self.slot() {
                let io = connector::connect(&self.address, &self.options).await?;
                return self.http2.open(io, slot).await;
            }
            freed.await;
        }
    }

    /// Room for one more connection; the first of an endpoint is always granted.
    fn slot(&self) -> Option<Slot> {
        let permit = match self.permits.try_acquire(Limit::Connections) {
            Ok(permit) => permit,
            Err(_) if self.open() == 0 => self.permits.acquire_over_limit(Limit::Connections),
            Err(_) => return None,
        };
        self.shared.open.fetch_add(1, Ordering::Relaxed);
        Some(Slot { shared: Arc::clone(&self.shared), _permit: permit })
    }
}

/// A connection's place; lives as long as the connection.
#[derive(Debug)]
struct Slot {
    shared: Arc<Shared>,
    _permit: Permit,
}

impl Slot {
    fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.shared.open.fetch_sub(1, Ordering::Relaxed);
        self.shared.freed.notify_one();
    }
}

/// One more, until dropped.
struct Counted<'a>(&'a AtomicU32);

impl<'a> Counted<'a> {
    fn new(count: &'a AtomicU32) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection that is ready for one request.
#[derive(Debug)]
pub(crate) enum Checkout {
    Http1(http1::Connection),
    Http2(http2::Stream),
}

/// A request that got no answer.
#[derive(Debug)]
pub(crate) struct Unanswered {
    pub(crate) error: Error,
    /// The request, if nothing of it was sent.
    pub(crate) unsent: Option<Box<Request<Body>>>,
}

impl Checkout {
    /// Sends a request with an absolute URI and gives the answer, together with what has to be kept
    /// until its body has been read.
    pub(crate) async fn send(self, request: Request<Body>) -> Result<(Response<Incoming>, Lease), Unanswered> {
        match self {
            Self::Http1(connection) => connection.send(request).await,
            Self::Http2(stream) => stream.send(request).await,
        }
    }
}
