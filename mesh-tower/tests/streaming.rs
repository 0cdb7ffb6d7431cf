//! Bodies that stream both ways, on HTTP/1.1 and HTTP/2, through the client and through a gateway: whole, in step with
//! their readers, and given up on both sides when one side gives up.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests say what they expect")]

#[path = "support/content.rs"]
mod content;
#[path = "streaming/raw.rs"]
mod raw;
#[path = "streaming/world.rs"]
mod world;

mod documents;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::HeaderMap;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use hyper_util::rt::{TokioExecutor, TokioIo};
use mesh_tower::Body;
use tokio::net::TcpStream;

use world::{
    Hash, ONE, PLAIN, PROTOCOLS, TINY, World, channel, content, eventually, pieces, post, settled, tiny, tiny_text,
};

/// Reads so many bytes of a body.
async fn read(body: &mut Body, length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < length {
        let frame = tokio::time::timeout(Duration::from_secs(5), body.frame()).await.expect("a piece in time");
        bytes.extend_from_slice(frame.expect("there is more").unwrap().data_ref().expect("it is data"));
    }
    bytes
}

#[tokio::test]
async fn a_piece_is_answered_before_the_next_is_sent_and_trailers_pass_both_ways() {
    for protocol in PROTOCOLS {
        let world = World::start(protocol, PLAIN, "name: app").await;
        let (pieces, body) = channel();
        let mut response = world.client().send(post("/echo", body)).await;
        assert_eq!(response.status(), 200, "{protocol}");
        let (mut all, body) = (Hash::new(), response.body_mut());
        for n in 0..100 {
            let piece = format!("piece {n}");
            all.feed(piece.as_bytes());
            pieces.send(Ok(Frame::data(piece.clone().into()))).await.unwrap();
            assert_eq!(read(body, piece.len()).await, piece.as_bytes(), "{protocol}");
        }
        let trailers = HeaderMap::from_iter([("x-asked".parse().unwrap(), "so".parse().unwrap())]);
        pieces.send(Ok(Frame::trailers(trailers))).await.unwrap();
        drop(pieces);
        let end = response.into_body().collect().await.unwrap();
        let trailers = end.trailers().unwrap_or_else(|| panic!("{protocol}: there are trailers"));
        assert_eq!(
            (&trailers["x-asked"], trailers["x-hash"].to_str().unwrap()),
            (&"so".parse().unwrap(), &*all.text())
        );
        assert!(end.to_bytes().is_empty());
    }
}

const LARGE: usize = 8 * 1024 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_bodies_arrive_whole_both_ways() {
    let content = content(LARGE);
    // Where a rule may try again or mirrors, bodies go another way, and these are too long to be kept.
    for rule in ["name: app", "retries: {attempts: 2, retryOn: 5xx}", "mirror: {host: app}"] {
        for protocol in PROTOCOLS {
            let world = World::start(protocol, PLAIN, rule).await;
            for body in [Body::new(StreamBody::new(pieces(&content))), Body::full(content.clone())] {
                let response = world.client().send(post("/echo", body)).await;
                let got = response.into_body().collect().await.unwrap();
                let hash = got.trailers().map(|trailers| trailers["x-hash"].to_str().unwrap().to_owned());
                assert!(got.to_bytes() == content, "{protocol}, {rule}: not the same bytes");
                assert_eq!(hash, Some(Hash::of(&content)), "{protocol}, {rule}");
            }
        }
    }
}

/// A connection to a gateway, of a client that knows nothing of meshes.
async fn http1(address: SocketAddr) -> hyper::client::conn::http1::SendRequest<Body> {
    let io = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn http2(address: SocketAddr) -> hyper::client::conn::http2::SendRequest<Body> {
    let io = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    sender
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_bodies_with_trailers_pass_a_gateway_from_either_protocol_to_either() {
    let content = content(LARGE);
    for protocol in PROTOCOLS {
        let world = World::start(protocol, PLAIN, "name: app").await;
        let (_gateway, address) = world.gateway().await;
        for from in PROTOCOLS {
            let trailers = HeaderMap::from_iter([("x-asked".parse().unwrap(), "so".parse().unwrap())]);
            let frames = pieces(&content).chain(futures_util::stream::iter([Ok(Frame::trailers(trailers))]));
            let mut request = post("/echo", Body::new(StreamBody::new(frames)));
            *request.uri_mut() = "http://app.example.com/echo".parse().unwrap();
            let response = if from == "HTTP2" {
                http2(address).await.send_request(request).await.unwrap()
            } else {
                *request.uri_mut() = "/echo".parse().unwrap();
                request.headers_mut().insert("host", "app.example.com".parse().unwrap());
                http1(address).await.send_request(request).await.unwrap()
            };
            let got = response.into_body().collect().await.unwrap();
            let trailers = got.trailers().unwrap_or_else(|| panic!("{from} to {protocol}: there are trailers")).clone();
            assert!(got.to_bytes() == content, "{from} to {protocol}: not the same bytes");
            assert_eq!(trailers["x-asked"], "so");
            assert_eq!(trailers["x-hash"].to_str().unwrap(), Hash::of(&content));
        }
    }
}

#[tokio::test]
async fn an_answer_before_the_end_of_the_request_stops_the_sending() {
    for protocol in PROTOCOLS {
        let world = World::start(protocol, ONE, "name: app").await;
        for _ in 0..3 {
            let (pieces, body) = channel();
            pieces.send(Ok(Frame::data(Bytes::from_static(b"first")))).await.unwrap();
            let response = world.client().send(post("/early", body)).await;
            assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "early", "{protocol}");
            let stopped = tokio::time::timeout(Duration::from_secs(5), pieces.closed()).await;
            assert!(stopped.is_ok(), "{protocol}: the rest of the request is still wanted");
            assert_eq!(world.get("/").await, (200, "hello".to_owned()), "{protocol}");
        }
    }
}

#[tokio::test]
async fn a_response_that_is_dropped_gives_everything_back() {
    for protocol in PROTOCOLS {
        let world = World::start(protocol, ONE, "name: app").await;
        for _ in 0..3 {
            let request = http::Request::get("http://app/endless").body(Body::empty()).unwrap();
            let mut response = world.client().send(request).await;
            read(response.body_mut(), 100_000).await;
            assert_eq!(world.get("/").await.0, 503, "{protocol}: the slot is taken");
            drop(response);
            eventually("the endpoint is told", || world.seen.under_way() == 0).await;
            assert_eq!(world.get("/").await.0, 200, "{protocol}");
        }
    }
}

#[tokio::test]
async fn a_response_that_is_dropped_ends_a_request_that_is_still_being_sent() {
    for protocol in PROTOCOLS {
        let world = World::start(protocol, ONE, "name: app").await;
        let (pieces, body) = channel();
        let mut response = world.client().send(post("/echo", body)).await;
        pieces.send(Ok(Frame::data(Bytes::from_static(b"first")))).await.unwrap();
        assert_eq!(read(response.body_mut(), 5).await, b"first");
        assert_eq!(world.get("/").await.0, 503, "{protocol}: the slot is taken");
        drop(response);
        let stopped = tokio::time::timeout(Duration::from_secs(5), pieces.closed()).await;
        assert!(stopped.is_ok(), "{protocol}: the rest of the request is still wanted");
        eventually("the endpoint is told", || world.seen.under_way() == 0).await;
        assert_eq!(world.get("/").await.0, 200, "{protocol}");
    }
}

#[tokio::test]
async fn a_call_that_is_dropped_gives_everything_back() {
    for protocol in PROTOCOLS {
        let world = World::start(protocol, ONE, "name: app").await;
        let (pieces, body) = channel();
        pieces.send(Ok(Frame::data(Bytes::from_static(b"first")))).await.unwrap();
        let empty = Body::empty();
        for (body, pieces) in [(empty, None), (body, Some(pieces))] {
            let calling = tokio::spawn(world.client().send(post("/never", body)));
            eventually("it arrives", || world.seen.under_way() == 1).await;
            assert_eq!(world.get("/").await.0, 503, "{protocol}: the slot is taken");
            calling.abort();
            eventually("the endpoint is told", || world.seen.under_way() == 0).await;
            assert_eq!(world.get("/").await.0, 200, "{protocol}");
            if let Some(pieces) = pieces {
                let stopped = tokio::time::timeout(Duration::from_secs(5), pieces.closed()).await;
                assert!(stopped.is_ok(), "{protocol}: the rest of the request is still wanted");
            }
        }
    }
}

#[tokio::test]
async fn a_caller_of_the_gateway_that_is_gone_gives_everything_back() {
    for protocol in PROTOCOLS {
        let world = World::start(protocol, ONE, "name: app").await;
        let (_gateway, address) = world.gateway().await;
        for path in ["/never", "/endless"] {
            let request = http::Request::get(format!("http://app.example.com{path}")).body(Body::empty()).unwrap();
            let mut sender = http2(address).await;
            let calling = tokio::spawn(async move {
                let mut response = sender.send_request(request).await.unwrap();
                while response.body_mut().frame().await.is_some() {}
            });
            eventually("it arrives", || world.seen.under_way() == 1).await;
            calling.abort();
            eventually("the endpoint is told", || world.seen.under_way() == 0).await;
            world.answers_again().await;
            let stream = raw::request(address, &format!("GET {path} HTTP/1.1\r\nhost: app.example.com\r\n\r\n")).await;
            eventually("it arrives", || world.seen.under_way() == 1).await;
            drop(stream);
            eventually("the endpoint is told", || world.seen.under_way() == 0).await;
            world.answers_again().await;
        }
    }
}

/// More than what sockets and windows hold on this way, far less than an endless body.
const BOUND: u64 = 32 * 1024 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_slowly_slows_the_one_who_sends() {
    for protocol in PROTOCOLS {
        let world = World::start(protocol, PLAIN, "name: app").await;
        let request = http::Request::get("http://app/endless").body(Body::empty()).unwrap();
        let mut response = world.client().send(request).await;
        read(response.body_mut(), 1).await;
        let stood = settled(|| world.seen.produced()).await;
        assert!(stood < BOUND, "{protocol}: {stood} bytes for one that were read");
        read(response.body_mut(), BOUND as usize).await;
        assert!(world.seen.produced() >= BOUND, "{protocol}: reading on lets it go on");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_does_not_read_slows_its_caller() {
    for rule in ["name: app", "retries: {attempts: 2, retryOn: 5xx}", "mirror: {host: app}"] {
        for protocol in PROTOCOLS {
            let world = World::start(protocol, PLAIN, rule).await;
            let taken = Arc::new(AtomicU64::new(0));
            let counted = Arc::clone(&taken);
            let piece = Bytes::from(vec![b'x'; 16 * 1024]);
            let frames = futures_util::stream::repeat(()).map(move |()| {
                counted.fetch_add(piece.len() as u64, Ordering::SeqCst);
                Ok::<_, std::convert::Infallible>(Frame::data(piece.clone()))
            });
            let calling = tokio::spawn(world.client().send(post("/hold", Body::new(StreamBody::new(frames)))));
            eventually("it arrives", || world.seen.under_way() > 0).await;
            let stood = settled(|| taken.load(Ordering::SeqCst)).await;
            assert!(stood < BOUND, "{protocol}, {rule}: {stood} bytes taken of which none was read");
            calling.abort();
            // On HTTP/1.1 who does not read does not see that the connection has ended either.
            if protocol == "HTTP2" {
                eventually("the endpoint is told", || world.seen.under_way() == 0).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_read_holds_nobody_else_up() {
    for protocol in PROTOCOLS {
        let world = World::start(protocol, PLAIN, "name: app").await;
        let endless = || http::Request::get("http://app/endless").body(Body::empty()).unwrap();
        let unread = [world.client().send(endless()).await, world.client().send(endless()).await];
        let holding: Vec<_> = (0..2)
            .map(|_| {
                let content = content(4 * 1024 * 1024);
                tokio::spawn(world.client().send(post("/hold", Body::new(StreamBody::new(pieces(&content))))))
            })
            .collect();
        eventually("they arrive", || world.seen.under_way() == 4).await;
        settled(|| world.seen.produced()).await;
        let content = content(100_000);
        for _ in 0..20 {
            let response = world.client().send(post("/echo", Body::new(StreamBody::new(pieces(&content)))));
            let response = tokio::time::timeout(Duration::from_secs(5), response).await.expect("an answer");
            let body = tokio::time::timeout(Duration::from_secs(5), response.into_body().collect()).await;
            assert!(body.expect("a whole answer").unwrap().to_bytes() == content, "{protocol}");
        }
        drop(unread);
        holding.iter().for_each(tokio::task::JoinHandle::abort);
        if protocol == "HTTP2" {
            assert_eq!(world.seen.connections(), 1, "they share a connection");
            eventually("all is over", || world.seen.under_way() == 0).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn very_many_very_small_pieces_wait_for_a_reader_who_comes_late() {
    for protocol in PROTOCOLS {
        let world = World::start(protocol, PLAIN, "name: app").await;
        let request = http::Request::get("http://app/tiny").body(Body::empty()).unwrap();
        let response = world.client().send(request).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        let got = response.into_body().collect().await.unwrap_or_else(|error| panic!("{protocol}: {error:?}"));
        assert!(got.to_bytes() == tiny_text(TINY), "{protocol}");
        let body = Body::new(StreamBody::new(tiny(TINY).map(|piece| piece.map(Frame::data))));
        let response = world.client().send(post("/slow-hash", body)).await;
        let got = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(got, Hash::of(tiny_text(TINY).as_bytes()), "{protocol}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_an_error_and_never_a_shorter_body() {
    for protocol in PROTOCOLS {
        let world = World::start(protocol, ONE, "name: app").await;
        let (_gateway, address) = world.gateway().await;
        let request = http::Request::get("http://app/broken").body(Body::empty()).unwrap();
        let mut response = world.client().send(request).await;
        assert_eq!(read(response.body_mut(), 4).await, b"half");
        assert!(response.into_body().collect().await.is_err(), "{protocol}");
        world.answers_again().await;
        let request = http::Request::get("http://app.example.com/broken").body(Body::empty()).unwrap();
        let response = http2(address).await.send_request(request).await.unwrap();
        assert!(response.into_body().collect().await.is_err(), "{protocol} through the gateway, HTTP/2");
        let request = http::Request::get("/broken").header("host", "app.example.com").body(Body::empty()).unwrap();
        let response = http1(address).await.send_request(request).await.unwrap();
        assert!(response.into_body().collect().await.is_err(), "{protocol} through the gateway, HTTP/1.1");
    }
}

#[tokio::test]
async fn a_request_whose_body_fails_is_never_taken_for_whole() {
    for protocol in PROTOCOLS {
        let world = World::start(protocol, ONE, "name: app").await;
        let frames = [Ok(Frame::data(Bytes::from_static(b"half"))), Err("broken")];
        let body = Body::new(StreamBody::new(futures_util::stream::iter(frames)));
        let response = world.client().send(post("/hash", body)).await;
        assert!(response.status().is_server_error() || response.status() == 400, "{protocol}: {}", response.status());
        drop(response);
        eventually("it is over", || world.seen.under_way() == 0).await;
        world.answers_again().await;
    }
}
