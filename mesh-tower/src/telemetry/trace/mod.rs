//! Which spans there are, and which requests have some.

mod attributes;
mod facts;
mod policy;
mod propagation;
mod reason;
mod request;
mod span;
mod tags;
mod tries;

use std::env;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use http::{HeaderMap, Request};
use mesh_core::telemetry::{Side, Workload};
use opentelemetry::global::BoxedTracer;
use opentelemetry::trace::{
    Span as _, SpanContext, SpanId, SpanKind, TraceContextExt as _, TraceFlags, TraceId, TraceState, Tracer,
    TracerProvider,
};
use opentelemetry::{Context, InstrumentationScope};

use self::policy::{Decision, Policy};
use self::propagation::Incoming;
pub use self::propagation::Propagator;
pub(crate) use self::propagation::Propagators;
pub(crate) use self::span::{RequestSpan, Traced};
use crate::chance::Chance;
use crate::inbound;
use crate::live::Live;

/// Who makes spans of the requests of a mesh.
pub(crate) struct Traces {
    tracer: BoxedTracer,
    propagators: Propagators,
    own: Workload,
    /// Whether the provider was told by the environment which traces to sample: then it decides.
    is_sampled_by_provider: bool,
}

/// What there is to know of a request that is about to be traced.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About {
    pub(crate) side: Side,
    /// The application has set trace headers itself, which then count before its current span.
    pub(crate) says_itself: bool,
    pub(crate) is_grpc: bool,
    pub(crate) is_https: bool,
    /// At a gateway: its caller, where it is known.
    pub(crate) edge: Option<Option<SocketAddr>>,
}

/// Whether all trace headers that a request has now were added.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Added(pub(crate) bool);

/// What a provider makes of a trace that is to be recorded.
enum Begun {
    Sampled(RequestSpan),
    /// Its own sampler is against it.
    Declined(SpanContext),
    ShutDown,
}

/// The tracer of a provider, as a mesh uses it.
pub(crate) fn tracer<P>(provider: &P) -> BoxedTracer
where
    P: TracerProvider<Tracer: Tracer<Span: Send + Sync + 'static> + Send + Sync + 'static>,
{
    let scope = InstrumentationScope::builder("mesh").with_version(env!("CARGO_PKG_VERSION"));
    BoxedTracer::new(Box::new(provider.tracer_with_scope(scope.with_schema_url(attributes::SCHEMA).build())))
}

impl Traces {
    pub(crate) fn new(tracer: BoxedTracer, propagators: Propagators, own: Workload) -> Arc<Self> {
        let is_sampled_by_provider = env::var("OTEL_TRACES_SAMPLER").is_ok_and(|sampler| !sampler.trim().is_empty());
        Arc::new(Self { tracer, propagators, own, is_sampled_by_provider })
    }

    /// Begins what is traced of a request. One whose trace is not recorded says so then.
    pub(crate) fn begin<B>(
        self: &Arc<Self>,
        live: &Live,
        chance: &Chance,
        request: &mut Request<B>,
        about: About,
    ) -> (Traced, Added) {
        let nothing = (Traced::default(), Added(false));
        let mut policy = Policy::of(live, about.side);
        if !policy.reports {
            return nothing;
        }
        if self.is_sampled_by_provider {
            policy = policy.decided_by_provider();
        }
        let (incoming, is_said) = self.incoming(request.headers(), about);
        let unsampled = match policy.decide(incoming, request.headers(), chance) {
            Decision::Sampled { parent, debug } => match self.sampled(&policy, parent, debug, request, about) {
                Begun::Sampled(span) => return (Traced::within(span), Added(false)),
                Begun::Declined(context) => Some(context),
                Begun::ShutDown => None,
            },
            Decision::NotSampled { parent } => Some(parent.unwrap_or_else(|| made_up(chance))),
            Decision::Settled { parent } => parent.filter(|_| !is_said),
        };
        let Some(context) = unsampled.filter(|_| !policy.keeps_context) else { return nothing };
        let added = Added(!request.headers().keys().any(inbound::is_trace_header));
        self.propagators.inject(&context, false, request.headers_mut());
        (Traced::default(), added)
    }

    /// Whether nothing is to be done for a request, which says so itself: the usual case, told at a glance.
    pub(crate) fn is_settled(&self, headers: &HeaderMap, says_itself: bool) -> bool {
        (says_itself || !has_current()) && self.propagators.is_unsampled(headers)
    }

    /// The span that a request is made in, and whether its headers say so already.
    fn incoming(&self, headers: &HeaderMap, about: About) -> (Option<Incoming>, bool) {
        let current = if about.says_itself { None } else { current() };
        let Some(mut current) = current else { return (self.propagators.extract(headers), true) };
        let said = self.propagators.extract(headers);
        let trace = |incoming: &Incoming| incoming.parent.as_ref().map(SpanContext::trace_id);
        // No span of OpenTelemetry knows of it.
        current.debug = said.is_some_and(|said| said.debug && trace(&said) == trace(&current));
        (Some(current), false)
    }

    fn sampled<B>(
        self: &Arc<Self>,
        policy: &Policy<'_>,
        parent: Option<SpanContext>,
        debug: bool,
        request: &Request<B>,
        about: About,
    ) -> Begun {
        let mut context = Context::new();
        if let Some(parent) = parent {
            context = context.with_remote_span_context(with_sampled(&parent, true));
        }
        let request = request::Described { request, about, policy, own: &self.own };
        let edge = about.edge.map(|caller| self.tracer.build_with_context(request.edge(caller), &context));
        if let Some(edge) = &edge {
            context = context.with_remote_span_context(edge.span_context().clone());
        }
        let kind = if about.side == Side::Server { SpanKind::Server } else { SpanKind::Client };
        let builder = request.span(kind.clone());
        let name = (*builder.name).into();
        let span = self.tracer.build_with_context(builder, &context);
        let own = span.span_context();
        if !own.is_valid() {
            return Begun::ShutDown;
        }
        if !own.is_sampled() {
            return Begun::Declined(own.clone());
        }
        Begun::Sampled(RequestSpan {
            traces: Arc::clone(self),
            span,
            kind,
            edge,
            name,
            facts: facts::Facts::of(about.is_grpc),
            tries: tries::Tries::default(),
            debug,
            keeps_context: policy.keeps_context,
            notes_in_request_id: policy.uses_request_id,
        })
    }

    /// Makes a copy of a request say that its trace is not recorded, as Istio has it for mirrors.
    pub(crate) fn forget(&self, headers: &mut HeaderMap) {
        if let Some(Incoming { parent: Some(parent), sampled: Some(true), .. }) = self.propagators.extract(headers) {
            let context = with_sampled(&parent, false);
            self.propagators.inject(&context, false, headers);
        }
    }
}

fn has_current() -> bool {
    Context::map_current(Context::has_active_span)
}

/// The span that the application is in, by OpenTelemetry's own means.
fn current() -> Option<Incoming> {
    Context::map_current(|context| {
        let is_valid = context.has_active_span() && context.span().span_context().is_valid();
        is_valid.then(|| Incoming::within(context.span().span_context()))
    })
}

fn with_sampled(context: &SpanContext, is_sampled: bool) -> SpanContext {
    let flags = context.trace_flags().with_sampled(is_sampled);
    let state = context.trace_state().clone();
    SpanContext::new(context.trace_id(), context.span_id(), flags, context.is_remote(), state)
}

/// The beginning of a trace that is not recorded.
fn made_up(chance: &Chance) -> SpanContext {
    let (high, low, span) = chance.with(|rng| (rng.next_u64(), rng.next_u64(), rng.next_u64()));
    // Zero is no id.
    let trace = TraceId::from(u128::from(high) << 64 | u128::from(low.max(1)));
    let span = SpanId::from(span.max(1));
    SpanContext::new(trace, span, TraceFlags::NOT_SAMPLED, false, TraceState::NONE)
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traces").field("propagators", &self.propagators).finish_non_exhaustive()
    }
}
