//! Asking through a mesh's own client.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use http::{HeaderMap, Request};
use http_body_util::BodyExt as _;
use mesh_tower::{Body, MeshClient, RouteInfo};
use tokio::time::Instant;

/// What came back, and why.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    pub(crate) info: RouteInfo,
    pub(crate) took: Duration,
}

impl Answer {
    /// A header's value, empty without it.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// What the upstream says it got; nothing if none answered.
    pub(crate) fn echo(&self, field: &str) -> String {
        let echo: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_default();
        echo[field].as_str().unwrap_or_default().to_owned()
    }

    /// The name of the upstream that answered; empty if none did.
    pub(crate) fn by(&self) -> String {
        self.echo("name")
    }

    pub(crate) fn flags(&self) -> String {
        self.info.flags().to_string()
    }
}

/// Headers of a request.
pub(crate) type Lines<'a> = &'a [(&'a str, &'a str)];

pub(crate) async fn ask(client: &MeshClient, url: &str, lines: Lines<'_>) -> Answer {
    let mut request = Request::get(url);
    for (name, value) in lines {
        request = request.header(*name, *value);
    }
    send(client, request.body(Body::empty()).unwrap()).await
}

pub(crate) async fn send(client: &MeshClient, request: Request<Body>) -> Answer {
    let began = Instant::now();
    let response = client.send(request).await;
    let (parts, body) = response.into_parts();
    let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    let info = parts.extensions.get::<RouteInfo>().expect("every response tells its way").clone();
    Answer { status: parts.status.as_u16(), headers: parts.headers, body, info, took: began.elapsed() }
}

/// Asks many times, eight at once, and tells who answered how often.
pub(crate) async fn shares(
    client: &MeshClient,
    url: &str,
    lines: Lines<'_>,
    requests: usize,
) -> BTreeMap<String, usize> {
    let asked = futures_util::stream::iter(0..requests).map(|_| ask(client, url, lines));
    let answers: Vec<Answer> = asked.buffer_unordered(8).collect().await;
    let mut shares = BTreeMap::new();
    for answer in answers {
        assert_eq!(answer.status, 200, "{}", answer.body);
        *shares.entry(answer.by()).or_default() += 1;
    }
    shares
}
