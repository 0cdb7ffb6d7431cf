//! One attack: the application that it is made on, and what came of it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Request, Response};
use mesh_tower::inbound::PeerIdentity;
use mesh_tower::serve::ServeOptions;
use mesh_tower::{Body, Mesh, Profile};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower::service_fn;

use crate::wire;

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// `allow`, `deny` or `reject`.
    pub(crate) decision: &'static str,
    pub(crate) status: Option<u16>,
    /// The requests that reached the application: target, and headers.
    pub(crate) reached: Vec<(String, Vec<(String, String)>)>,
}

/// The documents of policies that are given as JSON.
pub(crate) fn documents(kind: &str, policies: &Value) -> String {
    let document = |policy: &Value| {
        let mut spec = policy.clone();
        let fields = spec.as_object_mut().expect("a policy");
        let name = fields.remove("name").unwrap_or(json!("policy"));
        let namespace = fields.remove("namespace").unwrap_or(json!("default"));
        json!({
            "apiVersion": "security.istio.io/v1",
            "kind": kind,
            "metadata": {"name": name, "namespace": namespace},
            "spec": spec,
        })
        .to_string()
    };
    policies.as_array().into_iter().flatten().map(document).collect::<Vec<_>>().join("\n---\n")
}

/// A mesh for a case.
pub(crate) async fn mesh(documents: &str, mesh_config: &Value, profile: Profile) -> Mesh {
    let mut builder = Mesh::builder().config_yaml("case.yaml", documents);
    if mesh_config.as_object().is_some_and(|fields| !fields.is_empty()) {
        builder = builder.mesh_config_yaml(mesh_config.to_string());
    }
    builder.namespace("default").label("app", "app").profile(profile).build().await.expect("a mesh")
}

/// Serves an application that notes what reaches it, sends the bytes, and tells what came of them.
pub(crate) async fn attack(mesh: &Mesh, caller: Option<PeerIdentity>, bytes: &[u8], is_http2: bool) -> Outcome {
    type Reached = Arc<Mutex<Vec<(String, Vec<(String, String)>)>>>;
    let reached: Reached = Arc::default();
    let noted = Arc::clone(&reached);
    let app = service_fn(move |request: Request<Body>| {
        let headers = request.headers().iter();
        let headers =
            headers.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
        let target = request.uri().path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
        noted.lock().unwrap().push((target, headers.collect()));
        async move {
            // A broken body is an answer that the caller does not get.
            use http_body_util::BodyExt as _;
            let read = request.into_body().collect().await;
            let status = if read.is_ok() { 200 } else { 400 };
            Ok::<_, Infallible>(Response::builder().status(status).body(Body::empty()).unwrap())
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let mut options = ServeOptions::new().policy_address(SocketAddr::from(([127, 0, 0, 1], 8080)));
    if let Some(caller) = caller {
        options = options.extension(move |_| caller.clone());
    }
    let server = mesh.clone();
    let serving = tokio::spawn(async move { server.serve_with(listener, app, options).await });
    let status = tokio::time::timeout(Duration::from_secs(5), wire::exchange(address, bytes, is_http2)).await;
    let status = status.unwrap_or_default();
    serving.abort();
    let reached = std::mem::take(&mut *reached.lock().unwrap());
    let decision = match status {
        Some(200) => "allow",
        Some(403) => "deny",
        _ => "reject",
    };
    Outcome { decision, status, reached }
}
