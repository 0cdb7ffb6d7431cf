//! What only shows byte by byte: HTTP/1.1 endpoints and callers that do as no library does.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use http_body_util::BodyExt as _;
use mesh_tower::{Body, Mesh, RouteInfo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::world::{Hash, ONE, PLAIN, PROTOCOLS, World, channel, content, eventually, get, mesh, post};

/// Sends the text of a request.
pub(crate) async fn request(address: SocketAddr, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

/// Reads until `end` has come, or the connection ends.
async fn read_to(stream: &mut TcpStream, end: &str) -> String {
    let mut got = Vec::new();
    let reading = async {
        while !got.ends_with(end.as_bytes()) {
            let mut byte = [0];
            if stream.read(&mut byte).await.unwrap() == 0 {
                break;
            }
            got.push(byte[0]);
        }
    };
    tokio::time::timeout(Duration::from_secs(5), reading).await.unwrap_or_else(|_| panic!("no {end:?} in time"));
    String::from_utf8(got).unwrap()
}

/// What an endpoint does after its answer.
#[derive(Clone, Copy, PartialEq)]
enum Then {
    Closes,
    Reads,
    Sits,
}

/// An endpoint that answers the first head of each connection with some bytes; one that sits answers
/// requests without a body until one has a body.
struct Script {
    mesh: Mesh,
    opened: Arc<AtomicU32>,
    closed: Arc<AtomicU32>,
}

impl Script {
    async fn start(answer: &'static str, then: Then) -> Self {
        Self::with(answer, then, ONE).await
    }

    async fn with(answer: &'static str, then: Then, policy: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (opened, closed) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let (opening, closing) = (Arc::clone(&opened), Arc::clone(&closed));
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                opening.fetch_add(1, Ordering::SeqCst);
                let closing = Arc::clone(&closing);
                tokio::spawn(async move {
                    let mut head = read_to(&mut stream, "\r\n\r\n").await;
                    stream.write_all(answer.as_bytes()).await.unwrap();
                    let mut buffer = [0; 1024];
                    if then == Then::Sits {
                        while head.starts_with("GET ") {
                            head = read_to(&mut stream, "\r\n\r\n").await;
                            stream.write_all(answer.as_bytes()).await.unwrap();
                        }
                        std::future::pending::<()>().await;
                    }
                    while then == Then::Reads && stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
                    closing.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        Self { mesh: mesh("HTTP", port, policy, "name: app").await, opened, closed }
    }

    fn opened(&self) -> u32 {
        self.opened.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn a_connection_whose_request_was_not_sent_to_its_end_serves_no_other() {
    let script = Script::start("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nearly", Then::Reads).await;
    for turn in 1..=3 {
        let (pieces, body) = channel();
        pieces.send(Ok(Frame::data(Bytes::from_static(b"first")))).await.unwrap();
        let sending = script.mesh.client().send(post("/", body));
        let response = tokio::time::timeout(Duration::from_secs(5), sending).await.expect("an answer");
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "early");
        let stopped = tokio::time::timeout(Duration::from_secs(5), pieces.closed()).await;
        assert!(stopped.is_ok(), "the rest of the request is still wanted");
        eventually("the connection is closed", || script.closed.load(Ordering::SeqCst) == turn).await;
        assert_eq!(script.opened(), turn);
    }
    assert_eq!(get(&script.mesh, "/").await, (200, "early".to_owned()));
}

#[tokio::test]
async fn an_early_answer_of_headers_alone_stops_the_sending_too() {
    let script = Script::start("HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n", Then::Reads).await;
    let (pieces, body) = channel();
    pieces.send(Ok(Frame::data(Bytes::from_static(b"first")))).await.unwrap();
    let sending = script.mesh.client().send(post("/", body));
    let response = tokio::time::timeout(Duration::from_secs(5), sending).await.expect("an answer");
    assert_eq!(response.status(), 413);
    tokio::time::timeout(Duration::from_secs(5), pieces.closed()).await.expect("the rest is not wanted");
    assert_eq!(get(&script.mesh, "/").await.0, 413);
    assert_eq!(script.opened(), 2);
}

#[tokio::test]
async fn a_connection_that_still_writes_when_its_answer_is_there_is_given_up() {
    let answer = "HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno";
    let script = Script::with(answer, Then::Sits, "connectionPool: {tcp: {maxConnections: 1}}").await;
    // More than the system takes for a peer that does not read.
    let large = content(16 * 1024 * 1024);
    for _ in 0..2 {
        let response = script.mesh.client().send(post("/", Body::full(large.clone()))).await;
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "no");
        assert_eq!(get(&script.mesh, "/").await, (413, "no".to_owned()));
    }
    // Given up while it writes, it makes room too.
    let response = script.mesh.client().send(post("/", Body::full(large.clone()))).await;
    drop(response);
    assert_eq!(get(&script.mesh, "/").await, (413, "no".to_owned()));
}

#[tokio::test]
async fn informational_answers_are_no_answers() {
    let script = Script::start(
        "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        Then::Reads,
    )
    .await;
    assert_eq!(get(&script.mesh, "/").await, (200, "ok".to_owned()));
}

#[tokio::test]
async fn a_connection_that_ends_within_a_body_makes_the_body_fail() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n8\r\nhalf",
    ] {
        let script = Script::start(answer, Then::Closes).await;
        for _ in 0..2 {
            let request = http::Request::get("http://app/").body(Body::empty()).unwrap();
            let response = script.mesh.client().send(request).await;
            assert_eq!(response.status(), 200, "the slot of the one before is free");
            assert!(response.into_body().collect().await.is_err(), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn a_body_without_a_length_ends_with_its_connection() {
    let script = Script::start("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nall there is", Then::Closes).await;
    assert_eq!(get(&script.mesh, "/").await, (200, "all there is".to_owned()));
    assert_eq!(get(&script.mesh, "/").await, (200, "all there is".to_owned()));
}

#[tokio::test]
async fn what_is_not_http_is_a_bad_gateway() {
    let script = Script::start("SSH-2.0-OpenSSH_9.2\r\n\r\n", Then::Reads).await;
    let request = http::Request::get("http://app/").body(Body::empty()).unwrap();
    let response = script.mesh.client().send(request).await;
    assert_eq!(response.status(), 502);
    assert_eq!(response.extensions().get::<RouteInfo>().unwrap().flags().to_string(), "UPE");
}

const EXPECTING: &str =
    "host: app.example.com\r\nexpect: 100-continue\r\ncontent-length: 5\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn who_asks_whether_to_go_on_is_told_and_goes_on() {
    for protocol in PROTOCOLS {
        let world = World::start(protocol, PLAIN, "name: app").await;
        let (_gateway, address) = world.gateway().await;
        let mut stream = request(address, &format!("POST /hash HTTP/1.1\r\n{EXPECTING}")).await;
        let go_on = read_to(&mut stream, "\r\n\r\n").await;
        assert!(go_on.starts_with("HTTP/1.1 100 "), "{protocol}: {go_on}");
        stream.write_all(b"hello").await.unwrap();
        let answer = read_to(&mut stream, "no end but that of the connection").await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains(&Hash::of(b"hello")), "{protocol}: {answer}");
    }
}

#[tokio::test]
async fn who_goes_on_without_being_told_is_understood() {
    let world = World::start("HTTP", PLAIN, "name: app").await;
    let (_gateway, address) = world.gateway().await;
    let mut stream = request(address, &format!("POST /hash HTTP/1.1\r\n{EXPECTING}hello")).await;
    let answer = read_to(&mut stream, "no end but that of the connection").await;
    assert!(answer.contains("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test]
async fn an_endpoint_that_refuses_is_not_sent_the_body() {
    let world = World::start("HTTP", PLAIN, "name: app").await;
    let (_gateway, address) = world.gateway().await;
    let mut stream = request(address, &format!("POST /refuse HTTP/1.1\r\n{EXPECTING}")).await;
    let answer = read_to(&mut stream, "no end but that of the connection").await;
    // Whether to go on is the endpoint's to say, and it said no.
    assert!(answer.starts_with("HTTP/1.1 417 "), "{answer}");
}

#[tokio::test]
async fn an_endpoint_that_never_says_whether_to_go_on_gets_the_body_after_a_while() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_to(&mut stream, "\r\n\r\nhello").await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
        read_to(&mut stream, "no end but that of the connection").await;
    });
    let mesh = mesh("HTTP", port, PLAIN, "name: app").await;
    let request =
        http::Request::post("http://app/").header("expect", "100-continue").body(Body::from("hello")).unwrap();
    let response = tokio::time::timeout(Duration::from_secs(4), mesh.client().send(request)).await.expect("an answer");
    assert_eq!(response.status(), 200);
}
