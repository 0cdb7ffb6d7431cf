//! [`RequestContext`]: what a request hands on to the calls made for it.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::Request;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use mesh_core::deadline::parse_grpc_timeout;
use mesh_core::route::reply::is_grpc;
use tokio::time::Instant;

use crate::hops::Nature;
use crate::request_id::X_REQUEST_ID;
use crate::serve::PeerAddress;

/// What calls made while handling a request carry on from it.
///
/// It is there while the application's handler runs and while its response body is read, on the task
/// that does so. A task of its own needs to be given it: see [`scope`](Self::scope).
#[derive(Clone, Debug, Default)]
pub struct RequestContext {
    request_id: Option<HeaderValue>,
    trace: Vec<(HeaderName, HeaderValue)>,
    carried: Vec<(HeaderName, HeaderValue)>,
    deadline: Option<Instant>,
    peer: Option<PeerAddress>,
    nature: Nature,
    spent: Spent,
    /// The span that spans of the application are parts of.
    span: Option<opentelemetry::Context>,
}

/// Whether retries of a call for this request have been in vain.
#[derive(Debug, Default)]
struct Spent(AtomicBool);

impl Clone for Spent {
    fn clone(&self) -> Self {
        Self(AtomicBool::new(self.0.load(Ordering::Relaxed)))
    }
}

tokio::task_local! {
    static CURRENT: Arc<RequestContext>;
}

impl RequestContext {
    /// The context of the request that this task is handling; `None` outside one.
    pub fn current() -> Option<Arc<Self>> {
        CURRENT.try_with(Arc::clone).ok()
    }

    /// Runs a future for the request of this context, for example one that is about to be spawned.
    ///
    /// ```
    /// use mesh_tower::inbound::RequestContext;
    ///
    /// # async fn audit() {}
    /// # async fn handler() {
    /// // In a handler:
    /// if let Some(context) = RequestContext::current() {
    ///     tokio::spawn(context.scope(audit()));
    /// }
    /// # }
    /// ```
    pub fn scope<F: Future>(self: Arc<Self>, future: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, future)
    }

    /// The same within a span.
    pub(super) fn within(self, span: Option<opentelemetry::Context>) -> Self {
        Self { span, ..self }
    }

    /// Runs a function for the request of this context.
    pub(super) fn enter<T>(self: &Arc<Self>, run: impl FnOnce() -> T) -> T {
        let _current = self.span.as_ref().map(|span| span.clone().attach());
        CURRENT.sync_scope(Arc::clone(self), run)
    }

    /// The context that a request brings with it. `names` are those of further headers that are carried on.
    pub(super) fn of<B>(request: &Request<B>, names: &[HeaderName]) -> Self {
        let headers = request.headers();
        let trace = headers.iter().filter(|(name, _)| is_trace_header(name));
        let carried =
            names.iter().flat_map(|name| headers.get_all(name).iter().map(|value| (name.clone(), value.clone())));
        Self {
            request_id: headers.get(X_REQUEST_ID).cloned(),
            trace: trace.map(|(name, value)| (name.clone(), value.clone())).collect(),
            carried: carried.collect(),
            deadline: time_told(headers).and_then(|left| Instant::now().checked_add(left)),
            peer: request.extensions().get().cloned(),
            nature: Nature::of(headers),
            spent: Spent::default(),
            span: None,
        }
    }

    /// The request's `x-request-id`: always there inside an [`Inbound`](super::Inbound).
    pub fn request_id(&self) -> Option<&HeaderValue> {
        self.request_id.as_ref()
    }

    /// The trace headers that the request came with: those of W3C, B3 and the tracers that Istio
    /// asks applications to forward.
    pub fn trace_headers(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        self.trace.iter().map(|(name, value)| (name, value))
    }

    /// When the caller gives up, as far as it said so (`grpc-timeout`, and
    /// `x-envoy-expected-rq-timeout-ms`, which an Envoy on its side sets); the earlier one of the two.
    pub fn deadline(&self) -> Option<std::time::Instant> {
        self.deadline.map(Instant::into_std)
    }

    /// The caller's address; `None` if the server does not tell it by a [`PeerAddress`].
    pub fn peer(&self) -> Option<&PeerAddress> {
        self.peer.as_ref()
    }

    /// The headers that [`InboundLayer::carry`](super::InboundLayer::carry) names, as the request came with them.
    pub fn carried_headers(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        self.carried.iter().map(|(name, value)| (name, value))
    }

    /// Whether retries of a call for this request have been in vain.
    pub(super) fn is_spent(&self) -> bool {
        self.spent.0.load(Ordering::Relaxed)
    }

    /// Adds the request id, the trace headers and those to be carried on to a call made for this
    /// request. An application that sets them itself is left alone: its id and its headers stay, and
    /// one trace header of its own keeps all of ours away, since headers of two spans make no trace.
    pub fn propagate(&self, call: &mut HeaderMap) {
        if let Some(id) = &self.request_id {
            call.entry(X_REQUEST_ID).or_insert_with(|| id.clone());
        }
        let own: Vec<bool> = self.carried.iter().map(|(name, _)| call.contains_key(name)).collect();
        for ((name, value), _) in self.carried.iter().zip(own).filter(|(_, own)| !own) {
            call.append(name.clone(), value.clone());
        }
        if self.trace.is_empty() || call.keys().any(is_trace_header) {
            return;
        }
        for (name, value) in &self.trace {
            call.append(name.clone(), value.clone());
        }
    }
}

/// Makes a call part of the request that this task is handling, and tells of what kind that is; `None` if it is
/// handling none.
pub(crate) fn propagate(call: &mut HeaderMap) -> Option<Nature> {
    let propagated = CURRENT.try_with(|context| {
        context.propagate(call);
        context.nature
    });
    propagated.ok()
}

/// Notes that retries of a call for the request that this task is handling have been in vain.
pub(crate) fn note_spent() {
    let _outside = CURRENT.try_with(|context| context.spent.0.store(true, Ordering::Relaxed));
}

/// How long the caller of the request that this task is handling still waits; `None` if it did not say, or outside one.
pub(crate) fn time_left(now: std::time::Instant) -> Option<Duration> {
    let deadline = CURRENT.try_with(|context| context.deadline()).ok()??;
    Some(deadline.saturating_duration_since(now))
}

/// Spawns a task that goes on with the request that this task is handling: the calls it makes carry the same headers and
/// end by the same deadline. Outside a request it is `tokio::spawn`.
///
/// ```
/// # async fn audit() {}
/// # async fn handler() {
/// mesh_tower::spawn(audit());
/// # }
/// ```
///
/// # Panics
/// Outside a tokio runtime, as `tokio::spawn` does.
pub fn spawn<F>(future: F) -> tokio::task::JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    match RequestContext::current() {
        Some(context) => tokio::spawn(context.scope(future)),
        None => tokio::spawn(future),
    }
}

/// Whether a header says which trace a request belongs to.
pub(crate) fn is_trace_header(name: &HeaderName) -> bool {
    let name = name.as_str();
    match name.as_bytes().first() {
        Some(b'b') => name == "b3",
        Some(b'g') => name == "grpc-trace-bin",
        Some(b's') => name == "sw8",
        Some(b't') => matches!(name, "traceparent" | "tracestate"),
        Some(b'x') => {
            name.starts_with("x-b3-")
                || name.starts_with("x-datadog-")
                || matches!(name, "x-cloud-trace-context" | "x-ot-span-context")
        }
        _ => false,
    }
}

fn time_told(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let grpc = text("grpc-timeout").filter(|_| is_grpc(headers)).and_then(parse_grpc_timeout);
    let expected = text("x-envoy-expected-rq-timeout-ms").and_then(|ms| ms.parse().ok()).map(Duration::from_millis);
    grpc.into_iter().chain(expected).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(lines: &[(&str, &str)]) -> RequestContext {
        let mut request = Request::builder();
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        RequestContext::of(&request.body(()).unwrap(), &["x-user".parse().unwrap()])
    }

    fn propagated(context: &RequestContext, call: &[(&'static str, &'static str)]) -> Vec<(String, String)> {
        let mut headers = HeaderMap::new();
        for (name, value) in call {
            headers.insert(*name, HeaderValue::from_static(value));
        }
        context.propagate(&mut headers);
        let mut lines: Vec<_> =
            headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
        lines.sort();
        lines
    }

    fn lines(lines: &[(&str, &str)]) -> Vec<(String, String)> {
        lines.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_call_carries_the_id_and_the_trace_on() {
        let trace = [("b3", "0"), ("traceparent", "00-a-b-01"), ("x-b3-traceid", "1"), ("x-request-id", "id")];
        assert_eq!(propagated(&context(&trace), &[]), lines(&trace));
        assert_eq!(propagated(&context(&[("cookie", "secret"), ("authorization", "secret")]), &[]), lines(&[]));
    }

    #[test]
    fn a_header_that_is_named_is_carried_on_with_all_its_lines() {
        let context = context(&[("x-user", "ann"), ("x-user", "bob"), ("x-other", "1")]);
        assert_eq!(propagated(&context, &[]), lines(&[("x-user", "ann"), ("x-user", "bob")]));
        assert_eq!(propagated(&context, &[("x-user", "own")]), lines(&[("x-user", "own")]));
    }

    #[tokio::test]
    async fn a_task_spawned_by_the_mesh_goes_on_with_the_request() {
        let id = || RequestContext::current().and_then(|context| context.request_id().cloned());
        let given = Arc::new(context(&[("x-request-id", "id")]));
        let inside = given.scope(async move { spawn(async move { id() }).await.unwrap() }).await;
        assert_eq!(inside, Some(HeaderValue::from_static("id")));
        assert_eq!(spawn(async move { id() }).await.unwrap(), None);
    }

    #[test]
    fn what_the_application_sets_itself_stays() {
        let context = context(&[("traceparent", "theirs"), ("tracestate", "theirs"), ("x-request-id", "theirs")]);
        let own = [("traceparent", "own"), ("x-request-id", "own")];
        assert_eq!(propagated(&context, &own), lines(&own));
    }

    #[tokio::test(start_paused = true)]
    async fn the_earlier_deadline_counts() {
        let left = |lines: &[(&str, &str)]| context(lines).deadline.map(|deadline| deadline - Instant::now());
        assert_eq!(left(&[]), None);
        let grpc = ("content-type", "application/grpc");
        assert_eq!(left(&[("grpc-timeout", "2S"), grpc]), Some(Duration::from_secs(2)));
        assert_eq!(left(&[("grpc-timeout", "2S")]), None, "another call does not say so by this");
        let both = [("grpc-timeout", "2S"), grpc, ("x-envoy-expected-rq-timeout-ms", "1500")];
        assert_eq!(left(&both), Some(Duration::from_millis(1500)));
        assert_eq!(left(&[("x-envoy-expected-rq-timeout-ms", "soon")]), None);
    }

    #[tokio::test]
    async fn a_spawned_task_has_the_context_it_is_given() {
        assert!(RequestContext::current().is_none());
        let id = || RequestContext::current().and_then(|context| context.request_id().cloned());
        let given = Arc::new(context(&[("x-request-id", "id")]));
        let spawned = tokio::spawn(given.scope(async move { id() }));
        assert_eq!(spawned.await.unwrap(), Some(HeaderValue::from_static("id")));
    }
}
