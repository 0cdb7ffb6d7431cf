//! What the mesh tells about requests: Istio's standard metrics, and traces.
//!
//! # Metrics
//!
//! A mesh that is given a [`MeterProvider`](opentelemetry::metrics::MeterProvider) counts every request that it sends
//! (`reporter="source"`) and takes (`reporter="destination"`) under the names, labels and buckets of Istio's sidecars, so
//! that Istio's dashboards work on them. How they are exported is for who makes the provider. Without one nothing is counted
//! and nothing paid.
//!
//! ```
//! # #[tokio::main] async fn main() -> Result<(), mesh_tower::BoxError> {
//! let registry = prometheus::Registry::new();
//! let exporter = opentelemetry_prometheus::exporter().with_registry(registry.clone()).without_target_info().build()?;
//! let provider = opentelemetry_sdk::metrics::SdkMeterProvider::builder().with_reader(exporter).build();
//!
//! let mesh = mesh_tower::Mesh::builder().workload("shop/web").meter_provider(&provider).build().await?;
//! let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather())?;
//! # Ok(()) }
//! ```
//!
//! | name in Prometheus | counts |
//! |-|-|
//! | `istio_requests_total` | requests that came to an end |
//! | `istio_request_duration_milliseconds` | from the beginning of a request to the last byte of its answer |
//! | `istio_request_bytes`, `istio_response_bytes` | the head as HTTP/1 text, and the body; Envoy counts bytes on the wire, which hyper does not tell |
//! | `istio_request_messages_total`, `istio_response_messages_total` | messages of gRPC calls, see below |
//!
//! Messages count while a call goes on, each as soon as its first byte has come, as in Envoy's `grpc_stats`; where Istio adds
//! what has come every 5 s, here each is told at once, but those of a request that is sent only once an answer tells who
//! takes them. They have the labels that say between whom they go, and as in Istio none of what became of the call: neither
//! `request_protocol` nor `response_code`, `grpc_response_status`, `response_flags` or `connection_security_policy`. An
//! answer counts that is 200 and says that it is gRPC. Of a request that is tried again those messages count that its last
//! endpoint has got; of one that nobody answers none that stream, where Envoy counts what it has read. What comes in counts as
//! the application reads it, if [`Mesh::serve`](crate::Mesh::serve) or another server hands it on as a
//! [`Body`](crate::Body); so do the bytes of a request that does not say how long it is.
//!
//! `source_principal` and `destination_principal` are what mutual TLS of the mesh has proved on the connection, on both sides;
//! in plaintext they are `unknown`, this workload's own too.
//!
//! # Connections are not counted
//!
//! There is no `istio_tcp_connections_opened_total`, `istio_tcp_connections_closed_total`, `istio_tcp_sent_bytes_total` or
//! `istio_tcp_received_bytes_total`, and the TCP panels of Istio's boards stay empty. Istio counts those in its filter for
//! listeners that route TCP (`istio.stats` as a network filter); a connection that an HTTP listener takes counts in none of
//! them, nor does what is sent over it after an upgrade or `CONNECT`. The mesh carries requests only, so that all its
//! connections are of that kind. A request that is answered 101 is one request: here it counts when the other protocol
//! begins, with its heads, where Envoy waits for the end of the connection and counts its bytes, too.
//!
//! # Series are bounded
//!
//! Neither paths nor names that a caller makes up become labels: a host that is no service of the configuration counts for
//! `PassthroughCluster`. Of all label sets together up to [`MOST_SERIES`] are kept apart; what comes then is counted in one
//! series that has the label `otel_metric_overflow="true"`. That holds for labels that a Telemetry resource sets to an
//! expression, too, of which callers may make up any number of values; a value is cut at
//! [256 bytes](mesh_core::cel::LONGEST_TAG), and `unknown` where evaluating errs.
//!
//! # Access logs
//!
//! They are written where MeshConfig (`accessLogFile`) and Telemetry resources ask for them, and where the application does
//! ([`AccessLog`]). Those of providers with `envoyOtelAls` go to the
//! [`LoggerProvider`](opentelemetry::logs::LoggerProvider) that the mesh is given by
//! [`MeshBuilder::logger_provider`](crate::MeshBuilder::logger_provider), which the feature `otlp` makes, too: their body is the
//! line of text (`logFormat.text`), their attributes `log_name` and the `labels`. Where they go to says the provider, not
//! `service` and `port`.
//!
//! # Traces
//!
//! A mesh that is given a [`TracerProvider`](opentelemetry::trace::TracerProvider) by
//! [`MeshBuilder::tracer_provider`](crate::MeshBuilder::tracer_provider) makes a span of kind server of each request that it
//! takes and one of kind client of each that it sends, a gateway both, with the names of OpenTelemetry's
//! [semantic conventions](https://opentelemetry.io/docs/specs/semconv/) 1.42 for HTTP and, for gRPC, for RPC. A span ends with
//! the last byte of the answer, or when that is given up. The feature `otlp` makes providers as the environment says
//! (`telemetry::otlp`).
//!
//! Handlers need no code for it. What the application sends while it handles a request is a part of that request's trace, as
//! far as [`RequestContext`](crate::inbound::RequestContext) reaches ([`spawn`](crate::inbound::spawn) takes it along). The
//! parent of a call is, in this order:
//!
//! 1. what its own trace headers say, where the application has set some,
//! 2. the application's current span, by OpenTelemetry's `Context::current()`; `tracing-opentelemetry` sets it,
//! 3. the span of the request that is being handled, which is the parent of the application's spans, too.
//!
//! A call that is tried once is one span, which tells the endpoint. Where there are more tries each has a span of kind client
//! below it, with its endpoint, its outcome and its flags, and endpoints see that of their try as their parent, all but the
//! first: when it was sent nobody knew of a second.
//!
//! | attribute | where | |
//! |-|-|-|
//! | `response_flags` | all | Envoy's flags, if there are some; `DC` where the caller went away |
//! | `error.type` | what failed | the status, or Envoy's response code details where there was no answer of an endpoint |
//! | `upstream_cluster.name` | client, gateway | where the rule sent it |
//! | `guid:x-request-id`, `istio.canonical_service`, `istio.canonical_revision`, `istio.namespace`, `istio.mesh_id` | all | Istio's tags, of this workload |
//! | `url.full` | client | without the query, which may hold what is nobody's business; `url.query` is never there |
//!
//! Which traces are recorded decides whoever begins them: a decision that a request brings is kept, and handed on whatever it
//! is. Of those that begin here 1 % are recorded, as in Istio, unless a Telemetry resource says otherwise
//! (`randomSamplingPercentage`, for the mode `CLIENT` or `SERVER`); a gateway is a client. As in Envoy `x-request-id` tells
//! the decision, too: in a UUID the digit of the version is 9 for what is recorded, `x-client-trace-id` asks for it, and an id
//! that is no UUID begins no trace. Where the environment names a sampler (`OTEL_TRACES_SAMPLER`), or
//! `useRequestIdForTraceSampling` is false, the provider's own sampler decides alone. An Envoy that draws against a trace
//! whose `traceparent` is sampled drops it unless the id says so; here a parent's decision always counts.
//!
//! Without a provider a request pays a branch; one that is not recorded pays no allocation but for the header that says so.

mod access_log;
mod arrivals;
mod arriving;
mod counted;
mod exchange;
mod exported;
mod instruments;
mod logs;
mod measured;
mod observed;
#[cfg(feature = "otlp")]
pub mod otlp;
mod recording;
mod series;
mod sinks;
mod tap;
mod trace;
#[cfg(feature = "admin")]
mod traffic;

pub use access_log::{AccessLog, InvalidAccessLog};
pub(crate) use arrivals::Arrivals;
pub(crate) use arriving::{Arrived, Arriving};
pub(crate) use counted::Counted;
pub(crate) use exchange::forget_introduction;
pub(crate) use exported::LineExporter;
pub(crate) use measured::{Begun, Measured};
pub(crate) use observed::observe;
pub(crate) use recording::Recording;
pub use series::MOST_SERIES;
pub(crate) use series::{Group, Metrics};
pub(crate) use sinks::Sinks;
pub use tap::{TAP_DEPTH, Tap};
pub use trace::Propagator;
pub(crate) use trace::{About, Propagators, RequestSpan, Traced, Traces, tracer};
#[cfg(feature = "admin")]
pub(crate) use traffic::{Caller, Edge, Rows, Rule, Seen, Sum, Traffic, Window};
