//! Access logs that are exported, as a collector gets them over gRPC.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mesh_tower::Mesh;
use opentelemetry_otlp::{LogExporter, WithExportConfig as _};
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

use crate::world::{Upstream, ask, service};

/// A line that has arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    service: String,
    body: String,
    attributes: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default)]
struct Lines(Arc<Mutex<Vec<Line>>>);

fn text(value: Option<Value>) -> String {
    match value {
        Some(Value::StringValue(text)) => text,
        other => format!("{other:?}"),
    }
}

#[tonic::async_trait]
impl LogsService for Lines {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        for resource in request.into_inner().resource_logs {
            let pairs = resource.resource.unwrap_or_default().attributes;
            let service = pairs.iter().find(|pair| pair.key == "service.name").cloned().unwrap_or_default();
            for log in resource.scope_logs.into_iter().flat_map(|scope| scope.log_records) {
                assert!(log.time_unix_nano > 0);
                let pair = |pair: opentelemetry_proto::tonic::common::v1::KeyValue| {
                    (pair.key, text(pair.value.and_then(|value| value.value)))
                };
                self.0.lock().unwrap().push(Line {
                    service: text(service.value.clone().and_then(|value| value.value)),
                    body: text(log.body.and_then(|body| body.value)),
                    attributes: log.attributes.into_iter().map(pair).collect(),
                });
            }
        }
        Ok(Response::new(ExportLogsServiceResponse::default()))
    }
}

impl Lines {
    async fn start() -> (Self, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let lines = Self::default();
        let service = LogsServiceServer::new(lines.clone());
        tokio::spawn(async move {
            let server = tonic::transport::Server::builder().add_service(service);
            server.serve_with_incoming(TcpListenerStream::new(listener)).await
        });
        (lines, address)
    }

    async fn once_there_are(&self, wanted: usize) -> Vec<Line> {
        for _ in 0..1_000 {
            let lines = self.0.lock().unwrap().clone();
            if lines.len() >= wanted {
                return lines;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{:?}", self.0.lock().unwrap());
    }
}

const CONFIG: &str = "
extensionProviders:
- name: otel
  envoyOtelAls:
    service: collector.default.svc.cluster.local
    port: 4317
    logName: web-log
    logFormat: {text: '%REQ(:METHOD)% %REQ(:PATH)% %RESPONSE_CODE%', labels: {host: '%REQ(:AUTHORITY)%', flags: '%RESPONSE_FLAGS%'}}
";

const TELEMETRY: &str = "
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: logs, namespace: shop}
spec: {accessLogging: [{providers: [{name: otel}], filter: {expression: response.code >= 500}}]}
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_of_access_logs_are_exported_to_a_collector() {
    let (lines, collector) = Lines::start().await;
    let exporter = LogExporter::builder().with_tonic().with_endpoint(format!("http://{collector}")).build().unwrap();
    let resource = Resource::builder().with_service_name("web").build();
    let provider = SdkLoggerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
    let upstream = Upstream::start(&[200, 500]).await;
    let web = Mesh::builder().workload("shop/web").mesh_config_yaml(CONFIG).config_yaml("telemetry.yaml", TELEMETRY);
    let web = web.config_yaml("mesh.yaml", service("api", upstream.address)).logger_provider(&provider);
    let web = web.build().await.unwrap();
    assert!(!web.report().iter().any(|told| told.to_string().contains("takes no access logs")));
    assert_eq!(ask(&web, "http://api:9080/first", &[]).await.status(), 200);
    assert_eq!(ask(&web, "http://api:9080/second", &[]).await.status(), 500);
    let flushing = provider.clone();
    tokio::task::spawn_blocking(move || flushing.force_flush()).await.unwrap().unwrap();
    let attributes = [("host", "api:9080"), ("flags", "-"), ("log_name", "web-log")];
    let attributes = attributes.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let expected = Line { service: "web".into(), body: "GET /second 500".into(), attributes };
    assert_eq!(lines.once_there_are(1).await, [expected]);
}

#[tokio::test]
async fn without_a_provider_it_is_said_that_nobody_is_told() {
    let web = Mesh::builder().workload("shop/web").mesh_config_yaml(CONFIG).config_yaml("telemetry.yaml", TELEMETRY);
    let web = web.build().await.unwrap();
    let report = web.report();
    let told = report.iter().map(ToString::to_string).find(|told| told.contains("\"otel\"")).unwrap();
    assert!(told.contains("logger_provider") && told.contains("told of no request"), "{told}");
}
