//! The answers that a route gives itself: redirects and direct responses.

use std::sync::Arc;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use http::{StatusCode, response};
use percent_encoding::{AsciiSet, CONTROLS, percent_encode};

use super::substitution::Exchange;
use super::{Action, RequestHead, Route, prepare, redirect};
use crate::RequestView;
use crate::failure::grpc_code_of;
use crate::grpc_status::GRPC_STATUS;

/// An answer of a route.
#[derive(Debug)]
pub struct Reply {
    /// Status and headers; no `content-length`, which the connection knows.
    pub parts: response::Parts,
    /// The body, empty for none. A HEAD request still gets the headers that belong to it.
    pub body: Arc<[u8]>,
}

/// What a route answers to a request; `None` if it does not answer by itself.
///
/// The rule's response header operations act on it, and may replace the `text/plain` of a body. A
/// gRPC caller gets 200 with the status mapped and the body as `grpc-message`.
pub fn reply(route: &Route, req: &RequestView<'_>, exchange: &Exchange<'_>) -> Option<Reply> {
    let (status, location, body) = match &route.action {
        Action::Redirect(redirect) => (redirect.status, Some(redirect.location(req)), Arc::default()),
        Action::DirectResponse(response) => {
            let location = response.has_location().then(|| redirect::own_url(req));
            (response.status, location, Arc::clone(&response.body))
        }
        _ => return None,
    };
    let (mut parts, ()) = response::Response::new(()).into_parts();
    parts.status = status;
    if let Some(location) = location {
        parts.headers.insert(LOCATION, location);
    }
    prepare::prepare_response(route, 0, &mut parts, Some(RequestHead::from(req)), exchange);
    parts.headers.remove(CONTENT_LENGTH);
    if is_grpc(req.headers) {
        put_grpc_status(&mut parts.headers, grpc_code_of(status), &body);
        parts.status = StatusCode::OK;
        return Some(Reply { parts, body: Arc::default() });
    }
    if body.is_empty() {
        parts.headers.remove(CONTENT_TYPE);
    } else {
        parts.headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("text/plain"));
    }
    // Such an answer has no body, though it says of which type.
    let is_bodiless = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    Some(Reply { parts, body: if is_bodiless { Arc::default() } else { body } })
}

/// The headers of an answer to a gRPC caller that has nothing but them (`Trailers-Only`): the status, and a text that says
/// more, if there is any. It goes out with 200.
pub fn put_grpc_status(headers: &mut HeaderMap, code: i32, text: &[u8]) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(GRPC_STATUS, HeaderValue::from(code));
    if !text.is_empty() {
        headers.insert(GRPC_MESSAGE, grpc_message(text));
    }
}

/// Whether an answer to these request headers has to be a gRPC one: the content type is
/// `application/grpc` alone or with a suffix. gRPC-Web is not gRPC here, nor is a content type with
/// parameters.
pub fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| {
        value.as_bytes().strip_prefix(b"application/grpc").is_some_and(|rest| matches!(rest, [] | [b'+', ..]))
    })
}

/// A text in the form that the header `grpc-message` has.
fn grpc_message(text: &[u8]) -> HeaderValue {
    let encoded = percent_encode(text, MESSAGE).to_string();
    // What is encoded is printable ASCII.
    HeaderValue::try_from(encoded).unwrap_or(HeaderValue::from_static(""))
}

const MESSAGE: &AsciiSet = &CONTROLS.add(b'%');
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use serde_json::{Value, json};

    use super::*;
    use crate::route::testing::{Request, lower, values};

    fn answer(rule: Value, request: &Request) -> Reply {
        reply(&lower(rule), &request.view(), &Exchange::new(SystemTime::UNIX_EPOCH)).unwrap()
    }

    #[test]
    fn an_answer_that_can_have_no_body_has_none() {
        for (status, expected) in [(204, ""), (304, ""), (200, "a"), (404, "a")] {
            let rule = json!({"directResponse": {"status": status, "body": {"string": "a"}}});
            assert_eq!(&*answer(rule, &Request::get("/")).body, expected.as_bytes(), "{status}");
        }
    }

    #[test]
    fn a_body_is_plain_text_unless_an_operation_says_otherwise() {
        for (headers, expected) in [
            (json!({}), "text/plain"),
            (json!({"response": {"set": {"content-type": "application/json"}}}), "application/json"),
            (json!({"response": {"add": {"content-type": "text/html"}}}), "text/html"),
            (json!({"response": {"remove": ["content-type"]}}), "text/plain"),
        ] {
            let rule = json!({"directResponse": {"status": 200, "body": {"string": "a"}}, "headers": headers});
            let reply = answer(rule, &Request::get("/"));
            assert_eq!(values(&reply.parts.headers, "content-type"), [expected]);
            assert_eq!(&*reply.body, b"a");
        }
    }

    #[test]
    fn without_body_there_is_no_content_type() {
        let headers = json!({"response": {"set": {"content-type": "text/html", "x-a": "1"}}});
        let reply = answer(json!({"directResponse": {"status": 200}, "headers": headers}), &Request::get("/"));
        assert!(!reply.parts.headers.contains_key(CONTENT_TYPE));
        assert_eq!(values(&reply.parts.headers, "x-a"), ["1"]);
    }

    #[test]
    fn operations_see_the_request_and_no_response_code() {
        let headers = json!({"response": {
            "set": {"x-set": "a", "x-in": "%REQ(x-in)%"},
            "add": {"x-set": "b", "x-code": "%RESPONSE_CODE%", "x-status": "%RESP(:status)%"},
            "remove": ["content-type", "x-set"],
        }});
        let rule = json!({"directResponse": {"status": 418, "body": {"string": "ops"}}, "headers": headers});
        let reply = answer(rule, &Request::get("/ops").header("x-in", "v"));
        assert_eq!(values(&reply.parts.headers, "x-set"), ["a", "b"]);
        assert_eq!(values(&reply.parts.headers, "x-in"), ["v"]);
        assert_eq!(values(&reply.parts.headers, "x-code"), ["0"]);
        assert_eq!(values(&reply.parts.headers, "x-status"), ["418"]);
    }

    #[test]
    fn created_names_the_requests_own_url() {
        let reply = answer(json!({"directResponse": {"status": 201}}), &Request::get("/e?q=1"));
        assert_eq!(values(&reply.parts.headers, "location"), ["http://reviews/e?q=1"]);
    }

    #[test]
    fn a_redirect_has_a_location_and_no_body() {
        let rule = json!({"redirect": {"uri": "/new"}, "headers": {"response": {"add": {"x-a": "1"}}}});
        let reply = answer(rule, &Request::get("/old"));
        assert_eq!(reply.parts.status, StatusCode::MOVED_PERMANENTLY);
        assert_eq!(values(&reply.parts.headers, "location"), ["http://reviews/new"]);
        assert_eq!(values(&reply.parts.headers, "x-a"), ["1"]);
        assert!(reply.body.is_empty());
    }

    #[test]
    fn a_grpc_caller_gets_a_grpc_answer() {
        let request = Request::get("/a.B/C").method("POST").header("content-type", "application/grpc+proto");
        let rule = json!({"directResponse": {"status": 503, "body": {"string": "no ☺ 5%"}}});
        let reply = answer(rule, &request);
        assert_eq!(reply.parts.status, StatusCode::OK);
        assert_eq!(values(&reply.parts.headers, "content-type"), ["application/grpc"]);
        assert_eq!(values(&reply.parts.headers, "grpc-status"), ["14"]);
        assert_eq!(values(&reply.parts.headers, "grpc-message"), ["no %E2%98%BA 5%25"]);
        assert!(reply.body.is_empty());
        let reply = answer(json!({"redirect": {"uri": "/new"}}), &request);
        assert_eq!(values(&reply.parts.headers, "grpc-status"), ["2"]);
        assert_eq!(values(&reply.parts.headers, "location"), ["http://reviews/new"]);
        assert!(!reply.parts.headers.contains_key(GRPC_MESSAGE));
    }

    #[test]
    fn grpc_is_told_by_the_content_type() {
        for (content_type, expected) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc-web", false),
            ("application/grpc;charset=utf-8", false),
            ("application/json", false),
        ] {
            let request = Request::get("/").header("content-type", content_type);
            assert_eq!(is_grpc(request.view().headers), expected, "{content_type}");
        }
    }

    #[test]
    fn a_route_that_forwards_does_not_answer() {
        let route = lower(json!({"route": [{"destination": {"host": "a"}}]}));
        let exchange = Exchange::new(SystemTime::UNIX_EPOCH);
        assert!(reply(&route, &Request::get("/").view(), &exchange).is_none());
    }
}
