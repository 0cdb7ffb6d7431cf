use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use mesh_core::retry::RetryPolicy;
use mesh_core::retry::budget::BudgetSpec;
use proptest::prelude::*;
use tower::{Layer as _, Service, ServiceExt as _, service_fn};

use super::*;
use crate::{Body, BoxError, Error, Failure};

type Seen = Arc<Mutex<Vec<Bytes>>>;

/// A service that reads each body and answers with the statuses of a list, then with 200.
fn scripted(
    statuses: &[u16],
) -> (
    Seen,
    impl Service<Request<Body>, Response = Response<Body>, Error = BoxError, Future: Send> + Clone + Send + 'static,
) {
    let seen = Seen::default();
    let (bodies, statuses) = (Arc::clone(&seen), statuses.to_vec());
    let service = service_fn(move |request: Request<Body>| {
        let (bodies, statuses) = (Arc::clone(&bodies), statuses.clone());
        async move {
            let body = request.into_body().collect().await?.to_bytes();
            let mut bodies = bodies.lock().unwrap();
            let status = statuses.get(bodies.len()).copied().unwrap_or(200);
            bodies.push(body);
            Ok::<_, BoxError>(Response::builder().status(status).body(Body::empty()).unwrap())
        }
    });
    (seen, service)
}

fn request(body: impl Into<Body>) -> Request<Body> {
    Request::post("http://a/").body(body.into()).unwrap()
}

fn streaming(parts: Vec<Bytes>) -> Body {
    Body::new(StreamBody::new(tokio_stream::iter(parts.into_iter().map(|part| Ok::<_, BoxError>(Frame::data(part))))))
}

fn retries(attempts: u32) -> RetryLayer {
    RetryLayer::new(RetryPolicy::new(attempts, "5xx")).without_budget()
}

#[tokio::test(start_paused = true)]
async fn a_failed_try_is_made_again_with_the_same_body() {
    let (seen, service) = scripted(&[503, 500]);
    let service = retries(2).layer(service);
    let body = streaming(vec![Bytes::from_static(b"he"), Bytes::from_static(b"llo")]);
    assert_eq!(service.oneshot(request(body)).await.unwrap().status(), 200);
    assert_eq!(*seen.lock().unwrap(), ["hello", "hello", "hello"]);
}

#[tokio::test(start_paused = true)]
async fn the_last_answer_comes_through_when_retries_are_used_up() {
    for attempts in 0..4 {
        let (seen, service) = scripted(&[503; 9]);
        assert_eq!(retries(attempts).layer(service).oneshot(request("x")).await.unwrap().status(), 503);
        assert_eq!(seen.lock().unwrap().len(), attempts as usize + 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_not_kept_is_not_sent_again() {
    let (seen, service) = scripted(&[503]);
    let service = retries(2).max_replay(4).layer(service);
    assert_eq!(service.oneshot(request(streaming(vec![Bytes::from_static(b"longer")]))).await.unwrap().status(), 503);
    assert_eq!(*seen.lock().unwrap(), ["longer"]);
}

#[tokio::test(start_paused = true)]
async fn other_answers_and_other_errors_are_left_alone() {
    let (seen, service) = scripted(&[404]);
    assert_eq!(retries(2).layer(service).oneshot(request("x")).await.unwrap().status(), 404);
    assert_eq!(seen.lock().unwrap().len(), 1);
    let broken = service_fn(|_: Request<Body>| async { Err::<Response<Body>, _>("broken") });
    let service = RetryLayer::new(RetryPolicy::new(1, "connect-failure")).layer(broken);
    assert_eq!(service.oneshot(request("x")).await.unwrap_err().to_string(), "broken");
}

#[tokio::test(start_paused = true)]
async fn a_refused_connection_is_tried_again_only_where_it_is_known_to_be_that_of_the_request() {
    let calls = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&calls);
    let refused = service_fn(move |_: Request<Body>| {
        *counted.lock().unwrap() += 1;
        async { Err::<Response<Body>, _>(std::io::Error::from(std::io::ErrorKind::ConnectionRefused)) }
    });
    let layer = RetryLayer::new(RetryPolicy::new(2, "connect-failure"));
    layer.layer(refused.clone()).oneshot(request("x")).await.unwrap_err();
    assert_eq!(std::mem::take(&mut *calls.lock().unwrap()), 1, "the service may have done what it was asked for");
    let layer = layer.unsent(|error| error.is::<std::io::Error>());
    layer.layer(refused).oneshot(request("x")).await.unwrap_err();
    assert_eq!(*calls.lock().unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_was_not_tried_again_is_counted() {
    let (_seen, service) = scripted(&[503; 9]);
    let layer = retries(2).max_replay(4).budget(BudgetSpec { percent: 0.0, min_concurrency: 0, interval: None });
    let service = layer.layer(service);
    service.clone().oneshot(request(streaming(vec![Bytes::from_static(b"longer")]))).await.unwrap();
    assert_eq!((layer.skipped(), layer.refused()), (1, 0));
    service.oneshot(request("x")).await.unwrap();
    assert_eq!((layer.skipped(), layer.refused()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn an_error_of_ours_says_whether_there_were_retries() {
    for (on, retried) in [("5xx", true), ("503", false)] {
        let broken =
            service_fn(|_: Request<Body>| async { Err::<Response<Body>, _>(Error::from(Failure::ConnectFailed)) });
        let service = RetryLayer::new(RetryPolicy::new(1, on)).layer(broken);
        let error = service.oneshot(request("x")).await.unwrap_err().downcast::<Error>().unwrap();
        assert_eq!((error.failure(), error.is_retried()), (Failure::ConnectFailed, retried));
    }
}

#[tokio::test(start_paused = true)]
async fn each_try_has_a_time_limit_of_its_own() {
    let slow = service_fn(|_: Request<Body>| std::future::pending::<Result<Response<Body>, BoxError>>());
    let policy = RetryPolicy::new(2, "5xx").per_try_timeout(Duration::from_secs(1));
    let began = crate::clock::now();
    let error = RetryLayer::new(policy).layer(slow).oneshot(request("x")).await.unwrap_err();
    assert_eq!(error.downcast::<Error>().unwrap().failure(), Failure::PerTryTimeout);
    // Three tries, and pauses of less than 25 and 50 ms.
    let took = crate::clock::now() - began;
    assert!((3_000..3_080).contains(&took.as_millis()), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn pauses_grow_within_their_bounds_and_repeat_with_the_seed() {
    let pauses = async |seed| {
        let times: Arc<Mutex<Vec<_>>> = Arc::default();
        let tries = Arc::clone(&times);
        let failing = service_fn(move |_: Request<Body>| {
            tries.lock().unwrap().push(crate::clock::now());
            async { Ok::<_, BoxError>(Response::builder().status(503).body(Body::empty()).unwrap()) }
        });
        let policy = RetryPolicy::new(6, "5xx").backoff(Duration::from_millis(100));
        let layer = RetryLayer::new(policy).without_budget().seed(seed);
        layer.layer(failing).oneshot(request("x")).await.unwrap();
        let times = times.lock().unwrap();
        times.windows(2).map(|pair| (pair[1] - pair[0]).as_millis()).collect::<Vec<_>>()
    };
    for seed in 0..20 {
        let drawn = pauses(seed).await;
        assert_eq!(drawn, pauses(seed).await);
        // The timer rounds up to the next millisecond.
        assert!(
            drawn.iter().zip([100, 200, 400, 800, 1_000, 1_000]).all(|(pause, most)| *pause <= most + 1),
            "{drawn:?}"
        );
    }
    assert_ne!(pauses(1).await, pauses(2).await);
}

#[tokio::test(start_paused = true)]
async fn the_budget_ends_retries_that_would_make_it_worse() {
    let (seen, service) = scripted(&[503; 9]);
    let none = BudgetSpec { percent: 0.0, min_concurrency: 0, interval: None };
    let service = retries(5).budget(none).layer(service);
    assert_eq!(service.oneshot(request("x")).await.unwrap().status(), 503);
    assert_eq!(seen.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn services_of_one_layer_share_its_budget() {
    let layer = RetryLayer::new(RetryPolicy::new(1, "5xx"));
    let mut calls = Vec::new();
    for _ in 0..50 {
        // Each fails after a second, when all are under way; a second try hangs.
        let mut tries = 0;
        let service = service_fn(move |_: Request<Body>| {
            tries += 1;
            let hangs = tries > 1;
            async move {
                tokio::time::sleep(Duration::from_secs(if hangs { 1_000 } else { 1 })).await;
                Ok::<_, BoxError>(Response::builder().status(503).body(Body::empty()).unwrap())
            }
        });
        calls.push(tokio::spawn(layer.layer(service).oneshot(request("x"))));
    }
    tokio::time::sleep(Duration::from_secs(10)).await;
    // A fifth of 50, and the ten of a second.
    assert_eq!(calls.iter().filter(|call| !call.is_finished()).count(), 20);
}

#[tokio::test(start_paused = true)]
async fn a_layer_that_was_cloned_can_still_be_changed() {
    let first = retries(2);
    let second = first.clone().max_replay(1);
    for (layer, tries) in [(first, 3), (second, 1)] {
        let (seen, service) = scripted(&[503; 3]);
        layer.layer(service).oneshot(request(streaming(vec![Bytes::from_static(b"long")]))).await.unwrap();
        assert_eq!(seen.lock().unwrap().len(), tries);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_body_comes_byte_for_byte_the_same_or_not_again(
        parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8),
        kept in 0_usize..200,
        failures in 0_usize..3,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let whole = parts.concat();
        let (seen, service) = scripted(&vec![503; failures]);
        let body = streaming(parts.into_iter().map(Bytes::from).collect());
        let response = runtime.block_on(retries(2).max_replay(kept).layer(service).oneshot(request(body))).unwrap();
        let seen = seen.lock().unwrap();
        prop_assert!(seen.iter().all(|body| *body == whole));
        let again = whole.len() <= kept;
        prop_assert_eq!(seen.len(), if again { failures + 1 } else { 1 });
        prop_assert_eq!(response.status() == 200, again || failures == 0);
    }
}
