use std::convert::Infallible;
use std::future;
use std::task::Poll;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use tower::{Service, ServiceExt as _, service_fn};
use tower_layer::Layer as _;

use crate::Body;

use super::{InboundLayer, RequestContext};

fn current_id() -> String {
    let context = RequestContext::current();
    let id = context.as_ref().and_then(|context| context.request_id()).map(|id| id.to_str().unwrap().to_owned());
    id.unwrap_or_default()
}

fn request(lines: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::get("/path?query").header("host", "app");
    for (name, value) in lines {
        request = request.header(*name, *value);
    }
    request.body(Body::empty()).unwrap()
}

#[tokio::test]
async fn the_context_is_there_in_the_call_the_future_and_the_body() {
    let app = service_fn(|_: Request<Body>| {
        let in_call = current_id();
        async move {
            tokio::task::yield_now().await;
            let in_future = current_id();
            let mut left = 1;
            let in_body = stream::poll_fn(move |_| {
                if left == 0 {
                    return Poll::Ready(None);
                }
                left -= 1;
                Poll::Ready(Some(Ok::<_, Infallible>(Frame::data(Bytes::from(current_id())))))
            });
            let response = Response::builder().header("call", in_call).header("future", in_future);
            Ok::<_, Infallible>(response.body(StreamBody::new(in_body)).unwrap())
        }
    });
    let response = InboundLayer::new().layer(app).oneshot(request(&[("x-request-id", "id")])).await.unwrap();
    assert_eq!(
        (&response.headers()["call"], &response.headers()["future"]),
        (&"id".parse().unwrap(), &"id".parse().unwrap())
    );
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "id");
    assert_eq!(current_id(), "");
}

#[tokio::test]
async fn a_call_made_in_a_handler_carries_the_request_on() {
    let app = service_fn(|_: Request<Body>| {
        let mut call = HeaderMap::new();
        super::context::propagate(&mut call);
        let mut response = Response::new(Body::empty());
        *response.headers_mut() = call;
        future::ready(Ok::<_, Infallible>(response))
    });
    let lines = [("traceparent", "00-a-b-01"), ("x-request-id", "id")];
    let response = InboundLayer::new().layer(app).oneshot(request(&lines)).await.unwrap();
    let headers = response.headers();
    assert_eq!(
        (headers.len(), &headers["traceparent"], &headers["x-request-id"]),
        (2, &"00-a-b-01".parse().unwrap(), &"id".parse().unwrap())
    );

    let mut call = HeaderMap::new();
    super::context::propagate(&mut call);
    assert!(call.is_empty());
}

#[tokio::test]
async fn what_is_refused_does_not_reach_the_application() {
    let app = service_fn(|_: Request<Body>| -> future::Ready<Result<Response<Body>, Infallible>> {
        panic!("reached the application")
    });
    let app = InboundLayer::new().layer(app);
    let status = |request: Request<Body>| app.clone().oneshot(request);
    let upgrade = [("connection", "upgrade"), ("upgrade", "irc")];
    assert_eq!(status(request(&upgrade)).await.unwrap().status(), StatusCode::FORBIDDEN);
    let connect = Request::connect("app:443").body(Body::empty()).unwrap();
    assert_eq!(status(connect).await.unwrap().status(), StatusCode::NOT_FOUND);
    let no_host = Request::get("/").body(Body::empty()).unwrap();
    assert_eq!(status(no_host).await.unwrap().status(), StatusCode::BAD_REQUEST);

    let grpc = [("connection", "upgrade"), ("upgrade", "irc"), ("content-type", "application/grpc")];
    let response = status(request(&grpc)).await.unwrap();
    assert_eq!((response.status(), &response.headers()["grpc-status"]), (StatusCode::OK, &"7".parse().unwrap()));
}

#[tokio::test]
async fn readiness_is_that_of_the_application() {
    /// Ready once it has been asked twice.
    #[derive(Clone)]
    struct SecondTime(u32);

    impl Service<Request<Body>> for SecondTime {
        type Response = Response<Body>;
        type Error = Infallible;
        type Future = future::Ready<Result<Response<Body>, Infallible>>;

        fn poll_ready(&mut self, cx: &mut std::task::Context<'_>) -> Poll<Result<(), Infallible>> {
            self.0 += 1;
            cx.waker().wake_by_ref();
            if self.0 < 2 { Poll::Pending } else { Poll::Ready(Ok(())) }
        }

        fn call(&mut self, _: Request<Body>) -> Self::Future {
            assert_eq!(self.0, 2, "called before it was ready");
            future::ready(Ok(Response::new(Body::empty())))
        }
    }
    InboundLayer::new().layer(SecondTime(0)).oneshot(request(&[])).await.unwrap();
}

#[test]
fn routers_and_routes_can_be_wrapped() {
    fn is_service<B, S>(_: S)
    where
        B: http_body::Body,
        S: Service<Request<B>, Error = Infallible, Future: Send> + Clone + Send + 'static,
    {
    }
    is_service::<axum::body::Body, _>(InboundLayer::new().layer(axum::Router::new()));
    is_service::<Body, _>(InboundLayer::new().layer(tonic::service::Routes::default()));
    drop(axum::Router::<()>::new().layer(InboundLayer::new()));
}

#[tokio::test]
async fn an_error_after_retries_in_vain_says_so_and_another_answer_does_not() {
    // Policies may name callers' errors as well.
    for (status, spent, marked) in [
        (429, true, true),
        (429, false, false),
        (503, true, true),
        (503, false, false),
        (200, true, false),
        (302, true, false),
    ] {
        let app = service_fn(move |_: Request<Body>| async move {
            if spent {
                super::note_spent();
            }
            let response = Response::builder().status(status).body(Body::empty()).unwrap();
            Ok::<_, Infallible>(response)
        });
        let response = InboundLayer::new().layer(app).oneshot(request(&[])).await.unwrap();
        assert_eq!(crate::hops::is_spent(response.headers()), marked, "{status}, {spent}");
    }
}
