//! What lasts as long as a socket.

use std::any::Any;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

/// Things that are kept until a connection closes: one whose protocol was switched counts on, wherever its
/// two ends are then. And what is known of it from the beginning.
#[derive(Debug)]
pub(crate) struct Kept {
    things: Mutex<Option<Box<dyn Any + Send>>>,
    /// Our end; `None` where it has no address of the network.
    pub(super) local: Option<SocketAddr>,
}

impl Kept {
    pub(super) fn of(local: Option<SocketAddr>) -> Self {
        Self { things: Mutex::default(), local }
    }

    /// Keeps a thing until the socket is closed; drops it at once if it is closed already and nobody else
    /// holds this.
    pub(crate) fn keep(&self, thing: impl Send + 'static) {
        *self.things.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(thing));
    }
}
