mod limits;

use std::cell::Cell;
use std::convert::Infallible;
use std::future::{self, Future};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use hyper::body::Frame;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tower::service_fn;

use super::*;

/// Connections in memory, so that time can be moved.
struct Pipes(mpsc::UnboundedReceiver<DuplexStream>);

impl Listener for Pipes {
    type Io = DuplexStream;

    async fn accept(&mut self) -> io::Result<(DuplexStream, Address)> {
        match self.0.recv().await {
            Some(stream) => Ok((stream, Address::Unix(None))),
            None => future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Address> {
        Ok(Address::Unix(None))
    }
}

fn manner(profile: Profile, options: ServeOptions) -> Manner {
    Manner { options, profile, security: Security::Plaintext }
}

/// A server that is reached through memory.
struct Server {
    connect: mpsc::UnboundedSender<DuplexStream>,
    drain: Drain,
    running: JoinHandle<()>,
}

impl Server {
    fn start<S, R>(app: S, options: ServeOptions) -> Self
    where
        S: Service<Request<Body>, Response = Response<R>> + Clone + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
        R: http_body::Body<Data = Bytes> + Send + 'static,
        R::Error: Into<BoxError>,
    {
        Self::start_as(Profile::Safe, app, options)
    }

    fn start_as<S, R>(profile: Profile, app: S, options: ServeOptions) -> Self
    where
        S: Service<Request<Body>, Response = Response<R>> + Clone + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
        R: http_body::Body<Data = Bytes> + Send + 'static,
        R::Error: Into<BoxError>,
    {
        let (connect, pipes) = mpsc::unbounded_channel();
        let (drain, watch) = Drain::new();
        let running = tokio::spawn(run(Pipes(pipes), app, watch, manner(profile, options)));
        Self { connect, drain, running }
    }

    fn connect(&self) -> DuplexStream {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let _ = self.connect.send(far);
        near
    }

    /// Sends bytes on a connection of their own and reads until it is closed.
    async fn exchange(&self, request: &str) -> String {
        let mut stream = self.connect();
        // Fails where the server has heard enough.
        let _ = stream.write_all(request.as_bytes()).await;
        read_to_end(&mut stream).await
    }
}

async fn read_to_end(stream: &mut DuplexStream) -> String {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

/// What has come so far.
async fn read_some(stream: &mut DuplexStream) -> String {
    let mut buffer = vec![0; 16 * 1024];
    let read = timeout(Duration::from_millis(1), stream.read(&mut buffer)).await.unwrap_or(Ok(0)).unwrap();
    String::from_utf8(buffer[..read].to_vec()).unwrap()
}

/// Whatever answers with bodies of one type.
trait App<R>:
    Service<Request<Body>, Response = Response<R>, Error = Infallible, Future: Send> + Clone + Send + 'static
{
}

impl<R, S> App<R> for S where
    S: Service<Request<Body>, Response = Response<R>, Error = Infallible, Future: Send> + Clone + Send + 'static
{
}

type Reply = Result<Response<Full<Bytes>>, Infallible>;

async fn hello(_: Request<Body>) -> Reply {
    Ok(Response::new(Full::from("hello")))
}

const GET: &str = "GET / HTTP/1.1\r\nhost: app\r\n\r\n";
const GET_AND_CLOSE: &str = "GET / HTTP/1.1\r\nhost: app\r\nconnection: close\r\n\r\n";

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn axum_tonic_and_services_that_are_not_sync_can_be_served() {
    fn serves<S, R>(app: S) -> impl Future<Output = ()> + Send + 'static
    where
        S: Service<Request<Body>, Response = Response<R>> + Clone + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
        R: http_body::Body<Data = Bytes> + Send + 'static,
        R::Error: Into<BoxError>,
    {
        let (_sender, pipes) = mpsc::unbounded_channel();
        run(Pipes(pipes), app, Drain::new().1, manner(Profile::Safe, ServeOptions::new()))
    }
    let count = Cell::new(0);
    let counting = service_fn(move |request: Request<Body>| {
        count.set(count.get() + 1);
        hello(request)
    });
    drop(serves(counting));
    drop(serves(axum::Router::new()));
    drop(serves(tonic::service::Routes::default()));
}

#[tokio::test]
async fn one_port_speaks_http1_and_http2() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (_drain, watch) = Drain::new();
    let app = service_fn(|request: Request<Body>| async move {
        let peer = request.extensions().get::<PeerAddress>().and_then(PeerAddress::socket);
        let known = request.extensions().get::<SocketAddr>().copied() == peer;
        Ok::<_, Infallible>(Response::new(Full::from(format!("{:?} {} {known}", request.version(), peer.unwrap()))))
    });
    let options = ServeOptions::new().extension(|peer| peer.socket().unwrap());
    tokio::spawn(run(listener, app, watch, manner(Profile::Safe, options)));

    let stream = TcpStream::connect(address).await.unwrap();
    let caller = stream.local_addr().unwrap();
    let (mut http1, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("/").header("host", "app").body(Empty::<Bytes>::new()).unwrap();
    let body = http1.send_request(request).await.unwrap().collect().await.unwrap().to_bytes();
    assert_eq!(body, format!("HTTP/1.1 {caller} true"));

    let stream = TcpStream::connect(address).await.unwrap();
    let caller = stream.local_addr().unwrap();
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut http2, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("http://app/").body(Empty::<Bytes>::new()).unwrap();
    let body = http2.send_request(request).await.unwrap().collect().await.unwrap().to_bytes();
    assert_eq!(body, format!("HTTP/2.0 {caller} true"));
}

#[tokio::test]
async fn http_1_0_is_refused_unless_it_is_switched_on() {
    let server = Server::start(service_fn(hello), ServeOptions::new());
    let answer = server.exchange("GET / HTTP/1.0\r\n\r\n").await.to_lowercase();
    assert!(answer.starts_with("http/1.0 426 ") || answer.starts_with("http/1.1 426 "), "{answer}");
    assert!(answer.contains("content-length: 16\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nupgrade required"), "{answer}");

    let server = Server::start(service_fn(hello), ServeOptions::new().accept_http_10(true));
    assert!(server.exchange("GET / HTTP/1.0\r\n\r\n").await.ends_with("hello"));
}

#[tokio::test]
async fn heads_have_a_limit_of_lines_and_of_bytes() {
    let server = Server::start(service_fn(hello), ServeOptions::new());
    let lines = "a: b\r\n".repeat(101);
    let answer = server.exchange(&format!("GET / HTTP/1.1\r\nhost: app\r\n{lines}\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let long = "a".repeat(64 * 1024);
    let answer = server.exchange(&format!("GET / HTTP/1.1\r\nhost: app\r\na: {long}\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_does_not_finish_its_head_is_dropped() {
    let server = Server::start(service_fn(hello), ServeOptions::new().header_timeout(seconds(10)));
    let began = Instant::now();
    assert_eq!(server.exchange("GET / HTTP/1.1\r\nhost: a").await, "");
    let took = began.elapsed();
    assert!(took >= seconds(10) && took <= seconds(13), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn dripping_bytes_do_not_buy_time() {
    let server = Server::start(service_fn(hello), ServeOptions::new().header_timeout(seconds(10)));
    let mut stream = server.connect();
    stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let began = Instant::now();
    while stream.write_all(b"a: b\r\n").await.is_ok() {
        sleep(seconds(1)).await;
        assert!(began.elapsed() <= seconds(15), "still open");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_stays_open_until_it_is_idle() {
    let options = ServeOptions::new().header_timeout(seconds(10)).idle_timeout(seconds(100));
    let server = Server::start(service_fn(hello), options);
    let mut stream = server.connect();
    stream.write_all(GET.as_bytes()).await.unwrap();
    assert!(read_some(&mut stream).await.ends_with("hello"));
    sleep(seconds(90)).await;
    stream.write_all(GET.as_bytes()).await.unwrap();
    assert!(read_some(&mut stream).await.ends_with("hello"));

    let began = Instant::now();
    assert_eq!(read_to_end(&mut stream).await, "");
    let took = began.elapsed();
    assert!(took >= seconds(100) && took <= seconds(110), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_may_take_longer_than_a_connection_may_be_idle() {
    let app = service_fn(|request| async move {
        sleep(seconds(500)).await;
        hello(request).await
    });
    let options = ServeOptions::new().header_timeout(seconds(10)).idle_timeout(seconds(100));
    assert!(Server::start(app, options).exchange(GET_AND_CLOSE).await.ends_with("hello"));
}

#[tokio::test]
async fn an_application_that_panics_is_a_500_and_the_connection_goes_on() {
    let server = Server::start(
        service_fn(|request: Request<Body>| async move {
            assert_ne!(request.uri().path(), "/panic", "on purpose");
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"hello"))))
        }),
        ServeOptions::default(),
    );
    let requests = "GET /panic HTTP/1.1\r\nhost: a\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let answers = server.exchange(requests).await;
    assert!(answers.starts_with("HTTP/1.1 500 ") && answers.ends_with("hello"), "{answers}");
}

#[tokio::test]
async fn an_application_that_fails_is_a_500() {
    let app = service_fn(|_: Request<Body>| future::ready(Err::<Response<Full<Bytes>>, BoxError>("broken".into())));
    let answer = Server::start(app, ServeOptions::new()).exchange(GET_AND_CLOSE).await;
    assert!(answer.starts_with("HTTP/1.1 500 ") && !answer.contains("broken"), "{answer}");
}

/// An application that answers after a second and tells whether it got that far.
fn taking_a_second() -> (impl App<Full<Bytes>>, mpsc::UnboundedReceiver<()>) {
    let (finished, receiver) = mpsc::unbounded_channel();
    let app = service_fn(move |request| {
        let finished = finished.clone();
        async move {
            sleep(seconds(1)).await;
            let _ = finished.send(());
            hello(request).await
        }
    });
    (app, receiver)
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_cancels_its_request() {
    let (app, mut finished) = taking_a_second();
    let server = Server::start(app, ServeOptions::new());
    let mut stream = server.connect();
    stream.write_all(GET.as_bytes()).await.unwrap();
    sleep(Duration::from_millis(10)).await;
    drop(stream);
    assert!(timeout(seconds(10), finished.recv()).await.is_err());
    assert_eq!(server.drain.open_connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_half_closed_connection_is_answered_only_if_that_is_switched_on() {
    for half_close in [false, true] {
        let (app, _finished) = taking_a_second();
        let server = Server::start(app, ServeOptions::new().half_close(half_close));
        let mut stream = server.connect();
        stream.write_all(GET.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        assert_eq!(read_to_end(&mut stream).await.ends_with("hello"), half_close);
    }
}

#[tokio::test(start_paused = true)]
async fn shutting_down_lets_a_request_finish_and_closes_idle_connections() {
    let (app, _finished) = taking_a_second();
    let mut server = Server::start(app, ServeOptions::new());
    let (mut busy, mut idle) = (server.connect(), server.connect());
    idle.write_all(GET.as_bytes()).await.unwrap();
    sleep(seconds(2)).await;
    busy.write_all(GET.as_bytes()).await.unwrap();
    sleep(Duration::from_millis(10)).await;

    let began = Instant::now();
    assert_eq!(server.drain.shutdown(seconds(30)).await, 0);
    assert_eq!(began.elapsed().as_millis(), 990);
    (&mut server.running).await.unwrap();
    let answer = read_to_end(&mut busy).await;
    assert!(answer.contains("connection: close\r\n") && answer.ends_with("hello"), "{answer}");
    assert!(read_to_end(&mut idle).await.ends_with("hello"));
    assert_eq!(read_to_end(&mut server.connect()).await, "");
}

/// Sends a part each second, `parts` times.
fn streaming(parts: usize) -> impl App<StreamingBody> {
    service_fn(move |_: Request<Body>| {
        let parts = futures_util::stream::unfold(parts, |left| async move {
            let left = left.checked_sub(1)?;
            sleep(seconds(1)).await;
            Some((Ok(Frame::data(Bytes::from_static(b"part"))), left))
        });
        let body: StreamingBody = StreamBody::new(parts).boxed_unsync();
        future::ready(Ok(Response::new(body)))
    })
}

type StreamingBody = http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>;

#[tokio::test(start_paused = true)]
async fn shutting_down_lets_a_streaming_response_end() {
    let server = Server::start(streaming(5), ServeOptions::new());
    let mut stream = server.connect();
    stream.write_all(GET.as_bytes()).await.unwrap();
    sleep(Duration::from_millis(1500)).await;
    assert_eq!(server.drain.shutdown(seconds(30)).await, 0);
    assert_eq!(read_to_end(&mut stream).await.matches("part").count(), 5);
}

#[tokio::test(start_paused = true)]
async fn shutting_down_lets_an_http2_stream_end() {
    let server = Server::start(streaming(5), ServeOptions::new());
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(server.connect()));
    let (mut http2, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    let request = || Request::get("http://app/").body(Empty::<Bytes>::new()).unwrap();
    let response = http2.send_request(request()).await.unwrap();
    let (cut, body) = tokio::join!(server.drain.shutdown(seconds(30)), response.collect());
    assert_eq!((cut, body.unwrap().to_bytes().len()), (0, 20));
    assert!(http2.send_request(request()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn what_does_not_end_in_time_is_cut_off() {
    let server = Server::start(streaming(usize::MAX), ServeOptions::new());
    let mut stream = server.connect();
    stream.write_all(GET.as_bytes()).await.unwrap();
    sleep(Duration::from_millis(10)).await;
    let began = Instant::now();
    assert_eq!(server.drain.shutdown(seconds(5)).await, 1);
    assert_eq!(began.elapsed(), seconds(5));
    assert_eq!(server.drain.open_connections(), 0);
    assert!((4..=6).contains(&read_to_end(&mut stream).await.matches("part").count()));
}

/// Upgrades to a connection that echoes, and tells when it ends.
fn echoing() -> (impl App<Full<Bytes>>, mpsc::UnboundedReceiver<()>) {
    let (ended, receiver) = mpsc::unbounded_channel();
    let app = service_fn(move |mut request: Request<Body>| {
        let ended = ended.clone();
        tokio::spawn(async move {
            let (mut read, mut write) = tokio::io::split(TokioIo::new(hyper::upgrade::on(&mut request).await.unwrap()));
            let _ = tokio::io::copy(&mut read, &mut write).await;
            let _ = ended.send(());
        });
        let response = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS).header("connection", "upgrade");
        future::ready(Ok(response.header("upgrade", "websocket").body(Full::default()).unwrap()))
    });
    (app, receiver)
}

#[tokio::test(start_paused = true)]
async fn an_upgraded_connection_lives_on_until_it_is_closed_or_cut_off() {
    const UPGRADE: &[u8] = b"GET / HTTP/1.1\r\nhost: app\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    for closed_by_caller in [true, false] {
        let (app, mut ended) = echoing();
        let server = Server::start(app, ServeOptions::new().idle_timeout(seconds(10)));
        let mut stream = server.connect();
        stream.write_all(UPGRADE).await.unwrap();
        assert!(read_some(&mut stream).await.starts_with("HTTP/1.1 101 "));
        // Neither idle nor over.
        sleep(seconds(1000)).await;
        stream.write_all(b"ping").await.unwrap();
        assert_eq!(read_some(&mut stream).await, "ping");
        assert_eq!(server.drain.open_connections(), 1);

        if closed_by_caller {
            drop(stream);
            ended.recv().await.unwrap();
            assert_eq!(server.drain.shutdown(seconds(5)).await, 0);
        } else {
            assert_eq!(server.drain.shutdown(seconds(5)).await, 1);
            timeout(seconds(1), ended.recv()).await.unwrap().unwrap();
            assert_eq!(server.drain.open_connections(), 0);
        }
    }
}

#[tokio::test]
async fn a_shut_down_listener_is_closed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (drain, watch) = Drain::new();
    let running =
        tokio::spawn(run(listener, service_fn(hello), watch.clone(), manner(Profile::Safe, ServeOptions::new())));
    let mut open = TcpStream::connect(address).await.unwrap();
    open.write_all(GET_AND_CLOSE.as_bytes()).await.unwrap();
    let mut answer = String::new();
    open.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("hello"));

    drain.shutdown(seconds(5)).await;
    running.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
    // A server that is started too late does not serve.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    timeout(seconds(5), run(listener, service_fn(hello), watch, manner(Profile::Safe, ServeOptions::new())))
        .await
        .unwrap();
}
