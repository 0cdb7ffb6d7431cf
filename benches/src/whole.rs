//! Whole requests of one process: out through the client's layers, over loopback, in through the server's, and the answer
//! read to its end. With telemetry and without.

use std::convert::Infallible;
use std::error::Error;
use std::future::{Ready, ready};

use http::header::{ACCEPT, HeaderName, HeaderValue, USER_AGENT};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::BodyExt as _;
use mesh_tower::telemetry::Tap;
use mesh_tower::{Body, Mesh, MeshBuilder, MeshClient};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// What of telemetry both sides have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telemetry {
    /// None.
    Off,
    /// Metrics.
    Metrics,
    /// Metrics, and somebody who would make spans of what is sampled, which nothing is.
    NotSampled,
}

impl Telemetry {
    /// All, the one that others are compared with first.
    pub const ALL: [Self; 3] = [Self::Off, Self::Metrics, Self::NotSampled];

    /// In a table and on a command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Metrics => "metrics",
            Self::NotSampled => "metrics-and-traces",
        }
    }
}

/// Where the decision not to sample comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decided {
    /// The request brings a `traceparent` that says so: what is sent is the same with and without tracing.
    Before,
    /// It begins here, and the mesh has to tell the next one: a header more than without tracing.
    Here,
}

impl Decided {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Before, Self::Here];

    /// In a table and on a command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::Here => "here",
        }
    }
}

/// Who watches both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watched {
    /// Nobody.
    Nobody,
    /// An admin server each, on a free port.
    Admin,
}

type Answer = fn(Request<Body>) -> Ready<Result<Response<Body>, Infallible>>;

/// A client and a server, each in a mesh of its own.
#[derive(Debug)]
pub struct Whole {
    client: MeshClient,
    uri: Uri,
    decided: Decided,
    meshes: [Mesh; 2],
    _providers: Providers,
    _serving: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Providers {
    meters: Option<SdkMeterProvider>,
    tracers: Option<SdkTracerProvider>,
}

impl Providers {
    fn new(telemetry: Telemetry) -> Result<Self, Box<dyn Error + Send + Sync>> {
        if telemetry == Telemetry::Off {
            return Ok(Self::default());
        }
        // Without somebody who reads them metrics would cost nothing.
        let exporter = opentelemetry_prometheus::exporter().with_registry(prometheus::Registry::new()).build()?;
        let meters = Some(SdkMeterProvider::builder().with_reader(exporter).build());
        let tracers = (telemetry == Telemetry::NotSampled).then(|| SdkTracerProvider::builder().build());
        Ok(Self { meters, tracers })
    }

    fn give(&self, mut mesh: MeshBuilder) -> MeshBuilder {
        if let Some(meters) = &self.meters {
            mesh = mesh.meter_provider(meters);
        }
        if let Some(tracers) = &self.tracers {
            mesh = mesh.tracer_provider(tracers);
        }
        mesh
    }
}

impl Whole {
    /// Starts both sides, and asks once.
    ///
    /// # Errors
    /// What is wrong with the configuration, or with the first answer.
    pub async fn new(telemetry: Telemetry, decided: Decided) -> Result<Self, Box<dyn Error + Send + Sync>> {
        Self::watched(telemetry, decided, Watched::Nobody).await
    }

    /// The same, watched.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub async fn watched(
        telemetry: Telemetry,
        decided: Decided,
        watched: Watched,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let providers = Providers::new(telemetry)?;
        let build = |name: &str, config: String| {
            let mesh = Mesh::builder().workload(&format!("shop/{name}")).label("app", name).config_yaml("mesh", config);
            let mesh = if watched == Watched::Admin { mesh.admin("127.0.0.1:0") } else { mesh };
            providers.give(mesh).build()
        };
        let server = build("reviews", never_sampled()).await?;
        let client = build("web", never_sampled() + &documents(port)).await?;
        let answer: Answer = |_| ready(Ok(Response::new(Body::from("five stars"))));
        let mut serving = JoinSet::new();
        let serves = server.clone();
        serving.spawn(async move { drop(serves.serve(listener, tower::service_fn(answer)).await) });
        let uri = Uri::from_static("http://reviews:9080/api/items/42?page=1");
        let whole = Self {
            client: client.client(),
            uri,
            decided,
            meshes: [client, server],
            _providers: providers,
            _serving: serving,
        };
        let status = whole.call().await?;
        if status == StatusCode::OK { Ok(whole) } else { Err(format!("answered {status}").into()) }
    }

    /// A tap of each side.
    pub fn taps(&self) -> Vec<Tap> {
        self.meshes.iter().map(Mesh::tap).collect()
    }

    /// One request, to the last byte of its answer.
    ///
    /// # Errors
    /// If the answer breaks off.
    pub async fn call(&self) -> Result<StatusCode, Box<dyn Error + Send + Sync>> {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = self.uri.clone();
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, HeaderValue::from_static("benches"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if self.decided == Decided::Before {
            let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
            headers.insert(TRACEPARENT, HeaderValue::from_static(parent));
        }
        let response = self.client.send(request).await;
        let status = response.status();
        response.into_body().collect().await?;
        Ok(status)
    }
}

fn never_sampled() -> String {
    "
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: traces, namespace: shop}
spec: {tracing: [{randomSamplingPercentage: 0}]}
---
"
    .to_owned()
}

/// A rule as they are: a header match, a split, a time limit, tries.
fn documents(port: u16) -> String {
    format!(
        "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: reviews, namespace: shop}}
spec:
  hosts: [reviews.shop.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 9080, name: http, protocol: HTTP}}]
  endpoints:
  - {{address: 127.0.0.1, ports: {{http: {port}}}, labels: {{version: v1}}}}
  - {{address: 127.0.0.1, ports: {{http: {port}}}, labels: {{version: v2}}}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: reviews, namespace: shop}}
spec:
  host: reviews
  subsets: [{{name: v1, labels: {{version: v1}}}}, {{name: v2, labels: {{version: v2}}}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: reviews, namespace: shop}}
spec:
  hosts: [reviews]
  http:
  - match: [{{headers: {{x-canary: {{exact: 'true'}}}}}}]
    route: [{{destination: {{host: reviews, subset: v2}}}}]
  - timeout: 10s
    retries: {{attempts: 2, retryOn: connect-failure}}
    route:
    - {{destination: {{host: reviews, subset: v1}}, weight: 90}}
    - {{destination: {{host: reviews, subset: v2}}, weight: 10}}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_is_answered_whatever_telemetry_there_is() -> Result<(), Box<dyn Error + Send + Sync>> {
        for telemetry in Telemetry::ALL {
            for decided in Decided::ALL {
                assert_eq!(Whole::new(telemetry, decided).await?.call().await?, StatusCode::OK);
            }
        }
        Ok(())
    }
}
