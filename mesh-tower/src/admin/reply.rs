//! Answers.

use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use serde_json::Value;

use crate::Body;

pub(super) type Reply = Response<Body>;

pub(super) fn json(value: &Value) -> Reply {
    typed(StatusCode::OK, "application/json", format!("{value:#}\n"))
}

/// A sentence.
pub(super) fn text(status: StatusCode, text: impl Into<String>) -> Reply {
    typed(status, "text/plain; charset=utf-8", text.into() + "\n")
}

pub(super) fn typed(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Reply {
    let mut reply = Response::new(body.into());
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    headers.insert(HeaderName::from_static("x-frame-options"), HeaderValue::from_static("DENY"));
    reply
}
