//! Pools against real sockets.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use mesh_core::Failure;
use mesh_core::limits::Limits;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

/// A server that says on which connection, counted from 1, a request came.
struct Server {
    address: SocketAddr,
    connections: Arc<AtomicU32>,
}

impl Server {
    async fn start(streams: Option<u32>, delay: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&connections);
        tokio::spawn(async move {
            loop {
                let (io, _) = listener.accept().await.unwrap();
                let number = counted.fetch_add(1, Ordering::SeqCst) + 1;
                let answer = service_fn(move |_| async move {
                    tokio::time::sleep(delay).await;
                    Ok::<_, Infallible>(http::Response::new(Full::new(bytes::Bytes::from(number.to_string()))))
                });
                let mut builder = auto::Builder::new(TokioExecutor::new());
                builder.http2().max_concurrent_streams(streams);
                tokio::spawn(async move { builder.serve_connection(TokioIo::new(io), answer).await.map_err(drop) });
            }
        });
        Self { address, connections }
    }

    fn opened(&self) -> u32 {
        self.connections.load(Ordering::SeqCst)
    }
}

fn pool_with(address: SocketAddr, spec: PoolSpec, limits: Limits) -> (Arc<EndpointPool>, Arc<Permits>) {
    let permits = Permits::new(limits);
    let options = PoolOptions { connect_timeout: Duration::from_secs(1), pool: spec };
    (EndpointPool::new(EndpointAddress::Socket(address), options, Arc::clone(&permits)), permits)
}

fn pool(address: SocketAddr) -> Arc<EndpointPool> {
    pool_with(address, PoolSpec::default(), Limits::default()).0
}

fn request() -> Request<Body> {
    Request::get("http://app/").body(Body::empty()).unwrap()
}

/// Sends one request and reads its answer: the number of the connection.
async fn ask(pool: &EndpointPool, protocol: Protocol) -> Result<String, Failure> {
    let checkout = pool.checkout(protocol).await.map_err(|error| error.failure())?;
    let (response, lease) = checkout.send(request()).await.map_err(|unanswered| unanswered.error.failure())?;
    let body = response.into_body().collect().await.unwrap().to_bytes();
    lease.finish();
    Ok(String::from_utf8(body.to_vec()).unwrap())
}

const BOTH: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];

#[tokio::test]
async fn a_connection_serves_one_request_after_the_other() {
    for protocol in BOTH {
        let server = Server::start(None, Duration::ZERO).await;
        let pool = pool(server.address);
        for _ in 0..5 {
            assert_eq!(ask(&pool, protocol).await.unwrap(), "1");
        }
        assert_eq!((server.opened(), pool.open()), (1, 1));
    }
}

#[tokio::test]
async fn a_connection_is_closed_after_its_number_of_requests() {
    for protocol in BOTH {
        let server = Server::start(None, Duration::ZERO).await;
        let spec = PoolSpec { max_requests_per_connection: 2, ..PoolSpec::default() };
        let (pool, _) = pool_with(server.address, spec, Limits::default());
        let mut served = Vec::new();
        for _ in 0..5 {
            served.push(ask(&pool, protocol).await.unwrap());
        }
        assert_eq!(served, ["1", "1", "2", "2", "3"], "{protocol:?}");
    }
}

#[tokio::test]
async fn at_the_limit_a_request_waits_for_the_next_free_connection() {
    let server = Server::start(None, Duration::from_millis(20)).await;
    let limits = Limits { connections: 1, ..Limits::default() };
    let (pool, permits) = pool_with(server.address, PoolSpec::default(), limits);
    let all = futures_util::future::join_all((0..8).map(|_| ask(&pool, Protocol::Http1))).await;
    assert!(all.iter().all(|answer| answer.as_deref() == Ok("1")), "{all:?}");
    assert_eq!(permits.in_use(Limit::PendingRequests), 0);
}

#[tokio::test]
async fn who_may_not_wait_is_refused_at_once() {
    let server = Server::start(None, Duration::from_millis(50)).await;
    let limits = Limits { connections: 1, pending_requests: 1, ..Limits::default() };
    let (pool, permits) = pool_with(server.address, PoolSpec::default(), limits);
    let first = ask(&pool, Protocol::Http1);
    let others = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        futures_util::future::join_all((0..3).map(|_| ask(&pool, Protocol::Http1))).await
    };
    let (first, others) = tokio::join!(first, others);
    assert_eq!(first.unwrap(), "1");
    let refused = others.iter().filter(|answer| **answer == Err(Failure::Overflow(Limit::PendingRequests))).count();
    assert_eq!((others.len() - refused, refused), (1, 2));
    assert_eq!(permits.in_use(Limit::PendingRequests), 0);
}

#[tokio::test]
async fn an_endpoint_may_always_have_one_connection() {
    let server = Server::start(None, Duration::ZERO).await;
    let limits = Limits { connections: 0, ..Limits::default() };
    let (pool, permits) = pool_with(server.address, PoolSpec::default(), limits);
    assert_eq!(ask(&pool, Protocol::Http1).await.unwrap(), "1");
    assert_eq!(permits.in_use(Limit::Connections), 1);
}

#[tokio::test]
async fn streams_share_a_connection_until_the_peer_allows_no_more() {
    let server = Server::start(Some(2), Duration::from_millis(40)).await;
    let pool = pool(server.address);
    // What the peer allows is known once its settings were read, with the second request at the latest.
    for _ in 0..2 {
        ask(&pool, Protocol::Http2).await.unwrap();
    }
    let mut served = futures_util::future::join_all((0..4).map(|_| ask(&pool, Protocol::Http2))).await;
    served.sort_by_key(|answer| answer.clone().unwrap());
    let numbers: Vec<_> = served.into_iter().map(Result::unwrap).collect();
    assert_eq!(numbers, ["1", "1", "2", "2"]);
}

#[tokio::test]
async fn who_waits_for_a_stream_at_the_limit_of_connections_gets_the_next_that_ends() {
    let server = Server::start(Some(1), Duration::from_millis(10)).await;
    let limits = Limits { connections: 1, ..Limits::default() };
    let spec = PoolSpec { max_concurrent_streams: 1, ..PoolSpec::default() };
    let (pool, permits) = pool_with(server.address, spec, limits);
    let all = futures_util::future::join_all((0..6).map(|_| ask(&pool, Protocol::Http2)));
    let all = tokio::time::timeout(Duration::from_secs(5), all).await.expect("nobody is forgotten");
    assert!(all.iter().all(|answer| answer.as_deref() == Ok("1")), "{all:?}");
    assert_eq!(permits.in_use(Limit::PendingRequests), 0);
}

#[tokio::test]
async fn a_response_that_is_not_read_closes_its_connection() {
    let server = Server::start(None, Duration::ZERO).await;
    let pool = pool(server.address);
    let checkout = pool.checkout(Protocol::Http1).await.unwrap();
    drop(checkout.send(request()).await.unwrap());
    assert_eq!(ask(&pool, Protocol::Http1).await.unwrap(), "2");
}

#[tokio::test]
async fn the_pools_end_closes_its_connections() {
    let server = Server::start(None, Duration::ZERO).await;
    let (pool, permits) = pool_with(server.address, PoolSpec::default(), Limits::default());
    ask(&pool, Protocol::Http1).await.unwrap();
    ask(&pool, Protocol::Http2).await.unwrap();
    assert_eq!(permits.in_use(Limit::Connections), 2);
    drop(pool);
    while permits.in_use(Limit::Connections) > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_idle_connection_grows_too_old() {
    let server = Server::start(None, Duration::ZERO).await;
    let spec = PoolSpec { idle_timeout: Some(Duration::ZERO), ..PoolSpec::default() };
    let (pool, _) = pool_with(server.address, spec, Limits::default());
    assert_eq!(ask(&pool, Protocol::Http1).await.unwrap(), "1");
    assert_eq!(ask(&pool, Protocol::Http1).await.unwrap(), "2");
}

/// A listener whose connections get `answer` and are then closed.
async fn rude(answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut io, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let _ = io.read(&mut [0; 1024]).await;
                let _ = io.write_all(answer).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn failures_are_told_apart() {
    let refused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert_eq!(ask(&pool(refused), Protocol::Http1).await, Err(Failure::ConnectFailed));
    assert_eq!(ask(&pool(rude(b"").await), Protocol::Http1).await, Err(Failure::ConnectionTerminated));
    assert_eq!(ask(&pool(rude(b"nonsense\r\n\r\n").await), Protocol::Http1).await, Err(Failure::ProtocolError));
}

#[tokio::test]
async fn a_connection_that_its_peer_closed_meanwhile_gives_the_request_back() {
    // Answers one request, then closes.
    let address = rude(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n1").await;
    let pool = pool(address);
    for _ in 0..20 {
        let mut answer = Err(Failure::LocalReset);
        for _ in 0..2 {
            let checkout = pool.checkout(Protocol::Http1).await.unwrap();
            match checkout.send(request()).await {
                Ok((response, lease)) => {
                    assert_eq!(response.status(), StatusCode::OK);
                    response.into_body().collect().await.unwrap();
                    lease.finish();
                    answer = Ok(());
                    break;
                }
                Err(unanswered) if unanswered.unsent.is_some() => {}
                // Written before the close was seen: that may have reached the application.
                Err(unanswered) => answer = Err(unanswered.error.failure()),
            }
        }
        assert!(matches!(answer, Ok(()) | Err(Failure::ConnectionTerminated)), "{answer:?}");
    }
}

#[tokio::test]
async fn whoever_gives_up_waiting_leaves_nothing_behind() {
    let server = Server::start(None, Duration::from_millis(5)).await;
    let limits = Limits { connections: 1, ..Limits::default() };
    let (pool, permits) = pool_with(server.address, PoolSpec::default(), limits);
    for round in 0..40 {
        let patience = Duration::from_millis(round % 12);
        let all = (0..4).map(|_| tokio::time::timeout(patience, ask(&pool, Protocol::Http1)));
        futures_util::future::join_all(all).await;
    }
    assert_eq!(permits.in_use(Limit::PendingRequests), 0);
    assert_eq!(pool.shared.waiting.load(Ordering::Relaxed), 0);
    assert!(ask(&pool, Protocol::Http1).await.is_ok());
}
