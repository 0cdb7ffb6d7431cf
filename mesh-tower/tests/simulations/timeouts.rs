//! Timeouts: of a request, of a try, and what endpoints are told of them.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::stream;
use http::Request;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use mesh_tower::Body;
use mesh_tower::testing::{Reply, Workload};

use super::{GET, PLAIN, Setting, ms, secs};

/// More than any buffer on the way takes.
fn long_answer() -> Reply {
    Reply::slow_body(ms(1), (0..200).map(|_| Bytes::from(vec![b'x'; 64 * 1024])))
}

fn get() -> Request<Body> {
    Request::get(GET.strip_prefix("GET ").unwrap()).body(Body::empty()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_reads_holds_nothing_longer_than_the_timeout() {
    let policy = "connectionPool: {http: {http2MaxRequests: 1}}";
    let setting = Setting { policy, rule: "timeout: 1s" };
    for workload in [Workload::of("a"), Workload::of("a").http2()] {
        let mesh = setting.with(workload.replying(long_answer())).start().await;
        let answer = mesh.client().send(get()).await;
        mesh.advance(ms(900)).await;
        mesh.run(GET).await.assert_flags("UO", 1);
        mesh.advance(ms(300)).await;
        mesh.assert_idle();
        // What was not over in time never looks as if it were.
        let error = answer.into_body().collect().await.unwrap_err();
        assert!(error.to_string().contains("timeout"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_read_too_slowly_is_cut_off_and_a_short_one_can_be_read_late() {
    let setting = Setting { policy: PLAIN, rule: "timeout: 1s" };
    for workload in [Workload::of("a"), Workload::of("a").http2()] {
        let mesh = setting.with(workload.replying(long_answer())).start().await;
        let mut body = mesh.client().send(get()).await.into_body();
        let read = async {
            while body.frame().await.unwrap().is_ok() {
                mesh.advance(ms(100)).await;
            }
        };
        let began = tokio::time::Instant::now();
        read.await;
        // What had come by then is still there to be read.
        assert!(began.elapsed() >= secs(1) && began.elapsed() < secs(3), "{:?}", began.elapsed());

        mesh.reply("a", &Reply::status(200).body("hello"));
        let answer = mesh.client().send(get()).await;
        mesh.advance(secs(60)).await;
        mesh.assert_idle();
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "hello");
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_timeout_an_answer_waits_for_its_reader_as_in_istio() {
    let mesh = Setting { policy: PLAIN, rule: "" }.endpoint(long_answer()).await;
    let answer = mesh.client().send(get()).await;
    mesh.advance(secs(3_000)).await;
    assert_eq!(mesh.mesh().gauges().clusters.iter().map(|cluster| cluster.requests).sum::<u32>(), 1);
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes().len(), 200 * 64 * 1024);
    mesh.assert_idle();
}

#[tokio::test(start_paused = true)]
async fn a_request_that_takes_too_long_is_answered_for_the_endpoint() {
    let mesh = Setting { policy: PLAIN, rule: "timeout: 200ms" }.endpoint(Reply::hang()).await;
    let run = mesh.run(GET).await;
    assert_eq!((run[0].status(), &*run[0].text(), run[0].took()), (504, "upstream request timeout", ms(200)));
    assert_eq!((run[0].flags().to_string(), run[0].details()), ("UT".into(), "response_timeout"));
    let run = mesh.run("POST http://a/echo.Echo/Say").header("content-type", "application/grpc").await;
    assert_eq!((run[0].status(), run[0].grpc_status()), (200, Some(14)));
    assert_eq!(run[0].header("grpc-message"), Some("upstream request timeout"));
}

#[tokio::test(start_paused = true)]
async fn tries_and_pauses_together_take_no_longer_than_the_timeout() {
    let rule = "timeout: 1s, retries: {attempts: 20, retryOn: 5xx, backoff: 100ms}";
    let mesh = Setting { policy: PLAIN, rule }.endpoint(Reply::status(503).after(ms(70))).await;
    let run = mesh.run(GET).times(10).await;
    run.assert_status(504, 10);
    assert!(run.iter().all(|answer| answer.took() == secs(1) && answer.tries() < 12));
}

#[tokio::test(start_paused = true)]
async fn the_timeout_begins_when_the_request_has_been_sent() {
    let mesh = Setting { policy: PLAIN, rule: "timeout: 200ms" }.endpoint(Reply::status(200)).await;
    let pieces = stream::unfold(6, |left: u32| async move {
        tokio::time::sleep(ms(100)).await;
        (left > 0).then(|| (Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"piece"))), left - 1))
    });
    let request = Request::post("http://a/1").body(Body::new(StreamBody::new(pieces))).unwrap();
    assert_eq!(mesh.client().send(request).await.status(), 200);
    assert_eq!(mesh.calls()[0].body().len(), 30);
}

/// A request whose caller takes six seconds to send it.
fn slow_upload() -> Request<Body> {
    let pieces = stream::unfold(6, |left: u32| async move {
        tokio::time::sleep(secs(1)).await;
        (left > 0).then(|| (Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"piece"))), left - 1))
    });
    Request::post("http://a/1").body(Body::new(StreamBody::new(pieces))).unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_time_of_a_mirror_begins_when_the_caller_has_sent_the_request() {
    let rule = "timeout: 2s, mirror: {host: shadow}";
    let touchy = "
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: shadow}
spec: {host: shadow, trafficPolicy: {outlierDetection: {consecutive5xxErrors: 1, maxEjectionPercent: 100}}}
";
    let mesh = Setting { policy: PLAIN, rule }
        .with(Workload::of("a"))
        .with(Workload::of("shadow"))
        .config_yaml("shadow.yaml", touchy)
        .start()
        .await;
    assert_eq!(mesh.client().send(slow_upload()).await.status(), 200);
    mesh.advance(ms(100)).await;
    assert_eq!(mesh.calls_to("shadow")[0].body().len(), 30, "it was there to the end");
    mesh.assert_healthy("shadow");
    mesh.assert_idle();
    // One that does not answer after that has its time, and is told apart as what it is.
    mesh.reply("shadow", &Reply::hang());
    mesh.client().send(slow_upload()).await;
    mesh.advance(ms(1_900)).await;
    assert_eq!(mesh.mesh().gauges().mirrors, 1);
    mesh.advance(ms(200)).await;
    mesh.assert_idle();
    mesh.assert_ejected("shadow");
}

#[tokio::test(start_paused = true)]
async fn a_try_begins_when_it_has_its_connection() {
    let policy = "connectionPool: {tcp: {maxConnections: 1}}";
    let rule = "retries: {attempts: 1, retryOn: 5xx, perTryTimeout: 450ms}";
    let mesh = Setting { policy, rule }.endpoint(Reply::status(200).after(ms(300))).await;
    let run = mesh.run(GET).times(2).at_once(2).await;
    run.assert_success(1.0);
    run.assert_tries(1);
    assert_eq!((run[0].took(), run[1].took()), (ms(300), ms(600)));
}

#[tokio::test(start_paused = true)]
async fn a_try_that_takes_too_long_is_told_apart_from_the_whole_request() {
    let rule =
        |retry_on: &str| format!("timeout: 10s, retries: {{attempts: 2, retryOn: {retry_on:?}, perTryTimeout: 1s}}");
    for (retry_on, flags, tries) in [("5xx", "URX,UT", 3), ("503,504", "UT", 1), ("connect-failure", "UT", 1)] {
        let mesh = Setting { policy: PLAIN, rule: &rule(retry_on) }.endpoint(Reply::hang()).await;
        let run = mesh.run(GET).await;
        run.assert_tries(tries);
        run.assert_flags(flags, 1);
        assert_eq!((run[0].status(), run[0].details()), (504, "upstream_per_try_timeout"), "{retry_on}");
        assert_eq!(run[0].text(), "upstream request timeout");
    }
}

#[tokio::test(start_paused = true)]
async fn an_injected_delay_takes_nothing_of_the_timeout() {
    let rule = "timeout: 50ms, fault: {delay: {fixedDelay: 200ms, percentage: {value: 100}}}";
    let mesh = Setting { policy: PLAIN, rule }.endpoint(Reply::status(200)).await;
    let run = mesh.run(GET).await;
    run.assert_flags("DI", 1);
    assert_eq!((run[0].status(), run[0].took()), (200, ms(200)));
}

#[tokio::test(start_paused = true)]
async fn endpoints_are_told_how_long_each_try_has() {
    let rule = "timeout: 2500ms, retries: {attempts: 2, retryOn: 5xx, perTryTimeout: 1s, backoff: 1ms}";
    let mesh = Setting { policy: PLAIN, rule }.endpoint(Reply::hang()).await;
    mesh.run(GET).await.assert_status(504, 1);
    let told: Vec<u64> = mesh
        .calls()
        .iter()
        .map(|call| call.header("x-envoy-expected-rq-timeout-ms").unwrap().parse().unwrap())
        .collect();
    assert_eq!(told[..2], [1_000, 1_000]);
    // What is left of the whole, less the two pauses.
    assert!((490..=500).contains(&told[2]), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_a_grpc_call_becomes_that_of_the_try() {
    let rule = "timeout: 10s, retries: {attempts: 2, retryOn: 5xx, perTryTimeout: 2s}";
    let mesh = Setting { policy: PLAIN, rule }.http2(Reply::grpc(0)).await;
    let call = || mesh.run("POST http://a/echo.Echo/Say").header("content-type", "application/grpc");
    call().header("grpc-timeout", "5S").await.assert_success(1.0);
    call().header("grpc-timeout", "500m").await.assert_success(1.0);
    call().await.assert_success(1.0);
    let told: Vec<_> = mesh.calls().iter().map(|call| call.header("grpc-timeout").unwrap().to_owned()).collect();
    assert_eq!(told, ["2000m", "500m", "2000m"]);
}

#[tokio::test(start_paused = true)]
async fn a_callers_wish_for_another_timeout_is_ignored() {
    let mesh = Setting { policy: PLAIN, rule: "timeout: 1s" }.endpoint(Reply::hang()).await;
    let run = mesh.run(GET).header("x-envoy-upstream-rq-timeout-ms", "5").header("x-envoy-max-retries", "9").await;
    assert_eq!((run[0].took(), run[0].tries()), (secs(1), 1));
}
