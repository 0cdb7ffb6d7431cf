//! Discovery: from names to addresses, kept fresh.
//!
//! A [`Discovery`] watches one name for as long as somebody reads its [`Addresses`]. [`Dns`] asks a
//! [`Resolve`] again and again, which is the operating system's resolver ([`SystemResolver`])
//! unless told otherwise.
//!
//! A name that cannot be resolved, or of which no address is told, keeps the addresses it had: a name server
//! that is down or empty must not take down what still answers. The failure is logged once, and so is its end.

mod addresses;
mod dns;
mod resolver;

#[cfg(test)]
pub(crate) mod fake;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::BoxFuture;

pub use self::addresses::Addresses;
pub use self::dns::{Dns, Resolve, SystemResolver};

pub(crate) use self::resolver::{Resolver, WatchGuard};

/// Finds the endpoints that stand behind a name.
pub trait Discovery: fmt::Debug + Send + Sync + 'static {
    /// Watches the addresses of a host name or IP address, each with `port`, looking again every
    /// `refresh`. The watching ends when the last copy of the result is dropped.
    ///
    /// Must be called within a tokio runtime.
    fn watch(&self, host: &str, port: u16, refresh: Duration) -> Addresses;

    /// Looks once.
    ///
    /// # Errors
    ///
    /// If the name cannot be resolved.
    fn once(&self, host: &str, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>>;
}
