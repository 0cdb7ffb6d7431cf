//! Cuts off a response whose time is over.

use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use mesh_core::Failure;

use super::timer::Timer;
use crate::Error;
use crate::body::ended::{BodyEnd, Waits};

/// The end of a response body's time. Its timer is armed when it is first asked.
#[derive(Debug, Default)]
pub(crate) struct CutOff {
    end: End,
    timer: Option<Timer>,
}

#[derive(Debug, Default)]
enum End {
    /// It may take as long as it likes.
    #[default]
    Never,
    At(Instant),
    /// So long after the end of the request's body, which is still being sent.
    After(Arc<BodyEnd>, Duration),
}

impl CutOff {
    pub(crate) const fn at(at: Instant) -> Self {
        Self { end: End::At(at), timer: None }
    }

    /// For an answer that began before the end of its request.
    pub(crate) const fn after(request: Arc<BodyEnd>, timeout: Duration) -> Self {
        Self { end: End::After(request, timeout), timer: None }
    }

    /// Whether the time is over already; arms nothing.
    pub(crate) fn is_over(&self) -> bool {
        let at = match &self.end {
            End::Never => None,
            End::At(at) => Some(*at),
            End::After(request, timeout) => request.at().and_then(|ended| ended.checked_add(*timeout)),
        };
        at.is_some_and(|at| at <= crate::clock::now())
    }

    /// Comes, once, with the error that ends the body.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        if let End::After(request, timeout) = &self.end {
            request.register(Waits::CutOff, cx.waker());
            let Some(ended) = request.at() else { return Poll::Pending };
            self.end = ended.checked_add(*timeout).map_or(End::Never, End::At);
        }
        let End::At(at) = self.end else { return Poll::Pending };
        ready!(self.timer.get_or_insert_with(|| Timer::take(at)).poll_at(at, cx));
        Poll::Ready(self.strike())
    }

    /// The error that ends the body; no time runs for it any more.
    pub(crate) fn strike(&mut self) -> Error {
        *self = Self::default();
        Failure::RequestTimeout.into()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::Body;
    use crate::body::ended::Ended;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_began_early_is_cut_off_after_its_request_has_ended() {
        let began = crate::clock::now();
        let end = Arc::new(BodyEnd::new(began));
        let mut request = Ended::new(Body::from("text"), Arc::clone(&end));
        let mut cut_off = CutOff::after(Arc::clone(&end), SECOND);
        let sending = async {
            tokio::time::sleep(4 * SECOND).await;
            // The clock of the request may wait as well, as where trailers are looked at before the answer is given on.
            end.register(Waits::Clock, std::task::Waker::noop());
            tokio::time::sleep(SECOND).await;
            while request.frame().await.is_some() {}
        };
        let cutting = std::future::poll_fn(|cx| cut_off.poll(cx));
        let ((), error) = tokio::join!(sending, cutting);
        assert_eq!(error.failure(), Failure::RequestTimeout);
        assert_eq!(crate::clock::now() - began, 6 * SECOND);
    }
}
