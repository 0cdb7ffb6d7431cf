//! One attack: the application that it is made on, and what came of it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Request, Response};
use mesh_tower::inbound::PeerIdentity;
use mesh_tower::serve::ServeOptions;
use mesh_tower::{Body, Mesh, MeshBuilder, Profile};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::secure::Caller;
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
    builder(documents, mesh_config, profile).build().await.expect("a mesh")
}

pub(crate) fn builder(documents: &str, mesh_config: &Value, profile: Profile) -> MeshBuilder {
    let mut builder = Mesh::builder().config_yaml("case.yaml", documents);
    if mesh_config.as_object().is_some_and(|fields| !fields.is_empty()) {
        builder = builder.mesh_config_yaml(mesh_config.to_string());
    }
    builder.namespace("default").label("app", "app").profile(profile)
}

/// What has reached an application.
pub(crate) type Reached = Arc<Mutex<Vec<(String, Vec<(String, String)>)>>>;

/// An application that notes what reaches it.
macro_rules! noting {
    ($reached:expr) => {{
        let noted = std::sync::Arc::clone($reached);
        tower::service_fn(move |request: http::Request<_>| crate::case::note(std::sync::Arc::clone(&noted), request))
    }};
}
pub(crate) use noting;

pub(crate) async fn note<B: http_body::Body>(
    reached: Reached,
    request: Request<B>,
) -> Result<Response<Body>, Infallible> {
    use http_body_util::BodyExt as _;
    let headers = request.headers().iter();
    let headers =
        headers.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    let target = request.uri().path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
    reached.lock().unwrap().push((target, headers.collect()));
    // A broken body is an answer that the caller does not get.
    let status = if request.into_body().collect().await.is_ok() { 200 } else { 400 };
    Ok(Response::builder().status(status).body(Body::empty()).unwrap())
}

/// Serves an application that notes what reaches it, sends the bytes, and tells what came of them. The caller has no
/// certificate, and is taken for who is given.
pub(crate) async fn attack(mesh: &Mesh, caller: Option<PeerIdentity>, bytes: &[u8], is_http2: bool) -> Outcome {
    let mut options = options();
    if let Some(caller) = caller {
        options = options.extension(move |_| caller.clone());
    }
    attack_by(mesh, &Caller::Plaintext, options, bytes, is_http2).await
}

/// Policies see the port of the cases.
pub(crate) fn options() -> ServeOptions {
    ServeOptions::new().policy_address(SocketAddr::from(([127, 0, 0, 1], 8080)))
}

/// The same by a caller who may have a certificate.
pub(crate) async fn attack_by(
    mesh: &Mesh,
    caller: &Caller,
    options: ServeOptions,
    bytes: &[u8],
    is_http2: bool,
) -> Outcome {
    let reached = Reached::default();
    let app = noting!(&reached);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let server = mesh.clone();
    let serving = tokio::spawn(async move { server.serve_with(listener, app, options).await });
    let status = send(address, caller, bytes, is_http2).await;
    serving.abort();
    Outcome::of(status, &reached)
}

/// Sends bytes, and gives the status that comes back.
pub(crate) async fn send(address: SocketAddr, caller: &Caller, bytes: &[u8], is_http2: bool) -> Option<u16> {
    let exchange = async { wire::exchange(caller.connect(address, is_http2).await.ok()?, bytes, is_http2).await };
    tokio::time::timeout(Duration::from_secs(5), exchange).await.unwrap_or_default()
}

impl Outcome {
    pub(crate) fn of(status: Option<u16>, reached: &Reached) -> Self {
        let decision = match status {
            Some(200) => "allow",
            Some(403) => "deny",
            _ => "reject",
        };
        Self { decision, status, reached: std::mem::take(&mut *reached.lock().unwrap()) }
    }
}
