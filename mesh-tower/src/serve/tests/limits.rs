//! What one caller can take up, by either profile.

use hyper::client::conn::http2::{Builder, SendRequest};

use super::*;

type Http2 = SendRequest<Empty<Bytes>>;

async fn http2(server: &Server, window: u32) -> Http2 {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(window).max_concurrent_reset_streams(10_000);
    let (http2, connection) = builder.handshake(TokioIo::new(server.connect())).await.unwrap();
    tokio::spawn(connection);
    http2
}

/// The status that a request with these header lines gets.
async fn status(http2: &mut Http2, lines: impl Iterator<Item = (&'static str, String)>) -> Option<u16> {
    let mut request = Request::get("http://app/");
    for (name, value) in lines {
        request = request.header(name, value);
    }
    http2.send_request(request.body(Empty::new()).unwrap()).await.ok().map(|response| response.status().as_u16())
}

#[tokio::test]
async fn heads_of_http2_have_a_limit_of_lines_each_cookie_counted() {
    for profile in [Profile::Safe, Profile::Istio] {
        let server = Server::start_as(profile, service_fn(hello), ServeOptions::new());
        let mut http2 = http2(&server, 65_535).await;
        for name in ["cookie", "x"] {
            let lines = |count| (0..count).map(move |n| (name, format!("{n}")));
            assert_eq!(status(&mut http2, lines(100)).await, Some(200), "{name} {profile:?}");
            assert_eq!(status(&mut http2, lines(101)).await, Some(431), "{name} {profile:?}");
        }
    }
}

#[tokio::test]
async fn heads_of_http2_are_smaller_unless_it_is_done_as_by_istio() {
    for (profile, options, statuses) in [
        (Profile::Safe, ServeOptions::new(), [200, 431, 431]),
        (Profile::Istio, ServeOptions::new(), [200, 200, 431]),
        (Profile::Safe, ServeOptions::new().max_header_bytes(60 * 1024), [200, 200, 431]),
    ] {
        let server = Server::start_as(profile, service_fn(hello), options);
        for (kib, expected) in [15, 40, 61].into_iter().zip(statuses) {
            // Each on its own: one that is far too large ends its connection.
            let mut http2 = http2(&server, 65_535).await;
            let line = ("x", "a".repeat(kib * 1024));
            assert_eq!(status(&mut http2, [line].into_iter()).await, Some(expected), "{kib} KiB {profile:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_says_nothing_is_let_go_unless_it_is_done_as_by_istio() {
    for (profile, least, most) in [(Profile::Safe, 10, 13), (Profile::Istio, 100, 110)] {
        let options = ServeOptions::new().header_timeout(seconds(10)).idle_timeout(seconds(100));
        let server = Server::start_as(profile, service_fn(hello), options);
        let began = Instant::now();
        assert_eq!(read_to_end(&mut server.connect()).await, "");
        let took = began.elapsed();
        assert!(took >= seconds(least) && took <= seconds(most), "{profile:?}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_of_http2_may_wait_for_its_first_request() {
    let server = Server::start(service_fn(hello), ServeOptions::new());
    let mut http2 = http2(&server, 65_535).await;
    sleep(seconds(600)).await;
    assert_eq!(status(&mut http2, std::iter::empty()).await, Some(200));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_takes_ends_its_connection_unless_it_is_done_as_by_istio() {
    for (profile, is_open) in [(Profile::Safe, false), (Profile::Istio, true)] {
        let server = Server::start_as(profile, streaming(100_000), ServeOptions::new());
        // The pipe fills, and the window of the other is shut.
        let mut http1 = server.connect();
        http1.write_all(GET.as_bytes()).await.unwrap();
        let mut http2 = http2(&server, 0).await;
        let mut response = http2.send_request(Request::get("http://app/").body(Empty::new()).unwrap()).await.unwrap();
        let read = tokio::spawn(async move { response.frame().await.unwrap().is_ok() });
        sleep(seconds(100)).await;
        assert_eq!(server.drain.open_connections(), 2);
        sleep(seconds(30_000)).await;
        assert_eq!(read.is_finished(), !is_open, "{profile:?}");
        assert_eq!(server.drain.open_connections(), if is_open { 2 } else { 0 }, "{profile:?}");
        drop(http1);
        read.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_may_be_taken_as_slowly_as_its_caller_likes() {
    let app = service_fn(|_: Request<Body>| async {
        let parts = [Bytes::from_static(&[b'a'; 1 << 20]), Bytes::from_static(b"the end")];
        let parts = parts.map(|part| Ok::<_, Infallible>(Frame::data(part)));
        Ok::<_, Infallible>(Response::new(StreamBody::new(futures_util::stream::iter(parts))))
    });
    let server = Server::start(app, ServeOptions::new());
    let mut stream = server.connect();
    stream.write_all(GET_AND_CLOSE.as_bytes()).await.unwrap();
    let mut answer = vec![0; 64 * 1024];
    loop {
        sleep(seconds(200)).await;
        match stream.read(&mut answer).await.unwrap() {
            0 => panic!("it broke off"),
            read if answer[..read].windows(7).any(|window| window == b"the end") => return,
            _ => {}
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_may_come_as_slowly_as_the_application_likes() {
    let app = service_fn(|_: Request<Body>| async {
        let parts = futures_util::stream::unfold(2, |left: u32| async move {
            sleep(seconds(2_000)).await;
            left.checked_sub(1).map(|left| (Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"part"))), left))
        });
        Ok::<_, Infallible>(Response::new(StreamBody::new(parts).boxed_unsync()))
    });
    assert_eq!(Server::start(app, ServeOptions::new()).exchange(GET_AND_CLOSE).await.matches("part").count(), 2);
}

#[tokio::test]
async fn bodies_have_a_limit_if_it_is_set() {
    let app = service_fn(|request: Request<Body>| async move {
        let read = request.into_body().collect().await.map(|body| body.to_bytes().len());
        Ok::<_, Infallible>(Response::new(Full::from(match read {
            Ok(read) => format!("{read} read"),
            Err(error) => error.to_string(),
        })))
    });
    let server = Server::start(app, ServeOptions::new().max_request_bytes(10));
    let post =
        |lines: &str, body: &str| format!("POST / HTTP/1.1\r\nhost: app\r\nconnection: close\r\n{lines}\r\n\r\n{body}");
    let answer = server.exchange(&post("content-length: 10", "0123456789")).await;
    assert!(answer.ends_with("10 read"), "{answer}");
    let answer = server.exchange(&post("content-length: 11", "01234567890")).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    let answer = server.exchange(&post("transfer-encoding: chunked", "6\r\n012345\r\n5\r\n67890\r\n0\r\n\r\n")).await;
    assert!(answer.ends_with("length limit exceeded"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_cancels_what_it_asks_is_cut_off() {
    for (options, cancelled) in [(ServeOptions::new(), true), (ServeOptions::new().max_cancelled_requests(None), false)]
    {
        let (app, _finished) = taking_a_second();
        let server = Server::start(app, options);
        let mut http2 = http2(&server, 65_535).await;
        for _ in 0..600 {
            let request = Request::get("http://app/").body(Empty::new()).unwrap();
            let _timed_out = timeout(Duration::from_millis(1), http2.send_request(request)).await;
        }
        assert_eq!(http2.is_closed(), cancelled);
    }
}

#[tokio::test]
async fn a_caller_is_told_how_many_streams_it_may_open() {
    for (profile, options, streams) in [
        (Profile::Safe, ServeOptions::new(), 200),
        (Profile::Istio, ServeOptions::new(), 1_024),
        (Profile::Safe, ServeOptions::new().max_concurrent_streams(1_024), 1_024),
    ] {
        let server = Server::start_as(profile, service_fn(hello), options);
        let builder = Builder::new(TokioExecutor::new());
        let (_http2, mut connection) =
            builder.handshake::<_, Empty<Bytes>>(TokioIo::new(server.connect())).await.unwrap();
        let told =
            timeout(Duration::from_millis(50), future::poll_fn(|cx| std::pin::Pin::new(&mut connection).poll(cx)));
        assert!(told.await.is_err(), "it stays open");
        assert_eq!(connection.current_max_send_streams(), streams, "{profile:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_go_on_ends_its_connection_and_a_slow_one_does_not() {
    const HEAD: &[u8] = b"POST / HTTP/1.1\r\nhost: app\r\nconnection: close\r\ncontent-length: 4\r\n\r\n1";
    let (told, mut heard) = mpsc::unbounded_channel();
    let app = service_fn(move |request: Request<Body>| {
        let told = told.clone();
        async move {
            told.send(request.into_body().collect().await.is_ok()).unwrap();
            Ok::<_, Infallible>(Response::new(Full::from("read")))
        }
    });
    let server = Server::start(app.clone(), ServeOptions::new());
    let mut silent = server.connect();
    silent.write_all(HEAD).await.unwrap();
    let began = Instant::now();
    assert_eq!(read_to_end(&mut silent).await, "");
    assert!((seconds(300)..seconds(330)).contains(&began.elapsed()), "{:?}", began.elapsed());
    assert_ne!(heard.try_recv(), Ok(true), "the application does not take it for the whole");
    for patient in
        [Server::start(app.clone(), ServeOptions::new()), Server::start(app, ServeOptions::new().body_timeout(None))]
    {
        let mut slow = patient.connect();
        slow.write_all(HEAD).await.unwrap();
        for _ in 0..3 {
            sleep(seconds(250)).await;
            slow.write_all(b"1").await.unwrap();
        }
        let answer = read_to_end(&mut slow).await;
        assert!(answer.ends_with("read"), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_of_http2_that_does_not_go_on_ends_its_stream_unless_it_may_be_a_stream() {
    use bytes::Bytes;
    use http_body_util::{BodyExt as _, StreamBody};

    let app = service_fn(|request: Request<Body>| async move {
        // Who answers first may be waited for.
        let is_early = request.uri().path() == "/early";
        let mut body = request.into_body();
        if is_early {
            let rest = StreamBody::new(futures_util::stream::once(async move {
                let whole = body.collect().await.is_ok();
                Ok::<_, Infallible>(Frame::data(Bytes::from(format!("{whole}"))))
            }));
            return Ok::<_, Infallible>(Response::new(Body::new(rest)));
        }
        let whole = body.frame().await.is_some_and(|frame| frame.is_ok())
            && body.frame().await.is_none_or(|frame| frame.is_ok());
        Ok(Response::new(Body::from(format!("{whole}"))))
    });
    for (profile, path, kind, pause, whole) in [
        (Profile::Safe, "/", "text/plain", 250, true),
        (Profile::Safe, "/", "text/plain", 310, false),
        (Profile::Safe, "/", "application/grpc", 3_000, true),
        (Profile::Safe, "/early", "text/plain", 3_000, true),
        (Profile::Istio, "/", "text/plain", 3_000, true),
    ] {
        let server = Server::start_as(profile, app, ServeOptions::new());
        let (sender, receiver) = mpsc::unbounded_channel();
        let parts = futures_util::stream::unfold(receiver, |mut receiver: mpsc::UnboundedReceiver<Bytes>| async {
            receiver.recv().await.map(|bytes| (Ok::<_, Infallible>(Frame::data(bytes)), receiver))
        });
        let body = Body::new(StreamBody::new(parts));
        let (mut http2, connection) = hyper::client::conn::http2::handshake(
            hyper_util::rt::TokioExecutor::new(),
            hyper_util::rt::TokioIo::new(server.connect()),
        )
        .await
        .unwrap();
        tokio::spawn(connection);
        sender.send(Bytes::from_static(b"begun")).unwrap();
        let request = Request::post(format!("http://app{path}")).header("content-type", kind).body(body).unwrap();
        let answer = tokio::spawn(http2.send_request(request));
        sleep(seconds(pause)).await;
        let _refused = sender.send(Bytes::from_static(b"ended"));
        drop(sender);
        let answer = answer.await.unwrap().unwrap().into_body().collect().await.unwrap().to_bytes();
        assert_eq!(answer, whole.to_string(), "{profile:?} {path} {kind} {pause}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_of_http2_without_an_end_ends_its_connection() {
    // An empty SETTINGS, and the beginning of a head that says that there is more.
    const BEGUN: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x01\x01\x01\0\0\0\x01\x82";
    for trickles in [false, true] {
        let server = Server::start(service_fn(hello), ServeOptions::new());
        let mut stream = server.connect();
        stream.write_all(BEGUN).await.unwrap();
        let began = Instant::now();
        if trickles {
            stream.write_all(b"\0\0\x64\x09\0\0\0\0\x01").await.unwrap();
        }
        // A byte of a CONTINUATION now and then: a line that is known by its number.
        while trickles && began.elapsed() < seconds(100) && stream.write_all(b"\x86").await.is_ok() {
            sleep(seconds(9)).await;
        }
        let mut rest = Vec::new();
        let _cut_off = stream.read_to_end(&mut rest).await;
        assert!((seconds(30)..seconds(50)).contains(&began.elapsed()), "{trickles}: {:?}", began.elapsed());
    }
}
