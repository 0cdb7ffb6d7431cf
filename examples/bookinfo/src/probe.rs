//! The plain HTTP client outside the mesh: it calls the gateway as any client would, and asks the services' control
//! ports what reached them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::Result;
use crate::ledger::{Act, CASE, Counts, Order};

/// Longer than anything that a scenario waits for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A pooled HTTP/1.1 client without any policy.
#[derive(Clone, Debug)]
pub struct Probe {
    client: Client<HttpConnector, Full<Bytes>>,
}

/// One request, to be sent as often as wanted.
#[derive(Clone, Debug)]
pub struct Call {
    method: Method,
    to: SocketAddr,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Call {
    /// A GET of a path at an address.
    #[must_use]
    pub fn get(to: SocketAddr, path: &str) -> Self {
        Self { method: Method::GET, to, path: path.to_owned(), headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// The same call with a `Host` of its own.
    #[must_use]
    pub fn host(self, host: &'static str) -> Self {
        self.header(HOST, host)
    }

    /// The same call with a header more.
    #[must_use]
    pub fn header(mut self, name: impl TryInto<HeaderName>, value: &'static str) -> Self {
        if let Ok(name) = name.try_into() {
            self.headers.insert(name, HeaderValue::from_static(value));
        }
        self
    }

    /// The same call, counted under a case.
    #[must_use]
    pub fn case(mut self, case: &str) -> Self {
        if let Ok(case) = HeaderValue::from_str(case) {
            self.headers.insert(HeaderName::from_static(CASE), case);
        }
        self
    }
}

/// What came back for one [`Call`].
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status of the response.
    pub status: StatusCode,
    /// Headers of the response.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
    /// From before the request until the end of the body.
    pub took: Duration,
}

impl Answer {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header as text; empty when absent.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|error| format!("{}: {error}: {}", self.status, self.text()).into())
    }
}

/// What came back for many.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// The answers, in no order.
    pub answers: Vec<Answer>,
    /// Requests that got no HTTP answer, with the reason.
    pub errors: Vec<String>,
}

impl Tally {
    /// How many answers have this status.
    #[must_use]
    pub fn with_status(&self, status: u16) -> u64 {
        self.count(|answer| answer.status.as_u16() == status)
    }

    /// How many answers are so.
    #[must_use]
    pub fn count(&self, is: impl Fn(&Answer) -> bool) -> u64 {
        self.answers.iter().filter(|answer| is(answer)).count() as u64
    }

    /// The quickest answer.
    #[must_use]
    pub fn quickest(&self) -> Duration {
        self.answers.iter().map(|answer| answer.took).min().unwrap_or_default()
    }

    /// The slowest answer.
    #[must_use]
    pub fn slowest(&self) -> Duration {
        self.answers.iter().map(|answer| answer.took).max().unwrap_or_default()
    }

    fn add(&mut self, result: Result<Answer>) {
        match result {
            Ok(answer) => self.answers.push(answer),
            Err(error) => self.errors.push(error.to_string()),
        }
    }

    /// Takes the answers of another tally in.
    pub fn merge(&mut self, other: Self) {
        self.answers.extend(other.answers);
        self.errors.extend(other.errors);
    }
}

impl Default for Probe {
    fn default() -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build_http() }
    }
}

impl Probe {
    /// Sends one request and reads the whole answer.
    pub async fn send(&self, call: &Call) -> Result<Answer> {
        let start = Instant::now();
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(format!("http://{}{}", call.to, call.path))
            .body(Full::new(call.body.clone()))?;
        *request.headers_mut() = call.headers.clone();
        let exchange = async {
            let (parts, body) = self.client.request(request).await?.into_parts();
            Ok(Answer {
                status: parts.status,
                headers: parts.headers,
                body: body.collect().await?.to_bytes(),
                took: start.elapsed(),
            })
        };
        timeout(PATIENCE, exchange).await?
    }

    /// Sends one request after the other.
    pub async fn line(&self, call: &Call, requests: usize) -> Tally {
        let mut tally = Tally::default();
        for _ in 0..requests {
            tally.add(self.send(call).await);
        }
        tally
    }

    /// Sends many requests, `at_once` of them at a time.
    pub async fn flood(&self, call: &Call, requests: usize, at_once: usize) -> Tally {
        let started = Arc::new(AtomicUsize::new(0));
        let mut workers = JoinSet::new();
        for _ in 0..at_once.min(requests) {
            let (probe, call, started) = (self.clone(), call.clone(), Arc::clone(&started));
            workers.spawn(async move {
                let mut tally = Tally::default();
                while started.fetch_add(1, Ordering::Relaxed) < requests {
                    tally.add(probe.send(&call).await);
                }
                tally
            });
        }
        let mut all = Tally::default();
        for tally in workers.join_all().await {
            all.merge(tally);
        }
        all
    }
}

/// A service seen from its control port.
#[derive(Clone, Debug)]
pub struct Upstream {
    name: String,
    control: SocketAddr,
    probe: Probe,
}

impl Upstream {
    /// The service whose control port this is.
    #[must_use]
    pub fn new(name: String, control: SocketAddr, probe: Probe) -> Self {
        Self { name, control, probe }
    }

    /// For example `reviews v2` or `details 3`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its control port.
    #[must_use]
    pub fn control(&self) -> SocketAddr {
        self.control
    }

    /// The figures of a case.
    pub async fn counts(&self, case: &str) -> Result<Counts> {
        self.probe.send(&Call::get(self.control, &format!("/counts/{case}"))).await?.json()
    }

    /// Requests that came for a case.
    pub async fn requests(&self, case: &str) -> Result<u64> {
        Ok(self.counts(case).await?.requests)
    }

    /// Requests that came for a case, once there are `at_least` so many or a while has passed.
    pub async fn requests_soon(&self, case: &str, at_least: u64) -> Result<u64> {
        let end = Instant::now() + Duration::from_secs(3);
        loop {
            let requests = self.requests(case).await?;
            if requests >= at_least || Instant::now() >= end {
                return Ok(requests);
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Requests that came for a case, once no more come.
    pub async fn requests_settled(&self, case: &str) -> Result<u64> {
        let mut last = self.requests(case).await?;
        loop {
            sleep(Duration::from_millis(200)).await;
            let now = self.requests(case).await?;
            if now == last {
                return Ok(now);
            }
            last = now;
        }
    }

    /// Has the service do this to the requests of a case, so many times or, without a number, until cleared.
    pub async fn order(&self, case: &str, act: Act, times: Option<u32>) -> Result<()> {
        self.command(Method::PUT, case, &Some(Order { act, times })).await
    }

    /// Withdraws the order and lets go whom it holds.
    pub async fn clear(&self, case: &str) -> Result<()> {
        self.command(Method::DELETE, case, &None::<Order>).await
    }

    async fn command(&self, method: Method, case: &str, body: &impl Serialize) -> Result<()> {
        let mut call = Call::get(self.control, &format!("/orders/{case}"));
        call.method = method;
        call.body = serde_json::to_vec(body)?.into();
        call.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let answer = self.probe.send(&call).await?;
        if answer.status.is_success() { Ok(()) } else { Err(format!("{}: {}", self.name, answer.status).into()) }
    }
}
