use http::{Method, Request, Response};
use http_body_util::BodyExt as _;
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::*;
use crate::{Body, BoxError, Error, Failure};

fn failing<E: Clone + Into<BoxError>>(
    layer: LocalReplyLayer,
    error: E,
) -> LocalReply<impl tower::Service<Request<Body>, Response = Response<Body>, Error = E>> {
    layer.layer(service_fn(move |_: Request<Body>| std::future::ready(Err::<Response<Body>, _>(error.clone()))))
}

async fn text(response: Response<Body>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

fn request(method: Method, kind: &str) -> Request<Body> {
    Request::builder().method(method).header("content-type", kind).body(Body::empty()).unwrap()
}

/// An error of ours, which can not be cloned.
fn fails(failure: Failure) -> impl tower::Service<Request<Body>, Response = Response<Body>, Error = Error> {
    service_fn(move |_: Request<Body>| std::future::ready(Err::<Response<Body>, _>(Error::from(failure))))
}

#[tokio::test]
async fn a_failure_is_answered_in_the_callers_language() {
    let plain = LocalReplyLayer::new().layer(fails(Failure::RequestTimeout));
    let response = plain.oneshot(request(Method::GET, "text/plain")).await.unwrap();
    assert_eq!(
        (response.status(), text(response).await.as_str()),
        (http::StatusCode::GATEWAY_TIMEOUT, "upstream request timeout")
    );
    let grpc = LocalReplyLayer::new().layer(fails(Failure::NoHealthyUpstream));
    let response = grpc.oneshot(request(Method::POST, "application/grpc+proto")).await.unwrap();
    assert_eq!((response.status().as_u16(), &response.headers()["grpc-status"]), (200, &"14".parse().unwrap()));
}

#[tokio::test]
async fn the_answer_to_head_has_no_body() {
    let service = LocalReplyLayer::new().layer(fails(Failure::RequestTimeout));
    let response = service.oneshot(request(Method::HEAD, "text/plain")).await.unwrap();
    assert_eq!((response.status().as_u16(), text(response).await.as_str()), (504, ""));
}

#[tokio::test]
async fn other_errors_stay_errors_unless_all_are_to_be_answered() {
    let kept = failing(LocalReplyLayer::new(), "broken").oneshot(request(Method::GET, "")).await;
    assert_eq!(kept.unwrap_err().to_string(), "broken");
    let response =
        failing(LocalReplyLayer::new().answer_all(), "broken").oneshot(request(Method::GET, "")).await.unwrap();
    assert_eq!(response.status(), 503);
    assert!(text(response).await.contains("connection termination"));
}

#[tokio::test]
async fn what_did_not_fail_comes_through() {
    let teapot = service_fn(|_: Request<Body>| async {
        Ok::<_, BoxError>(Response::builder().status(418).body(String::from("short and stout")).unwrap())
    });
    let response = LocalReplyLayer::new().layer(teapot).oneshot(request(Method::GET, "")).await.unwrap();
    assert_eq!((response.status().as_u16(), text(response).await.as_str()), (418, "short and stout"));
}
