//! Where a connection comes from or is listened for.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

/// One end of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// An address and port.
    Tcp(SocketAddr),
    /// A unix socket, with its path where it has one: the calling end usually has none.
    Unix(Option<Arc<Path>>),
}

impl Address {
    /// The address and port; `None` for a unix socket.
    pub fn socket(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }

    /// The IP address; `None` for a unix socket.
    pub fn ip(&self) -> Option<IpAddr> {
        self.socket().map(|address| address.ip())
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

#[cfg(unix)]
impl From<tokio::net::unix::SocketAddr> for Address {
    fn from(address: tokio::net::unix::SocketAddr) -> Self {
        Self::Unix(address.as_pathname().map(Arc::from))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(Some(path)) => write!(f, "unix:{}", path.display()),
            Self::Unix(None) => f.write_str("unix:"),
        }
    }
}

/// The other end of the connection a request came in on: a request extension.
///
/// It is the address of the socket, never one that a header claims.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PeerAddress(pub Address);

impl PeerAddress {
    /// The address and port; `None` for a unix socket.
    pub fn socket(&self) -> Option<SocketAddr> {
        self.0.socket()
    }

    /// The IP address; `None` for a unix socket.
    pub fn ip(&self) -> Option<IpAddr> {
        self.0.ip()
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_print_as_they_are_written() {
        let tcp = Address::from(SocketAddr::from(([127, 0, 0, 1], 80)));
        assert_eq!(tcp.to_string(), "127.0.0.1:80");
        assert_eq!(tcp.ip(), Some(IpAddr::from([127, 0, 0, 1])));

        let unix = Address::Unix(Some(Arc::from(Path::new("/run/app.sock"))));
        assert_eq!(unix.to_string(), "unix:/run/app.sock");
        assert_eq!(unix.ip(), None);
    }
}
