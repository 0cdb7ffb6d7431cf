//! Tries again: with conditions, pauses and a budget as in Envoy.
//!
//! Compare tower's retry: the policy is data in the words of `retryOn`, bodies stream to the first try
//! while they are recorded (64 KiB unless set otherwise) and play again to the next, and a budget
//! keeps retries from making an outage worse: a fifth of the requests under way and ten a second on
//! top. A body that is longer still streams; then there is no second try.
//!
//! ```
//! use mesh_core::retry::RetryPolicy;
//! use mesh_tower::retry::RetryLayer;
//! use tower::{ServiceBuilder, service_fn};
//! # async fn answer(_: http::Request<mesh_tower::Body>) -> Result<http::Response<mesh_tower::Body>, mesh_tower::BoxError> { Ok(http::Response::default()) }
//!
//! let retries = RetryLayer::new(mesh_tower::mesh_core::retry::RetryPolicy::new(2, "5xx,reset"));
//! let service = ServiceBuilder::new().layer(retries).service(service_fn(answer));
//! ```

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::request::Parts;
use http::{Request, Response};
use mesh_core::classify::Outcome;
use mesh_core::failure::Limit;
use mesh_core::limits::{Limits, Permits};
use mesh_core::retry::budget::{BudgetSpec, RetryBudget};
use mesh_core::retry::{Attempts, Next, RetryPolicy};
use tower::ServiceExt as _;
use tower_layer::Layer;
use tower_service::Service;

use crate::body::replay::Replay;
use crate::chance::Chance;
use crate::layers::{accessors, failure_of};
use crate::{Body, BoxError, Error, Failure};

/// Tries requests again.
#[derive(Clone, Debug)]
pub struct RetryLayer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    policy: RetryPolicy,
    max_replay: usize,
    budget: RetryBudget,
    permits: Arc<Permits>,
    chance: Chance,
}

impl RetryLayer {
    /// By a policy, such as [`RetryPolicy::new`] makes.
    pub fn new(policy: RetryPolicy) -> Self {
        Self {
            shared: Arc::new(Shared {
                policy,
                max_replay: 64 * 1024,
                budget: RetryBudget::safe(crate::clock::now()),
                permits: Permits::new(Limits::default()),
                chance: Chance::new(None),
            }),
        }
    }

    /// How many bytes of a body are kept for another try.
    #[must_use]
    pub fn max_replay(self, bytes: usize) -> Self {
        self.change(|shared| shared.max_replay = bytes)
    }

    /// Another budget: a share of the requests under way in percent, and how many retries are always
    /// allowed.
    #[must_use]
    pub fn budget(self, percent: f64, min_concurrency: u32) -> Self {
        self.change(|shared| shared.budget = RetryBudget::configured(BudgetSpec { percent, min_concurrency }))
    }

    /// Makes the pauses reproducible, for tests.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        self.change(|shared| shared.chance = Chance::new(Some(seed)))
    }

    /// Only a layer of which there is no clone yet can be changed.
    fn change(mut self, change: impl FnOnce(&mut Shared)) -> Self {
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            change(shared);
        }
        self
    }
}

impl<S> Layer<S> for RetryLayer {
    type Service = Retry<S>;

    fn layer(&self, inner: S) -> Retry<S> {
        Retry { inner, shared: Arc::clone(&self.shared) }
    }
}

/// A service that tries again; made by [`RetryLayer`].
#[derive(Clone, Debug)]
pub struct Retry<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Retry<S> {
    accessors!();
}

impl<S, R> Service<Request<Body>> for Retry<S>
where
    S: Service<Request<Body>, Response = Response<R>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    R: Send + 'static,
{
    type Response = Response<R>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The one that was made ready makes the first try.
        let next = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, next);
        Box::pin(run(inner, Arc::clone(&self.shared), request))
    }
}

async fn run<S, R>(mut inner: S, shared: Arc<Shared>, request: Request<Body>) -> Result<Response<R>, BoxError>
where
    S: Service<Request<Body>, Response = Response<R>>,
    S::Error: Into<BoxError>,
{
    let _active = shared.permits.try_acquire(Limit::Requests).map_err(Error::from)?;
    let (head, body) = request.into_parts();
    let replay = Replay::new(body, shared.max_replay);
    let mut attempts = Attempts::new(Some(&shared.policy));
    let mut _retry = None;
    let mut next = again(&head, &replay);
    loop {
        let Some(request) = next else { return Err(Error::from(Failure::LocalReset).into()) };
        let result = one(&mut inner, request, &shared.policy).await;
        let outcome = match &result {
            Ok(response) => Outcome::of_response(response.status(), response.headers()),
            Err(error) => Outcome::Failed(failure_of(error)),
        };
        let Next::RetryAfter(pause) = shared.chance.with(|rng| attempts.next(&outcome, rng)) else { return result };
        if !replay.is_replayable() || !shared.budget.allows(crate::clock::now(), &shared.permits) {
            return result;
        }
        _retry = shared.permits.try_acquire(Limit::Retries).ok();
        drop(result);
        tokio::time::sleep(pause).await;
        inner.ready().await.map_err(Into::into)?;
        next = again(&head, &replay);
    }
}

/// One try, within its time limit.
async fn one<S, R>(inner: &mut S, request: Request<Body>, policy: &RetryPolicy) -> Result<Response<R>, BoxError>
where
    S: Service<Request<Body>, Response = Response<R>>,
    S::Error: Into<BoxError>,
{
    let trying = inner.call(request);
    match policy.per_try_timeout {
        None => trying.await.map_err(Into::into),
        Some(limit) => match tokio::time::timeout(limit, trying).await {
            Ok(result) => result.map_err(Into::into),
            Err(_) => Err(Error::from(Failure::PerTryTimeout).into()),
        },
    }
}

fn again(head: &Parts, replay: &Replay) -> Option<Request<Body>> {
    let mut request = Request::new(Body::new(replay.attempt().ok()?));
    *request.method_mut() = head.method.clone();
    *request.uri_mut() = head.uri.clone();
    *request.version_mut() = head.version;
    *request.headers_mut() = head.headers.clone();
    *request.extensions_mut() = head.extensions.clone();
    Some(request)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use http_body_util::BodyExt as _;
    use tower::service_fn;

    use super::*;

    /// A service that reads each body and answers with the statuses of a list, then with 200.
    #[expect(clippy::type_complexity, reason = "a service is many types")]
    fn scripted(
        statuses: &[u16],
    ) -> (
        Arc<Mutex<Vec<String>>>,
        impl Service<Request<Body>, Response = Response<Body>, Error = BoxError, Future: Send> + Clone + Send + 'static,
    ) {
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let (bodies, statuses) = (Arc::clone(&seen), statuses.to_vec());
        let service = service_fn(move |request: Request<Body>| {
            let (bodies, statuses) = (Arc::clone(&bodies), statuses.clone());
            async move {
                let body = request.into_body().collect().await?.to_bytes();
                let mut bodies = bodies.lock().unwrap();
                let status = statuses.get(bodies.len()).copied().unwrap_or(200);
                bodies.push(String::from_utf8(body.to_vec()).unwrap());
                Ok::<_, BoxError>(Response::builder().status(status).body(Body::empty()).unwrap())
            }
        });
        (seen, service)
    }

    fn request(body: &'static str) -> Request<Body> {
        Request::post("http://a/").body(Body::full(body)).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_try_is_made_again_with_the_same_body() {
        let (seen, service) = scripted(&[503, 500]);
        let service = RetryLayer::new(RetryPolicy::new(2, "5xx")).seed(1).layer(service);
        assert_eq!(service.oneshot(request("hello")).await.unwrap().status(), 200);
        assert_eq!(*seen.lock().unwrap(), ["hello", "hello", "hello"]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_answer_comes_through_when_retries_are_used_up() {
        let (seen, service) = scripted(&[503; 9]);
        let service = RetryLayer::new(RetryPolicy::new(2, "5xx")).layer(service);
        assert_eq!(service.oneshot(request("x")).await.unwrap().status(), 503);
        assert_eq!(seen.lock().unwrap().len(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_is_not_kept_is_not_sent_again() {
        let (seen, service) = scripted(&[503]);
        let service = RetryLayer::new(RetryPolicy::new(2, "5xx")).max_replay(4).layer(service);
        assert_eq!(service.oneshot(request("longer")).await.unwrap().status(), 503);
        assert_eq!(*seen.lock().unwrap(), ["longer"]);
    }

    #[tokio::test(start_paused = true)]
    async fn other_answers_and_foreign_errors_are_left_alone() {
        let (seen, service) = scripted(&[404]);
        let service = RetryLayer::new(RetryPolicy::new(2, "5xx")).layer(service);
        assert_eq!(service.oneshot(request("x")).await.unwrap().status(), 404);
        assert_eq!(seen.lock().unwrap().len(), 1);
        let broken = service_fn(|_: Request<Body>| async { Err::<Response<Body>, _>("broken") });
        let service = RetryLayer::new(RetryPolicy::new(1, "connect-failure")).layer(broken);
        assert_eq!(service.oneshot(request("x")).await.unwrap_err().to_string(), "broken");
    }

    #[tokio::test(start_paused = true)]
    async fn a_try_has_its_own_time_limit() {
        let slow = service_fn(|_: Request<Body>| std::future::pending::<Result<Response<Body>, BoxError>>());
        let policy = RetryPolicy { per_try_timeout: Some(Duration::from_secs(1)), ..RetryPolicy::new(2, "5xx") };
        let began = crate::clock::now();
        let error = RetryLayer::new(policy).layer(slow).oneshot(request("x")).await.unwrap_err();
        assert_eq!(error.downcast::<Error>().unwrap().failure(), Failure::PerTryTimeout);
        assert!(crate::clock::now() - began >= Duration::from_secs(3));
    }

    #[tokio::test(start_paused = true)]
    async fn the_budget_ends_retries_that_would_make_it_worse() {
        let (seen, service) = scripted(&[503; 9]);
        let service = RetryLayer::new(RetryPolicy::new(5, "5xx")).budget(0.0, 0).layer(service);
        assert_eq!(service.oneshot(request("x")).await.unwrap().status(), 503);
        assert_eq!(seen.lock().unwrap().len(), 1);
    }
}
