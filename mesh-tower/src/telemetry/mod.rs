//! What the mesh tells about requests: Istio's standard metrics.
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
//!
//! # Series are bounded
//!
//! Neither paths nor names that a caller makes up become labels: a host that is no service of the configuration counts for
//! `PassthroughCluster`. Of all label sets together up to [`MOST_SERIES`] are kept apart; what comes then is counted in one
//! series that has the label `otel_metric_overflow="true"`.

mod arrivals;
mod counted;
mod instruments;
mod measured;
mod recording;
mod series;
mod tap;

pub(crate) use arrivals::Arrivals;
pub(crate) use counted::Counted;
pub(crate) use measured::{Begun, Measured};
pub(crate) use recording::Recording;
pub use series::MOST_SERIES;
pub(crate) use series::{Group, Metrics};
pub(crate) use tap::Taps;
pub use tap::{TAP_DEPTH, Tap};
