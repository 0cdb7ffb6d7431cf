use std::sync::Arc;
use std::task::{Context, Poll};

use mesh_core::route::{Fault as Policy, FaultDecision};
use tower_service::Service;

use super::ResponseFuture;
use crate::BoxError;
use crate::chance::Chance;
use crate::layers::{accessors, forgo};

/// A service with faults in front; made by a [`FaultLayer`](super::FaultLayer).
#[derive(Clone, Debug)]
pub struct Fault<S> {
    inner: S,
    policy: Policy,
    chance: Arc<Chance>,
}

impl<S> Fault<S> {
    pub(super) fn new(inner: S, policy: Policy, chance: Arc<Chance>) -> Self {
        Self { inner, policy, chance }
    }

    accessors!();
}

impl<S, Q> Service<Q> for Fault<S>
where
    S: Service<Q> + Clone,
    S::Error: Into<BoxError>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = ResponseFuture<S, Q, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Q) -> Self::Future {
        match self.chance.with(|rng| self.policy.draw(rng)) {
            FaultDecision { delay: None, abort: None } => ResponseFuture::calling(self.inner.call(request)),
            FaultDecision { delay: None, abort: Some(failure) } => {
                forgo(&mut self.inner);
                ResponseFuture::aborted(failure)
            }
            FaultDecision { delay: Some(delay), abort: Some(failure) } => {
                forgo(&mut self.inner);
                ResponseFuture::late_abort(delay, failure)
            }
            FaultDecision { delay: Some(delay), abort: None } => {
                // The one that was made ready is the one that will be called.
                let next = self.inner.clone();
                let inner = std::mem::replace(&mut self.inner, next);
                ResponseFuture::late_call(delay, inner, request)
            }
        }
    }
}
