//! Addresses that may change while one looks.

use std::future;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch;

/// The addresses of a name: the latest answer, and word of the next one.
#[derive(Clone, Debug)]
pub struct Addresses(watch::Receiver<Option<Arc<[SocketAddr]>>>);

impl Addresses {
    /// What `answers` holds, now and later: nothing until the first lookup has ended.
    pub fn new(answers: watch::Receiver<Option<Arc<[SocketAddr]>>>) -> Self {
        Self(answers)
    }

    /// Addresses that never change.
    pub fn fixed(addresses: impl Into<Arc<[SocketAddr]>>) -> Self {
        Self(watch::Sender::new(Some(addresses.into())).subscribe())
    }

    /// The latest answer, in the resolver's order. `None` until the first lookup has ended; empty if
    /// no lookup has succeeded yet.
    pub fn current(&self) -> Option<Arc<[SocketAddr]>> {
        self.0.borrow().clone()
    }

    /// Waits until the first lookup has ended, well or badly.
    pub async fn settled(&mut self) {
        // An error means that nobody will ever answer, which is an end as well.
        let _ = self.0.wait_for(Option::is_some).await;
    }

    /// Waits for an answer that this copy has not seen; forever if there will be none. Loses nothing
    /// when it is dropped before.
    pub async fn changed(&mut self) -> Arc<[SocketAddr]> {
        loop {
            if self.0.changed().await.is_err() {
                return future::pending().await;
            }
            if let Some(addresses) = self.0.borrow_and_update().clone() {
                return addresses;
            }
        }
    }

    /// Lets the next [`changed`](Self::changed) return what is known already.
    pub(crate) fn mark_unseen(&mut self) {
        self.0.mark_changed();
    }
}
