//! Cuts off a response whose time is over.

use std::task::{Context, Poll, ready};
use std::time::Instant;

use mesh_core::Failure;

use super::timer::Timer;
use crate::Error;

/// The end of a response body's time. Its timer is armed when the body first makes its reader wait.
#[derive(Debug, Default)]
pub(crate) struct CutOff {
    at: Option<Instant>,
    timer: Option<Timer>,
}

impl CutOff {
    /// `None` for a body that may take as long as it likes.
    pub(crate) fn at(at: Option<Instant>) -> Self {
        Self { at, timer: None }
    }

    /// Comes, once, with the error that ends the body.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        let Some(at) = self.at else { return Poll::Pending };
        ready!(self.timer.get_or_insert_with(|| Timer::take(at)).poll_at(at, cx));
        *self = Self::default();
        Poll::Ready(Failure::RequestTimeout.into())
    }
}
