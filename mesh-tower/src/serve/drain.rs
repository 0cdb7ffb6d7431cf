//! Graceful shutdown: stop accepting, let finish what is under way, then cut off what remains.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

/// The side that shuts down. Dropping it changes nothing: what is served goes on.
#[derive(Clone, Debug)]
pub(crate) struct Drain(Arc<Shared>);

/// The side that is shut down: one per accept loop.
#[derive(Clone, Debug)]
pub(crate) struct DrainWatch(Arc<Shared>);

impl Drain {
    /// A drain that has not begun.
    pub(crate) fn new() -> (Self, DrainWatch) {
        let shared = Arc::new(Shared {
            phase: watch::Sender::new(Phase::Serving),
            listeners: watch::Sender::new(0),
            connections: watch::Sender::new(0),
        });
        (Self(Arc::clone(&shared)), DrainWatch(shared))
    }

    /// Whether it has begun to shut down.
    #[cfg(feature = "admin")]
    pub(crate) fn has_begun(&self) -> bool {
        *self.0.phase.borrow() > Phase::Serving
    }

    /// How many connections are open, upgraded ones included.
    pub(crate) fn open_connections(&self) -> usize {
        *self.0.connections.borrow()
    }

    /// Shuts down; returns how many connections were cut off because `grace` was over.
    ///
    /// A second call while the first one waits may only shorten the time of grace.
    pub(crate) async fn shutdown(&self, grace: Duration) -> usize {
        self.0.enter(Phase::Draining);
        let finished = async {
            // In this order: a listener may still be handing over its last connection.
            zero(&self.0.listeners).await;
            zero(&self.0.connections).await;
        };
        if timeout(grace, finished).await.is_ok() {
            self.0.enter(Phase::Ended);
            return 0;
        }
        let cut = self.open_connections();
        self.0.enter(Phase::Ended);
        // Each task ends at its next poll, unless the application blocks the thread it runs on.
        let _ = timeout(CUT_OFF, zero(&self.0.connections)).await;
        cut
    }
}

impl DrainWatch {
    /// To be held by an accept loop while it accepts.
    pub(super) fn listening(&self) -> Participant {
        Participant::new(&self.0, Role::Listener)
    }

    /// To be held by a connection until it is closed.
    pub(super) fn connected(&self) -> Participant {
        Participant::new(&self.0, Role::Connection)
    }

    /// Waits until no connection is open.
    pub(super) async fn drained(&self) {
        zero(&self.0.connections).await;
    }
}

/// An accept loop or a connection: counted while it lives, told when to stop.
#[derive(Debug)]
pub(super) struct Participant {
    shared: Arc<Shared>,
    role: Role,
    phase: watch::Receiver<Phase>,
}

impl Participant {
    fn new(shared: &Arc<Shared>, role: Role) -> Self {
        shared.count(role).send_modify(|count| *count += 1);
        Self { shared: Arc::clone(shared), role, phase: shared.phase.subscribe() }
    }

    /// Waits until the drain has begun.
    pub(super) async fn draining(&mut self) {
        self.reached(Phase::Draining).await;
    }

    /// Waits until the time of grace is over.
    pub(super) async fn ended(&mut self) {
        self.reached(Phase::Ended).await;
    }

    async fn reached(&mut self, phase: Phase) {
        // Cannot fail: the sender lives in `shared`.
        let _ = self.phase.wait_for(|now| *now >= phase).await;
    }
}

impl Drop for Participant {
    fn drop(&mut self) {
        self.shared.count(self.role).send_modify(|count| *count -= 1);
    }
}

#[derive(Debug)]
struct Shared {
    phase: watch::Sender<Phase>,
    listeners: watch::Sender<usize>,
    connections: watch::Sender<usize>,
}

impl Shared {
    fn enter(&self, phase: Phase) {
        self.phase.send_if_modified(|now| {
            let later = phase > *now;
            if later {
                *now = phase;
            }
            later
        });
    }

    fn count(&self, role: Role) -> &watch::Sender<usize> {
        match role {
            Role::Connection => &self.connections,
            Role::Listener => &self.listeners,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Serving,
    Draining,
    Ended,
}

#[derive(Clone, Copy, Debug)]
enum Role {
    Connection,
    Listener,
}

async fn zero(count: &watch::Sender<usize>) {
    let _ = count.subscribe().wait_for(|count| *count == 0).await;
}

const CUT_OFF: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_drain_ends_with_the_last_connection() {
        let (drain, watch) = Drain::new();
        let mut connection = watch.connected();
        assert_eq!(drain.open_connections(), 1);
        tokio::spawn(async move {
            connection.draining().await;
            sleep(Duration::from_secs(3)).await;
        });

        let began = Instant::now();
        assert_eq!(drain.shutdown(Duration::from_secs(10)).await, 0);
        assert_eq!(began.elapsed().as_secs(), 3);
        assert_eq!(drain.open_connections(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_open_after_the_time_of_grace_is_told_to_end() {
        let (drain, watch) = Drain::new();
        let mut connection = watch.connected();
        let task = tokio::spawn(async move { connection.ended().await });

        let began = Instant::now();
        assert_eq!(drain.shutdown(Duration::from_secs(10)).await, 1);
        assert_eq!(began.elapsed().as_secs(), 10);
        task.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_listener_that_has_not_stopped_yet_is_waited_for() {
        let (drain, watch) = Drain::new();
        let mut listener = watch.listening();
        tokio::spawn(async move {
            listener.draining().await;
            let mut last = watch.connected();
            drop(listener);
            last.ended().await;
        });
        assert_eq!(drain.shutdown(Duration::from_secs(1)).await, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn dropping_the_shutting_side_shuts_nothing_down() {
        let (drain, watch) = Drain::new();
        let mut connection = watch.connected();
        drop(drain);
        assert!(timeout(Duration::from_secs(3600), connection.draining()).await.is_err());
    }
}
