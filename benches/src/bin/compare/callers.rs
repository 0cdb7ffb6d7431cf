//! The two callers: the same request, with and without a mesh.

use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Buf, Bytes};
use http::header::{ACCEPT, HeaderName, HeaderValue, USER_AGENT};
use http::uri::InvalidUri;
use http::{HeaderMap, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Body;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use mesh_tower::{Mesh, MeshClient};

use crate::BoxError;
use crate::options::Protocol;
use crate::upstream::Addresses;

/// The header that the policy sends to v2.
pub(crate) const CANARY: HeaderName = HeaderName::from_static("x-canary");

/// Of 100 requests without the header, so many go to v2.
pub(crate) const CANARY_PERCENT: u64 = 10;

const PATH: &str = "/api/items/42?page=1";

/// A way to the servers.
pub(crate) trait Caller: Clone + Send + Sync + 'static {
    const NAME: &'static str;
    /// Whether the split is drawn at random; else it is dealt out by a counter.
    const IS_DRAWN: bool;

    /// Sends one request and reads the answer to its end.
    fn call(&self, canary: bool) -> impl Future<Output = Result<(), BoxError>> + Send;
}

/// The bare client: no policy, the split and the endpoints dealt out by a counter.
#[derive(Clone, Debug)]
pub(crate) struct Bare {
    client: Client<HttpConnector, Full<Bytes>>,
    endpoints: Arc<Endpoints>,
    /// Whether it adds the headers that the mesh adds.
    same_wire: bool,
}

#[derive(Debug)]
struct Endpoints {
    v1: Vec<Uri>,
    v2: Vec<Uri>,
    dealt: AtomicU64,
    turn: AtomicU64,
}

impl Bare {
    pub(crate) fn new(addresses: Addresses, protocol: Protocol, same_wire: bool) -> Result<Self, BoxError> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).http2_only(protocol == Protocol::Http2).build(connector);
        let endpoints = Endpoints {
            v1: addresses.v1.iter().map(uri).collect::<Result<_, _>>()?,
            v2: addresses.v2.iter().map(uri).collect::<Result<_, _>>()?,
            dealt: AtomicU64::new(0),
            turn: AtomicU64::new(0),
        };
        Ok(Self { client, endpoints: Arc::new(endpoints), same_wire })
    }
}

impl Endpoints {
    fn next(&self, canary: bool) -> Uri {
        // Spread evenly over each 100.
        let is_v2 = canary || self.dealt.fetch_add(1, Ordering::Relaxed) * CANARY_PERCENT % 100 < CANARY_PERCENT;
        let version = if is_v2 { &self.v2 } else { &self.v1 };
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) as usize;
        version[turn % version.len()].clone()
    }
}

impl Caller for Bare {
    const NAME: &'static str = "bare";
    const IS_DRAWN: bool = false;

    async fn call(&self, canary: bool) -> Result<(), BoxError> {
        let mut request = request(self.endpoints.next(canary), canary);
        if self.same_wire {
            add_headers_of_the_mesh(request.headers_mut());
        }
        read(self.client.request(request).await?).await
    }
}

/// Our client under the policy of [`documents`].
#[derive(Clone, Debug)]
pub(crate) struct Meshed {
    client: MeshClient,
    uri: Uri,
    /// Keeps the mesh alive as long as its client.
    _mesh: Mesh,
}

impl Meshed {
    pub(crate) async fn new(
        addresses: Addresses,
        protocol: Protocol,
        retry_on: Option<&str>,
    ) -> Result<Self, BoxError> {
        let mesh = Mesh::builder()
            .config_yaml("compare.yaml", documents(addresses, protocol, retry_on))
            .workload("default/caller")
            .label("app", "caller")
            .build()
            .await?;
        Ok(Self { client: mesh.client(), uri: uri("reviews.example:9080")?, _mesh: mesh })
    }
}

impl Caller for Meshed {
    const NAME: &'static str = "mesh";
    const IS_DRAWN: bool = true;

    async fn call(&self, canary: bool) -> Result<(), BoxError> {
        read(self.client.send(request(self.uri.clone(), canary)).await).await
    }
}

/// The policy that the mesh applies; what it asks for, the bare caller does by hand or not at all.
fn documents(addresses: Addresses, protocol: Protocol, retry_on: Option<&str>) -> String {
    let port = protocol.port_name();
    let endpoint = |version: &str, address: &SocketAddr| {
        let (ip, number) = (address.ip(), address.port());
        format!("  - {{ address: {ip}, ports: {{ {port}: {number} }}, labels: {{ version: {version} }} }}\n")
    };
    let mut endpoints: String = addresses.v1.iter().map(|address| endpoint("v1", address)).collect();
    endpoints.extend(addresses.v2.iter().map(|address| endpoint("v2", address)));
    let v1_percent = 100 - CANARY_PERCENT;
    let retry_on = retry_on.map(|list| format!(", retryOn: '{list}'")).unwrap_or_default();
    format!(
        "\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{ name: reviews, namespace: default }}
spec:
  hosts: [reviews.example]
  location: MESH_INTERNAL
  resolution: STATIC
  ports:
  - {{ number: 9080, name: {port}, protocol: {protocol} }}
  endpoints:
{endpoints}---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{ name: reviews, namespace: default }}
spec:
  host: reviews.example
  subsets:
  - {{ name: v1, labels: {{ version: v1 }} }}
  - {{ name: v2, labels: {{ version: v2 }} }}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{ name: reviews, namespace: default }}
spec:
  hosts: [reviews.example]
  http:
  - name: canary
    match:
    - headers: {{ x-canary: {{ exact: always }} }}
    route:
    - destination: {{ host: reviews.example, subset: v2 }}
    timeout: 2s
    retries: {{ attempts: 2, perTryTimeout: 1s{retry_on} }}
  - name: split
    route:
    - destination: {{ host: reviews.example, subset: v1 }}
      weight: {v1_percent}
    - destination: {{ host: reviews.example, subset: v2 }}
      weight: {CANARY_PERCENT}
    timeout: 2s
    retries: {{ attempts: 2, perTryTimeout: 1s{retry_on} }}
",
        protocol = port.to_ascii_uppercase(),
    )
}

fn uri(authority: impl Display) -> Result<Uri, InvalidUri> {
    format!("http://{authority}{PATH}").parse()
}

fn request(uri: Uri, canary: bool) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::default());
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    headers.insert(USER_AGENT, HeaderValue::from_static("compare/1"));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert("x-tenant", HeaderValue::from_static("blue"));
    if canary {
        headers.insert(CANARY, HeaderValue::from_static("always"));
    }
    request
}

/// As long as those of the mesh, which makes the first one up for each request.
fn add_headers_of_the_mesh(headers: &mut HeaderMap) {
    let mut id = HeaderValue::from_static("00000000-0000-4000-8000-000000000000");
    // On HTTP/2 the mesh keeps it out of the compression table.
    id.set_sensitive(true);
    headers.insert("x-request-id", id);
    headers.insert("x-forwarded-proto", HeaderValue::from_static("http"));
    headers.insert("x-envoy-attempt-count", HeaderValue::from_static("1"));
    headers.insert("x-envoy-expected-rq-timeout-ms", HeaderValue::from_static("1000"));
}

async fn read<B>(response: Response<B>) -> Result<(), BoxError>
where
    B: Body<Data: Buf, Error: Into<BoxError>> + Unpin,
{
    let status = response.status();
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        frame.map_err(Into::into)?;
    }
    if status == StatusCode::OK { Ok(()) } else { Err(format!("answered with {status}").into()) }
}
