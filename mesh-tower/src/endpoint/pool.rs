//! Which connection a request gets, and when another one is opened.

mod opening;

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwapOption;
use mesh_core::Failure;
use mesh_core::cluster::EndpointAddress;
use mesh_core::failure::Limit;
use mesh_core::identity::SpiffeId;
use mesh_core::limits::{Permit, Permits};
use tokio::runtime::Handle;

use self::opening::Opening;
use super::connector::TlsTarget;
use super::reaper::{self, Reaper};
use super::waiters::{Waiter, Waiters};
use super::{Checkout, PoolOptions, Protocol, http1, http2};
use crate::Error;
use crate::identity::Originator;

/// The connections of one endpoint.
pub(crate) struct EndpointPool {
    /// Without TLS.
    pool: Arc<Pool>,
    /// With TLS, by the host that it is begun for.
    secured: Mutex<Vec<(TlsTarget, Arc<Pool>)>>,
}

/// How many hosts an endpoint keeps connections with TLS for; past that the oldest are closed.
const MOST_HOSTS: usize = 64;

impl EndpointPool {
    pub(crate) fn new(address: EndpointAddress, options: PoolOptions, permits: Arc<Permits>) -> Arc<Self> {
        let peer = ArcSwapOption::default();
        let pool = Pool { address, options, tls: None, permits, peer, state: Mutex::default() };
        Arc::new(Self { pool: Arc::new(pool), secured: Mutex::default() })
    }

    /// A connection without TLS.
    #[cfg(test)]
    pub(crate) async fn checkout(&self, protocol: Protocol, fresh: bool) -> Result<Checkout, Error> {
        self.checkout_with(protocol, None, fresh).await
    }

    /// A connection that is ready for a request: one that is free, a new one, or the next that becomes free; with TLS
    /// for requests to a host where something begins it. `fresh`: none that has served anybody, since its peer may just
    /// have closed it; what it has just said may have been waiting for us to read it.
    ///
    /// # Errors
    /// [`Overflow`](mesh_core::Failure::Overflow) where nobody may wait any more, and what keeps a
    /// connection from being made.
    ///
    /// Not an asynchronous function, which would hold what it borrows.
    pub(crate) fn checkout_with(
        &self,
        protocol: Protocol,
        tls: Option<(&Arc<Originator>, &str)>,
        fresh: bool,
    ) -> impl Future<Output = Result<Checkout, Error>> + use<> {
        let pool = match tls {
            None => Arc::clone(&self.pool),
            Some((originator, host)) => self.secured(originator, host),
        };
        async move {
            loop {
                let mut checkout = match pool.take_or_wait(protocol, fresh)? {
                    Taken::Now(checkout) => checkout,
                    Taken::Later(waiter) => waiter.await?,
                };
                if checkout.settled().await {
                    return Ok(checkout);
                }
            }
        }
    }

    fn secured(&self, originator: &Arc<Originator>, host: &str) -> Arc<Pool> {
        let host = if originator.depends_on_host() { host } else { "" };
        let mut secured = self.secured.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |(target, _): &&(TlsTarget, Arc<Pool>)| {
            Arc::ptr_eq(&target.originator, originator) && *target.host == *host
        };
        if let Some((_, pool)) = secured.iter().find(is_it) {
            return Arc::clone(pool);
        }
        if secured.len() >= MOST_HOSTS {
            secured.remove(0).1.close();
        }
        let target = TlsTarget { originator: Arc::clone(originator), host: host.into() };
        let Pool { address, options, permits, .. } = &*self.pool;
        let pool = Arc::new(Pool {
            address: address.clone(),
            options: options.clone(),
            tls: Some(target.clone()),
            permits: Arc::clone(permits),
            peer: ArcSwapOption::default(),
            state: Mutex::default(),
        });
        secured.push((target, Arc::clone(&pool)));
        pool
    }

    fn pools(&self) -> Vec<Arc<Pool>> {
        let secured = self.secured.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::once(&self.pool).chain(secured.iter().map(|(_, pool)| pool)).cloned().collect()
    }

    /// How things stand.
    pub(crate) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for pool in self.pools() {
            let state = pool.lock();
            let sum = |count: fn(&Lane) -> usize| state.lanes.iter().map(count).sum::<usize>();
            counts.opened += state.last_id;
            counts.open += sum(|lane| lane.open);
            counts.opening += sum(|lane| lane.opening);
            counts.idle += state.http1.len();
            counts.waiting += sum(|lane| lane.waiters.len());
        }
        counts
    }
}

impl Drop for EndpointPool {
    fn drop(&mut self) {
        for pool in self.pools() {
            pool.close();
        }
    }
}

impl fmt::Debug for EndpointPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { opened, open, opening, idle, waiting } = self.counts();
        f.debug_struct("EndpointPool")
            .field("address", &self.pool.address)
            .field("opened", &opened)
            .field("open", &open)
            .field("opening", &opening)
            .field("idle", &idle)
            .field("waiting", &waiting)
            .finish_non_exhaustive()
    }
}

/// A pool in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Connections that were ever begun.
    pub(crate) opened: u64,
    /// Connections that there are, those being opened included.
    pub(crate) open: usize,
    /// Connections that are being opened.
    pub(crate) opening: usize,
    /// HTTP/1.1 connections without a request.
    pub(crate) idle: usize,
    /// Requests that wait for a connection.
    pub(crate) waiting: usize,
}

/// What the users of a pool, its connections and its responses share.
pub(super) struct Pool {
    address: EndpointAddress,
    options: PoolOptions,
    tls: Option<TlsTarget>,
    permits: Arc<Permits>,
    /// Whom mutual TLS of the mesh has proved the endpoint to be, on the last connection.
    peer: ArcSwapOption<SpiffeId>,
    /// Locked for moments only, and never while something is awaited, sent or given back.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The endpoint is gone: connections end with what is under way on them.
    closed: bool,
    /// Free connections; the one used last comes first, so that the others can age.
    http1: Vec<http1::Idle>,
    http2: Vec<http2::Shared>,
    lanes: [Lane; 2],
    last_id: u64,
    /// Streams that the peer allowed on the last connection.
    streams: Option<u32>,
    reaper: Reaper,
    /// Where connections are opened.
    runtime: Option<Handle>,
}

/// Who waits for connections of one protocol, and how many there are.
#[derive(Default)]
struct Lane {
    waiters: Waiters,
    open: usize,
    opening: usize,
}

impl State {
    fn lane(&mut self, protocol: Protocol) -> &mut Lane {
        &mut self.lanes[protocol as usize]
    }
}

enum Taken {
    Now(Checkout),
    Later(Waiter),
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A free connection, or a place in the line. Whoever waits already has been served before one
    /// could be free.
    fn take_or_wait(self: &Arc<Self>, protocol: Protocol, fresh: bool) -> Result<Taken, Error> {
        let fresh = fresh && protocol == Protocol::Http1;
        let mut state = self.lock();
        let mut replaced = None;
        let free = match protocol {
            // The one that has waited longest makes room for it; dropped once nothing is locked any more.
            _ if fresh => {
                replaced = (!state.http1.is_empty()).then(|| state.http1.remove(0));
                None
            }
            Protocol::Http1 => http1::take(&mut state.http1).map(|free| Checkout::Http1(free.lease(self))),
            // What the peer allows may have grown unnoticed: first come, first served.
            Protocol::Http2 if state.lane(protocol).waiters.len() > 0 => None,
            Protocol::Http2 => self.stream(&mut state).map(Checkout::Http2),
        };
        if let Some(checkout) = free {
            return Ok(Taken::Now(checkout));
        }
        let pending = self.permits.try_acquire(Limit::PendingRequests)?;
        let runtime = Handle::try_current().map_err(|error| Error::with_source(Failure::ConnectFailed, error))?;
        state.runtime = Some(runtime);
        let waiter = state.lane(protocol).waiters.enter(self, protocol, fresh, pending);
        match protocol {
            Protocol::Http1 => self.open_more(state, protocol),
            Protocol::Http2 => self.serve_http2(state),
        }
        drop(replaced);
        Ok(Taken::Later(waiter))
    }

    /// Notes who the endpoint is by its certificate.
    fn proves(&self, id: Option<SpiffeId>) {
        if self.tls.is_some() && self.peer.load().as_deref() != id.as_ref() {
            self.peer.store(id.map(Arc::new));
        }
    }

    /// Whom mutual TLS of the mesh has proved the endpoint to be.
    pub(super) fn peer(&self) -> Option<Arc<SpiffeId>> {
        self.tls.as_ref().and_then(|_| self.peer.load_full())
    }

    fn stream(self: &Arc<Self>, state: &mut State) -> Option<http2::Stream> {
        http2::take(&mut state.http2, &self.options.pool, self)
    }

    pub(super) fn leave(&self, protocol: Protocol, ticket: u64) {
        self.lock().lane(protocol).waiters.leave(ticket);
    }

    /// Opens as many connections as those in line need, within the limit.
    ///
    /// Unlocks before anything is spawned: a runtime that shuts down drops there and then what it is given.
    fn open_more(self: &Arc<Self>, mut state: MutexGuard<'_, State>, protocol: Protocol) {
        let Some(runtime) = state.runtime.clone() else { return };
        let room = match protocol {
            Protocol::Http1 => 1,
            Protocol::Http2 => self.options.pool.requests_at_once().min(state.streams.unwrap_or(u32::MAX)).max(1),
        } as usize;
        let mut begun = Vec::new();
        while state.lane(protocol).opening.saturating_mul(room) < state.lane(protocol).waiters.len()
            && let Some(permit) = self.connection_permit(state.lane(protocol))
        {
            state.last_id += 1;
            let id = state.last_id;
            let lane = state.lane(protocol);
            lane.open += 1;
            lane.opening += 1;
            let slot = Slot { pool: Arc::clone(self), protocol, permit: Some(permit) };
            begun.push(Opening::new(Arc::clone(self), protocol, id, slot));
        }
        drop(state);
        for opening in begun {
            runtime.spawn(opening.run());
        }
    }

    /// Room for one more connection; the first of an endpoint is always granted.
    fn connection_permit(&self, lane: &Lane) -> Option<Permit> {
        match self.permits.try_acquire(Limit::Connections) {
            Ok(permit) => Some(permit),
            Err(_) if lane.open == 0 => Some(self.permits.acquire_over_limit(Limit::Connections)),
            Err(_) => None,
        }
    }

    /// Takes a connection that is free: for the first in line, or to keep.
    pub(super) fn give_http1(self: &Arc<Self>, mut free: http1::Free) {
        let now = crate::clock::now();
        while free.is_good(&self.options.pool, now) {
            let mut state = self.lock();
            let lane = state.lane(Protocol::Http1);
            let Some(grant) = lane.waiters.next(free.is_used()) else {
                // Whoever waits now wants a new one: where there is no room for it, this one makes room.
                let makes_room = lane.opening < lane.waiters.len();
                if !state.closed && !makes_room {
                    self.keep(&mut state, free, now);
                }
                return;
            };
            drop(state);
            match grant.send(Ok(Checkout::Http1(free.lease(self)))) {
                // Gave up at this very moment: the next one, then.
                Err(Ok(Checkout::Http1(connection))) => match connection.into_free() {
                    Some(unused) => free = unused,
                    None => return,
                },
                _ => return,
            }
        }
    }

    fn keep(self: &Arc<Self>, state: &mut State, free: http1::Free, now: Instant) {
        let due = reaper::due(&self.options.pool, free.life(), Some(now));
        http1::keep(&mut state.http1, free, now);
        self.wake_by(state, due);
    }

    /// Our end of a connection that takes streams.
    pub(super) fn local_of(&self, connection: u64) -> Option<SocketAddr> {
        self.lock().http2.iter().find(|shared| shared.id() == connection)?.local()
    }

    /// A new HTTP/2 connection.
    fn give_http2(self: &Arc<Self>, connection: http2::Shared) {
        let mut state = self.lock();
        state.streams = Some(connection.allowed());
        let due = reaper::due(&self.options.pool, connection.life(), connection.idle_since());
        state.http2.push(connection);
        self.wake_by(&mut state, due);
        self.serve_http2(state);
    }

    /// Lets go of connections that take nothing any more.
    pub(super) fn forget_closed(&self) {
        let closed = http2::take_closed(&mut self.lock().http2);
        // Once nothing is locked any more: what comes back by it may want a connection.
        drop(closed);
    }

    /// There is room for another stream.
    pub(super) fn stream_ended(self: &Arc<Self>, connection: u64) {
        let mut state = self.lock();
        let idle =
            state.http2.iter_mut().find(|shared| shared.id() == connection).and_then(http2::Shared::stream_ended);
        if let Some((life, since)) = idle {
            self.wake_by(&mut state, reaper::due(&self.options.pool, life, Some(since)));
        }
        if state.lane(Protocol::Http2).waiters.len() > 0 {
            self.serve_http2(state);
        }
    }

    /// Hands out streams in the order of the line.
    fn serve_http2(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        let mut served = Vec::new();
        while state.lane(Protocol::Http2).waiters.len() > 0
            && let Some(stream) = self.stream(&mut state)
            && let Some(grant) = state.lane(Protocol::Http2).waiters.next(false)
        {
            served.push((grant, stream));
        }
        let unused = if state.closed { std::mem::take(&mut state.http2) } else { Vec::new() };
        self.open_more(state, Protocol::Http2);
        drop(unused);
        for (grant, stream) in served {
            // A stream whose taker has just given up comes back by being dropped.
            drop(grant.send(Ok(Checkout::Http2(stream))));
        }
    }

    /// Runs something where the pool's connections run.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let runtime = self.lock().runtime.clone();
        if let Some(runtime) = runtime {
            runtime.spawn(task);
        }
    }

    fn wake_by(self: &Arc<Self>, state: &mut State, due: Option<Instant>) {
        if let Some(due) = due {
            let State { reaper, runtime, .. } = state;
            reaper.wake_by(due, runtime.as_ref(), self);
        }
    }

    /// Closes what is due, and sleeps until the next is.
    pub(super) fn reap(self: &Arc<Self>) {
        let now = crate::clock::now();
        let spec = &self.options.pool;
        let mut state = self.lock();
        state.reaper.woke();
        let dead_http1 = state.http1.extract_if(.., |idle| idle.due(spec).is_some_and(|due| due <= now));
        let dead_http1: Vec<_> = dead_http1.collect();
        let dead_http2: Vec<_> =
            state.http2.extract_if(.., |shared| shared.due(spec).is_some_and(|due| due <= now)).collect();
        let next_http1 = state.http1.iter().filter_map(|idle| idle.due(spec)).min();
        let next_http2 = state.http2.iter().filter_map(|shared| shared.due(spec)).min();
        self.wake_by(&mut state, next_http1.into_iter().chain(next_http2).min());
        drop(state);
        drop((dead_http1, dead_http2));
    }

    fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.reaper.stop();
        let idle = (std::mem::take(&mut state.http1), std::mem::take(&mut state.http2));
        drop(state);
        drop(idle);
    }

    /// A connection is gone, and there may be room for another one.
    fn closed(self: &Arc<Self>, protocol: Protocol) {
        let mut state = self.lock();
        state.lane(protocol).open -= 1;
        self.open_more(state, protocol);
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pool({})", self.address)
    }
}

/// A connection's place; lives as long as its socket.
#[derive(Debug)]
pub(super) struct Slot {
    pool: Arc<Pool>,
    protocol: Protocol,
    permit: Option<Permit>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        // First of all, so that whoever may open a connection now finds it.
        self.permit = None;
        self.pool.closed(self.protocol);
    }
}
