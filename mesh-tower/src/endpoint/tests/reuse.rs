//! Which connection a request goes out on.

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use http_body::Frame;
use http_body_util::StreamBody;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

#[tokio::test]
async fn a_connection_serves_one_request_after_the_other() {
    for protocol in BOTH {
        let server = Server::start(None, Duration::ZERO).await;
        let pool = pool(server.address);
        for _ in 0..5 {
            assert_eq!(ask(&pool, protocol).await.unwrap(), "1");
        }
        assert_eq!((server.opened(), pool.counts().open, pool.counts().opened), (1, 1, 1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_without_a_body_free_their_connection_on_any_thread() {
    let server = Server::start(None, Duration::ZERO).await;
    let pool = pool(server.address);
    for _ in 0..500 {
        let head = Request::head("http://app/").body(Body::empty()).unwrap();
        exchange(&pool, Protocol::Http1, head).await.unwrap();
    }
    assert_eq!(server.opened(), 1);
}

#[tokio::test]
async fn a_connection_is_closed_after_its_number_of_requests() {
    for protocol in BOTH {
        let server = Server::start(None, Duration::ZERO).await;
        let spec = PoolSpec { max_requests_per_connection: 2, ..PoolSpec::default() };
        let (pool, permits) = pool_with(server.address, spec, Limits::default());
        let mut served = Vec::new();
        for _ in 0..6 {
            served.push(ask(&pool, protocol).await.unwrap());
        }
        assert_eq!(served, ["1", "1", "2", "2", "3", "3"], "{protocol:?}");
        all_closed(&permits).await;
    }
}

#[tokio::test]
async fn a_response_that_is_not_read_closes_its_connection() {
    let server = Server::start(None, Duration::ZERO).await;
    let pool = pool(server.address);
    let checkout = pool.checkout(Protocol::Http1, false).await.unwrap();
    drop(checkout.send(request()).await.unwrap());
    assert_eq!(ask(&pool, Protocol::Http1).await.unwrap(), "2");
}

#[tokio::test]
async fn a_stream_that_is_not_read_leaves_its_connection_alone() {
    let server = Server::start(Some(1), Duration::ZERO).await;
    let pool = pool(server.address);
    let checkout = pool.checkout(Protocol::Http2, false).await.unwrap();
    drop(checkout.send(request()).await.unwrap());
    assert_eq!(ask(&pool, Protocol::Http2).await.unwrap(), "1");
}

#[tokio::test]
async fn a_checkout_that_is_not_used_goes_back() {
    for protocol in BOTH {
        let server = Server::start(Some(1), Duration::ZERO).await;
        let pool = pool(server.address);
        for _ in 0..3 {
            drop(pool.checkout(protocol, false).await.unwrap());
        }
        assert_eq!(ask(&pool, protocol).await.unwrap(), "1");
        assert_eq!(server.opened(), 1);
    }
}

#[tokio::test]
async fn a_connection_that_is_being_opened_outlives_who_asked_for_it() {
    for protocol in BOTH {
        let server = Server::start(None, Duration::ZERO).await;
        let pool = pool(server.address);
        assert!(is_pending(pool.checkout(protocol, false)).await);
        assert_eq!(pool.counts().waiting, 0);
        eventually("the connection is open", || pool.counts().opening == 0).await;
        assert_eq!(ask(&pool, protocol).await.unwrap(), "1");
    }
}

/// Answers each request with the number of its connection before the request has ended.
async fn hasty(mut io: TcpStream, number: u32) {
    let mut buffer = [0; 1024];
    while io.read(&mut buffer).await.is_ok_and(|read| read > 0) {
        if buffer.starts_with(b"POST") || buffer.starts_with(b"GET") {
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{number}");
            io.write_all(answer.as_bytes()).await.unwrap();
        }
        buffer.fill(0);
    }
}

#[tokio::test]
async fn a_request_that_goes_on_after_its_answer_holds_up_no_other() {
    let server = Server::accepting(hasty).await;
    let (pool, permits) = pool_with(server.address, PoolSpec::default(), Limits::default());
    let endless = StreamBody::new(futures_util::stream::pending::<Result<Frame<Bytes>, Infallible>>());
    let upload = Request::post("http://app/").body(Body::new(endless)).unwrap();
    assert_eq!(exchange(&pool, Protocol::Http1, upload).await.unwrap(), "1");
    let next = tokio::time::timeout(Duration::from_secs(1), ask(&pool, Protocol::Http1)).await;
    assert_eq!(next.expect("it has a connection of its own").unwrap(), "2");
    eventually("the endless request is cut off", || permits.in_use(Limit::Connections) == 1).await;
}

#[tokio::test]
async fn a_connection_whose_peer_says_close_is_not_used_again() {
    let server = Server::accepting(|mut io, _| async move {
        let _ = io.read(&mut [0; 1024]).await;
        // The answer is complete long before the close.
        let _ = io.write_all(b"HTTP/1.1 200 OK\r\nconnection: Close\r\ncontent-length: 1\r\n\r\n1").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    })
    .await;
    let pool = pool(server.address);
    for opened in 1..4 {
        assert_eq!(ask(&pool, Protocol::Http1).await.unwrap(), "1");
        assert_eq!((server.opened(), pool.counts().idle), (opened, 0));
    }
}

#[tokio::test]
async fn a_connection_that_its_peer_closed_meanwhile_gives_the_request_back() {
    // Answers one request, then closes.
    let server = Server::accepting(|mut io, _| async move {
        let _ = io.read(&mut [0; 1024]).await;
        let _ = io.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n1").await;
    })
    .await;
    let pool = pool(server.address);
    for _ in 0..20 {
        let mut answer = Err(Failure::LocalReset);
        for _ in 0..2 {
            let checkout = pool.checkout(Protocol::Http1, false).await.unwrap();
            match checkout.send(request()).await {
                Ok((response, lease)) => {
                    response.into_body().collect().await.unwrap();
                    lease.finish();
                    answer = Ok(());
                    break;
                }
                Err(unanswered) if unanswered.unsent.is_some() => {
                    let request = unanswered.unsent.unwrap();
                    assert_eq!((request.uri().to_string().as_str(), request.headers().len()), ("http://app/", 0));
                }
                // Written before the close was seen: that may have reached the application.
                Err(unanswered) => answer = Err(unanswered.error.failure()),
            }
        }
        assert!(matches!(answer, Ok(()) | Err(Failure::ConnectionTerminated)), "{answer:?}");
    }
}

#[tokio::test]
async fn a_fresh_connection_is_none_that_has_been_waiting() {
    let server = Server::start(None, Duration::ZERO).await;
    let limits = Limits { connections: 1, ..Limits::default() };
    let (pool, _) = pool_with(server.address, PoolSpec::default(), limits);
    for opened in 1..4 {
        let checkout = pool.checkout(Protocol::Http1, true).await.unwrap();
        let (response, lease) = checkout.send(request()).await.unwrap();
        let number = response.into_body().collect().await.unwrap().to_bytes();
        lease.finish();
        // The one that waits makes room, so the limit is kept.
        assert_eq!((number, server.opened()), (opened.to_string().into(), opened));
        eventually("it waits", || pool.counts().idle == 1 && pool.counts().open == 1).await;
    }
    assert_eq!(ask(&pool, Protocol::Http1).await.unwrap(), "3", "others take it");
}

#[tokio::test]
async fn whoever_wants_a_fresh_connection_waits_for_a_new_one_while_others_become_free() {
    // Where there is no room for it, the one that becomes free makes room.
    for (connections, kept) in [(1, 0), (10, 1)] {
        let server = Server::start(None, Duration::ZERO).await;
        let limits = Limits { connections, ..Limits::default() };
        let (pool, _) = pool_with(server.address, PoolSpec::default(), limits);
        let checkout = pool.checkout(Protocol::Http1, false).await.unwrap();
        let (response, lease) = checkout.send(request()).await.unwrap();
        response.into_body().collect().await.unwrap();
        let waiting = Arc::clone(&pool);
        let waiting = tokio::spawn(async move { waiting.checkout(Protocol::Http1, true).await });
        eventually("it waits, or has got one", || pool.counts().waiting == 1 || pool.counts().opened == 2).await;
        lease.finish();
        let checkout = waiting.await.unwrap().unwrap();
        let (response, _lease) = checkout.send(request()).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "2");
        assert_eq!(pool.counts().idle, kept);
    }
}

#[tokio::test]
async fn a_new_connection_that_wants_nothing_is_as_good_as_none() {
    // Closed before anything is said, and seen to be.
    let server = Server::accepting(|io, _| async move { drop(io) }).await;
    let pool = pool(server.address);
    for _ in 0..20 {
        let checkout = pool.checkout(Protocol::Http1, false).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
        let Ok(checkout) = checkout else { continue };
        let unanswered = checkout.send(request()).await.unwrap_err();
        assert!(!unanswered.is_stale && unanswered.unsent.is_some(), "{unanswered:?}");
        assert_eq!(unanswered.error.failure(), Failure::ConnectFailed);
    }
}

/// Sends back what it gets: method, trailers and body.
async fn mirror(request: Request<hyper::body::Incoming>) -> Result<Response<Body>, Infallible> {
    let method = request.method().to_string();
    let collected = request.into_body().collect().await.unwrap();
    let trailers = collected.trailers().cloned();
    let body = with_trailers(collected.to_bytes(), trailers.unwrap_or_default());
    Ok(Response::builder().header("method", method).header("trailer", "x-end").body(body).unwrap())
}

/// On HTTP/1.1 only a body whose length is not known has trailers.
fn with_trailers(content: Bytes, trailers: HeaderMap) -> Body {
    let frames = [Ok::<_, Infallible>(Frame::data(content)), Ok(Frame::trailers(trailers))];
    Body::new(StreamBody::new(tokio_stream::iter(frames)))
}

#[tokio::test]
async fn bodies_and_trailers_pass_both_ways() {
    let server = Server::accepting(|io, _| async move {
        let builder = auto::Builder::new(TokioExecutor::new());
        drop(builder.serve_connection(TokioIo::new(io), service_fn(mirror)).await);
    })
    .await;
    let trailers = HeaderMap::from_iter([(HeaderName::from_static("x-end"), HeaderValue::from_static("yes"))]);
    for protocol in BOTH {
        let pool = pool(server.address);
        for _ in 0..2 {
            let body = with_trailers(Bytes::from_static(b"content"), trailers.clone());
            let request = Request::post("http://app/").header("trailer", "x-end").header("te", "trailers");
            let request = request.body(body).unwrap();
            let checkout = pool.checkout(protocol, false).await.unwrap();
            let (response, lease) = checkout.send(request).await.unwrap();
            assert_eq!(response.headers()["method"], Method::POST.as_str());
            let collected = response.into_body().collect().await.unwrap();
            lease.finish();
            assert_eq!(collected.trailers(), Some(&trailers), "{protocol:?}");
            assert_eq!(collected.to_bytes(), "content");
        }
        eventually("the connection settles", || pool.counts().idle == 1 || protocol == Protocol::Http2).await;
        assert_eq!(pool.counts().opened, 1, "{protocol:?}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn endpoints_may_be_unix_sockets() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app");
    let mut listening = vec![(tokio::net::UnixListener::bind(&path).unwrap(), path)];
    if cfg!(target_os = "linux") {
        let name = format!("mesh-test-{}", std::process::id());
        let listener = tokio::net::UnixListener::bind(format!("\0{name}")).unwrap();
        listening.push((listener, format!("@{name}").into()));
    }
    for (listener, path) in listening {
        tokio::spawn(async move {
            let (io, _) = listener.accept().await.unwrap();
            let answer = service_fn(|_| async { Ok::<_, Infallible>(Response::new(Body::from("unix"))) });
            drop(auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(io), answer).await);
        });
        let (pool, _) = pool_at(EndpointAddress::Unix(path), PoolSpec::default(), Limits::default());
        assert_eq!(ask(&pool, Protocol::Http1).await.unwrap(), "unix");
    }
}

/// Answers requests once there are so many, whatever became of them meanwhile.
async fn late(mut io: TcpStream, most: usize, seen: Arc<AtomicU32>) {
    const PREFACE: usize = 24;
    const HEADERS: u8 = 1;
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    io.read_exact(&mut [0; PREFACE]).await.unwrap();
    io.write_all(&SETTINGS).await.unwrap();
    let mut streams = Vec::new();
    let mut head = [0; 9];
    while streams.len() < most {
        io.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        io.read_exact(&mut vec![0; length as usize]).await.unwrap();
        if head[3] == HEADERS {
            streams.extend(&head[5..]);
            seen.fetch_add(1, Ordering::SeqCst);
        }
    }
    for stream in streams.chunks(4) {
        // The status 200, and nothing behind it.
        io.write_all(&[&[0, 0, 1, HEADERS, 5], stream, &[0x88]].concat()).await.unwrap();
    }
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn answers_that_nobody_waits_for_any_more_leave_the_others_of_the_connection_alone() {
    const GIVEN_UP: u32 = 3_000;
    let seen = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&seen);
    let server = Server::accepting(move |io, _| late(io, 4 * (GIVEN_UP as usize + 1), Arc::clone(&counted))).await;
    let (pool, _) = pool_with(server.address, PoolSpec::default(), Limits::default());
    let mut sent = Vec::new();
    for _ in 0..GIVEN_UP {
        let checkout = pool.checkout(Protocol::Http2, false).await.unwrap();
        let mut answer = Box::pin(checkout.send(request()));
        assert!(is_pending(&mut answer).await);
        sent.push(answer);
    }
    eventually("all are there", || seen.load(Ordering::SeqCst) == GIVEN_UP).await;
    drop(sent);
    let answer = exchange(&pool, Protocol::Http2, request()).await;
    assert_eq!((answer.as_deref(), server.opened()), (Ok(""), 1));
}
