//! Timers that requests hand on to each other.
//!
//! Arming a timer takes the lock of the runtime's clock, and disarming it again, and most requests are
//! over long before theirs would fire. So a request gives its timer back as it is, still armed, to its
//! thread; the next one there takes it, and since it fires no later than needed, leaves it alone. If it
//! then fires too early, it is set anew. In steady traffic a timer so touches the runtime's clock once in
//! a time limit, not twice in a request.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::{Duration, Instant};

use futures_util::task::AtomicWaker;
use tokio::runtime::{self, Handle};
use tokio::task::AbortHandle;
use tokio::time::Sleep;

/// A timer of the current thread, until it is dropped.
#[derive(Debug)]
pub(crate) struct Timer {
    /// `None` only while it is given back.
    armed: Option<Armed>,
    runtime: runtime::Id,
}

/// A timer of tokio's that always wakes the same: us. Whom that wakes in turn can be changed, and
/// forgotten, without asking the runtime, which may be shutting down.
#[derive(Debug)]
struct Armed {
    sleep: Pin<Box<Sleep>>,
    user: Arc<User>,
    waker: Waker,
}

#[derive(Debug, Default)]
struct User(AtomicWaker);

impl Wake for User {
    fn wake(self: Arc<Self>) {
        self.0.wake();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.wake();
    }
}

impl Armed {
    fn new(at: Instant) -> Self {
        let user = Arc::<User>::default();
        let waker = Waker::from(Arc::clone(&user));
        Self { sleep: Box::pin(tokio::time::sleep_until(at.into())), user, waker }
    }

    fn poll(&mut self) -> Poll<()> {
        self.sleep.as_mut().poll(&mut Context::from_waker(&self.waker))
    }
}

impl Timer {
    /// One that somebody has left, or a new one.
    ///
    /// # Panics
    /// Outside of a runtime with a clock, like all timers of tokio.
    pub(crate) fn take(at: Instant) -> Self {
        let handle = Handle::current();
        let left = LEFT.try_with(|left| left.borrow_mut().take(&handle));
        let (left, stale) = left.unwrap_or_default();
        drop(stale);
        Self { armed: Some(left.unwrap_or_else(|| Armed::new(at))), runtime: handle.id() }
    }

    /// Ready at this moment. It may be another one each time.
    pub(crate) fn poll_at(&mut self, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let at = at.into();
        let Some(armed) = &mut self.armed else { return Poll::Pending };
        armed.user.0.register(cx.waker());
        if armed.sleep.deadline() > at {
            armed.sleep.as_mut().reset(at);
        }
        ready!(armed.poll());
        if armed.sleep.deadline() >= at {
            return Poll::Ready(());
        }
        armed.sleep.as_mut().reset(at);
        armed.poll()
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let Some(armed) = self.armed.take() else { return };
        // Nobody is to be woken by it. What a waker's end runs is foreign, so it comes before the borrow.
        drop(armed.user.0.take());
        // A thread that ends keeps nothing.
        let refused = LEFT.try_with(|left| left.borrow_mut().put(armed, self.runtime));
        drop(refused);
    }
}

thread_local! {
    static LEFT: RefCell<Left> = RefCell::default();
}

/// What a thread keeps at most.
const MOST: usize = 256;

/// How long a thread keeps its timers before it starts anew.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// The timers that requests of one runtime have left on a thread.
///
/// Nothing is dropped while it is borrowed: the end of a timer may run foreign code.
#[derive(Default)]
struct Left {
    home: Option<Home>,
    timers: Vec<Armed>,
}

/// A runtime, while it lives: its number may be given to another one after that.
struct Home {
    runtime: runtime::Id,
    /// A task that ends with the runtime, or after [`KEPT_FOR`], so that it is not in the way of who
    /// waits for all tasks to end.
    beacon: AbortHandle,
}

impl Home {
    fn is(&self, runtime: runtime::Id) -> bool {
        self.runtime == runtime && !self.beacon.is_finished()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.beacon.abort();
    }
}

/// Empties the place of the thread on which the beacon ends, which for a runtime of one thread is that of
/// its timers: they would keep the runtime's own descriptors open.
struct Beacon(runtime::Id);

impl Beacon {
    async fn shine(self) {
        tokio::time::sleep(KEPT_FOR).await;
    }
}

impl Drop for Beacon {
    fn drop(&mut self) {
        let stale = LEFT.try_with(|left| {
            let mut left = left.try_borrow_mut().ok()?;
            left.home.as_ref().is_some_and(|home| home.runtime == self.0).then(|| std::mem::take(&mut *left))
        });
        drop(stale);
    }
}

impl Left {
    /// A timer of this runtime, and what is of no use any more.
    fn take(&mut self, handle: &Handle) -> (Option<Armed>, Option<Self>) {
        if self.home.as_ref().is_some_and(|home| home.is(handle.id())) {
            return (self.timers.pop(), None);
        }
        let beacon = handle.spawn(Beacon(handle.id()).shine()).abort_handle();
        let home = Some(Home { runtime: handle.id(), beacon });
        (None, Some(std::mem::replace(self, Self { home, timers: Vec::new() })))
    }

    /// Keeps a timer, or gives it back.
    fn put(&mut self, armed: Armed, runtime: runtime::Id) -> Option<Armed> {
        if self.timers.len() >= MOST || !self.home.as_ref().is_some_and(|home| home.is(runtime)) {
            return Some(armed);
        }
        self.timers.push(armed);
        None
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;
    use crate::clock::now;

    fn left() -> usize {
        LEFT.with_borrow(|left| left.timers.len())
    }

    async fn until(timer: &mut Timer, at: Instant) {
        poll_fn(|cx| timer.poll_at(at, cx)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_timer_that_was_left_fires_when_its_next_user_wants() {
        let begin = now();
        for seconds in [10, 1, 3, 3, 20] {
            let at = now() + Duration::from_secs(seconds);
            let mut timer = Timer::take(at);
            // Given up half way, and so still armed for that moment.
            let half = now() + Duration::from_millis(seconds * 500);
            tokio::select! {
                () = until(&mut timer, at) => panic!("early"),
                () = tokio::time::sleep_until(half.into()) => {}
            }
            drop(timer);
            assert_eq!(left(), 1);
            let at = now() + Duration::from_secs(4);
            let mut timer = Timer::take(at);
            assert_eq!(left(), 0);
            until(&mut timer, at).await;
            assert_eq!(now(), at);
        }
        assert_eq!(now() - begin, Duration::from_millis(18_500 + 20_000));
    }

    #[tokio::test(start_paused = true)]
    async fn the_moment_may_be_moved_both_ways() {
        let begin = now();
        let mut timer = Timer::take(begin + Duration::from_secs(9));
        for at in [9, 4, 6].map(|seconds| begin + Duration::from_secs(seconds)) {
            assert!(poll_fn(|cx| Poll::Ready(timer.poll_at(at, cx))).await.is_pending());
        }
        until(&mut timer, begin + Duration::from_secs(6)).await;
        assert_eq!(now() - begin, Duration::from_secs(6));
    }

    #[test]
    fn a_timer_of_a_runtime_that_is_gone_is_not_used_again() {
        for _ in 0..3 {
            let runtime = runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let outlives = runtime.block_on(async {
                let at = now() + Duration::from_millis(1);
                until(&mut Timer::take(at), at).await;
                assert_eq!(left(), 1);
                Timer::take(at + Duration::from_secs(60))
            });
            drop(runtime);
            drop(outlives);
            assert_eq!(left(), 0);
        }
    }

    #[test]
    fn a_timer_may_be_dropped_while_its_runtime_shuts_down() {
        for _ in 0..200 {
            let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
            let handle = runtime.handle().clone();
            let dropping = std::thread::spawn(move || {
                let _inside = handle.enter();
                let at = now() + Duration::from_secs(60);
                // Polled never: a runtime that is gone would not take that from anybody.
                (0..200).for_each(|_| drop(Timer::take(at)));
            });
            runtime.shutdown_background();
            dropping.join().unwrap();
        }
    }

    #[tokio::test]
    async fn a_waker_may_drop_another_timer_when_it_ends() {
        struct Owner(#[expect(dead_code, reason = "held to be dropped")] Timer);
        impl Wake for Owner {
            fn wake(self: Arc<Self>) {}
        }
        let at = now() + Duration::from_secs(60);
        let mut timer = Timer::take(at);
        let waker = Waker::from(Arc::new(Owner(Timer::take(at))));
        assert!(timer.poll_at(at, &mut Context::from_waker(&waker)).is_pending());
        drop(waker);
        drop(timer);
        assert_eq!(left(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_does_not_keep_who_used_it_and_goes_after_a_while() {
        struct Nobody;
        impl Wake for Nobody {
            fn wake(self: Arc<Self>) {}
        }
        let at = now() + Duration::from_secs(600);
        let nobody = Arc::new(Nobody);
        let mut timer = Timer::take(at);
        assert!(timer.poll_at(at, &mut Context::from_waker(&Waker::from(Arc::clone(&nobody)))).is_pending());
        drop(timer);
        assert_eq!((left(), Arc::strong_count(&nobody)), (1, 1));
        tokio::time::sleep(KEPT_FOR + Duration::from_secs(1)).await;
        assert_eq!(left(), 0);
        assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
    }

    #[tokio::test]
    async fn a_thread_keeps_so_many() {
        let at = now() + Duration::from_secs(60);
        let all: Vec<_> = (0..MOST + 10).map(|_| Timer::take(at)).collect();
        drop(all);
        assert_eq!(left(), MOST);
    }
}
