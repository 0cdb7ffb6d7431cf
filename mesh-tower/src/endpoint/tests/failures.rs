//! Whose fault it was.

use std::time::Instant;

use futures_util::future::join_all;
use h2::Reason;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

/// A server that reads something, writes `answer` and closes.
async fn rude(answer: &'static [u8]) -> Server {
    Server::accepting(move |mut io, _| async move {
        let _ = io.read(&mut [0; 1024]).await;
        let _ = io.write_all(answer).await;
    })
    .await
}

/// A port at which nobody listens, and which nobody gets meanwhile: one that was merely free may be another test's by
/// now, or the one that a connection to it comes from, which then reaches itself.
fn refusing() -> (SocketAddr, socket2::Socket) {
    let bound = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    bound.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    (bound.local_addr().unwrap().as_socket().unwrap(), bound)
}

#[tokio::test]
async fn a_refused_connection_names_its_endpoint() {
    let (address, _bound) = refusing();
    for protocol in BOTH {
        let error = pool(address).checkout(protocol, false).await.unwrap_err();
        assert_eq!(error.failure(), Failure::ConnectFailed);
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.starts_with(&address.to_string()), "{cause}");
    }
}

#[tokio::test]
async fn an_endpoint_that_does_not_accept_in_time_is_a_connect_timeout() {
    // A queue of one that nobody empties: further connections get no answer.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let mut queued = Vec::new();
    while let Ok(stream) = tokio::time::timeout(Duration::from_millis(100), TcpStream::connect(address)).await {
        queued.push(stream.unwrap());
        assert!(queued.len() < 64, "the queue is never full");
    }
    let pool = impatient(address, Duration::from_millis(50));
    assert_eq!(ask(&pool, Protocol::Http1).await, Err(Failure::ConnectTimeout));
}

#[tokio::test]
async fn all_who_wait_for_a_connection_are_told_when_there_will_be_none() {
    // Accepts, and never says a word.
    let server = Server::accepting(|io, _| async move {
        let _io = io;
        std::future::pending::<()>().await;
    })
    .await;
    let pool = impatient(server.address, Duration::from_millis(100));
    let began = Instant::now();
    let all = join_all((0..10).map(|_| ask(&pool, Protocol::Http2))).await;
    assert!(all.iter().all(|answer| *answer == Err(Failure::ConnectTimeout)), "{all:?}");
    assert!(began.elapsed() < Duration::from_millis(500), "not one after the other: {:?}", began.elapsed());
    assert_eq!(server.opened(), 1);
}

#[tokio::test]
async fn a_peer_that_closes_or_talks_nonsense_is_told_apart() {
    for protocol in BOTH {
        assert_eq!(ask(&pool(rude(b"").await.address), protocol).await, Err(Failure::ConnectionTerminated));
        let nonsense = rude(b"nonsense, and more than a frame's head of it\r\n\r\n").await;
        assert_eq!(ask(&pool(nonsense.address), protocol).await, Err(Failure::ProtocolError), "{protocol:?}");
    }
    let half = rude(b"HTTP/1.1 200 OK\r\ncontent-le").await;
    assert_eq!(ask(&pool(half.address), Protocol::Http1).await, Err(Failure::ConnectionTerminated));
}

#[tokio::test]
async fn http1_spoken_to_an_http2_client_breaks_the_protocol() {
    let server = Server::accepting(|io, _| async move {
        let answer = service_fn(|_| async { Ok::<_, Infallible>(Response::new(Body::empty())) });
        drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(io), answer).await);
    })
    .await;
    let failure = ask(&pool(server.address), Protocol::Http2).await.unwrap_err();
    assert!(matches!(failure, Failure::ProtocolError | Failure::ConnectionTerminated), "{failure:?}");
}

/// An HTTP/2 server that resets each stream.
async fn resetting(reason: Reason) -> Server {
    Server::accepting(move |io, _| async move {
        let mut connection = h2::server::handshake(io).await.unwrap();
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            respond.send_reset(reason);
        }
    })
    .await
}

#[tokio::test]
async fn resets_are_told_apart_by_their_reason() {
    for (reason, failure) in [
        (Reason::REFUSED_STREAM, Failure::RefusedStream),
        (Reason::INTERNAL_ERROR, Failure::ResetByUpstream),
        (Reason::CANCEL, Failure::ResetByUpstream),
        (Reason::PROTOCOL_ERROR, Failure::ResetByUpstream),
    ] {
        let server = resetting(reason).await;
        let pool = pool(server.address);
        for _ in 0..2 {
            assert_eq!(ask(&pool, Protocol::Http2).await, Err(failure), "{reason:?}");
        }
        assert_eq!(server.opened(), 1, "the connection is still good");
    }
}

#[tokio::test]
async fn a_stream_that_goaway_says_was_not_looked_at_counts_as_refused() {
    let server = Server::accepting(|mut io, _| async move {
        const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
        // NO_ERROR, and no stream was processed.
        const GOAWAY: [u8; 17] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        io.write_all(&SETTINGS).await.unwrap();
        let mut buffer = [0; 4096];
        // The preface comes first, then a request.
        let _ = io.read(&mut buffer).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        let _ = io.read(&mut buffer).await;
        io.write_all(&GOAWAY).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    })
    .await;
    assert_eq!(ask(&pool(server.address), Protocol::Http2).await, Err(Failure::RefusedStream));
}

#[tokio::test]
async fn a_request_whose_body_breaks_off_is_ours_to_answer_for() {
    let server = Server::accepting(|io, _| async move {
        let answer = service_fn(|request: Request<hyper::body::Incoming>| async {
            drop(request.into_body().collect().await);
            Ok::<_, Infallible>(Response::new(Body::empty()))
        });
        drop(auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(io), answer).await);
    })
    .await;
    for protocol in BOTH {
        let broken = http_body_util::StreamBody::new(tokio_stream::iter([
            Ok(http_body::Frame::data(Bytes::from_static(b"half"))),
            Err(std::io::Error::other("gone")),
        ]));
        let request = Request::post("http://app/").body(Body::new(broken)).unwrap();
        let failure = exchange(&pool(server.address), protocol, request).await;
        assert_eq!(failure, Err(Failure::LocalReset), "{protocol:?}");
    }
}

/// Waiting requests and a runtime that ends: nobody may hold what another needs.
#[test]
fn a_runtime_that_shuts_down_with_requests_in_line_comes_to_its_end() {
    for protocol in BOTH {
        let (done, ended) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let kept = runtime.block_on(async {
                let server = Server::accepting(|io, _| async move {
                    let _open = io;
                    std::future::pending::<()>().await;
                })
                .await;
                let limits = Limits { connections: 1, ..Limits::default() };
                let (pool, _) = pool_with(server.address, PoolSpec::default(), limits);
                for _ in 0..3 {
                    let pool = Arc::clone(&pool);
                    tokio::spawn(async move { ask(&pool, protocol).await });
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                pool
            });
            drop(runtime);
            drop(kept);
            done.send(()).unwrap();
        });
        ended.recv_timeout(Duration::from_secs(10)).unwrap_or_else(|_| panic!("{protocol:?} does not end"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_comes_while_others_are_told_of_a_failure_is_told_too() {
    let (address, _bound) = refusing();
    for protocol in BOTH {
        let pool = pool(address);
        let asking: Vec<_> = (0..8)
            .map(|_| {
                let pool = Arc::clone(&pool);
                tokio::spawn(async move {
                    for _ in 0..200 {
                        assert_eq!(ask(&pool, protocol).await, Err(Failure::ConnectFailed));
                    }
                })
            })
            .collect();
        for asked in asking {
            let asked = tokio::time::timeout(Duration::from_secs(20), asked).await;
            asked.expect("nobody is left waiting").unwrap();
        }
    }
}

#[tokio::test]
async fn a_peer_that_does_not_answer_pings_in_time_is_given_up() {
    // Takes a request, and then looks at nothing any more.
    let server = Server::accepting(|io, _| async move {
        let mut connection = h2::server::handshake(io).await.unwrap();
        let _request = connection.accept().await;
        std::future::pending::<()>().await;
    })
    .await;
    let ms = Duration::from_millis;
    let pings = Some(mesh_core::cluster::Pings { interval: ms(50), timeout: ms(50) });
    let (pool, _) = pool_with(server.address, PoolSpec { pings, ..PoolSpec::default() }, Limits::default());
    let answer = tokio::time::timeout(Duration::from_secs(5), ask(&pool, Protocol::Http2)).await;
    assert_eq!(answer, Ok(Err(Failure::ConnectionTerminated)));
}
