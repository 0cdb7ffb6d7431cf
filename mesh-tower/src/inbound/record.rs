//! What is logged about a request.

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Frame;
use mesh_core::{Failure, ResponseFlags};
use tokio::time::Instant;

use super::RequestContext;
use super::decided::DecidedBy;
use crate::telemetry::{Measured, RequestSpan, Traced};

/// One request: logged when it is dropped, which is when its response has been sent or given up.
#[derive(Debug)]
pub(super) struct Record {
    method: Method,
    path: Option<PathAndQuery>,
    began: Instant,
    status: Option<StatusCode>,
    bytes: u64,
    broken: bool,
    policy: Option<DecidedBy>,
    measured: Option<Measured>,
    traced: Traced,
    span: Option<Box<RequestSpan>>,
}

impl Record {
    pub(super) fn new<B>(request: &Request<B>, measured: Option<Measured>) -> Self {
        Self {
            measured,
            traced: Traced::default(),
            span: None,
            method: request.method().clone(),
            path: request.uri().path_and_query().cloned(),
            began: Instant::now(),
            status: None,
            bytes: 0,
            broken: false,
            policy: None,
        }
    }

    /// The policies have let it in. Which rule did is noted, and not left for the application to tell.
    pub(super) fn let_in<B>(&mut self, request: &mut Request<B>) {
        self.policy = request.extensions_mut().remove();
    }

    /// What is traced of it.
    pub(super) fn trace(&mut self, traced: Traced) {
        self.traced = traced;
    }

    /// The request goes in: the application sees which span it is handled in, and so do the calls that it makes.
    pub(super) fn enters(&mut self, headers: &mut HeaderMap) {
        self.traced.announce(headers);
    }

    /// A context within the span.
    pub(super) fn around(&self, context: RequestContext) -> RequestContext {
        context.within(self.traced.context())
    }

    /// The head of the request as it is handed on, or refused.
    pub(super) fn received<B>(&mut self, request: &Request<B>) {
        if let Some(recording) = self.measured.as_mut().and_then(Measured::recording) {
            recording.request(request);
            recording.record().trace_id = self.traced.trace_id();
        }
    }

    /// Tells a caller of this workload that has told of itself.
    pub(super) fn tell(&self, headers: &mut HeaderMap) {
        if let Some(measured) = &self.measured {
            measured.tell(headers);
        }
    }

    /// The head of the response is ready; `is_over`: there is no more of it.
    pub(super) fn answered<R>(&mut self, response: &Response<R>, is_over: bool) {
        self.status = Some(response.status());
        if let Some(by) = response.extensions().get::<DecidedBy>() {
            self.policy = Some(by.clone());
        }
        let failure = response.extensions().get::<Failure>();
        let flags = failure.map_or(ResponseFlags::NONE, |failure| failure.flags());
        if let Some(measured) = &mut self.measured {
            if let Some(recording) = measured.recording() {
                recording.record().details = details(failure, self.policy.as_ref());
            }
            measured.answered(response, flags);
        }
        self.span = self.traced.answered(response, flags, failure.copied());
        if let (Some(span), Some(by)) = (&mut self.span, &self.policy) {
            span.decided(by.as_str());
        }
        if is_over || self.method == Method::HEAD {
            self.ended();
        }
    }

    /// A part of the body was read.
    pub(super) fn sent(&mut self, frame: &Frame<Bytes>) {
        self.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
        if let Some(measured) = &mut self.measured {
            measured.received(frame);
        }
        if let Some(span) = &mut self.span {
            span.received(frame);
        }
    }

    /// All of it was read.
    pub(super) fn ended(&mut self) {
        self.measured.take().into_iter().for_each(Measured::completed);
        self.span.take().into_iter().for_each(RequestSpan::completed);
    }

    /// The application broke its body off.
    pub(super) fn broken(&mut self) {
        self.broken = true;
        if let Some(mut measured) = self.measured.take() {
            measured.broke(Some(Failure::LocalReset));
            measured.completed();
        }
        if let Some(mut span) = self.span.take() {
            span.broke(Some(Failure::LocalReset));
        }
    }
}

/// In Envoy's words, with the rule that keeps a request out.
fn details(failure: Option<&Failure>, policy: Option<&DecidedBy>) -> Box<str> {
    match (failure, policy) {
        (None, _) => "via_upstream".into(),
        (Some(Failure::AccessDenied), Some(by)) => format!("rbac_access_denied_matched_policy[{by}]").into(),
        (Some(failure), _) => failure.details().into(),
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        tracing::debug!(
            target: "mesh_tower::inbound",
            method = %self.method,
            // Without the query, which may hold what is nobody's business.
            path = self.path.as_ref().map_or("", PathAndQuery::path),
            // 0: the caller went away or the application failed before there was an answer.
            status = self.status.map_or(0, |status| status.as_u16()),
            bytes = self.bytes,
            broken = self.broken,
            policy = self.policy.as_ref().map(DecidedBy::as_str),
            duration_us = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX),
            "request"
        );
    }
}
