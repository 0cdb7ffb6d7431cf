//! Timers that requests hand on to each other.
//!
//! Arming a timer takes the lock of the runtime's clock, and disarming it again, and most requests are
//! over long before theirs would fire. So a request gives its timer back as it is, still armed, to its
//! thread; the next one there takes it, and since it fires no later than needed, leaves it alone. If it
//! then fires too early, it is set anew. In steady traffic a timer so touches the runtime's clock once in
//! a time limit, not twice in a request.

use std::cell::RefCell;
use std::future::{Future, pending};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Instant;

use tokio::runtime::{self, Handle};
use tokio::task::AbortHandle;
use tokio::time::Sleep;

/// A timer of the current thread, until it is dropped.
#[derive(Debug)]
pub(crate) struct Timer {
    /// `None` only while it is given back.
    sleep: Option<Pin<Box<Sleep>>>,
    runtime: runtime::Id,
}

impl Timer {
    /// One that somebody has left, or a new one.
    ///
    /// # Panics
    /// Outside of a runtime with a clock, like all timers of tokio.
    pub(crate) fn take(at: Instant) -> Self {
        let handle = Handle::current();
        let runtime = handle.id();
        let left = LEFT.try_with(|left| left.borrow_mut().of(&handle).pop()).ok().flatten();
        let sleep = left.unwrap_or_else(|| Box::pin(tokio::time::sleep_until(at.into())));
        Self { sleep: Some(sleep), runtime }
    }

    /// Ready at this moment. It may be another one each time.
    pub(crate) fn poll_at(&mut self, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let at = at.into();
        let Some(sleep) = &mut self.sleep else { return Poll::Pending };
        if sleep.deadline() > at {
            sleep.as_mut().reset(at);
        }
        ready!(sleep.as_mut().poll(cx));
        if sleep.deadline() >= at {
            return Poll::Ready(());
        }
        sleep.as_mut().reset(at);
        sleep.as_mut().poll(cx)
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let Some(sleep) = self.sleep.take() else { return };
        // A thread that ends keeps nothing.
        let _ = LEFT.try_with(|left| left.borrow_mut().put(sleep, self.runtime));
    }
}

thread_local! {
    static LEFT: RefCell<Left> = RefCell::default();
}

/// What a thread keeps.
const MOST: usize = 256;

/// The timers that requests of one runtime have left on a thread.
#[derive(Default)]
struct Left {
    home: Option<Home>,
    timers: Vec<Pin<Box<Sleep>>>,
}

/// A runtime, while it lives: its number may be given to another one after that.
struct Home {
    runtime: runtime::Id,
    /// A task that does nothing, and ends with the runtime.
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

impl Left {
    /// The timers of this runtime; those of another one are no use here.
    fn of(&mut self, handle: &Handle) -> &mut Vec<Pin<Box<Sleep>>> {
        if !self.home.as_ref().is_some_and(|home| home.is(handle.id())) {
            self.timers.clear();
            let beacon = handle.spawn(pending::<()>()).abort_handle();
            self.home = Some(Home { runtime: handle.id(), beacon });
        }
        &mut self.timers
    }

    fn put(&mut self, mut sleep: Pin<Box<Sleep>>, runtime: runtime::Id) {
        if self.timers.len() >= MOST || !self.home.as_ref().is_some_and(|home| home.is(runtime)) {
            return;
        }
        // Nobody is to be woken by it; what would have been may be gone, and need not be kept for this.
        let _ = sleep.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        self.timers.push(sleep);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

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

    #[tokio::test]
    async fn a_thread_keeps_so_many() {
        let at = now() + Duration::from_secs(60);
        let all: Vec<_> = (0..MOST + 10).map(|_| Timer::take(at)).collect();
        drop(all);
        assert_eq!(left(), MOST);
    }
}
