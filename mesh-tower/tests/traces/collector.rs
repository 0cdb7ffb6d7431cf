//! A collector of OpenTelemetry, as far as it takes spans and metrics over gRPC.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::MetricsServiceServer;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

use super::points::Points;

/// A span that has arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) service: String,
    pub(crate) name: String,
    pub(crate) kind: SpanKind,
    pub(crate) trace: String,
    pub(crate) id: String,
    /// Empty for the first of a trace.
    pub(crate) parent: String,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) status: StatusCode,
    pub(crate) nanos: u64,
}

impl Seen {
    pub(crate) fn get(&self, attribute: &str) -> &str {
        self.attributes.get(attribute).map_or("", String::as_str)
    }
}

#[derive(Clone, Debug, Default)]
struct Spans(Arc<Mutex<Vec<Seen>>>);

#[tonic::async_trait]
impl TraceService for Spans {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for resource in request.into_inner().resource_spans {
            let about = attributes(&resource.resource.unwrap_or_default().attributes);
            let service = about.get("service.name").cloned().unwrap_or_default();
            for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                self.0.lock().unwrap().push(Seen {
                    service: service.clone(),
                    kind: span.kind(),
                    name: span.name,
                    trace: hex(&span.trace_id),
                    id: hex(&span.span_id),
                    parent: hex(&span.parent_span_id),
                    attributes: attributes(&span.attributes),
                    status: span.status.map_or(StatusCode::Unset, |status| status.code()),
                    nanos: span.end_time_unix_nano - span.start_time_unix_nano,
                });
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn attributes(pairs: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: Option<Value>| match value {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(is)) => is.to_string(),
        other => format!("{other:?}"),
    };
    pairs.iter().map(|pair| (pair.key.clone(), text(pair.value.clone().and_then(|value| value.value)))).collect()
}

/// A collector that runs.
pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    spans: Spans,
    pub(crate) points: Points,
    _serving: JoinSet<()>,
}

impl Collector {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (spans, points) = (Spans::default(), Points::default());
        let services = (TraceServiceServer::new(spans.clone()), MetricsServiceServer::new(points.clone()));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let server = tonic::transport::Server::builder().add_service(services.0).add_service(services.1);
            server.serve_with_incoming(TcpListenerStream::new(listener)).await.unwrap();
        });
        Self { address, spans, points, _serving: serving }
    }

    /// One that sends its spans here, soon.
    pub(crate) fn provider(&self, service: &'static str) -> SdkTracerProvider {
        let exporter = SpanExporter::builder().with_tonic().with_endpoint(format!("http://{}", self.address));
        let soon = BatchConfigBuilder::default().with_scheduled_delay(Duration::from_millis(20)).build();
        let processor = BatchSpanProcessor::builder(exporter.build().unwrap()).with_batch_config(soon).build();
        let resource = Resource::builder().with_service_name(service).build();
        SdkTracerProvider::builder().with_span_processor(processor).with_resource(resource).build()
    }

    /// All that have arrived once there are so many, in the order of their ends; no more may come for a while.
    pub(crate) async fn spans(&self, wanted: usize) -> Vec<Seen> {
        let count = || self.spans.0.lock().unwrap().len();
        let came = async {
            while count() < wanted {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let _late = tokio::time::timeout(Duration::from_secs(10), came).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        let spans = self.spans.0.lock().unwrap().clone();
        assert_eq!(spans.len(), wanted, "{spans:#?}");
        spans
    }
}

/// The one span of a service and a kind.
pub(crate) fn the<'a>(spans: &'a [Seen], service: &str, kind: SpanKind) -> &'a Seen {
    let mut found = spans.iter().filter(|span| span.service == service && span.kind == kind);
    match (found.next(), found.next()) {
        (Some(only), None) => only,
        other => panic!("{service} {kind:?}: {other:#?}"),
    }
}
