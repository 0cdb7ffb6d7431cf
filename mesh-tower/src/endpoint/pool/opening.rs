//! A connection on its way: whoever waits first gets it, or all are told why there is none.

use std::sync::Arc;

use super::{Pool, Slot, State};
use crate::endpoint::connector::{self, Broken, Socket};
use crate::endpoint::reaper::Life;
use crate::endpoint::{Protocol, http1, http2};

/// A connection that is being opened.
pub(super) struct Opening {
    pool: Arc<Pool>,
    protocol: Protocol,
    id: u64,
    /// `None` once there is a socket that has it.
    slot: Option<Slot>,
    is_over: bool,
}

impl Opening {
    /// One that is counted already, and has a place.
    pub(super) fn new(pool: Arc<Pool>, protocol: Protocol, id: u64, slot: Slot) -> Self {
        Self { pool, protocol, id, slot: Some(slot), is_over: false }
    }

    /// Connects, and hands over what comes of it.
    pub(super) async fn run(mut self) {
        let pool = Arc::clone(&self.pool);
        let connected = connector::connect(&pool.address, &pool.options, pool.tls.as_ref(), self.protocol).await;
        let (stream, certified) = match connected {
            Ok(connected) => connected,
            Err(broken) => return self.fail(&broken),
        };
        let Some(slot) = self.slot.take() else { return };
        let io = Socket::new(stream, slot);
        let life = Life::begin(certified.lasts.and_then(|lasts| crate::clock::now().checked_add(lasts)));
        pool.proves(certified.id);
        match self.protocol {
            Protocol::Http1 => match http1::handshake(io, life).await {
                Ok(free) => {
                    self.end(&mut pool.lock());
                    pool.give_http1(free);
                }
                Err(broken) => self.fail(&broken),
            },
            Protocol::Http2 => match http2::handshake(io, self.id, life, &pool.options, &pool).await {
                Ok(connection) => {
                    self.end(&mut pool.lock());
                    pool.give_http2(connection);
                }
                Err(broken) => self.fail(&broken),
            },
        }
    }

    fn end(&mut self, state: &mut State) {
        self.is_over = true;
        state.lane(self.protocol).opening -= 1;
    }

    /// No connection could be made: nobody in line will get one. In one step, so that whoever comes
    /// after them does not count on this one; and before the slot is free, or one would be opened in vain.
    fn fail(mut self, broken: &Broken) {
        tracing::debug!(endpoint = %self.pool.address, %broken, "no connection");
        let pool = Arc::clone(&self.pool);
        let mut state = pool.lock();
        self.end(&mut state);
        let all = state.lane(self.protocol).waiters.take();
        drop(state);
        for grant in all {
            drop(grant.send(Err(broken.clone())));
        }
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        // The runtime is shutting down: it opens no connections any more, and nobody may wait for one.
        let pool = Arc::clone(&self.pool);
        let mut state = pool.lock();
        self.end(&mut state);
        state.runtime = None;
        let all = state.lane(self.protocol).waiters.take();
        drop(state);
        drop(all);
    }
}
