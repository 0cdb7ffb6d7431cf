//! Limits of a cluster.

use std::future::IntoFuture as _;
use std::io;
use std::sync::{Arc, Mutex};

use mesh_tower::mesh_core::failure::Limit;
use mesh_tower::testing::{Reply, TestMesh, Workload};
use mesh_tower::{Profile, Refused};

use super::{GET, NO_RETRIES, PLAIN, Setting, ms, secs};

fn slow() -> Reply {
    Reply::status(200).after(ms(100))
}

#[tokio::test(start_paused = true)]
async fn one_connection_and_one_that_waits_serve_two_of_four() {
    let policy = "connectionPool: {tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 1}}";
    let mesh = Setting { policy, rule: "" }.endpoint(slow()).await;
    // The connection is there: as in the measurement, it is not opened by those who are counted.
    mesh.run(GET).await.assert_success(1.0);
    let run = mesh.run(GET).times(4).at_once(4).await;
    run.assert_status(200, 2);
    run.assert_flags("UO", 2);
    let refused = run.iter().find(|answer| answer.status() == 503).unwrap();
    assert_eq!(refused.text(), "upstream connect error or disconnect/reset before headers. reset reason: overflow");
    assert_eq!(refused.header("x-envoy-overloaded"), Some("true"));
    assert_eq!(refused.details(), "upstream_reset_before_response_started{overflow}");
    assert!(refused.took().is_zero(), "refused at once");
    mesh.assert_idle();
}

#[tokio::test(start_paused = true)]
async fn requests_are_limited_over_all_endpoints_and_for_both_protocols() {
    let setting = Setting { policy: "connectionPool: {http: {http2MaxRequests: 3}}", rule: "" };
    for workload in [Workload::of("a"), Workload::of("a").http2()] {
        let mesh = setting.with(workload.replicas(4).replying(slow())).start().await;
        let run = mesh.run(GET).times(10).at_once(10).await;
        run.assert_status(200, 3);
        run.assert_flags("UO", 7);
        // All are given back.
        mesh.run(GET).times(3).at_once(3).await.assert_success(1.0);
        mesh.assert_idle();
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_being_opened_makes_its_requests_wait() {
    let setting = Setting { policy: "connectionPool: {http: {http1MaxPendingRequests: 2}}", rule: "" };
    for workload in [Workload::of("a"), Workload::of("a").http2()] {
        let mesh = setting.with(workload.replying(slow())).start().await;
        let run = mesh.run(GET).times(5).at_once(5).await;
        run.assert_status(200, 2);
        run.assert_flags("UO", 3);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_over_a_limit_is_not_tried_again() {
    let policy = "connectionPool: {http: {http2MaxRequests: 1}}";
    let mesh = Setting { policy, rule: "retries: {attempts: 5, retryOn: \"5xx,reset,connect-failure\"}" }
        .endpoint(slow())
        .await;
    let run = mesh.run(GET).times(6).at_once(6).await;
    run.assert_flags("UO", 5);
    run.assert_tries(1);
    mesh.assert_calls("a", 1);
}

#[tokio::test(start_paused = true)]
async fn each_endpoint_has_one_connection_whatever_the_limit() {
    let policy = "loadBalancer: {simple: ROUND_ROBIN}, connectionPool: {tcp: {maxConnections: 1}}";
    let mesh = Setting { policy, rule: NO_RETRIES }.endpoints(5, slow()).await;
    let run = mesh.run(GET).times(10).at_once(10).await;
    run.assert_success(1.0);
    assert_eq!(mesh.connections_opened(), 5);
    assert_eq!(run.iter().filter(|answer| answer.took() == ms(100)).count(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_connection_serves_as_many_requests_as_it_may() {
    for (most, opened) in [(1, 12), (4, 3), (0, 1)] {
        let policy = format!("connectionPool: {{http: {{maxRequestsPerConnection: {most}}}}}");
        for workload in [Workload::of("a"), Workload::of("a").http2()] {
            let mesh = Setting { policy: &policy, rule: NO_RETRIES }.with(workload).start().await;
            mesh.run(GET).times(12).await.assert_success(1.0);
            assert_eq!(mesh.connections_opened(), opened, "{most} requests");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn idle_connections_close_in_time() {
    let policy = "connectionPool: {http: {idleTimeout: 5s}}";
    let mesh = Setting { policy, rule: NO_RETRIES }.endpoint(Reply::status(200)).await;
    for (pause, opened) in [(0, 1), (4, 1), (6, 2), (6, 3)] {
        mesh.advance(secs(pause)).await;
        mesh.run(GET).await.assert_success(1.0);
        assert_eq!(mesh.connections_opened(), opened);
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_takes_too_long_has_failed() {
    let policy = "connectionPool: {tcp: {connectTimeout: 250ms}}";
    let mesh = Setting { policy, rule: NO_RETRIES }.endpoint(Reply::unreachable()).await;
    let run = mesh.run(GET).await;
    run.assert_flags("UF", 1);
    assert_eq!(run[0].took(), ms(250));
    assert!(run[0].text().ends_with("reset reason: connection timeout"), "{}", run[0].text());
}

#[tokio::test(start_paused = true)]
async fn streams_of_one_connection_are_limited_and_more_connections_are_opened() {
    let policy = "connectionPool: {http: {maxConcurrentStreams: 2}}";
    let mesh = Setting { policy, rule: NO_RETRIES }.http2(slow()).await;
    let run = mesh.run(GET).times(6).at_once(6).await;
    run.assert_success(1.0);
    assert_eq!(mesh.connections_opened(), 3);
    assert!(run.iter().all(|answer| answer.took() == ms(100)));
}

#[tokio::test(start_paused = true)]
async fn a_mirror_gets_its_copy_when_the_request_is_over_a_limit_but_not_when_nobody_is_there() {
    let rule = "retries: {attempts: 0}, mirror: {host: shadow}";
    let policy = "connectionPool: {http: {http2MaxRequests: 1}}";
    let mesh =
        Setting { policy, rule }.with(Workload::of("a").replying(slow())).with(Workload::of("shadow")).start().await;
    mesh.run(GET).times(4).at_once(4).await.assert_flags("UO", 3);
    mesh.assert_mirrored("shadow", 4);

    let nobody =
        Setting { policy, rule }.with(Workload::of("a").replicas(0)).with(Workload::of("shadow")).start().await;
    nobody.run(GET).times(4).await.assert_flags("UH", 4);
    nobody.advance(ms(10)).await;
    nobody.assert_mirrored("shadow", 0);
}

#[tokio::test(start_paused = true)]
async fn callers_that_give_up_give_back_what_they_held() {
    let policy = "connectionPool: {tcp: {maxConnections: 2}, http: {http1MaxPendingRequests: 4, http2MaxRequests: 5}}";
    for workload in [Workload::of("a"), Workload::of("a").http2()] {
        let mesh = Setting { policy, rule: "" }.with(workload.replying(Reply::hang())).start().await;
        for _ in 0..20 {
            let run = mesh.run(GET).times(8).at_once(8).into_future();
            assert!(tokio::time::timeout(ms(10), run).await.is_err());
        }
        mesh.advance(ms(1)).await;
        mesh.assert_idle();
        mesh.reply("a", &Reply::status(200));
        mesh.run(GET).times(20).await.assert_success(1.0);
    }
}

/// What the cluster of `a` has refused.
fn refused(mesh: &TestMesh) -> Refused {
    mesh.mesh().gauges().clusters.iter().find(|cluster| cluster.name.contains("|a.")).unwrap().refused
}

#[tokio::test(start_paused = true)]
async fn what_is_turned_away_is_counted_by_the_limit_that_did_it() {
    let counts = |refused: Refused| [refused.connections, refused.pending_requests, refused.requests, refused.retries];
    let policy = "connectionPool: {http: {http2MaxRequests: 3}}";
    let mesh = Setting { policy, rule: "" }.endpoint(slow()).await;
    let run = mesh.run(GET).times(10).at_once(10).await;
    run.assert_flags("UO", 7);
    assert_eq!(counts(refused(&mesh)), [0, 0, 7, 0]);
    let over: Vec<_> = run.iter().filter_map(|answer| answer.info().unwrap().over_limit()).collect();
    assert_eq!(over, [(Limit::Requests, 3); 7]);
    let limits = mesh.explain(GET).destination.unwrap().policy.into_iter().find(|line| line.name == "limits").unwrap();
    assert_eq!(limits.value, "3 requests (refused so far: 7 requests)");

    let policy = "connectionPool: {tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 1}}";
    let mesh = Setting { policy, rule: "" }.endpoint(slow()).await;
    mesh.run(GET).await.assert_success(1.0);
    mesh.run(GET).times(4).at_once(4).await.assert_flags("UO", 2);
    let [connections, waiting, requests, retries] = counts(refused(&mesh));
    assert!(connections > 0);
    assert_eq!([waiting, requests, retries], [2, 0, 0]);

    let policy = "connectionPool: {http: {maxRetries: 1}}";
    let rule = "retries: {attempts: 1, retryOn: 5xx}";
    let mesh = Setting { policy, rule }.endpoint(Reply::status(503).after(ms(10))).await;
    mesh.run(GET).times(5).at_once(5).await.assert_flags("UO", 4);
    assert_eq!(counts(refused(&mesh)), [0, 0, 0, 4]);
}

#[tokio::test(start_paused = true)]
async fn the_budget_that_nobody_asked_for_is_explained_with_what_it_refused() {
    let rule = "retries: {attempts: 5, retryOn: 5xx, backoff: 1ms}";
    let builder = Setting { policy: PLAIN, rule }.with(Workload::of("a").replying(Reply::status(503)));
    let mesh = builder.configure(|mesh| mesh.profile(Profile::Safe)).start().await;
    mesh.run(GET).times(10).await;
    let Refused { retries, .. } = refused(&mesh);
    assert!(retries > 0);
    let policy = mesh.explain(GET).destination.unwrap().policy;
    let budget = policy.into_iter().find(|line| line.name == "retry budget").unwrap();
    let said = format!("one retry for 5 requests, and 10 a second (refused so far: {retries} retries)");
    assert_eq!((budget.value, &*budget.place.object), (said, "default"));
}

#[tokio::test(start_paused = true)]
async fn a_budget_of_an_interval_counts_requests_when_they_go_on_after_a_fault() {
    let policy = "retryBudget: {percent: 100, minRetryConcurrency: 1, budgetInterval: 2s}";
    for fault in ["", "fault: {delay: {fixedDelay: 5s, percentage: {value: 100}}}, "] {
        let rule = format!("{fault}retries: {{attempts: 1, retryOn: 5xx}}");
        let mesh = Setting { policy, rule: &rule }.endpoint(Reply::status(503).after(ms(10))).await;
        let run = mesh.run(GET).times(20).at_once(20).await;
        assert_eq!(run.iter().filter(|answer| answer.tries() == 2).count(), 20, "{fault}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_turned_away_is_told_with_the_limit_and_its_value() {
    let policy = "connectionPool: {http: {http2MaxRequests: 3}}";
    let mesh = Setting { policy, rule: "" }.endpoint(slow()).await;
    let written = Written::default();
    // Tests on other threads, where nobody listens, may just have said so for all.
    for _ in 0..20 {
        let writer = written.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone());
        let _listening = tracing::subscriber::set_default(subscriber.finish());
        mesh.run(GET).times(10).at_once(10).await.assert_flags("UO", 7);
        if !written.text().is_empty() {
            break;
        }
        mesh.advance(secs(1)).await;
    }
    let text = written.text();
    let told: Vec<&str> = text.lines().filter(|line| line.contains("over the limit")).collect();
    assert_eq!(told.len(), 1, "one of seven that come at once: {text}");
    for what in ["WARN", "a.default.svc", "limit=\"connectionPool.http.http2MaxRequests\"", "value=3", "refused="] {
        assert!(told[0].contains(what), "{what}: {}", told[0]);
    }
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_connection_takes_no_slot_of_the_requests() {
    let policy = "connectionPool: {tcp: {maxConnections: 1}, http: {http2MaxRequests: 1}}";
    let mesh = Setting { policy, rule: "" }.endpoint(slow()).await;
    let run = mesh.run(GET).times(5).at_once(5).await;
    run.assert_success(1.0);
    assert_eq!(run.iter().map(|answer| answer.took()).max(), Some(ms(500)), "one after the other");
    assert_eq!(mesh.connections_opened(), 1);
    mesh.assert_idle();
}

#[tokio::test(start_paused = true)]
async fn what_is_turned_away_wears_no_connection() {
    let policy = "connectionPool: {http: {http2MaxRequests: 1, maxRequestsPerConnection: 2}}";
    for workload in [Workload::of("a"), Workload::of("a").http2()] {
        let mesh = Setting { policy, rule: "" }.with(workload.replying(slow())).start().await;
        mesh.run(GET).await.assert_success(1.0);
        let held = mesh.run(GET).into_future();
        let refused = async {
            mesh.advance(ms(50)).await;
            mesh.run(GET).times(20).await.assert_flags("UO", 20);
        };
        tokio::join!(held, refused).0.assert_success(1.0);
        assert!(mesh.connections_opened() <= 2, "{} opened", mesh.connections_opened());
    }
}

#[tokio::test(start_paused = true)]
async fn connections_for_one_request_each_are_opened_at_the_same_time() {
    let policy = "connectionPool: {http: {maxRequestsPerConnection: 1}}";
    for workload in [Workload::of("a"), Workload::of("a").http2()] {
        let mesh = Setting { policy, rule: "" }.with(workload.replying(slow())).start().await;
        let run = mesh.run(GET).times(8).at_once(8).await;
        run.assert_success(1.0);
        assert_eq!(mesh.connections_opened(), 8);
        assert!(run.iter().all(|answer| answer.took() == ms(100)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_the_length_of_the_body_does_not_allow_is_counted() {
    let rule = "retries: {attempts: 2, retryOn: 5xx}";
    let mesh = Setting { policy: PLAIN, rule }
        .with(Workload::of("a").replying(Reply::status(503)))
        .configure(|mesh| mesh.replay_memory(10))
        .start()
        .await;
    for (body, tries, skipped) in [("short", 3, 0), ("longer than what may be kept", 1, 1)] {
        let run = mesh.run("POST http://a/1").body(body).await;
        run.assert_tries(tries);
        let cluster = mesh.mesh().gauges().clusters.into_iter().find(|cluster| cluster.name.contains("|a.")).unwrap();
        assert_eq!(cluster.skipped_retries, skipped);
    }
}
