//! Traces, metrics and access logs to a collector, by OTLP over gRPC, as the environment says (feature `otlp`).
//!
//! ```no_run
//! use std::time::Duration;
//! use mesh_tower::{Mesh, telemetry::otlp::Otlp};
//!
//! # async fn main_() -> Result<(), mesh_tower::BoxError> {
//! let otlp = Otlp::from_environment()?;
//! let mesh = Mesh::builder()
//!     .tracer_provider(otlp.tracer_provider())
//!     .meter_provider(otlp.meter_provider())
//!     .logger_provider(otlp.logger_provider())
//!     .build()
//!     .await?;
//! // Serves until the mesh is told to shut down, and has drained.
//! # let (listener, app) = (tokio::net::TcpListener::bind("127.0.0.1:0").await?, axum::Router::<()>::new());
//! mesh.serve(listener, app).await?;
//! otlp.shut_down(Duration::from_secs(5)).await?;
//! # Ok(()) }
//! ```
//!
//! | variable | default | |
//! |-|-|-|
//! | `OTEL_EXPORTER_OTLP_ENDPOINT` | `http://localhost:4317` | the collector |
//! | `OTEL_EXPORTER_OTLP_PROTOCOL` | `grpc` | no other is compiled in: another one is an error |
//! | `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES` | `unknown_service` | who sends it |
//! | `OTEL_TRACES_SAMPLER` | unset | where it is set the SDK decides which traces are recorded, and no Telemetry resource |
//! | `OTEL_BSP_SCHEDULE_DELAY`, `OTEL_BSP_MAX_QUEUE_SIZE` | 5,000 ms, 2,048 spans | how long and how many spans wait |
//! | `OTEL_BLRP_SCHEDULE_DELAY`, `OTEL_BLRP_MAX_QUEUE_SIZE` | 1,000 ms, 2,048 lines | how long and how many lines of access logs wait |
//! | `OTEL_METRIC_EXPORT_INTERVAL` | 60,000 ms | how often metrics are sent |
//!
//! Metrics have Istio's names and labels. Counters come without `_total` (`istio_requests`), which is what collectors and
//! Prometheus add themselves; nothing has a unit, since they would add that as well.
//!
//! All that the SDK and its exporter read besides counts too. All send from threads of their own: a collector that hangs
//! holds no request up, and spans and lines that find the queue full are dropped.

use std::fmt;
use std::thread;
use std::time::Duration;

use opentelemetry_otlp::{LogExporter, MetricExporter, SpanExporter};
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::sync::oneshot;

use crate::BoxError;

/// The providers of tracers, meters and loggers that the environment asks for.
#[derive(Clone, Debug)]
pub struct Otlp {
    traces: SdkTracerProvider,
    metrics: SdkMeterProvider,
    logs: SdkLoggerProvider,
}

impl Otlp {
    /// Makes them. No collector needs to be there yet.
    ///
    /// # Errors
    /// If a variable has a value that the exporter does not take, such as an endpoint that is no URL.
    ///
    /// # Panics
    /// Outside a tokio runtime, which carries the connections.
    pub fn from_environment() -> Result<Self, BoxError> {
        let traces = SdkTracerProvider::builder().with_batch_exporter(SpanExporter::builder().build()?).build();
        let metrics = SdkMeterProvider::builder().with_periodic_exporter(MetricExporter::builder().build()?).build();
        let logs = SdkLoggerProvider::builder().with_batch_exporter(LogExporter::builder().build()?).build();
        Ok(Self { traces, metrics, logs })
    }

    /// For [`MeshBuilder::tracer_provider`](crate::MeshBuilder::tracer_provider), and the application's own spans.
    pub const fn tracer_provider(&self) -> &SdkTracerProvider {
        &self.traces
    }

    /// For [`MeshBuilder::meter_provider`](crate::MeshBuilder::meter_provider), and the application's own metrics.
    pub const fn meter_provider(&self) -> &SdkMeterProvider {
        &self.metrics
    }

    /// For [`MeshBuilder::logger_provider`](crate::MeshBuilder::logger_provider), and the application's own logs.
    pub const fn logger_provider(&self) -> &SdkLoggerProvider {
        &self.logs
    }

    /// Sends what waits, for so long at most, and ends them: to be called behind the last request.
    ///
    /// # Errors
    /// If not all of it could be sent in time.
    pub async fn shut_down(self, limit: Duration) -> Result<(), NotSent> {
        let Self { traces, metrics, logs } = self;
        // None can be awaited. They have threads of their own, since a runtime waits for those that it lends.
        let traces = elsewhere("traces", move || traces.shutdown_with_timeout(limit));
        let metrics = elsewhere("metrics", move || metrics.shutdown_with_timeout(limit));
        let logs = elsewhere("logs", move || logs.shutdown_with_timeout(limit));
        let all = async { tokio::join!(traces, metrics, logs) };
        let (traces, metrics, logs) =
            tokio::time::timeout(limit, all).await.map_err(|_| NotSent("not in time".into()))?;
        traces.and(metrics).and(logs)
    }
}

async fn elsewhere<E: fmt::Display + Send + 'static>(
    what: &'static str,
    end: impl FnOnce() -> Result<(), E> + Send + 'static,
) -> Result<(), NotSent> {
    let (ended, waiting) = oneshot::channel();
    let thread = thread::Builder::new().name("mesh-otlp-end".to_owned());
    // Who waits may have given up.
    let spawned = thread.spawn(move || drop(ended.send(end().map_err(|error| NotSent(format!("{what}: {error}"))))));
    spawned.map_err(|error| NotSent(format!("{what}: {error}")))?;
    waiting.await.unwrap_or_else(|_| Err(NotSent(format!("{what}: it panicked"))))
}

/// Why telemetry was lost at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotSent(String);

impl fmt::Display for NotSent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "telemetry was not sent: {}", self.0)
    }
}

impl std::error::Error for NotSent {}
