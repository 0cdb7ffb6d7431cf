//! Cuts off a response whose time is over.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use mesh_core::Failure;
use tokio::time::Sleep;

use crate::Error;

/// The end of a response body's time. Its timer is armed when the body first makes its reader wait.
#[derive(Debug, Default)]
pub(crate) struct CutOff {
    at: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl CutOff {
    /// `None` for a body that may take as long as it likes.
    pub(crate) fn at(at: Option<Instant>) -> Self {
        Self { at, timer: None }
    }

    /// Comes, once, with the error that ends the body.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        let Some(at) = self.at else { return Poll::Pending };
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at.into())));
        ready!(timer.as_mut().poll(cx));
        *self = Self::default();
        Poll::Ready(Failure::RequestTimeout.into())
    }
}
