//! The tries of a call.
//!
//! Nearly every call is one try, and then its span says all there is. As soon as there is another one each has a span of
//! its own: the first is told afterwards, as it was, and later ones are what their endpoint sees as its parent.

use std::sync::Arc;
use std::time::SystemTime;

use http::Response;
use mesh_core::ResponseFlags;
use mesh_core::cluster::EndpointAddress;
use mesh_core::cluster::endpoint::EndpointState;
use opentelemetry::global::BoxedSpan;
use opentelemetry::trace::{Span as _, SpanBuilder, SpanContext, SpanKind, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue};

use super::Traces;
use super::attributes::{PEER_ADDRESS, PEER_PORT, RESEND_COUNT, pair};
use super::facts::Facts;
use crate::{Body, Error};

/// The tries of a call, so far.
#[derive(Debug, Default)]
pub(super) struct Tries {
    made: u32,
    began: Option<SystemTime>,
    /// The last one, once it has come to something.
    last: Option<Try>,
    /// Its span, where it has one.
    span: Option<BoxedSpan>,
}

#[derive(Debug)]
struct Try {
    ended: SystemTime,
    endpoint: Option<Arc<EndpointState>>,
    facts: Facts,
}

impl Try {
    fn tell(&self, mut span: BoxedSpan) {
        span.set_attributes(self.endpoint.as_ref().into_iter().flat_map(|endpoint| peer(endpoint.address())));
        self.facts.tell(&mut span, &SpanKind::Client);
        span.end_with_timestamp(self.ended);
    }
}

impl Tries {
    pub(super) fn begin(&mut self, traces: &Traces, call: &SpanContext, name: &str) {
        self.made += 1;
        let last = self.last.take();
        if self.made == 1 {
            self.began = Some(crate::clock::wall());
            return;
        }
        let begin = |began: Option<SystemTime>, resent: u32| {
            let mut builder = SpanBuilder::from_name(name.to_owned()).with_kind(SpanKind::Client);
            builder.start_time = began;
            builder.attributes = Some(vec![pair(RESEND_COUNT, i64::from(resent))]);
            let parent = Context::new().with_remote_span_context(local(call));
            traces.tracer.build_with_context(builder, &parent)
        };
        let span = self.span.take().unwrap_or_else(|| begin(self.began, 0));
        if let Some(last) = last {
            last.tell(span);
        }
        self.span = Some(begin(None, self.made - 1));
    }

    pub(super) fn ended(
        &mut self,
        endpoint: Option<&Arc<EndpointState>>,
        result: &Result<Response<Body>, Error>,
        is_grpc: bool,
    ) {
        let mut facts = Facts::of(is_grpc);
        match result {
            Ok(response) => facts.answered(response, ResponseFlags::NONE, None),
            Err(error) => facts.failed(error.failure()),
        }
        facts.completed();
        self.last = Some(Try { ended: crate::clock::wall(), endpoint: endpoint.cloned(), facts });
    }

    /// What endpoints see as their parent, where it is not the call.
    pub(super) fn context(&self) -> Option<&SpanContext> {
        self.span.as_ref().map(BoxedSpan::span_context)
    }

    /// Ends what is open, and tells the call where it went.
    pub(super) fn end(&mut self, call: &mut BoxedSpan) {
        let last = self.last.take();
        if let Some(endpoint) = last.as_ref().and_then(|last| last.endpoint.as_ref()) {
            call.set_attributes(peer(endpoint.address()));
        }
        match (self.span.take(), last) {
            (Some(span), Some(last)) => last.tell(span),
            // Given up before there was an answer.
            (Some(mut span), None) => {
                Facts::default().tell(&mut span, &SpanKind::Client);
                span.end();
            }
            (None, _) => {}
        }
    }
}

/// The context of a span as a parent in this process.
fn local(context: &SpanContext) -> SpanContext {
    let state = context.trace_state().clone();
    SpanContext::new(context.trace_id(), context.span_id(), context.trace_flags(), false, state)
}

fn peer(address: &EndpointAddress) -> Vec<KeyValue> {
    match address {
        EndpointAddress::Socket(at) => {
            vec![pair(PEER_ADDRESS, at.ip().to_string()), pair(PEER_PORT, i64::from(at.port()))]
        }
        other => vec![pair(PEER_ADDRESS, other.to_string())],
    }
}
