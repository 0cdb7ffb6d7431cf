//! A port at which nobody listens.

use std::net::SocketAddr;

use socket2::{Domain, Socket, Type};

/// A port that refuses connections, and that nobody else can get meanwhile: one that was merely free a moment ago may
/// by now be another test's, or the very port that a connection to it comes from, which then reaches itself.
#[derive(Debug)]
pub(crate) struct Refusing {
    pub(crate) address: SocketAddr,
    _bound: Socket,
}

impl Refusing {
    pub(crate) fn new() -> Self {
        // Bound, but not listening.
        let bound = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        bound.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        Self { address: bound.local_addr().unwrap().as_socket().unwrap(), _bound: bound }
    }
}
