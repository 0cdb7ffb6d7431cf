use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use mesh_core::Failure;
use mesh_core::route::reply::put_grpc_status;

use crate::{Body, Error};

const OVERLOADED: HeaderName = HeaderName::from_static("x-envoy-overloaded");

/// The reply to a request that failed, to a caller that speaks gRPC or not.
pub fn reply(error: &Error, grpc: bool) -> Response<Body> {
    let failure = error.failure();
    let body = failure.body(error.is_retried());
    let mut response = Response::new(Body::empty());
    if grpc {
        put_grpc_status(response.headers_mut(), failure.grpc_code(), body.as_bytes());
    } else {
        *response.status_mut() = failure.http_status();
        if !body.is_empty() {
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
            // A 204 or 304 that a fault asks for has no body, though it says of which type.
            if !matches!(failure.http_status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
                *response.body_mut() = Body::from(body);
            }
        }
    }
    if matches!(failure, Failure::Overflow(_)) {
        response.headers_mut().insert(OVERLOADED, HeaderValue::from_static("true"));
    }
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use mesh_core::failure::Limit;

    use super::*;

    async fn text(response: Response<Body>) -> String {
        String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn an_overflow_says_so_in_a_header() {
        let response = reply(&Failure::Overflow(Limit::Requests).into(), false);
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()["x-envoy-overloaded"], "true");
        assert_eq!(response.headers()["content-type"], "text/plain");
        let body = text(response).await;
        assert_eq!(body, "upstream connect error or disconnect/reset before headers. reset reason: overflow");
    }

    #[tokio::test]
    async fn a_grpc_caller_gets_trailers_only() {
        let response = reply(&Failure::RequestTimeout.into(), true);
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["grpc-status"], "14");
        assert_eq!(response.headers()["grpc-message"], "upstream request timeout");
        let unrouted = reply(&Failure::NoRoute.into(), true);
        assert_eq!(unrouted.headers()["grpc-status"], "12");
        assert!(!unrouted.headers().contains_key("grpc-message"));
    }

    #[tokio::test]
    async fn no_route_is_an_empty_404() {
        let response = reply(&Failure::NoRoute.into(), false);
        assert_eq!(response.status(), 404);
        assert!(!response.headers().contains_key("content-type"));
        assert_eq!(text(response).await, "");
    }
}
