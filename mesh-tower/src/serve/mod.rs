//! Serving: an accept loop and its connections, for any tower service.
//!
//! One port speaks HTTP/1.1 and, by prior knowledge, HTTP/2. An axum `Router`, tonic's `Routes` and
//! any other service of requests are taken alike, since nothing here knows either crate.
//!
//! A connection may be silent for as long as Envoy lets it (an hour), since a server that closes
//! idle connections early races with the next request of its callers; but a caller that has begun
//! a request head, or a connection, must finish it within [`ServeOptions::header_timeout`]. What else one caller
//! can take up is limited by [`ServeOptions`], too.
//!
//! # The caller's address
//!
//! Every request carries a [`PeerAddress`] in its extensions. In axum it can be taken with
//! `Extension<PeerAddress>`. Whoever needs the types of another crate there (axum's
//! `ConnectInfo<SocketAddr>`, or the `TcpConnectInfo` behind `remote_addr` of a tonic request) adds
//! them with [`ServeOptions::extension`], which runs once per request:
//!
//! ```
//! # use std::net::{Ipv4Addr, SocketAddr};
//! # use mesh_tower::serve::ServeOptions;
//! use axum::extract::ConnectInfo;
//!
//! let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
//! let options = ServeOptions::new()
//!     .extension(move |peer| ConnectInfo(peer.socket().unwrap_or(nowhere)));
//! ```
//!
//! # Shutting down
//!
//! On shutdown the loop stops accepting and closes its listener; HTTP/1 connections are closed
//! after the response under way, HTTP/2 connections send GOAWAY and finish their streams. What is
//! still open when the time of grace is over is cut off, upgraded connections (WebSocket) included.

mod accept;
mod address;
mod connection;
mod drain;
mod limits;
mod listener;
mod options;
mod patience;
mod refusals;
mod secure;
mod service;
mod state;
mod tracked;
mod watchdog;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;
use mesh_core::Profile;
use tower_service::Service;

use crate::Body;
use crate::BoxError;

pub use self::address::{Address, PeerAddress};
use self::connection::Ends;
pub use self::listener::{EitherIo, EitherListener, Listener};
pub use self::options::ServeOptions;

pub(crate) use self::drain::{Drain, DrainWatch};
pub(crate) use self::secure::Security;

/// How the connections of a listener are served.
pub(crate) struct Manner {
    pub(crate) options: ServeOptions,
    pub(crate) profile: Profile,
    pub(crate) security: Security,
}

/// Accepts connections and answers their requests with `app`, until the drain begins; ends when
/// every connection of the drain has ended.
///
/// The connections live in tasks of their own: they outlast this future when it is dropped.
pub(crate) async fn run<L, S, R>(mut listener: L, app: S, drain: DrainWatch, manner: Manner)
where
    L: Listener,
    S: Service<http::Request<Body>, Response = http::Response<R>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    R: http_body::Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    let settings = Arc::new(connection::Settings::new(manner.options, manner.profile, manner.security));
    let mut listening = drain.listening();
    loop {
        let (io, peer) = tokio::select! {
            biased;
            () = listening.draining() => break,
            accepted = accept::accept(&mut listener) => accepted,
        };
        tracing::trace!(%peer, "connection accepted");
        let ends = Ends { peer, local: L::local_end(&io) };
        tokio::spawn(connection::serve(io, ends, app.clone(), drain.connected(), Arc::clone(&settings)));
    }
    drop(listener);
    drop(listening);
    drain.drained().await;
}
