use std::time::Duration;

use http::{Request, Response};
use http_body_util::BodyExt as _;
use mesh_core::failure::Limit as Which;
use proptest::prelude::*;
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::*;
use crate::{Body, BoxError, Error, Failure};

fn request() -> Request<Body> {
    Request::new(Body::empty())
}

async fn text(_: Request<Body>) -> Result<Response<Body>, BoxError> {
    Ok(Response::new(Body::from("text")))
}

#[tokio::test]
async fn over_the_limit_a_request_fails_at_once() {
    let layer = LimitLayer::new(1);
    let _held = layer.layer(service_fn(text)).oneshot(request()).await.unwrap();
    // Another service of the same layer shares its limit.
    let refused = layer.layer(service_fn(text)).oneshot(request()).await.unwrap_err();
    assert_eq!(refused.downcast::<Error>().unwrap().failure(), Failure::Overflow(Which::Requests));
    assert_eq!(layer.in_use(), 1);
}

#[tokio::test]
async fn a_request_counts_until_its_response_was_read_or_dropped() {
    let layer = LimitLayer::new(5);
    let service = layer.layer(service_fn(text));
    let mut read = service.clone().oneshot(request()).await.unwrap().into_body();
    let dropped = service.oneshot(request()).await.unwrap();
    assert_eq!(layer.in_use(), 2);
    // Its length is known: nobody asks for the end after the last frame.
    read.frame().await.unwrap().unwrap();
    assert!(layer.in_use() < 2 || read.frame().await.is_none());
    assert_eq!(layer.in_use(), 1);
    drop(dropped);
    assert_eq!(layer.in_use(), 0);
}

#[tokio::test]
async fn a_response_without_a_body_counts_no_more() {
    let layer = LimitLayer::new(1);
    let empty = service_fn(|_| async { Ok::<_, BoxError>(Response::new(Body::empty())) });
    let _response = layer.layer(empty).oneshot(request()).await.unwrap();
    assert_eq!(layer.in_use(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_given_up_counts_no_more() {
    let layer = LimitLayer::new(1);
    let hanging = service_fn(|_: Request<Body>| std::future::pending::<Result<Response<Body>, BoxError>>());
    let future = layer.layer(hanging).oneshot(request());
    assert!(tokio::time::timeout(Duration::from_millis(1), future).await.is_err());
    assert_eq!(layer.in_use(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn whatever_happens_the_limit_holds_and_every_slot_comes_back(most in 0_u32..4, steps in prop::collection::vec(0..3, 0..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let layer = LimitLayer::new(most);
        let service = layer.layer(service_fn(text));
        runtime.block_on(async {
            let mut held = Vec::new();
            for step in steps {
                match step {
                    0 => held.extend(service.clone().oneshot(request()).await.ok()),
                    1 => drop(held.pop()),
                    _ => drop(service.clone().oneshot(request())),
                }
                assert!(layer.in_use() <= most && layer.in_use() as usize == held.len());
            }
        });
        prop_assert_eq!(layer.in_use(), 0);
    }
}
