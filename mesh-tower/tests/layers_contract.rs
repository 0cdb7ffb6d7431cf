//! What a tower service promises, asked of every layer that stands alone.
//!
//! | promise | asked by |
//! |-|-|
//! | readiness is that of the service inside, and whoever waits for it is woken | `readiness_is_forwarded` |
//! | the instance that was made ready is the one that is called, and ready once is called once | `readiness_is_used_once` |
//! | a clone has to be made ready itself and leaves the other alone | `clones_are_independent` |
//! | a call that is dropped drops the one inside, and holds nothing any more | `cancellation_reaches_inside` |
//! | an error keeps its cause | `errors_are_kept` |
//! | what is refused is never passed on, and what was reserved for it is free again | `refusals` |
//! | a service can be sent to other threads and shared between them | `services_cross_threads` |

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

#[path = "layers_contract/probe.rs"]
mod probe;

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use mesh_tower::balance::BalanceLayer;
use mesh_tower::fault::FaultLayer;
use mesh_tower::inbound::InboundLayer;
use mesh_tower::limit::LimitLayer;
use mesh_tower::local_reply::LocalReplyLayer;
use mesh_tower::mesh_core::lb::LbSpec;
use mesh_tower::mesh_core::retry::RetryPolicy;
use mesh_tower::mirror::MirrorLayer;
use mesh_tower::outlier::OutlierLayer;
use mesh_tower::retry::RetryLayer;
use mesh_tower::timeout::TimeoutLayer;
use mesh_tower::{Body, BoxError, Error, Failure, Mesh};
use tower::{Layer, Service, ServiceExt};

use self::probe::{Broken, Probe, Step};

/// A layer around a probe, as far as this test is concerned.
trait Wraps: Layer<Probe, Service: Asked> {}

impl<L: Layer<Probe, Service: Asked>> Wraps for L {}

/// A service that takes requests, whatever the body of its response.
trait Asked:
    Service<Request<Body>, Response = Response<Self::Answer>, Error: Into<BoxError> + fmt::Debug, Future: Send>
    + Clone
    + Send
    + Sync
    + 'static
{
    type Answer: Send;
}

impl<S, R> Asked for S
where
    S: Service<Request<Body>, Response = Response<R>, Error: Into<BoxError> + fmt::Debug, Future: Send>,
    S: Clone + Send + Sync + 'static,
    R: Send,
{
    type Answer = R;
}

fn request() -> Request<Body> {
    Request::post("http://a/").body(Body::from("text")).unwrap()
}

async fn readiness_is_forwarded(layer: impl Wraps) {
    let probe = Probe::new(Step::Answer);
    probe.close();
    let mut service = layer.layer(probe.clone());
    let waiting = tokio::spawn(async move {
        service.ready().await.unwrap();
        service
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!waiting.is_finished(), "ready although the service inside is not");
    probe.open();
    // Nobody polls it again unless it is woken.
    let mut service = tokio::time::timeout(Duration::from_secs(1), waiting).await.unwrap().unwrap();
    service.call(request()).await.unwrap();
    assert_eq!(probe.calls(), 1);
}

async fn readiness_is_used_once(layer: impl Wraps) {
    let probe = Probe::new(Step::Answer);
    let mut service = layer.layer(probe.clone());
    for calls in 1..=3 {
        service.ready().await.unwrap().call(request()).await.unwrap();
        assert_eq!(probe.calls(), calls);
    }
    // The probe notes whoever calls it without asking.
    assert_eq!((probe.unready_calls(), probe.unused()), (0, 0));
}

async fn clones_are_independent(layer: impl Wraps) {
    let probe = Probe::new(Step::Answer);
    let mut first = layer.layer(probe.clone());
    first.ready().await.unwrap();
    let mut second = first.clone();
    second.ready().await.unwrap().call(request()).await.unwrap();
    // What was made ready before is still so.
    first.call(request()).await.unwrap();
    drop((first, second));
    assert_eq!((probe.calls(), probe.unready_calls(), probe.unused()), (2, 0, 0));
}

async fn cancellation_reaches_inside(layer: impl Wraps) {
    let probe = Probe::new(Step::Hang);
    let mut service = layer.layer(probe.clone());
    let call = service.ready().await.unwrap().call(request());
    assert!(tokio::time::timeout(Duration::from_secs(1), call).await.is_err());
    assert_eq!((probe.calls(), probe.running()), (1, 0));
    // And one that was never polled.
    drop(service.ready().await.unwrap().call(request()));
    assert_eq!(probe.running(), 0);
}

/// `kept` tells whether an error of ours stays one.
async fn errors_are_kept(layer: impl Wraps, kept: bool) {
    let foreign = layer.layer(Probe::new(Step::Fail)).oneshot(request()).await;
    assert!(has_cause(&foreign.err().unwrap().into()), "the cause is gone");
    let ours = layer.layer(Probe::new(Step::FailAsOurs)).oneshot(request()).await;
    match ours {
        Ok(response) => assert!(!kept && response.status() == StatusCode::SERVICE_UNAVAILABLE),
        Err(error) => {
            let error = error.into();
            assert!(kept && has_cause(&error), "the cause is gone");
            assert_eq!(error.downcast::<Error>().unwrap().failure(), Failure::ConnectFailed);
        }
    }
}

fn has_cause(error: &BoxError) -> bool {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(&**error);
    while let Some(error) = next {
        if error.is::<Broken>() {
            return true;
        }
        next = error.source();
    }
    false
}

fn services_cross_threads(layer: impl Wraps) {
    fn check<T: Send + Sync + 'static>(_: &T) {}
    check(&layer.layer(Probe::new(Step::Answer)));
}

/// One row of the matrix: every promise for one layer.
macro_rules! contract {
    ($name:ident, $layer:expr, errors_of_ours_stay: $kept:literal) => {
        mod $name {
            use super::*;

            #[tokio::test(start_paused = true)]
            async fn readiness_is_forwarded() {
                super::readiness_is_forwarded($layer).await;
            }

            #[tokio::test(start_paused = true)]
            async fn readiness_is_used_once() {
                super::readiness_is_used_once($layer).await;
            }

            #[tokio::test(start_paused = true)]
            async fn clones_are_independent() {
                super::clones_are_independent($layer).await;
            }

            #[tokio::test(start_paused = true)]
            async fn cancellation_reaches_inside() {
                super::cancellation_reaches_inside($layer).await;
            }

            #[tokio::test(start_paused = true)]
            async fn errors_are_kept() {
                super::errors_are_kept($layer, $kept).await;
            }

            #[tokio::test]
            async fn services_cross_threads() {
                super::services_cross_threads($layer);
            }
        }
    };
}

const A_MINUTE: Duration = Duration::from_secs(60);

const HERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 80);

contract!(retry, RetryLayer::new(RetryPolicy::new(2, "5xx")), errors_of_ours_stay: true);
contract!(retry_of_nothing, RetryLayer::new(RetryPolicy::new(0, "")), errors_of_ours_stay: true);
contract!(timeout, TimeoutLayer::new(A_MINUTE), errors_of_ours_stay: true);
contract!(limit, LimitLayer::new(2), errors_of_ours_stay: true);
contract!(outlier, OutlierLayer::consecutive_5xx(5), errors_of_ours_stay: true);
contract!(balance, BalanceLayer::new(LbSpec::LeastRequest, [HERE]), errors_of_ours_stay: true);
contract!(fault, FaultLayer::new(), errors_of_ours_stay: true);
contract!(fault_with_delay, FaultLayer::new().delay(100.0, Duration::from_millis(1)), errors_of_ours_stay: true);
contract!(mirror, MirrorLayer::new(Probe::new(Step::Answer), 100.0), errors_of_ours_stay: true);
contract!(mirror_that_hangs, MirrorLayer::new(Probe::new(Step::Hang), 100.0), errors_of_ours_stay: true);
contract!(local_reply, LocalReplyLayer::new(), errors_of_ours_stay: false);
contract!(inbound, InboundLayer::new(), errors_of_ours_stay: true);
contract!(inbound_of_a_mesh, guarded(ALLOWED).await, errors_of_ours_stay: true);

/// Who may call, by a header.
const ALLOWED: &str = "ALLOW, rules: [{when: [{key: 'request.headers[secret]', notValues: [x]}]}]";
const DENIED: &str = "DENY, rules: [{}]";

/// The server side of a mesh with one policy.
async fn guarded(policy: &str) -> InboundLayer {
    let text = format!(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: one, namespace: default}}\nspec: {{action: {policy}}}\n"
    );
    let mesh = Mesh::builder().workload("default/app").config_yaml("policy.yaml", text).build().await.unwrap();
    mesh.inbound()
}

mod refusals {
    use super::*;

    /// Asks twice with the same instance: the one that was made ready for the first request is not kept from others.
    async fn asked(layer: impl Wraps) {
        let probe = Probe::new(Step::Answer);
        let mut service = layer.layer(probe.clone());
        for _ in 0..2 {
            let called = service.ready().await.unwrap().call(request());
            assert_eq!(probe.unused(), 0, "reserved for nobody, while the answer is awaited");
            drop(called.await);
            assert_eq!((probe.calls(), probe.unready_calls(), probe.unused()), (0, 0, 0));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn over_the_limit() {
        let layer = LimitLayer::new(0);
        asked(&layer).await;
        assert_eq!((layer.refused(), layer.in_use()), (2, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_fault() {
        asked(FaultLayer::new().abort(100.0, StatusCode::IM_A_TEAPOT)).await;
        let late = FaultLayer::new().delay(100.0, Duration::from_secs(1)).abort(100.0, StatusCode::IM_A_TEAPOT);
        asked(late).await;
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_to_send_it_to() {
        asked(BalanceLayer::new(LbSpec::LeastRequest, [])).await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_ejection_between_readiness_and_call() {
        let layer = OutlierLayer::consecutive_5xx(1);
        let probe = Probe::new(Step::Answer);
        let mut service = layer.layer(probe.clone());
        ServiceExt::<Request<Body>>::ready(&mut service).await.unwrap();
        assert_eq!(probe.unused(), 1);
        layer.layer(Probe::new(Step::Fail)).oneshot(request()).await.unwrap_err();
        assert!(service.call(request()).await.is_err());
        assert_eq!((probe.calls(), probe.unused()), (0, 0));
        asked(&layer).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_policy() {
        asked(guarded(DENIED).await).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_no_application_may_see() {
        let probe = Probe::new(Step::Answer);
        let mut service = InboundLayer::new().layer(probe.clone());
        let unnamed = Request::get("/").body(Body::empty()).unwrap();
        let response = ServiceExt::<Request<Body>>::ready(&mut service).await.unwrap().call(unnamed).await.unwrap();
        assert_eq!((response.status(), probe.calls(), probe.unused()), (StatusCode::BAD_REQUEST, 0, 0));
    }
}

mod all_together {
    use super::*;

    fn stack(probe: Probe) -> impl Asked {
        tower::ServiceBuilder::new()
            .layer(LocalReplyLayer::new())
            .layer(TimeoutLayer::new(A_MINUTE))
            .layer(MirrorLayer::new(Probe::new(Step::Answer), 100.0))
            .layer(RetryLayer::new(RetryPolicy::new(2, "5xx")))
            .layer(FaultLayer::new())
            .layer(LimitLayer::new(2))
            .layer(OutlierLayer::consecutive_5xx(5))
            .layer(BalanceLayer::new(LbSpec::LeastRequest, [HERE]))
            .service(probe)
    }

    #[tokio::test(start_paused = true)]
    async fn the_layers_fit_on_top_of_each_other() {
        let probe = Probe::new(Step::Answer);
        let response = stack(probe.clone()).oneshot(request()).await.unwrap();
        assert_eq!((response.status(), probe.calls()), (StatusCode::OK, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn what_fails_is_tried_again_ejected_and_answered() {
        let probe = Probe::new(Step::FailAsOurs);
        let service = stack(probe.clone());
        for _ in 0..3 {
            let response = service.clone().oneshot(request()).await.unwrap();
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        }
        // Three tries a request until five failures in a row; each of them was made ready for it.
        assert_eq!((probe.calls(), probe.unready_calls()), (5, 0));
    }
}

/// What is counted comes back when a call is given up, at whatever point.
#[tokio::test(start_paused = true)]
async fn what_a_cancelled_call_held_is_free_again() {
    let (limit, mirror) = (LimitLayer::new(1), MirrorLayer::new(Probe::new(Step::Hang), 100.0));
    let balance = BalanceLayer::new(LbSpec::LeastRequest, [HERE]);
    for millis in [0, 1, 30, 500] {
        let retry = RetryLayer::new(RetryPolicy::new(5, "5xx").per_try_timeout(Duration::from_millis(20)));
        let mut service = tower::ServiceBuilder::new()
            .layer(&mirror)
            .layer(retry)
            .layer(&limit)
            .layer(&balance)
            .service(Probe::new(Step::Hang));
        let call = ServiceExt::<Request<Body>>::ready(&mut service).await.unwrap().call(request());
        drop(tokio::time::timeout(Duration::from_millis(millis), call).await);
        assert_eq!((limit.in_use(), balance.active()[0].1), (0, 0), "after {millis} ms");
    }
    tokio::time::sleep(A_MINUTE).await;
    assert_eq!(mirror.copies(), 0);
}
