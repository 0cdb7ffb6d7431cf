//! A running mesh says why.

use std::io;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::StatusCode;
use mesh_tower::mesh_core::explain::Question;
use mesh_tower::{Body, Mesh};
use tokio::net::TcpListener;

/// A service with two endpoints, of which the second one always fails.
async fn half_broken() -> Mesh {
    let mut ports = Vec::new();
    for status in [StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        ports.push(listener.local_addr().unwrap().port());
        let app = Router::new().fallback(move || async move { status });
        tokio::spawn(async move { axum::serve(listener, app).await });
    }
    let yaml = format!(
        "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: a}}
spec:
  hosts: [a.default.svc.cluster.local]
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  resolution: STATIC
  endpoints:
  - {{address: 127.0.0.1, ports: {{http: {}}}}}
  - {{address: 127.0.0.1, ports: {{http: {}}}}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: a}}
spec:
  host: a
  trafficPolicy:
    loadBalancer: {{simple: ROUND_ROBIN}}
    outlierDetection: {{consecutive5xxErrors: 1, maxEjectionPercent: 50}}
",
        ports[0], ports[1]
    );
    Mesh::builder().config_yaml("a.yaml", yaml).workload("default/b").label("app", "b").build().await.unwrap()
}

async fn ask(mesh: &Mesh, times: usize) {
    for _ in 0..times {
        let request = http::Request::get("http://a/1").header("x-user", "ann").body(Body::empty()).unwrap();
        mesh.client().send(request).await;
    }
}

#[tokio::test]
async fn an_explanation_knows_who_is_ejected() {
    let mesh = half_broken().await;
    let question = Question::get("http://a/1").unwrap();
    let unusable = |mesh: &Mesh| -> Vec<String> {
        mesh.explain(&question).destination.unwrap().endpoints.into_iter().map(|endpoint| endpoint.unusable).collect()
    };
    assert_eq!(unusable(&mesh), ["", ""]);
    ask(&mesh, 4).await;
    assert_eq!(unusable(&mesh), ["", "ejected by outlier detection"]);
    let text = mesh.explain(&question).to_string();
    assert!(text.contains("1 of 2 usable") && text.contains("DestinationRule default/a a.yaml:"), "{text}");
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn who_listens_is_told_the_explanation_of_each_request() {
    let mesh = half_broken().await;
    let (written, quiet) = (Written::default(), Written::default());
    let listen = |to: &Written, level: &str| {
        let writer = to.clone();
        let subscriber = tracing_subscriber::fmt().with_env_filter(level).with_ansi(false);
        tracing::subscriber::set_default(subscriber.with_writer(move || writer.clone()).finish())
    };
    // Tests on other threads, where nobody listens, may just have said so for all.
    for _ in 0..20 {
        let _listening = listen(&written, "mesh::explain=trace");
        ask(&mesh, 1).await;
        if !written.0.lock().unwrap().is_empty() {
            break;
        }
    }
    let _listening = listen(&quiet, "debug");
    ask(&mesh, 1).await;
    let text = |written: &Written| String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    let told = text(&written);
    assert!(told.contains("request    GET http://a/1") && told.contains("=> would send to 127.0.0.1:"), "{told}");
    assert!(!text(&quiet).contains("=> would send"), "{}", text(&quiet));
}
