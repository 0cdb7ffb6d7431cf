//! Requests of a test.

use std::fmt;
use std::future::IntoFuture;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt as _};
use http::{HeaderMap, Method, Request, Response, Uri};
use http_body_util::BodyExt as _;
use mesh_core::explain::Question;
use tower_service::Service as _;

use super::answers::{Answer, Answers};
use super::failed;
use super::mesh::TestMesh;
use super::roll::{Roll, spread};
use crate::serve::PeerAddress;
use crate::{Body, RouteInfo};

/// Requests that are alike; awaited, they are sent.
///
/// ```
/// # use mesh_tower::testing::{TestMesh, Workload};
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// # let mesh = TestMesh::builder().with(Workload::of("reviews:9080")).start().await;
/// let run = mesh.run("GET http://reviews:9080/1").header("end-user", "jason").times(100).await;
/// run.assert_success(1.0);
/// # }
/// ```
#[must_use = "sends nothing unless awaited"]
#[derive(Clone)]
pub struct Run<'m> {
    mesh: &'m TestMesh,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
    times: Option<usize>,
    pace: Pace,
    rolls: Rolls,
    gateway: Option<u16>,
}

#[derive(Clone, Copy, Debug)]
enum Pace {
    AtOnce(usize),
    Every(Duration),
}

#[derive(Clone, Debug)]
enum Rolls {
    Drawn,
    Pinned(Vec<u64>),
    Exhausted,
}

/// Who calls at a gateway.
const CALLER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 40_000);

/// How much virtual time an answer may take: a test that waits for something that never comes should say so.
const LONGEST: Duration = Duration::from_secs(600);

impl<'m> Run<'m> {
    #[track_caller]
    pub(super) fn new(mesh: &'m TestMesh, request: &str) -> Self {
        let (method, url) = request.split_once(' ').unwrap_or(("GET", request));
        let (Ok(method), Ok(uri)) = (method.parse(), url.parse::<Uri>()) else {
            failed(&format!("{request:?} is no request, as in `GET http://reviews:9080/1`"))
        };
        if uri.authority().is_none() || uri.scheme().is_none() {
            failed(&format!("{request:?} has no scheme and host, as in `GET http://reviews:9080/1`"));
        }
        let (headers, body) = (HeaderMap::new(), Bytes::new());
        let (pace, rolls) = (Pace::AtOnce(1), Rolls::Drawn);
        Self { mesh, method, uri, headers, body, times: None, pace, rolls, gateway: None }
    }

    /// Adds a header.
    ///
    /// # Panics
    /// If this is no header.
    #[track_caller]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let (name, value) = super::header(name, value);
        self.headers.append(name, value);
        self
    }

    /// The body of each request.
    pub fn body(self, body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// How many requests; one unless set, or as many as there are rolls.
    pub fn times(self, times: usize) -> Self {
        Self { times: Some(times), ..self }
    }

    /// Keeps so many under way; one after the other unless set.
    pub fn at_once(self, requests: usize) -> Self {
        Self { pace: Pace::AtOnce(requests.max(1)), ..self }
    }

    /// Sends one each time this much time has passed, whether those before it have been answered or not.
    pub fn every(self, time: Duration) -> Self {
        Self { pace: Pace::Every(time), ..self }
    }

    /// [Rolls](Roll) for the requests, one after the other, and from the beginning again.
    pub fn rolls(self, rolls: impl IntoIterator<Item = u64>) -> Self {
        Self { rolls: Rolls::Pinned(rolls.into_iter().collect()), ..self }
    }

    /// Uses each roll of the split equally often, so that shares of destinations, and of mirrors, are exact instead of
    /// likely.
    ///
    /// # Panics
    /// When awaited, if the number of requests is no multiple of the sum of the weights.
    pub fn exhausting_rolls(self) -> Self {
        Self { rolls: Rolls::Exhausted, ..self }
    }

    /// Comes from outside, at a server of a Gateway: by the routes of its rules instead of those of the mesh. The
    /// workload has to be one that the Gateway selects: set its labels with
    /// [`configure`](super::TestMeshBuilder::configure).
    ///
    /// # Panics
    /// When awaited, if no Gateway that selects this workload has a server of HTTP at the port.
    pub fn at_gateway(self, port: u16) -> Self {
        Self { gateway: Some(port), ..self }
    }

    /// The question that one of the requests is.
    pub(super) fn question(&self, roll: u64) -> Option<Question> {
        let question = Question::new(self.method.as_str(), &self.uri.to_string()).ok()?;
        let with_header = |question: Question, (name, value): (&http::HeaderName, &http::HeaderValue)| {
            question.header(name.as_str(), value.to_str().ok()?).ok()
        };
        let question = self.headers.iter().try_fold(question, with_header)?.with_roll(roll);
        Some(match self.gateway {
            Some(port) => question.on_port(port).through_gateway(),
            None => question,
        })
    }

    fn drawn(&self) -> Vec<Option<Roll>> {
        match &self.rolls {
            Rolls::Drawn => vec![None; self.times.unwrap_or(1)],
            Rolls::Pinned(rolls) => {
                let times = self.times.unwrap_or(rolls.len());
                rolls.iter().cycle().take(times).map(|roll| Some(Roll(*roll))).collect()
            }
            Rolls::Exhausted => self.exhausted(),
        }
    }

    fn exhausted(&self) -> Vec<Option<Roll>> {
        let explanation = self.question(0).map(|question| self.mesh.explain_question(&question));
        let ends = explanation.iter().flat_map(|explanation| &explanation.split).map(|entry| entry.rolls.1);
        let total = ends.max().unwrap_or(1).max(1);
        let times = self.times.map_or(total, |times| times as u64);
        if !times.is_multiple_of(total) {
            failed(&format!(
                "{times} requests cannot use each of the {total} rolls of this split equally often: send {} or {}",
                times - times % total,
                times - times % total + total
            ));
        }
        spread(times, total).map(Some).collect()
    }

    async fn send(&self, roll: Option<Roll>) -> Answer {
        let mut request = Request::new(Body::full(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        if let Some(roll) = roll {
            request.extensions_mut().insert(roll);
        }
        let began = crate::clock::now();
        let exchange = async {
            let (mut parts, mut body) = self.deliver(request).await.into_parts();
            let info = parts.extensions.remove::<RouteInfo>();
            let mut answer = Answer::new(parts.status, parts.headers, info, roll);
            while answer.broken().is_none()
                && let Some(frame) = body.frame().await
            {
                answer.read(frame);
            }
            answer.took = crate::clock::now().saturating_duration_since(began);
            answer
        };
        let answer = tokio::time::timeout(LONGEST, exchange).await;
        answer.unwrap_or_else(|_| {
            failed(&format!(
                "no answer to {} {} within {LONGEST:?}: nothing limits how long it may take",
                self.method, self.uri
            ))
        })
    }

    async fn deliver(&self, mut request: Request<Body>) -> Response<Body> {
        let Some(port) = self.gateway else { return self.mesh.client().send(request).await };
        let Some(mut listener) = self.mesh.mesh().gateway_listener(port) else {
            failed(&format!("no Gateway that selects this workload has a server of HTTP at port {port}"))
        };
        request.extensions_mut().insert(PeerAddress(CALLER.into()));
        listener.call(request).await.unwrap_or_else(|error| match error {})
    }

    async fn send_all(self) -> Answers<'m> {
        let rolls = self.drawn();
        let (at_once, pause) = match self.pace {
            Pace::AtOnce(requests) => (requests, Duration::ZERO),
            Pace::Every(time) => (rolls.len().max(1), time),
        };
        let this = &self;
        let sent = rolls.into_iter().enumerate().map(|(n, roll)| async move {
            if !pause.is_zero() {
                tokio::time::sleep(pause.saturating_mul(u32::try_from(n).unwrap_or(u32::MAX))).await;
            }
            this.send(roll).await
        });
        let answers: Vec<Answer> = stream::iter(sent).buffered(at_once).collect().await;
        let exact = matches!(self.rolls, Rolls::Exhausted);
        Answers { mesh: self.mesh, answers, exact, run: self }
    }
}

impl<'m> IntoFuture for Run<'m> {
    type Output = Answers<'m>;
    type IntoFuture = BoxFuture<'m, Answers<'m>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send_all())
    }
}

impl fmt::Debug for Run<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Run({self})")
    }
}

impl fmt::Display for Run<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.uri)
    }
}
