//! Requests with ids and contents, many at once, and what came of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{Method, Request};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use mesh_tower::{Body, MeshClient, RouteInfo};
use tokio::time::Instant;

use crate::content::Hash;
use crate::ledger::ID;
use crate::watch::ON_PURPOSE;

/// A request to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) id: String,
    pub(crate) body: Bytes,
    /// In pieces instead of whole.
    pub(crate) streams: bool,
    /// The body panics, on purpose, once half of it was read.
    pub(crate) panics: bool,
    /// What the answer is to be, if it is not the ledger's.
    pub(crate) expected: Option<Bytes>,
    pub(crate) headers: Vec<(&'static str, &'static str)>,
}

impl Ask {
    pub(crate) fn get(n: usize) -> Self {
        Self {
            method: Method::GET,
            url: "http://app/".to_owned(),
            id: format!("get-{n}"),
            body: Bytes::new(),
            streams: false,
            panics: false,
            expected: None,
            headers: Vec::new(),
        }
    }

    /// Every second one streams.
    pub(crate) fn post(n: usize, body: &Bytes) -> Self {
        let (method, id) = (Method::POST, format!("post-{n}"));
        Self { method, id, body: body.clone(), streams: n.is_multiple_of(2), ..Self::get(n) }
    }

    pub(crate) fn to(self, url: &str) -> Self {
        Self { url: url.to_owned(), ..self }
    }

    pub(crate) fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(crate) fn request(&self) -> Request<Body> {
        let body = match self {
            Self { panics: true, body, .. } => panicking(body.slice(..body.len() / 2)),
            Self { streams: true, body, .. } => streaming(body),
            Self { body, .. } => Body::full(body.clone()),
        };
        let mut request = Request::builder().method(self.method.clone()).uri(&self.url).header(ID, &self.id);
        for (name, value) in &self.headers {
            request = request.header(*name, *value);
        }
        request.body(body).unwrap()
    }
}

/// A body that panics in place of its second piece.
fn panicking(piece: Bytes) -> Body {
    let pieces = futures_util::stream::iter(0..2).then(move |n| {
        let piece = piece.clone();
        async move {
            tokio::task::yield_now().await;
            assert!(n == 0, "{ON_PURPOSE}");
            Ok::<_, std::convert::Infallible>(Frame::data(piece))
        }
    });
    Body::new(StreamBody::new(pieces))
}

/// A body of which only the next piece is there: of three at least, and of 8 KiB at most.
pub(crate) fn streaming(content: &Bytes) -> Body {
    let mut left = content.clone();
    let most = (content.len() / 3 + 1).min(8 * 1024);
    let pieces = std::iter::from_fn(move || {
        let piece = left.split_to(left.len().min(most));
        (!piece.is_empty()).then(|| Ok::<_, std::convert::Infallible>(Frame::data(piece)))
    });
    Body::new(StreamBody::new(futures_util::stream::iter(pieces)))
}

/// What came of one request.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) id: String,
    pub(crate) method: Method,
    pub(crate) status: u16,
    pub(crate) info: Info,
    pub(crate) took: Duration,
    /// Whether the answer's body came to its end.
    pub(crate) is_complete: bool,
    /// Its beginning, if it is something else than it should be.
    pub(crate) text: String,
    /// Whether the body is what it should be.
    pub(crate) is_whole: bool,
    pub(crate) hash: String,
}

/// What the mesh says about it: no [`RouteInfo`], which keeps the mesh's clusters alive.
#[derive(Clone, Debug)]
pub(crate) struct Info {
    pub(crate) attempts: usize,
    pub(crate) version: u64,
    pub(crate) flags: String,
    pub(crate) details: &'static str,
    pub(crate) endpoint: Option<String>,
    pub(crate) skipped_retries: u32,
}

impl Info {
    fn of(info: &RouteInfo) -> Self {
        Self {
            attempts: info.attempts() as usize,
            version: info.version(),
            flags: info.flags().to_string(),
            details: info.details(),
            endpoint: info.endpoint().map(ToString::to_string),
            skipped_retries: info.skipped_retries(),
        }
    }
}

impl Outcome {
    /// Without where it came from, which of a good one nobody asks: of so many, that would be a part of what is measured.
    pub(crate) fn bare(mut self) -> Self {
        if self.is_whole {
            self.info.endpoint = None;
        }
        self
    }

    pub(crate) fn is_acknowledged(&self) -> bool {
        self.status == 200 && self.is_complete
    }

    pub(crate) fn flags(&self) -> &str {
        &self.info.flags
    }
}

pub(crate) async fn send(client: &MeshClient, ask: Ask) -> Outcome {
    let began = Instant::now();
    let response = client.send(ask.request()).await;
    let (parts, body) = response.into_parts();
    let body = body.collect().await.ok().map(http_body_util::Collected::to_bytes);
    let info = Info::of(parts.extensions.get::<RouteInfo>().expect("every response tells its way"));
    let hash = Hash::of(&ask.body);
    let expected = ask.expected.unwrap_or_else(|| format!("{} {hash}", ask.id).into());
    let status = parts.status.as_u16();
    let is_whole = status != 200 || body.as_ref().is_none_or(|body| *body == expected);
    let beginning = |body: &Bytes| String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
    let text = body.as_ref().filter(|_| !is_whole).map_or_else(String::new, beginning);
    Outcome {
        id: ask.id,
        method: ask.method,
        status,
        info,
        took: began.elapsed(),
        is_complete: body.is_some(),
        text,
        is_whole,
        hash,
    }
}

/// All of a load.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) took: Duration,
}

/// Sends requests, so many at once.
pub(crate) async fn run(client: &MeshClient, at_once: usize, asks: impl IntoIterator<Item = Ask>) -> Tally {
    let began = Instant::now();
    let sent = futures_util::stream::iter(asks).map(|ask| {
        let client = client.clone();
        async move { tokio::spawn(async move { send(&client, ask).await }).await.unwrap() }
    });
    let outcomes = sent.buffer_unordered(at_once).collect().await;
    Tally { outcomes, took: began.elapsed() }
}

impl Tally {
    pub(crate) fn requests(&self) -> usize {
        self.outcomes.len()
    }

    /// Tries of all requests together.
    pub(crate) fn attempts(&self) -> usize {
        self.outcomes.iter().map(|outcome| outcome.info.attempts).sum()
    }

    pub(crate) fn acknowledged(&self) -> usize {
        self.outcomes.iter().filter(|outcome| outcome.is_acknowledged()).count()
    }

    /// Statuses, with the mesh's own reasons.
    pub(crate) fn statuses(&self) -> BTreeMap<(u16, &str, &str), usize> {
        let mut statuses = BTreeMap::new();
        for outcome in &self.outcomes {
            *statuses.entry((outcome.status, outcome.flags(), outcome.info.details)).or_default() += 1;
        }
        statuses
    }

    pub(crate) fn versions(&self) -> BTreeSet<u64> {
        self.outcomes.iter().map(|outcome| outcome.info.version).collect()
    }

    /// Those of one method.
    pub(crate) fn of(&self, method: &Method) -> Self {
        let outcomes = self.outcomes.iter().filter(|outcome| outcome.method == *method).cloned().collect();
        Self { outcomes, took: self.took }
    }

    /// What that share of the requests took at most.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let mut all: Vec<_> = self.outcomes.iter().map(|outcome| outcome.took).collect();
        all.sort_unstable();
        all.get((all.len() * percent / 100).min(all.len().saturating_sub(1))).copied().unwrap_or_default()
    }

    pub(crate) fn join(mut self, other: Self) -> Self {
        self.outcomes.extend(other.outcomes);
        Self { took: self.took.max(other.took), ..self }
    }
}
