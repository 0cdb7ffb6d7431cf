use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use mesh_core::outlier::OutlierSpec;
use tower::{Layer as _, Service, ServiceExt as _, service_fn};

use super::*;
use crate::{Body, BoxError, Error, Failure};

/// What a service does next; it answers 200 when nothing is left.
#[derive(Clone, Copy, Debug)]
enum Step {
    Status(u16),
    Grpc(&'static str),
    Fail(Failure),
}

#[derive(Clone, Debug, Default)]
struct Script {
    steps: Arc<Mutex<VecDeque<Step>>>,
    calls: Arc<AtomicU32>,
}

impl Script {
    fn of(steps: impl IntoIterator<Item = Step>) -> Self {
        Self { steps: Arc::new(Mutex::new(steps.into_iter().collect())), calls: Arc::default() }
    }

    fn calls(&self) -> u32 {
        self.calls.load(Ordering::SeqCst)
    }
}

impl Service<Request<Body>> for Script {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = std::future::Ready<Result<Response<Body>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let response = Response::builder();
        std::future::ready(match self.steps.lock().unwrap().pop_front() {
            Some(Step::Fail(failure)) => Err(Error::from(failure).into()),
            Some(Step::Status(status)) => Ok(response.status(status).body(Body::empty()).unwrap()),
            Some(Step::Grpc(code)) => Ok(response.header("grpc-status", code).body(Body::empty()).unwrap()),
            None => Ok(Response::default()),
        })
    }
}

async fn call(service: &Outlier<Script>) -> Result<Response<Body>, BoxError> {
    service.clone().oneshot(Request::new(Body::empty())).await
}

async fn is_refused(service: &Outlier<Script>) -> bool {
    let Err(error) = call(service).await else { return false };
    error.downcast::<Error>().unwrap().failure() == Failure::NoHealthyUpstream
}

async fn seconds(seconds: u64) {
    tokio::time::advance(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn failures_in_a_row_eject_and_the_sweep_after_that_time_takes_back() {
    let layer = OutlierLayer::consecutive_5xx(3);
    let script = Script::of([Step::Status(503); 3]);
    let service = layer.layer(script.clone());
    seconds(5).await;
    for _ in 0..3 {
        assert_eq!(call(&service).await.unwrap().status(), 503);
    }
    assert!(layer.is_ejected() && is_refused(&service).await);
    // Ejected at 5 s for 30 s: the sweep at 30 s is too early, that at 40 s is not.
    seconds(34).await;
    assert!(is_refused(&service).await);
    assert_eq!(script.calls(), 3);
    seconds(1).await;
    assert!(!layer.is_ejected());
    assert_eq!(call(&service).await.unwrap().status(), 200);
    assert_eq!(script.calls(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_success_in_between_starts_the_count_over() {
    let layer = OutlierLayer::consecutive_5xx(2);
    let service = layer.layer(Script::of([500, 200, 500, 404, 500].map(Step::Status)));
    for _ in 0..5 {
        call(&service).await.unwrap();
        assert!(!layer.is_ejected());
    }
}

#[tokio::test(start_paused = true)]
async fn each_further_ejection_lasts_longer_and_quiet_intervals_take_that_back() {
    let layer = OutlierLayer::consecutive_5xx(1);
    let service = layer.layer(Script::of([Step::Status(503); 3]));
    let lasts = async || {
        call(&service).await.unwrap();
        let began = crate::clock::now();
        while layer.is_ejected() {
            seconds(1).await;
        }
        (crate::clock::now() - began).as_secs()
    };
    assert_eq!(lasts().await, 30);
    assert_eq!(lasts().await, 60);
    // Nobody asks meanwhile; the sweeps that were missed are made up for.
    seconds(200).await;
    assert_eq!(lasts().await, 30);
}

#[tokio::test(start_paused = true)]
async fn a_grpc_status_counts_for_grpc_callers_only() {
    for (kind, out) in [("application/grpc", true), ("application/json", false)] {
        let layer = OutlierLayer::consecutive_5xx(1);
        let request = Request::post("/").header("content-type", kind).body(Body::empty()).unwrap();
        layer.layer(Script::of([Step::Grpc("14")])).oneshot(request).await.unwrap();
        assert_eq!(layer.is_ejected(), out, "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_the_services_fault_does_not_count() {
    use mesh_core::failure::Limit;
    let layer = OutlierLayer::consecutive_5xx(1);
    let service =
        layer.layer(Script::of([Step::Fail(Failure::Overflow(Limit::Requests)), Step::Fail(Failure::NoRoute)]));
    for _ in 0..2 {
        call(&service).await.unwrap_err();
        assert!(!layer.is_ejected());
    }
}

#[tokio::test(start_paused = true)]
async fn failures_of_this_side_are_counted_apart_where_that_is_asked_for() {
    let policy = OutlierSpec { split_local_origin: true, consecutive_local: 2, ..OutlierSpec::default() };
    let layer = OutlierLayer::new(policy);
    let refused = Step::Fail(Failure::ConnectFailed);
    let service = layer.layer(Script::of([refused, Step::Status(500), refused, refused]));
    for out in [false, false, false, true] {
        drop(call(&service).await);
        assert_eq!(layer.is_ejected(), out);
    }
}

#[tokio::test(start_paused = true)]
async fn while_it_is_out_a_busy_service_keeps_nobody_waiting() {
    /// Ready once, and never again.
    #[derive(Clone, Debug)]
    struct Once(bool);
    impl Service<Request<Body>> for Once {
        type Response = Response<Body>;
        type Error = BoxError;
        type Future = std::future::Ready<Result<Response<Body>, BoxError>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
            if self.0 { Poll::Pending } else { Poll::Ready(Ok(())) }
        }

        fn call(&mut self, _: Request<Body>) -> Self::Future {
            assert!(!self.0, "called without being ready");
            self.0 = true;
            std::future::ready(Err("broken".into()))
        }
    }
    let layer = OutlierLayer::consecutive_5xx(1);
    let mut service = layer.layer(Once(false));
    let request = || Request::new(Body::empty());
    assert_eq!(service.ready().await.unwrap().call(request()).await.unwrap_err().to_string(), "broken");
    service.ready().await.unwrap();
    // Its time is over between the two: it is refused all the same, since nothing was made ready.
    seconds(60).await;
    let error = service.call(request()).await.unwrap_err();
    assert_eq!(error.downcast::<Error>().unwrap().failure(), Failure::NoHealthyUpstream);
    assert!(tokio::time::timeout(Duration::from_secs(1), service.ready()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_policy_beyond_all_time_does_no_harm() {
    let endless = OutlierSpec {
        consecutive_5xx: 1,
        interval: Duration::MAX,
        base_ejection: Duration::MAX,
        ..OutlierSpec::default()
    };
    let layer = OutlierLayer::new(endless);
    let failing = service_fn(|_: Request<Body>| async { Err::<Response<Body>, _>("broken") });
    layer.layer(failing).oneshot(Request::new(Body::empty())).await.unwrap_err();
    assert!(layer.is_ejected());
}
