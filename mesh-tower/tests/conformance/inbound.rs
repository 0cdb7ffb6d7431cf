//! Plays the receiving side: a workload that serves an application which does as the recording says.
//!
//! Callers with an identity prove it by a certificate, in a handshake as sidecars make it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use http::{Request, Response};
use http_body_util::BodyExt as _;
use mesh_tower::identity::{Material, MemoryIdentity};
use mesh_tower::serve::ServeOptions;
use mesh_tower::{Body, BuildError, Mesh, Profile};
use tokio::net::TcpListener;
use tower::service_fn;

use crate::caller::{Callee, call};
use crate::compare::{Rules, single};
use crate::place::Place;
use crate::record::{Arrival, Headers, Scenario, Workload};
use crate::scenario::{Results, is_compared, script};
use crate::secure::material;
use crate::upstream::{Upstreams, headers_of, take_mark};
use crate::wire::text_of;

/// Every step that can be compared.
pub(crate) async fn play(scenario: &Scenario, config: String, place: Place) -> Results {
    let workload = scenario.inbound.as_ref().expect("the receiving side");
    let mut results = Results::new();
    let steps = || scenario.steps.iter().filter(|step| is_compared(step));
    let mesh = match mesh(scenario, workload, &config).await {
        Ok(mesh) => mesh,
        Err(error) => {
            let refused = scenario.refused_by_proxy.is_some();
            return steps().map(|step| (step.id.clone(), (!refused).then(|| error.to_string()))).collect();
        }
    };
    let upstreams = Upstreams::new(place, false);
    let at = scenario.inbound_address.as_deref().and_then(|ip| ip.parse().ok());
    let at = SocketAddr::new(at.unwrap_or([127, 0, 0, 1].into()), workload.port.unwrap_or_default());
    let mut servers: HashMap<u16, SocketAddr> = HashMap::new();
    for (n, step) in steps().enumerate() {
        let Some(observed) = &step.observed else { continue };
        let port = if step.port == 0 { at.port() } else { step.port };
        let address = match servers.get(&port) {
            Some(address) => *address,
            None => {
                let address = serve(&mesh, &upstreams, SocketAddr::new(at.ip(), port)).await;
                servers.insert(port, address);
                address
            }
        };
        let mark = n.to_string();
        upstreams.expect(&mark, script(step));
        let mut outcome = call(&Callee::Gateway(address), step, &mark).await;
        outcome.seen = upstreams.seen(&mark);
        let rules = Rules { config: &config, step, varies: &step.varies };
        results.push((step.id.clone(), single(rules, observed, &outcome)));
    }
    results
}

async fn mesh(scenario: &Scenario, workload: &Workload, config: &str) -> Result<Mesh, BuildError> {
    let mut builder = Mesh::builder()
        .config_yaml("config.yaml", config)
        .namespace(&workload.namespace)
        .labels(workload.labels.clone())
        .profile(Profile::Istio)
        .identity(MemoryIdentity::new(own(scenario, workload)));
    if let Some(mesh) = &scenario.mesh {
        builder = builder.mesh_config_yaml(mesh.to_string());
    }
    builder.build().await
}

/// The workload's own certificate.
fn own(scenario: &Scenario, workload: &Workload) -> Material {
    let named = scenario.mesh.as_ref().and_then(|mesh| mesh.get("trustDomain")?.as_str());
    material(&format!("spiffe://{}/ns/{}/sa/default", named.unwrap_or("cluster.local"), workload.namespace))
}

/// Serves the application, and gives where.
async fn serve(mesh: &Mesh, upstreams: &Arc<Upstreams>, at: SocketAddr) -> SocketAddr {
    let upstreams = Arc::clone(upstreams);
    let app = service_fn(move |request: Request<Body>| {
        let upstreams = Arc::clone(&upstreams);
        async move { Ok::<_, Infallible>(answer(&upstreams, request, at.port()).await) }
    });
    let options = ServeOptions::new().policy_address(at);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mesh = mesh.clone();
    tokio::spawn(async move { mesh.serve_with(listener, app, options).await });
    address
}

/// Notes the request as an endpoint does, and answers `ok`.
async fn answer(upstreams: &Upstreams, request: Request<Body>, port: u16) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let mut headers: Headers = headers_of(&parts.headers);
    let host = headers.iter().position(|(name, _)| name == "host").map(|at| headers.remove(at).1);
    let mark = take_mark(&mut headers);
    let arrival = Arrival {
        endpoint: format!("inbound|{port}||"),
        // As the recorded sidecar spoke to its application; in process nothing is spoken.
        proto: "h1".to_owned(),
        method: parts.method.to_string(),
        path: parts.uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string),
        authority: parts.uri.authority().map(ToString::to_string).or(host).unwrap_or_default(),
        headers,
        body: text_of(&body),
        one_of: None,
    };
    let _act = upstreams.arrive(&mark, arrival);
    Response::new(Body::from("ok"))
}
