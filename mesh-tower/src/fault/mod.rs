//! Delays and aborts on purpose, for a share of the requests.
//!
//! Delay and abort are drawn independently, the delay comes first; an aborted request never reaches
//! the service inside.
//!
//! ```
//! use std::time::Duration;
//! use mesh_tower::fault::FaultLayer;
//! use tower::{ServiceBuilder, service_fn};
//! # async fn answer(_: http::Request<mesh_tower::Body>) -> Result<http::Response<mesh_tower::Body>, mesh_tower::BoxError> { Ok(http::Response::default()) }
//!
//! let faults = FaultLayer::new().delay(10.0, Duration::from_secs(2)).abort(0.5, http::StatusCode::SERVICE_UNAVAILABLE);
//! let service = ServiceBuilder::new().layer(faults).service(service_fn(answer));
//! ```

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::StatusCode;
use mesh_config::value::Percent;
use mesh_core::route::Fault as Policy;
use tower_layer::Layer;
use tower_service::Service;

use crate::chance::Chance;
use crate::layers::accessors;
use crate::{BoxError, Error, Failure};

/// Injects faults.
#[derive(Clone, Debug, Default)]
pub struct FaultLayer {
    delay: Option<(Percent, Duration)>,
    abort: Option<(Percent, Failure)>,
    chance: Arc<Chance>,
}

impl FaultLayer {
    /// No fault yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Holds `percent` of the requests for `delay`.
    #[must_use]
    pub fn delay(mut self, percent: f64, delay: Duration) -> Self {
        self.delay = Some((Percent { value: percent }, delay));
        self
    }

    /// Answers `percent` of the requests with a status instead of passing them on.
    #[must_use]
    pub fn abort(mut self, percent: f64, status: StatusCode) -> Self {
        self.abort = Some((Percent { value: percent }, Failure::FaultAbort(status)));
        self
    }

    /// Makes the draws reproducible, for tests.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.chance = Arc::new(Chance::new(Some(seed)));
        self
    }
}

impl<S> Layer<S> for FaultLayer {
    type Service = Fault<S>;

    fn layer(&self, inner: S) -> Fault<S> {
        Fault { inner, policy: Policy::new(self.delay, self.abort), chance: Arc::clone(&self.chance) }
    }
}

/// A service with faults in front; made by [`FaultLayer`].
#[derive(Clone, Debug)]
pub struct Fault<S> {
    inner: S,
    policy: Policy,
    chance: Arc<Chance>,
}

impl<S> Fault<S> {
    accessors!();
}

impl<S, Q> Service<Q> for Fault<S>
where
    S: Service<Q> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    Q: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Q) -> Self::Future {
        let decision = self.chance.with(|rng| self.policy.draw(rng));
        // The one that was made ready is the one that is called.
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        Box::pin(async move {
            if let Some(delay) = decision.delay {
                tokio::time::sleep(delay).await;
            }
            match decision.abort {
                Some(failure) => Err(Error::from(failure).into()),
                None => inner.call(request).await.map_err(Into::into),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use tower::{ServiceExt as _, service_fn};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn shares_are_held_and_aborted_as_configured() {
        let faults = FaultLayer::new().delay(50.0, Duration::from_secs(3)).abort(25.0, StatusCode::IM_A_TEAPOT).seed(1);
        let service = faults.layer(service_fn(|()| async { Ok::<_, BoxError>(()) }));
        let (mut held, mut aborted) = (0, 0);
        for _ in 0..4_000 {
            let began = crate::clock::now();
            if let Err(error) = service.clone().oneshot(()).await {
                let failure = error.downcast::<Error>().unwrap().failure();
                assert_eq!(failure, Failure::FaultAbort(StatusCode::IM_A_TEAPOT));
                aborted += 1;
            }
            held += i32::from(crate::clock::now() > began);
        }
        // Four standard deviations.
        assert!((1_874..2_126).contains(&held) && (890..1_110).contains(&aborted), "{held} {aborted}");
    }
}
