//! Answers that come too early, in parts, or with more behind them than they should have.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use mesh_tower::{Body, Mesh, RouteInfo};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::judged::Judged;
use crate::ledger::{Ledger, Reply};
use crate::load::{self, Ask};
use crate::raw::{self, Raw};
use crate::scenario::{PLAIN, Scenario, app, speaking};
use crate::served::Served;

/// A body of 64 MiB that counts the pieces which were asked for.
fn counted(taken: &Arc<AtomicUsize>) -> Body {
    let taken = Arc::clone(taken);
    let piece = Bytes::from(vec![b'x'; 64 * 1024]);
    let pieces = (0..1_024).map(move |_| {
        taken.fetch_add(1, Ordering::SeqCst);
        Ok::<_, Infallible>(Frame::data(piece.clone()))
    });
    Body::new(StreamBody::new(futures_util::stream::iter(pieces)))
}

/// Sends, and gives the status and the body, in five seconds at most.
async fn ask(mesh: &Mesh, judged: &mut Judged, request: Request<Body>) -> (u16, Bytes) {
    let asking = async {
        let response = mesh.client().send(request).await;
        judged.note(response.extensions().get::<RouteInfo>().unwrap().attempts() as usize);
        (response.status().as_u16(), response.into_body().collect().await.unwrap().to_bytes())
    };
    tokio::time::timeout(Duration::from_secs(5), asking).await.expect("an answer in time")
}

fn get() -> Request<Body> {
    Request::get("http://app/").body(Body::empty()).unwrap()
}

/// Answers each request by its path; whatever is left of a request is left.
async fn odd(_: usize, mut stream: TcpStream) -> std::io::Result<()> {
    loop {
        let head = raw::head(&mut stream).await?;
        let (answer, goes_on) = match head.split(' ').nth(1) {
            Some("/informed") => (
                "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n\
                 HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
                true,
            ),
            Some("/large") => ("HTTP/1.1 413 Too Large\r\ncontent-length: 5\r\n\r\nlarge", false),
            Some("/expect") => ("HTTP/1.1 417 Expectation Failed\r\ncontent-length: 2\r\n\r\nno", false),
            Some("/trailers") => (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\
                 content-length: 99\r\ntransfer-encoding: gzip\r\nhost: evil\r\nx-forwarded-client-cert: URI=evil\r\n\
                 authorization: evil\r\nset-cookie: evil=1\r\nx-sum: 1\r\n\r\n",
                true,
            ),
            _ => ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", true),
        };
        stream.write_all(answer.as_bytes()).await?;
        if !goes_on {
            // Neither reads on nor closes.
            return std::future::pending().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_comes_early_stops_the_sending_and_its_connection_is_not_used_again() {
    let scenario = Scenario::begin("35 early answers", 10, 48).await;
    let mut judged = Judged::untried();
    let raw = Raw::start(odd).await;
    let mesh = scenario.mesh(&[raw.address], PLAIN, &["timeout: 4s"]).await;
    for round in 1..=5 {
        let taken = Arc::new(AtomicUsize::new(0));
        let upload = Request::post("http://app/large").body(counted(&taken)).unwrap();
        assert_eq!(ask(&mesh, &mut judged, upload).await, (413, "large".into()));
        let stood = taken.load(Ordering::SeqCst);
        assert!(stood < 256, "{stood} pieces of 64 KiB were taken");
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(taken.load(Ordering::SeqCst) <= stood + 1, "the rest is not wanted");
        assert_eq!(ask(&mesh, &mut judged, get()).await, (200, "hello".into()));
        assert_eq!(ask(&mesh, &mut judged, get()).await, (200, "hello".into()));
        // A connection for each upload, after which it is gone; the one for the short requests stays.
        assert!(raw.connections() <= 2 * round, "{} connections", raw.connections());
        assert!(raw.connections() > round, "{} connections", raw.connections());
    }
    scenario.end(judged, [mesh], raw).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_endpoint_says_before_its_answer_is_not_the_answer() {
    let scenario = Scenario::begin("35 informational answers", 10, 48).await;
    let mut judged = Judged::untried();
    let raw = Raw::start(odd).await;
    let mesh = scenario.mesh(&[raw.address], PLAIN, &["timeout: 4s"]).await;
    for _ in 0..200 {
        let informed = Request::get("http://app/informed").body(Body::empty()).unwrap();
        assert_eq!(ask(&mesh, &mut judged, informed).await, (200, "ok".into()));
    }
    assert_eq!(raw.connections(), 1, "it is used again");
    scenario.end(judged, [mesh], raw).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_the_endpoint_does_not_ask_for_stays_where_it_is() {
    let scenario = Scenario::begin("35 expectations", 10, 48).await;
    let mut judged = Judged::untried();
    let raw = Raw::start(odd).await;
    let mesh = scenario.mesh(&[raw.address], PLAIN, &["timeout: 4s"]).await;
    for _ in 0..5 {
        let taken = Arc::new(AtomicUsize::new(0));
        let upload = Request::post("http://app/expect").header("expect", "100-continue").body(counted(&taken)).unwrap();
        assert_eq!(ask(&mesh, &mut judged, upload).await, (417, "no".into()));
        assert_eq!(taken.load(Ordering::SeqCst), 0, "nothing of it was sent");
        assert_eq!(ask(&mesh, &mut judged, get()).await, (200, "hello".into()));
    }
    scenario.end(judged, [mesh], raw).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trailers_never_become_headers() {
    let scenario = Scenario::begin("36 trailers", 10, 48).await;
    let mut judged = Judged::untried();
    let raw = Raw::start(odd).await;
    let mesh = scenario.mesh(&[raw.address], PLAIN, &["retries: {attempts: 1, retryOn: 5xx}"]).await;
    let names = ["content-length", "host", "x-forwarded-client-cert", "authorization", "set-cookie", "x-sum"];
    for _ in 0..50 {
        let request = Request::get("http://app/trailers").header("te", "trailers").body(Body::empty()).unwrap();
        let response = mesh.client().send(request).await;
        judged.note(response.extensions().get::<RouteInfo>().unwrap().attempts() as usize);
        assert_eq!(response.status(), 200);
        assert!(names.iter().all(|name| !response.headers().contains_key(*name)), "{:?}", response.headers());
        let body = response.into_body().collect().await.unwrap();
        assert_eq!(body.trailers().map(|trailers| trailers["x-sum"].clone()), Some(HeaderValue::from_static("1")));
        assert_eq!(body.to_bytes(), "ok");
        assert_eq!(ask(&mesh, &mut judged, get()).await, (200, "hello".into()));
    }
    assert_eq!(raw.connections(), 1, "they do not confuse what comes after");
    // Nor do those of a request, on either protocol.
    let served = Served::start(|_| {
        tower::service_fn(|request: Request<Body>| async move {
            let headers = request.headers().clone();
            let trailers = request.into_body().collect().await.unwrap().trailers().cloned().unwrap_or_default();
            let seen = ["x-forwarded-client-cert", "x-user"].map(|name| headers.contains_key(name));
            Ok::<_, Infallible>(Response::new(Body::from(format!("{seen:?} {}", trailers.contains_key("x-user")))))
        })
    })
    .await;
    let mut meshes = vec![mesh, served.mesh.clone()];
    for protocol in ["HTTP", "HTTP2"] {
        let text = speaking(protocol, &app(&[served.address], PLAIN, &["timeout: 4s"]));
        let mesh = scenario.with_text(text).build().await.unwrap();
        let trailers = HeaderMap::from_iter([
            ("x-forwarded-client-cert".parse().unwrap(), HeaderValue::from_static("URI=evil")),
            ("x-user".parse().unwrap(), HeaderValue::from_static("evil")),
        ]);
        let body = Body::new(load::streaming(&"text".into()).with_trailers(std::future::ready(Some(Ok(trailers)))));
        let request = Request::post("http://app/").header("trailer", "x-user").body(body).unwrap();
        assert_eq!(ask(&mesh, &mut judged, request).await, (200, "[false, false] true".into()), "{protocol}");
        meshes.push(mesh);
    }
    scenario.end(judged, meshes, (raw, served)).await;
}

fn grpc(n: usize) -> Ask {
    Ask::post(n, &Bytes::from_static(&[0; 5])).header("content-type", "application/grpc").header("te", "trailers")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grpc_status_in_the_headers_counts_once_for_retries_and_once_for_ejection() {
    let scenario = Scenario::begin("36 trailers only", 10, 48).await;
    let ledger = Ledger::new(|seen| {
        assert_eq!(seen.headers["content-type"], "application/grpc");
        let headers = [("content-type", "application/grpc"), ("grpc-status", "14")];
        let headers = headers.map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
        Reply { headers: HeaderMap::from_iter(headers), ..Reply::ok().body(Bytes::new()) }
    });
    let policy = "outlierDetection: {consecutive5xxErrors: 3, interval: 60s, baseEjectionTime: 60s, \
                  maxEjectionPercent: 100}";
    let rule = "retries: {attempts: 1, retryOn: unavailable, backoff: 1ms}";
    let text = speaking("GRPC", &app(&[ledger.endpoint().await], policy, &[rule]));
    let mesh = scenario.with_text(text).build().await.unwrap();
    let ejected = || mesh.gauges().clusters.iter().map(|cluster| cluster.ejected).sum::<usize>();
    let first = load::send(&mesh.client(), grpc(0)).await;
    assert_eq!((first.status, first.info.attempts, ledger.entry("post-0").begun, ejected()), (200, 2, 2, 0));
    // The third answer of this kind is the last.
    let second = load::send(&mesh.client(), grpc(1)).await;
    assert_eq!((ledger.entry("post-1").begun, ejected()), (1, 1), "{second:?}");
    let third = load::send(&mesh.client(), grpc(2)).await;
    assert_eq!((third.info.flags.as_str(), ledger.entry("post-2").begun), ("UH", 0));
    // A POST that was answered may be repeated where the policy says so: it is not for `Judged::by`.
    let tries = first.info.attempts + second.info.attempts + third.info.attempts;
    let judged = Judged::counted(3, tries, scenario.elapsed());
    scenario.end(judged, [mesh], ledger).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grpc_status_in_the_trailers_passes_and_is_nobodys_reason_to_try_again() {
    let scenario = Scenario::begin("36 status in trailers", 10, 48).await;
    let served = Served::start(|_| {
        tower::service_fn(|_: Request<Body>| async move {
            let status = HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from_static("14"))]);
            let body = Body::new(Body::from("hello").with_trailers(std::future::ready(Some(Ok(status)))));
            Ok::<_, Infallible>(Response::builder().header("content-type", "application/grpc").body(body).unwrap())
        })
    })
    .await;
    let rule = "retries: {attempts: 1, retryOn: unavailable, backoff: 1ms}";
    let text = speaking("GRPC", &app(&[served.address], PLAIN, &[rule]));
    let mesh = scenario.with_text(text).build().await.unwrap();
    let mut judged = Judged::untried();
    for n in 0..20 {
        let response = mesh.client().send(grpc(n).request()).await;
        let tries = response.extensions().get::<RouteInfo>().map(RouteInfo::attempts);
        assert_eq!(tries, Some(1));
        judged.note(1);
        assert!(!response.headers().contains_key("grpc-status"));
        let body = response.into_body().collect().await.unwrap();
        assert_eq!(
            body.trailers().map(|trailers| trailers["grpc-status"].clone()),
            Some(HeaderValue::from_static("14"))
        );
    }
    scenario.end(judged, [mesh, served.mesh.clone()], served).await;
}
