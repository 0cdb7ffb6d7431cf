//! The span of a request, from its beginning to the last byte of its answer.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::Frame;
use mesh_core::cluster::endpoint::EndpointState;
use mesh_core::{Failure, ResponseFlags};
use opentelemetry::global::BoxedSpan;
use opentelemetry::trace::{Span as _, SpanKind, TraceContextExt as _};
use opentelemetry::{Context, KeyValue};

use super::attributes::{CLUSTER, POLICY, REQUEST_ID, pair};
use super::facts::Facts;
use super::tries::Tries;
use super::{Traces, reason};
use crate::request_id::X_REQUEST_ID;
use crate::{Body, Error};

/// What is traced of a request: nothing, or its span.
#[derive(Debug, Default)]
pub(crate) struct Traced(Option<Box<RequestSpan>>);

/// The span of a request; it ends when it is dropped: when the answer has been read to the end, or given up.
pub(crate) struct RequestSpan {
    pub(super) traces: Arc<Traces>,
    pub(super) span: BoxedSpan,
    pub(super) kind: SpanKind,
    /// At a gateway the span of the request that came in, which the one that goes out is a part of.
    pub(super) edge: Option<BoxedSpan>,
    pub(super) name: Box<str>,
    pub(super) facts: Facts,
    pub(super) tries: Tries,
    pub(super) debug: bool,
    pub(super) keeps_context: bool,
    pub(super) notes_in_request_id: bool,
}

impl Traced {
    pub(super) fn within(span: RequestSpan) -> Self {
        Self(Some(Box::new(span)))
    }

    /// Makes the request say in which span it was made: where it goes, or to the application.
    pub(crate) fn announce(&mut self, headers: &mut HeaderMap) {
        if let Some(span) = &mut self.0 {
            span.announce(headers);
        }
    }

    /// A try begins; what it is sent with says so where it is not the first.
    pub(crate) fn try_begins(&mut self, headers: Option<&mut HeaderMap>) {
        let Some(span) = &mut self.0 else { return };
        span.tries.begin(&span.traces, span.span.span_context(), &span.name);
        if let (Some(context), Some(headers), false) = (span.tries.context(), headers, span.keeps_context) {
            span.traces.propagators.inject(context, span.debug, headers);
        }
    }

    pub(crate) fn try_ended(&mut self, endpoint: Option<&Arc<EndpointState>>, result: &Result<Response<Body>, Error>) {
        if let Some(span) = &mut self.0 {
            span.tries.ended(endpoint, result, span.facts.is_grpc());
        }
    }

    /// The span, with the answer as it is now; `failure` where none of an upstream or an application.
    pub(crate) fn answered<B>(
        &mut self,
        response: &Response<B>,
        flags: ResponseFlags,
        failure: Option<Failure>,
    ) -> Option<Box<RequestSpan>> {
        let mut span = self.0.take()?;
        span.facts.answered(response, flags, failure.map(Failure::details));
        Some(span)
    }

    /// The trace, as 32 digits, where it is recorded.
    pub(crate) fn trace_id(&self) -> Option<Box<str>> {
        Some(self.0.as_ref()?.span.span_context().trace_id().to_string().into())
    }

    /// What spans of the application are parts of.
    pub(crate) fn context(&self) -> Option<Context> {
        let span = self.0.as_ref()?;
        Some(Context::new().with_remote_span_context(span.span.span_context().clone()))
    }
}

impl RequestSpan {
    fn announce(&mut self, headers: &mut HeaderMap) {
        if self.notes_in_request_id {
            reason::note(headers);
        }
        if let Some(id) = headers.get(X_REQUEST_ID).and_then(|id| id.to_str().ok()) {
            self.tell(pair(REQUEST_ID, id.to_owned()));
        }
        if !self.keeps_context {
            self.traces.propagators.inject(self.span.span_context(), self.debug, headers);
        }
    }

    fn tell(&mut self, attribute: KeyValue) {
        if let Some(edge) = &mut self.edge {
            edge.set_attribute(attribute.clone());
        }
        self.span.set_attribute(attribute);
    }

    pub(crate) fn went_to(&mut self, cluster: &str) {
        self.tell(pair(CLUSTER, cluster.to_owned()));
    }

    /// Which rule of an AuthorizationPolicy has decided.
    pub(crate) fn decided(&mut self, rule: &str) {
        self.tell(pair(POLICY, rule.to_owned()));
    }

    /// A part of the answer.
    pub(crate) fn received(&mut self, frame: &Frame<Bytes>) {
        self.facts.received(frame);
    }

    /// The answer broke off: by something of ours, or since its connection did.
    pub(crate) fn broke(&mut self, failure: Option<Failure>) {
        self.facts.broke(failure);
    }

    /// The last byte of the answer has come.
    #[expect(clippy::boxed_local, reason = "it lies in a box wherever it ends")]
    pub(crate) fn completed(mut self: Box<Self>) {
        self.facts.completed();
    }
}

impl Drop for RequestSpan {
    fn drop(&mut self) {
        self.tries.end(&mut self.span);
        self.facts.tell(&mut self.span, &self.kind);
        self.span.end();
        if let Some(mut edge) = self.edge.take() {
            self.facts.tell(&mut edge, &SpanKind::Server);
            edge.end();
        }
    }
}

impl fmt::Debug for RequestSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestSpan").field("name", &self.name).field("facts", &self.facts).finish_non_exhaustive()
    }
}
