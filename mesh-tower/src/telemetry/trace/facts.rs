//! What a request came to, as its spans tell it.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::Frame;
use mesh_core::{Failure, ResponseFlags, grpc_status};
use opentelemetry::global::BoxedSpan;
use opentelemetry::trace::{Span as _, SpanKind, Status};

use super::attributes::{ERROR_TYPE, FLAGS, RPC_STATUS, STATUS, grpc_name, pair};

/// What Envoy says of a caller that went away.
const GIVEN_UP: &str = "downstream_remote_disconnect";

/// What a request came to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Facts {
    /// 0 without an answer.
    status: u16,
    is_grpc: bool,
    grpc_status: Option<u8>,
    flags: ResponseFlags,
    /// Why there is no answer of an upstream, or why it broke off.
    failure: Option<&'static str>,
    /// Whether the answer has come to its end.
    is_complete: bool,
}

impl Facts {
    pub(super) fn of(is_grpc: bool) -> Self {
        Self { is_grpc, ..Self::default() }
    }

    pub(super) const fn is_grpc(&self) -> bool {
        self.is_grpc
    }

    /// The head of the answer; `failure` where none of an upstream or an application.
    pub(super) fn answered<B>(&mut self, response: &Response<B>, flags: ResponseFlags, failure: Option<&'static str>) {
        self.status = response.status().as_u16();
        self.flags = flags;
        self.failure = failure;
        self.trailers(response.headers());
    }

    /// There is no answer.
    pub(super) fn failed(&mut self, failure: Failure) {
        self.flags = self.flags.with(failure.flags());
        self.failure = Some(failure.details());
    }

    pub(super) fn received(&mut self, frame: &Frame<Bytes>) {
        if let Some(trailers) = frame.trailers_ref() {
            self.trailers(trailers);
        }
    }

    fn trailers(&mut self, headers: &HeaderMap) {
        if self.is_grpc
            && let Some(status) = grpc_status::of(headers)
        {
            self.grpc_status = Some(grpc_status::known(status));
        }
    }

    /// The answer broke off: by something of ours, or since its connection did.
    pub(super) fn broke(&mut self, failure: Option<Failure>) {
        self.failed(failure.unwrap_or(Failure::ConnectionTerminated));
        self.is_complete = true;
    }

    pub(super) fn completed(&mut self) {
        self.is_complete = true;
    }

    /// What went wrong as the conventions see it, in a word; `None` for nothing.
    fn error(&self, kind: &SpanKind) -> Option<Cow<'static, str>> {
        let is_server = *kind == SpanKind::Server;
        if let Some(status) = self.grpc_status.filter(|_| self.is_grpc) {
            // To a server it is an error what is its own.
            let is_error = if is_server { matches!(status, 2 | 4 | 12..=15) } else { status != 0 };
            return is_error.then(|| grpc_name(status).into());
        }
        if let Some(failure) = self.failure
            && (self.status == 0 || self.status >= if is_server { 500 } else { 400 } || self.is_broken())
        {
            return Some(failure.into());
        }
        match self.status {
            0 if is_server => None,
            0 => Some(GIVEN_UP.into()),
            400..=499 if is_server => None,
            status @ 400.. => Some(status.to_string().into()),
            _ => None,
        }
    }

    /// Whether it went wrong behind the head of its answer.
    fn is_broken(&self) -> bool {
        self.failure.is_some() && (200..400).contains(&self.status)
    }

    /// Tells a span.
    pub(super) fn tell(&self, span: &mut BoxedSpan, kind: &SpanKind) {
        match (self.is_grpc, self.grpc_status) {
            (true, Some(status)) => span.set_attribute(pair(RPC_STATUS, grpc_name(status))),
            _ if self.status > 0 => span.set_attribute(pair(STATUS, i64::from(self.status))),
            _ => {}
        }
        let flags = if self.is_complete { self.flags } else { self.flags.with(ResponseFlags::DC) };
        if !flags.is_empty() {
            span.set_attribute(pair(FLAGS, flags.to_string()));
        }
        if let Some(error) = self.error(kind) {
            // What a status code says needs no description.
            let description = if self.failure.is_some() { error.clone() } else { "".into() };
            span.set_attribute(pair(ERROR_TYPE, error));
            span.set_status(Status::error(description));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(status: u16, grpc: Option<u8>) -> Facts {
        Facts { status, is_grpc: grpc.is_some(), grpc_status: grpc, is_complete: true, ..Facts::default() }
    }

    #[test]
    fn what_the_caller_did_wrong_is_no_error_of_the_server() {
        let error = |status| [SpanKind::Client, SpanKind::Server].map(|kind| facts(status, None).error(&kind));
        for good in [101, 200, 204, 302, 304] {
            assert_eq!(error(good), [None, None], "{good}");
        }
        assert_eq!(error(404), [Some("404".into()), None]);
        assert_eq!(error(503), [Some("503".into()), Some("503".into())]);
        assert_eq!(error(0), [Some(GIVEN_UP.into()), None]);
    }

    #[test]
    fn of_grpc_the_status_counts_and_some_are_the_callers() {
        for status in 0..=16 {
            let error = |kind| facts(200, Some(status)).error(&kind).is_some();
            assert_eq!(error(SpanKind::Client), status != 0, "{status}");
            assert_eq!(error(SpanKind::Server), [2, 4, 12, 13, 14, 15].contains(&status), "{status}");
        }
    }

    #[test]
    fn a_failure_says_more_than_the_status_that_it_is_answered_with() {
        let mut failed = facts(503, None);
        failed.failed(Failure::NoHealthyUpstream);
        assert_eq!(failed.error(&SpanKind::Client), Some(Failure::NoHealthyUpstream.details().into()));
        let mut broken = facts(200, None);
        broken.broke(None);
        assert_eq!(broken.error(&SpanKind::Client), Some(Failure::ConnectionTerminated.details().into()));
        let mut denied = facts(403, None);
        denied.failed(Failure::AccessDenied);
        assert_eq!(denied.error(&SpanKind::Server), None, "the caller may not");
    }
}
