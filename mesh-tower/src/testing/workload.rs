//! Who answers in a test.

use std::fmt;

use bytes::Bytes;
use http::{Request, Response};
use tower::ServiceExt as _;
use tower::util::BoxCloneService;
use tower_service::Service;

use super::endpoint::{App, Behaviour};
use super::reply::{Reply, Script};
use crate::{Body, BoxError};

/// Some endpoints of a service that do the same: a deployment, in Kubernetes' terms.
///
/// ```
/// use mesh_tower::testing::{Reply, Workload};
///
/// let app = axum::Router::new().route("/{id}", axum::routing::get(|| async { "five stars" }));
/// let good = Workload::of("reviews:9080").label("version", "v1").replicas(3).serving(app);
/// let bad = Workload::of("reviews:9080").label("version", "v2").replying(Reply::status(503));
/// ```
///
/// Its name, by which assertions know it, is the first label of its host and the values of its labels, `reviews-v1`
/// here; its endpoints are `reviews-v1/0` and so on. What the configuration does not declare is added to it: a Service
/// for a short host and for one of the cluster's domain, a ServiceEntry for any other.
#[must_use]
pub struct Workload {
    pub(super) place: Place,
    pub(super) port: u16,
    pub(super) labels: Vec<(String, String)>,
    pub(super) replicas: usize,
    pub(super) protocol: &'static str,
    pub(super) locality: String,
    name: Option<String>,
    does: Does,
}

/// Where a workload is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Among the endpoints of a host.
    Host(String),
    /// At an address or DNS name that the configuration speaks of.
    Address(String),
}

enum Does {
    Serve(App),
    Reply(Reply),
}

impl Workload {
    /// Endpoints of a service: `host` or `host:port`; the port is 80 unless given.
    pub fn of(host: &str) -> Self {
        let (host, port) = split(host);
        Self::at_place(Place::Host(host.to_ascii_lowercase()), port)
    }

    /// One endpoint at an address that the configuration names itself, as a ServiceEntry may: `10.1.2.3:9080`, or a
    /// DNS name.
    pub fn at(address: &str) -> Self {
        let (host, port) = split(address);
        Self::at_place(Place::Address(host.to_ascii_lowercase()), port)
    }

    fn at_place(place: Place, port: u16) -> Self {
        let does = Does::Reply(Reply::status(200));
        Self {
            place,
            port,
            labels: Vec::new(),
            replicas: 1,
            protocol: "http",
            locality: String::new(),
            name: None,
            does,
        }
    }

    /// Adds a label, by which subsets select.
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.push((key.into(), value.into()));
        self
    }

    /// How many endpoints there are; 1 unless set.
    pub fn replicas(self, replicas: usize) -> Self {
        Self { replicas, ..self }
    }

    /// It speaks gRPC, so HTTP/2, where the configuration does not declare the service and its protocol.
    pub fn grpc(self) -> Self {
        Self { protocol: "grpc", ..self }
    }

    /// As [`grpc`](Self::grpc), for plain HTTP/2.
    pub fn http2(self) -> Self {
        Self { protocol: "http2", ..self }
    }

    /// Where it runs, as `region/zone/subzone`; where the caller runs is told to
    /// [`MeshBuilder::locality`](crate::MeshBuilder::locality).
    pub fn locality(self, locality: impl Into<String>) -> Self {
        Self { locality: locality.into(), ..self }
    }

    /// A name of one's own.
    pub fn named(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// Answers with an application: an axum `Router`, tonic's `Routes`, or any other tower service.
    pub fn serving<S, R>(self, app: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<R>> + Clone + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
        R: http_body::Body<Data = Bytes> + Send + 'static,
        R::Error: Into<BoxError>,
    {
        Self { does: Does::Serve(boxed(app)), ..self }
    }

    /// Answers as told; status 200 unless set.
    pub fn replying(self, reply: Reply) -> Self {
        Self { does: Does::Reply(reply), ..self }
    }

    pub(super) fn name(&self) -> String {
        let (Place::Host(place) | Place::Address(place)) = &self.place;
        let is_address = place.parse::<std::net::IpAddr>().is_ok();
        let first = if is_address { place } else { place.split('.').next().unwrap_or(place) };
        let values = self.labels.iter().map(|(_, value)| value.as_str());
        let parts = || std::iter::once(first).chain(values).collect::<Vec<_>>().join("-");
        self.name.clone().unwrap_or_else(parts)
    }

    pub(super) fn behaviour(&self) -> Behaviour {
        match &self.does {
            Does::Serve(app) => Behaviour::App(app.clone()),
            Does::Reply(reply) => Behaviour::Script(Script::new(reply.clone())),
        }
    }
}

impl fmt::Debug for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workload")
            .field("name", &self.name())
            .field("place", &self.place)
            .field("port", &self.port)
            .field("replicas", &self.replicas)
            .finish_non_exhaustive()
    }
}

/// An application without its type.
pub(super) fn boxed<S, R>(app: S) -> App
where
    S: Service<Request<Body>, Response = Response<R>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    R: http_body::Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    BoxCloneService::new(app.map_response(|response: Response<R>| response.map(Body::new)).map_err(Into::into))
}

fn split(text: &str) -> (&str, u16) {
    let with_port = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    let (host, port) = with_port.filter(|(host, _)| !host.contains(':') || host.ends_with(']')).unwrap_or((text, 80));
    (host.trim_start_matches('[').trim_end_matches(']'), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_split_off_where_there_is_one() {
        assert_eq!(split("reviews"), ("reviews", 80));
        assert_eq!(split("reviews:9080"), ("reviews", 9080));
        assert_eq!(split("[::1]:9080"), ("::1", 9080));
        assert_eq!(split("::1"), ("::1", 80));
    }

    #[test]
    fn a_workload_is_named_after_its_host_and_labels() {
        let name = |workload: Workload| workload.name();
        assert_eq!(name(Workload::of("reviews.prod.svc.cluster.local:80").label("version", "v2")), "reviews-v2");
        assert_eq!(name(Workload::at("10.0.0.1:80")), "10.0.0.1");
        assert_eq!(name(Workload::of("a").named("b")), "b");
    }
}
