//! What lasts as long as a socket.

use std::any::Any;
use std::sync::{Mutex, PoisonError};

/// Things that are kept until a connection closes: one whose protocol was switched counts on, wherever its
/// two ends are then.
#[derive(Debug, Default)]
pub(crate) struct Kept(Mutex<Option<Box<dyn Any + Send>>>);

impl Kept {
    /// Keeps a thing until the socket is closed; drops it at once if it is closed already and nobody else
    /// holds this.
    pub(crate) fn keep(&self, thing: impl Send + 'static) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(thing));
    }
}
