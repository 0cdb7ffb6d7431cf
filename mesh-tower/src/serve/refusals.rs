//! The answers that a server gives itself, before the application hears of a request or where it gives none.

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, Version, header};
use http_body::Body as _;
use http_body_util::Full;
use hyper::body::Incoming;

use super::connection::Settings;
use super::state::ConnectionState;
use crate::BoxError;

/// The answer to a request that the application never sees; nothing to one that it does.
pub(super) fn refusal(
    request: &Request<Incoming>,
    is_tls: bool,
    state: &ConnectionState,
    settings: &Settings,
) -> Option<Response<Full<Bytes>>> {
    let options = &settings.options;
    if request.version() <= Version::HTTP_10 && !options.accept_http_10 {
        return Some(too_old());
    }
    // A change of mode ends what has begun as plaintext: the next connection begins anew.
    if !is_tls && !settings.security.takes_plaintext() {
        return Some(closing(StatusCode::SERVICE_UNAVAILABLE));
    }
    if state.is_flawed() {
        return Some(closing(StatusCode::BAD_REQUEST));
    }
    if options.refuse_underscores && request.headers().keys().any(|name| name.as_str().contains('_')) {
        return Some(empty(StatusCode::BAD_REQUEST));
    }
    // With HTTP/1 nobody gets here with more.
    if request.headers().len() > options.max_headers {
        return Some(empty(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE));
    }
    let is_larger = |most: u64| request.body().size_hint().lower() > most;
    options.max_request_bytes.is_some_and(is_larger).then(|| too_large(request.version()))
}

/// The answer to HTTP/1.0, as Envoy gives it.
fn too_old() -> Response<Full<Bytes>> {
    let mut response = closing(StatusCode::UPGRADE_REQUIRED);
    *response.body_mut() = Full::from("Upgrade Required");
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

/// The answer to what says that its body is too large. What has not come yet is not waited for.
fn too_large(version: Version) -> Response<Full<Bytes>> {
    match version {
        Version::HTTP_2 => empty(StatusCode::PAYLOAD_TOO_LARGE),
        _ => closing(StatusCode::PAYLOAD_TOO_LARGE),
    }
}

fn closing(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = empty(status);
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

/// The answer when the application gives none: axum and tonic never come here.
pub(super) fn failed(error: &BoxError) -> Response<Full<Bytes>> {
    tracing::error!(%error, "the application failed to answer a request");
    empty(StatusCode::INTERNAL_SERVER_ERROR)
}
