//! Connections to one endpoint: our own pool, for HTTP/1.1 and HTTP/2.
//!
//! A connection is checked out and then used, in two steps, because a try's clock starts between
//! them. Limits are the cluster's ([`Permits`](mesh_core::limits::Permits)): a request that finds no
//! connection takes a slot of the pending requests while one is opened or becomes free, and where
//! there is no slot it is refused at once. An endpoint may always have one connection of each
//! protocol, whatever the cluster's limit says.
//!
//! As in Envoy, opening a connection is nobody's in particular: those who wait stand in line and get
//! what comes first, a new connection or one that became free; who gives up leaves the line, and the
//! connection serves the next. If opening fails, all who wait are told.
//!
//! The pool closes with its last user: nothing has to be drained when an endpoint goes.
//!
//! | file | is about |
//! |-|-|
//! | `pool` | which connection a request gets, and when another one is opened |
//! | `waiters` | the line of those who wait |
//! | `reaper` | connections that were idle, or in use, for long enough |
//! | `http1`, `http2` | what one connection does with a request |
//! | `upload` | the body of a request on its way: it can be stopped, and wait to be asked for |
//! | `lease` | what a response keeps until its body was read |
//! | `kept` | what lasts as long as an upgraded connection |
//! | `connector` | sockets |
//! | `network` | who opens them: the operating system, or a test |
//! | `classify` | which failure an error of hyper is |

pub(crate) mod classify;
mod connector;
mod http1;
mod http2;
mod kept;
mod lease;
mod network;
mod pool;
mod reaper;
mod upload;
mod waiters;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::Either;
use http::{Request, Response};
use hyper::body::Incoming;
use mesh_core::Failure;
use mesh_core::cluster::{ClusterSpec, PoolSpec};

use crate::{Body, Error};

pub(crate) use lease::Lease;
pub(crate) use network::Network;
pub(crate) use pool::EndpointPool;
pub(crate) use upload::Sent;

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
    pub(crate) network: Network,
}

impl PoolOptions {
    pub(crate) fn of(spec: &ClusterSpec, network: &Network) -> Self {
        Self { connect_timeout: spec.connect_timeout, pool: spec.pool.clone(), network: network.clone() }
    }
}

/// A connection that is ready for one request. Unused, it goes back to the pool.
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
    /// Whether the connection had been used or kept before: that its peer closed it says nothing.
    pub(crate) is_stale: bool,
}

impl Unanswered {
    /// A new connection of which its peer wanted nothing is as good as none: nobody has got the request.
    fn new(error: hyper::Error, unsent: Option<Request<Body>>, is_stale: bool) -> Self {
        let error = match unsent {
            Some(_) if !is_stale => Error::with_source(Failure::ConnectFailed, error),
            _ => classify::error_of(error),
        };
        Self { error, unsent: unsent.map(Box::new), is_stale }
    }
}

/// An answer, and what has to be kept until its body has been read.
pub(crate) type Answer = Result<(Response<Incoming>, Lease), Unanswered>;

impl From<Failure> for Unanswered {
    fn from(failure: Failure) -> Self {
        Self { error: failure.into(), unsent: None, is_stale: false }
    }
}

impl Checkout {
    /// Our end of the connection; `None` where it has no address of the network.
    pub(crate) fn local(&self) -> Option<SocketAddr> {
        match self {
            Self::Http1(connection) => connection.local(),
            Self::Http2(stream) => stream.local(),
        }
    }

    /// Sends a request with an absolute URI and gives the answer, together with what has to be kept
    /// until its body has been read.
    ///
    /// Not an asynchronous function, which would hold the request more than once.
    pub(crate) fn send(self, request: Request<Body>) -> impl Future<Output = Answer> {
        match self {
            Self::Http1(connection) => Either::Left(connection.send(request)),
            Self::Http2(stream) => Either::Right(stream.send(request)),
        }
    }

    /// Waits until the connection can take a request; `false` if it has closed instead.
    async fn settled(&mut self) -> bool {
        match self {
            Self::Http1(connection) => connection.settled().await,
            Self::Http2(_) => true,
        }
    }
}

/// The authority without user information, which has no place in `host`.
pub(crate) fn host_of(authority: &http::uri::Authority) -> &str {
    let text = authority.as_str();
    text.rsplit_once('@').map_or(text, |(_, host)| host)
}
