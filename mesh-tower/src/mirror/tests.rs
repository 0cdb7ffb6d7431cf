use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tokio::sync::mpsc;
use tower::{Layer as _, Service, ServiceExt as _, service_fn};

use super::*;
use crate::{Body, BoxError};

type Got = mpsc::UnboundedReceiver<String>;

/// A service that reads each request and tells of it.
fn reading() -> (
    Got,
    impl Service<Request<Body>, Response = Response<Body>, Error = BoxError, Future: Send> + Clone + Send + 'static,
) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let service = service_fn(move |request: Request<Body>| {
        let sender = sender.clone();
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let _ = sender.send(format!("{} {} {:?}", head.method, head.uri, body));
            Ok::<_, BoxError>(Response::new(Body::empty()))
        }
    });
    (receiver, service)
}

fn streaming(parts: usize) -> Body {
    let part = Bytes::from_static(&[b'x'; 1024]);
    Body::new(StreamBody::new(tokio_stream::iter(
        (0..parts).map(move |_| Ok::<_, BoxError>(Frame::data(part.clone()))),
    )))
}

fn post(body: impl Into<Body>) -> Request<Body> {
    Request::post("http://a/b?c").body(body.into()).unwrap()
}

#[tokio::test]
async fn the_copy_is_the_same_request_whether_it_is_there_or_streams() {
    for body in [Body::empty as fn() -> Body, || Body::from("hello"), || streaming(64)] {
        let ((mut main, inner), (mut copies, mirror)) = (reading(), reading());
        let service = MirrorLayer::new(mirror, 100.0).layer(inner);
        service.oneshot(post(body())).await.unwrap();
        let (main, copy) = (main.recv().await.unwrap(), copies.recv().await.unwrap());
        assert!(main == copy && main.starts_with("POST http://a/b?c"), "{copy}");
    }
}

#[tokio::test]
async fn a_copy_that_falls_too_far_behind_is_given_up_and_nothing_else() {
    let ((mut main, inner), (mut copies, mirror)) = (reading(), reading());
    let layer = MirrorLayer::new(mirror, 100.0);
    let service = layer.layer(inner);
    // More at once than may lie between the two.
    let large = Frame::data(Bytes::from(vec![b'x'; 65 * 1024]));
    let body = Body::new(StreamBody::new(tokio_stream::iter([Ok::<_, BoxError>(large)])));
    service.oneshot(post(body)).await.unwrap();
    assert!(main.recv().await.unwrap().len() > 65 * 1024);
    assert_eq!(layer.cut(), 1);
    drop(layer);
    assert_eq!(copies.recv().await, None);
}

#[tokio::test]
async fn a_copy_that_keeps_up_is_whole_however_long_it_is() {
    let ((mut main, inner), (mut copies, mirror)) = (reading(), reading());
    let layer = MirrorLayer::new(mirror, 100.0);
    layer.layer(inner).oneshot(post(streaming(1_000))).await.unwrap();
    let (main, copy) = (main.recv().await.unwrap(), copies.recv().await.unwrap());
    assert!(main == copy && copy.len() > 1_000 * 1024);
    assert_eq!(layer.cut(), 0);
}

#[tokio::test]
async fn a_share_is_copied() {
    let ((_main, inner), (mut copies, mirror)) = (reading(), reading());
    let service = MirrorLayer::new(mirror, 25.0).seed(1).layer(inner);
    for _ in 0..1_000 {
        service.clone().oneshot(post("")).await.unwrap();
    }
    drop(service);
    let mut count = 0;
    while copies.recv().await.is_some() {
        count += 1;
    }
    // Four standard deviations.
    assert!((195..305).contains(&count), "{count}");
}

#[tokio::test(start_paused = true)]
async fn a_mirror_that_hangs_or_fails_or_panics_neither_delays_nor_fails_the_main_call() {
    for how in ["hangs", "fails", "panics", "is never ready"] {
        let mirror = service_fn(move |_: Request<Body>| async move {
            match how {
                "hangs" => std::future::pending().await,
                "fails" => Err::<Response<Body>, _>("broken"),
                _ => panic!("on purpose"),
            }
        });
        let never = how == "is never ready";
        let mirror = tower::util::BoxCloneService::new(Waiting { inner: mirror, never });
        let (mut main, inner) = reading();
        let layer = MirrorLayer::new(mirror, 100.0).timeout(Duration::from_secs(5));
        let began = crate::clock::now();
        layer.layer(inner).oneshot(post("hello")).await.unwrap();
        assert!(main.recv().await.unwrap().ends_with("b\"hello\""), "{how}");
        assert_eq!(crate::clock::now(), began, "{how}");
        // Its slot comes back when its time is over at the latest.
        tokio::time::sleep(Duration::from_secs(6)).await;
        assert_eq!(layer.copies(), 0, "{how}");
    }
}

/// A service that may be never ready.
#[derive(Clone)]
struct Waiting<S> {
    inner: S,
    never: bool,
}

impl<S: Service<Request<Body>>> Service<Request<Body>> for Waiting<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        if self.never { Poll::Pending } else { self.inner.poll_ready(cx) }
    }

    fn call(&mut self, request: Request<Body>) -> S::Future {
        self.inner.call(request)
    }
}

#[tokio::test(start_paused = true)]
async fn the_time_of_a_copy_begins_when_the_caller_has_sent_the_request() {
    let ((mut main, inner), (mut copies, mirror)) = (reading(), reading());
    let pieces = futures_util::stream::unfold(5, |left: u32| async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        (left > 0).then(|| (Ok::<_, BoxError>(Frame::data(Bytes::from_static(b"x"))), left - 1))
    });
    let service = MirrorLayer::new(mirror, 100.0).timeout(Duration::from_secs(2)).layer(inner);
    service.oneshot(post(Body::new(StreamBody::new(pieces)))).await.unwrap();
    assert_eq!(copies.recv().await.unwrap(), main.recv().await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn copies_over_the_limit_are_skipped_and_counted() {
    let mirror = service_fn(|_: Request<Body>| std::future::pending::<Result<Response<Body>, BoxError>>());
    let (mut main, inner) = reading();
    let layer = MirrorLayer::new(mirror, 100.0).max_copies(2);
    let service = layer.layer(inner);
    for _ in 0..5 {
        service.clone().oneshot(post("x")).await.unwrap();
        main.recv().await.unwrap();
    }
    assert_eq!((layer.copies(), layer.skipped()), (2, 3));
    tokio::time::sleep(Duration::from_secs(16)).await;
    assert_eq!(layer.copies(), 0);
}

#[test]
fn outside_of_a_runtime_nothing_is_copied_and_the_main_call_goes_on() {
    let ((_main, inner), (_copies, mirror)) = (reading(), reading());
    let layer = MirrorLayer::new(mirror, 100.0);
    assert!(at_once(layer.layer(inner), post("x")).is_some());
    assert_eq!((layer.copies(), layer.skipped()), (0, 1));
}

/// The response of a call that waits for nothing.
fn at_once<S>(service: S, request: Request<Body>) -> Option<S::Response>
where
    S: Service<Request<Body>>,
{
    let mut call = std::pin::pin!(service.oneshot(request));
    match call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(response)) => Some(response),
        _ => None,
    }
}
