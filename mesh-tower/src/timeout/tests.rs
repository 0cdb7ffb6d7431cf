use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::*;
use crate::{Body, BoxError, Error, Failure};

const SECOND: Duration = Duration::from_secs(1);

/// A service that answers after so many seconds, which stand in the path.
async fn slow(request: Request<Body>) -> Result<Response<Body>, BoxError> {
    let seconds = request.uri().path()[1..].parse()?;
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    Ok(Response::new(Body::from("done")))
}

fn to(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

fn failure(error: BoxError) -> Failure {
    error.downcast::<Error>().unwrap().failure()
}

fn since(began: Instant) -> Duration {
    crate::clock::now() - began
}

/// A body whose frames are sent by hand.
fn stream() -> (mpsc::Sender<Result<Frame<Bytes>, BoxError>>, Body) {
    let (sender, receiver) = mpsc::channel(8);
    (sender, Body::new(StreamBody::new(ReceiverStream::new(receiver))))
}

#[tokio::test(start_paused = true)]
async fn what_takes_too_long_is_a_timeout() {
    let service = TimeoutLayer::new(2 * SECOND).layer(service_fn(slow));
    assert!(service.clone().oneshot(to("/1")).await.is_ok());
    let began = crate::clock::now();
    let error = service.oneshot(to("/3")).await.unwrap_err();
    assert_eq!((failure(error), since(began)), (Failure::RequestTimeout, 2 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_always_has_more_is_cut_off_and_one_that_is_whole_is_not() {
    let endless = service_fn(|_: Request<Body>| async {
        let pieces = std::iter::repeat_with(|| Ok::<_, BoxError>(Frame::data(Bytes::from_static(b"more"))));
        Ok::<_, BoxError>(Response::new(Body::new(StreamBody::new(tokio_stream::iter(pieces)))))
    });
    let mut body = TimeoutLayer::new(2 * SECOND).layer(endless).oneshot(to("/")).await.unwrap().into_body();
    let began = crate::clock::now();
    let error = loop {
        match body.frame().await.unwrap() {
            Ok(_) => tokio::time::sleep(SECOND / 4).await,
            Err(error) => break error,
        }
    };
    assert_eq!((failure(error), since(began)), (Failure::RequestTimeout, 2 * SECOND));
    assert!(body.frame().await.is_none());
    // Of unknown length, with and without trailers: the end comes right behind what was there in time.
    for with_trailers in [false, true] {
        let answer = service_fn(move |_: Request<Body>| async move {
            let trailers = with_trailers.then(|| Ok::<_, BoxError>(Frame::trailers(http::HeaderMap::new())));
            let frames = [Ok(Frame::data(Bytes::from_static(b"done")))].into_iter().chain(trailers);
            Ok::<_, BoxError>(Response::new(Body::new(StreamBody::new(tokio_stream::iter(frames)))))
        });
        let answer = TimeoutLayer::new(2 * SECOND).layer(answer).oneshot(to("/")).await.unwrap();
        tokio::time::sleep(5 * SECOND).await;
        let whole = answer.into_body().collect().await.unwrap();
        assert_eq!((whole.trailers().is_some(), &whole.to_bytes()[..]), (with_trailers, &b"done"[..]));
    }
    let whole = TimeoutLayer::new(2 * SECOND).layer(service_fn(slow)).oneshot(to("/1")).await.unwrap();
    tokio::time::sleep(5 * SECOND).await;
    assert_eq!(whole.into_body().collect().await.unwrap().to_bytes(), "done");
}

#[tokio::test(start_paused = true)]
async fn zero_and_what_never_comes_are_no_limit() {
    for limit in [Duration::ZERO, Duration::MAX] {
        let service = TimeoutLayer::new(limit).layer(service_fn(slow));
        assert!(service.oneshot(to("/100000")).await.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn a_grpc_caller_may_ask_for_less_but_not_for_more() {
    for (layer, asked, kind, expected) in [
        (TimeoutLayer::new(5 * SECOND), "2S", "application/grpc", Some(2)),
        (TimeoutLayer::new(5 * SECOND), "8S", "application/grpc+proto", Some(5)),
        (TimeoutLayer::of_callers(), "2S", "application/grpc", Some(2)),
        (TimeoutLayer::of_callers(), "2S", "application/json", None),
    ] {
        let began = crate::clock::now();
        let request = Request::get("/10").header("grpc-timeout", asked).header("content-type", kind);
        let result = layer.layer(service_fn(slow)).oneshot(request.body(Body::empty()).unwrap()).await;
        assert_eq!(result.is_ok(), expected.is_none(), "{asked} {kind}");
        assert_eq!(since(began), expected.unwrap_or(10) * SECOND, "{asked} {kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_grpc_service_is_told_how_long_it_has_and_no_other() {
    let told = service_fn(|request: Request<Body>| async move {
        let told = request.headers().get("grpc-timeout").map(|told| told.to_str().unwrap().to_owned());
        Ok::<_, BoxError>(Response::new(Body::from(told.unwrap_or_default())))
    });
    for (layer, asked, kind, expected) in [
        (TimeoutLayer::new(5 * SECOND), "8S", "application/grpc", "5000m"),
        (TimeoutLayer::new(5 * SECOND), "2S", "application/grpc", "2000m"),
        (TimeoutLayer::of_callers(), "2S", "application/grpc", "2000m"),
        (TimeoutLayer::new(5 * SECOND), "8S", "application/json", "8S"),
    ] {
        let request = Request::get("/").header("grpc-timeout", asked).header("content-type", kind);
        let answer = layer.layer(told).oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), expected, "{asked} {kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_clock_starts_when_the_request_has_been_sent() {
    let reading = service_fn(|request: Request<Body>| async move {
        request.into_body().collect().await?;
        std::future::pending::<Result<Response<Body>, BoxError>>().await
    });
    let (sender, body) = stream();
    let began = crate::clock::now();
    tokio::spawn(async move {
        for _ in 0..5 {
            tokio::time::sleep(SECOND).await;
            sender.send(Ok(Frame::data(Bytes::from_static(b"x")))).await.unwrap();
        }
    });
    let error = TimeoutLayer::new(2 * SECOND).layer(reading).oneshot(Request::new(body)).await.unwrap_err();
    assert_eq!((failure(error), since(began)), (Failure::RequestTimeout, 7 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn a_response_that_has_begun_is_cut_off() {
    let (sender, body) = stream();
    let mut body = Some(body);
    let service =
        service_fn(move |_: Request<Body>| std::future::ready(Ok::<_, BoxError>(Response::new(body.take().unwrap()))));
    let began = crate::clock::now();
    let response = TimeoutLayer::new(2 * SECOND).layer(service).oneshot(Request::new(Body::empty())).await.unwrap();
    sender.send(Ok(Frame::data(Bytes::from_static(b"begun")))).await.unwrap();
    let mut body = response.into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "begun");
    let error = body.frame().await.unwrap().unwrap_err();
    assert_eq!((failure(error), since(began)), (Failure::RequestTimeout, 2 * SECOND));
    // Its sender learns of it, and nothing comes any more.
    assert!(sender.is_closed() && body.frame().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn it_covers_all_tries_of_a_retry_and_their_pauses() {
    let failing = service_fn(|_: Request<Body>| async {
        tokio::time::sleep(SECOND).await;
        Ok::<_, BoxError>(Response::builder().status(503).body(Body::empty()).unwrap())
    });
    let retry = crate::retry::RetryLayer::new(mesh_core::retry::RetryPolicy::new(100, "5xx")).without_budget();
    let service = TimeoutLayer::new(5 * SECOND).layer(retry.layer(failing));
    let began = crate::clock::now();
    let error = service.oneshot(Request::new(Body::empty())).await.unwrap_err();
    assert_eq!((failure(error), since(began)), (Failure::RequestTimeout, 5 * SECOND));
}
