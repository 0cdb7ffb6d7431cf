//! Sends requests as the recording's callers did, and notes what came back.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::uri::Uri;
use http::{HeaderMap, Method, Request, Version};
use http_body_util::BodyExt as _;
use mesh_tower::{Body, MeshClient, RouteInfo};

use crate::place::Place;
use crate::record::{Headers, Sort, Step};
use crate::secure;
use crate::upstream::{EMPTY_MESSAGE, MARK, Seen, append, headers_of, read};
use crate::wire::{Framing, Wire, bytes_of, text_of, value_of};

/// A caller gives up after this time.
const PATIENCE: Duration = Duration::from_secs(12);

/// What became of a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// Nothing where there was no whole response.
    pub(crate) status: Option<u16>,
    pub(crate) error: Option<String>,
    pub(crate) headers: Headers,
    pub(crate) trailers: Headers,
    pub(crate) body: String,
    /// What the client said about the way of the request; a gateway says nothing.
    pub(crate) info: Option<Info>,
    pub(crate) seen: Seen,
}

#[derive(Clone, Debug)]
pub(crate) struct Info {
    pub(crate) route: String,
    pub(crate) cluster: Option<String>,
    pub(crate) attempts: u32,
    pub(crate) flags: String,
}

impl Outcome {
    fn failed(error: impl Into<String>) -> Self {
        Self { error: Some(error.into()), ..Self::default() }
    }

    /// What this counts as among others.
    pub(crate) fn sort(&self) -> Sort {
        let grpc = value_of(&self.headers, "grpc-status").or(value_of(&self.trailers, "grpc-status"));
        let info = self.info.as_ref();
        let flags = info.map(|info| info.flags.clone()).unwrap_or_default();
        let cluster = info.and_then(|info| info.cluster.as_deref()).filter(|_| flags != "NC").unwrap_or_default();
        let mut parts = cluster.split('|').skip(2);
        let (subset, host) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        Sort {
            status: self.status.map_or_else(|| "error".into(), |status| status.to_string()),
            grpc: grpc.unwrap_or_default().into(),
            flags,
            host: host.into(),
            subset: subset.into(),
            attempts: self.seen.attempts.len(),
            mirrors: self.seen.mirrored.len(),
        }
    }

    /// With the addresses of the recording.
    pub(crate) fn leave(mut self, place: Place) -> Self {
        let values = self.headers.iter_mut().chain(&mut self.trailers).map(|(_, value)| value);
        let arrivals = self.seen.attempts.iter_mut().chain(&mut self.seen.mirrored);
        let seen = arrivals.flat_map(|arrival| arrival.headers.iter_mut().map(|(_, value)| value));
        values.chain(seen).chain([&mut self.body]).for_each(|text| *text = place.leave(text));
        self
    }
}

/// Whom a request is sent to.
#[derive(Clone, Debug)]
pub(crate) enum Callee {
    Client(MeshClient),
    Gateway(SocketAddr),
}

pub(crate) async fn call(callee: &Callee, step: &Step, mark: &str) -> Outcome {
    let calling = async {
        match callee {
            Callee::Client(client) => through_client(client, step, mark).await,
            Callee::Gateway(address) if step.is_http2() => {
                over_http2(*address, step, mark).await.unwrap_or_else(|error| Outcome::failed(error.to_string()))
            }
            Callee::Gateway(address) => {
                over_http1(*address, step, mark).await.unwrap_or_else(|error| Outcome::failed(error.to_string()))
            }
        }
    };
    let outcome = tokio::time::timeout(PATIENCE, calling).await;
    outcome.unwrap_or_else(|_| Outcome::failed("timeout"))
}

/// The request's own headers and those that its kind has.
fn headers(step: &Step, mark: &str) -> Headers {
    let mut headers = step.headers.clone();
    if step.grpc {
        headers.push(("content-type".into(), "application/grpc".into()));
        headers.push(("te".into(), "trailers".into()));
    }
    headers.push((MARK.into(), mark.into()));
    headers
}

fn body(step: &Step) -> Vec<u8> {
    match &step.body {
        Some(body) => bytes_of(body),
        None if step.grpc => EMPTY_MESSAGE.to_vec(),
        None => Vec::new(),
    }
}

fn request<B>(step: &Step, mark: &str, body: B) -> Result<Request<B>, http::Error> {
    let mut request = Request::new(body);
    let method = if step.grpc { "POST" } else { &step.method };
    *request.method_mut() = Method::from_bytes(method.as_bytes())?;
    let mut headers = headers(step, mark);
    let absolute = format!("http://{}{}", step.authority, step.path).parse::<Uri>();
    match absolute {
        Ok(uri) if step.is_http2() => *request.uri_mut() = uri,
        _ => {
            *request.uri_mut() = step.path.parse()?;
            headers.insert(0, ("host".into(), step.authority.clone()));
        }
    }
    if step.is_http2() {
        *request.version_mut() = Version::HTTP_2;
    } else {
        trim(&mut headers);
    }
    append(request.headers_mut(), &headers);
    Ok(request)
}

/// An HTTP/1 connection carries values without padding.
fn trim(headers: &mut Headers) {
    headers.iter_mut().for_each(|(_, value)| *value = value.trim_matches([' ', '\t']).to_owned());
}

async fn through_client(client: &MeshClient, step: &Step, mark: &str) -> Outcome {
    let request = match request(step, mark, Body::from(body(step))) {
        Ok(request) => request,
        Err(error) => return Outcome::failed(format!("no request of this program can be like that: {error}")),
    };
    let response = client.send(request).await;
    let (parts, body) = response.into_parts();
    let info = parts.extensions.get::<RouteInfo>().map(|info| Info {
        route: info.route_name().to_owned(),
        cluster: info.cluster_name().map(ToOwned::to_owned),
        attempts: info.attempts(),
        flags: info.flags().to_string(),
    });
    let mut headers = headers_of(&parts.headers);
    if !step.is_http2() {
        trim(&mut headers);
    }
    let outcome = Outcome { status: Some(parts.status.as_u16()), headers, info, ..Outcome::default() };
    match body.collect().await {
        Ok(body) => {
            let trailers = body.trailers().map(headers_of).unwrap_or_default();
            Outcome { trailers, body: text_of(&body.to_bytes()), ..outcome }
        }
        Err(error) => Outcome { status: None, error: Some(error.to_string()), ..outcome },
    }
}

async fn over_http1(address: SocketAddr, step: &Step, mark: &str) -> io::Result<Outcome> {
    let mut wire = Wire::new(secure::connect(address, step).await?);
    let body = body(step);
    let mut text = format!("{} {} HTTP/1.1\r\nhost: {}\r\n", step.method, step.path, step.authority);
    for (name, value) in headers(step, mark) {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        text.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    text.push_str("\r\n");
    let mut bytes = bytes_of(&text);
    bytes.extend(body);
    wire.write(&bytes).await?;
    let Some(head) = wire.head().await? else { return Ok(Outcome::failed("closed")) };
    let status = head.start.split(' ').nth(1).and_then(|status| status.parse().ok());
    let bodiless = step.method == "HEAD" || matches!(status, Some(100..200 | 204 | 304));
    let framing = if bodiless { Framing::Length(0) } else { Framing::of(&head.headers, Framing::ToTheEnd) };
    let (body, trailers) = wire.body(framing).await?;
    Ok(Outcome { status, headers: head.headers, trailers, body: text_of(&body), ..Outcome::default() })
}

async fn over_http2(address: SocketAddr, step: &Step, mark: &str) -> Result<Outcome, Box<dyn std::error::Error>> {
    let (sender, connection) = h2::client::handshake(secure::connect(address, step).await?).await?;
    let connection = tokio::spawn(connection);
    let mut sender = sender.ready().await?;
    let body = body(step);
    let (response, mut stream) = sender.send_request(request(step, mark, ())?, body.is_empty())?;
    if !body.is_empty() {
        stream.send_data(Bytes::from(body), true)?;
    }
    let (parts, stream) = response.await?.into_parts();
    let (body, trailers) = read(stream).await?;
    connection.abort();
    Ok(Outcome {
        status: Some(parts.status.as_u16()),
        headers: headers_of(&parts.headers),
        trailers: trailers.as_ref().map(|trailers: &HeaderMap| headers_of(trailers)).unwrap_or_default(),
        body: text_of(&body),
        ..Outcome::default()
    })
}
