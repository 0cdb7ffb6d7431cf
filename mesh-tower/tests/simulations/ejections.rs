//! Outlier detection.

use mesh_tower::testing::{Reply, TestMesh, Workload};

use super::{GET, NO_RETRIES, PLAIN, Setting, ms, secs};

const THREE: &str =
    "loadBalancer: {simple: ROUND_ROBIN}, outlierDetection: {consecutive5xxErrors: 3, maxEjectionPercent: 100}";

fn after_three() -> Setting<'static> {
    Setting { policy: THREE, rule: NO_RETRIES }
}

async fn ejected_after(requests: usize, reply: Reply, policy: &str, rule: &str) -> bool {
    let mesh = Setting { policy, rule }.endpoint(reply).await;
    mesh.run(GET).times(requests).await;
    !mesh.ejected().is_empty()
}

#[tokio::test(start_paused = true)]
async fn at_ten_percent_nobody_of_less_than_ten_is_ejected_and_one_of_ten_is() {
    for endpoints in 1..=10 {
        let policy = "loadBalancer: {simple: ROUND_ROBIN}, outlierDetection: {consecutive5xxErrors: 3}";
        let mesh = Setting { policy, rule: NO_RETRIES }.endpoints(endpoints, Reply::status(503)).await;
        mesh.run(GET).times(3 * endpoints).await.assert_status(503, 3 * endpoints);
        let expected = if endpoints < 10 { 0 } else { 1 };
        assert_eq!(mesh.ejected().len(), expected, "of {endpoints}");
        assert_eq!(mesh.refused_ejections() as usize, endpoints - expected, "of {endpoints}");
    }
}

#[tokio::test(start_paused = true)]
async fn at_fifty_percent_one_of_three_is_ejected() {
    let policy =
        "loadBalancer: {simple: ROUND_ROBIN}, outlierDetection: {consecutive5xxErrors: 3, maxEjectionPercent: 50}";
    let mesh = Setting { policy, rule: NO_RETRIES }.endpoints(3, Reply::status(503)).await;
    mesh.run(GET).times(30).await;
    assert_eq!(mesh.ejected().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn of_a_thousand_of_which_half_fail_no_more_than_allowed_are_ever_out() {
    let policy =
        "loadBalancer: {simple: ROUND_ROBIN}, outlierDetection: {consecutive5xxErrors: 2, maxEjectionPercent: 30}";
    let setting = Setting { policy, rule: NO_RETRIES };
    let half = |name: &str| Workload::of("a").named(name.to_owned()).replicas(500);
    let mesh = setting.with(half("good")).with(half("bad").replying(Reply::status(500))).start().await;
    for _ in 0..8 {
        mesh.run(GET).times(500).await;
        let ejected = mesh.ejected();
        assert!(ejected.len() <= 300 && ejected.iter().all(|name| name.starts_with("bad/")), "{}", ejected.len());
    }
    assert_eq!(mesh.ejected().len(), 300);
    // Those that are out are left alone: 200 of the 700 that are left still fail.
    let run = mesh.run(GET).times(700).await;
    run.assert_status(500, 200);
}

#[tokio::test(start_paused = true)]
async fn what_counts_as_an_error_of_an_endpoint() {
    assert!(ejected_after(3, Reply::status(500), THREE, NO_RETRIES).await);
    assert!(ejected_after(3, Reply::refuse(), THREE, NO_RETRIES).await, "refused connections count as 503");
    assert!(ejected_after(3, Reply::reset(), THREE, NO_RETRIES).await, "closed connections count as 503");
    let rule = "retries: {attempts: 0}, timeout: 1s";
    assert!(ejected_after(3, Reply::hang(), THREE, rule).await, "timeouts count as 504");
    assert!(!ejected_after(9, Reply::status(404), THREE, NO_RETRIES).await);
    assert!(!ejected_after(2, Reply::status(500), THREE, NO_RETRIES).await);
    let broken = Reply::cycle([Reply::status(503).times(2), Reply::status(200)]);
    assert!(!ejected_after(30, broken, THREE, NO_RETRIES).await, "a success in between starts the count anew");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_breaks_off_counts_as_much_as_none() {
    let one = "outlierDetection: {consecutive5xxErrors: 1, maxEjectionPercent: 100}";
    for rule in [NO_RETRIES, "retries: {attempts: 0}, timeout: 10s"] {
        assert!(ejected_after(1, Reply::broken_body("beginning"), one, rule).await, "{rule}");
        // Its head was a success, after which the count begins anew.
        assert!(!ejected_after(9, Reply::broken_body("beginning"), THREE, rule).await, "{rule}");
        let mesh = Setting { policy: THREE, rule }.endpoint(Reply::broken_body("beginning").after(ms(10))).await;
        mesh.run(GET).times(8).at_once(8).await;
        mesh.assert_ejected("a");
    }
    // What takes too long after its head says nothing, as in Envoy.
    let slow = Reply::slow_body(secs(2), ["one", "two", "three"]);
    assert!(!ejected_after(3, slow, one, "retries: {attempts: 0}, timeout: 3s").await);
}

#[tokio::test(start_paused = true)]
async fn an_idle_cluster_does_not_show_ejections_that_are_over() {
    let mesh = after_three().endpoint(Reply::status(503)).await;
    mesh.run(GET).times(3).await;
    let ejected = || mesh.mesh().gauges().clusters.iter().map(|cluster| cluster.ejected).sum::<usize>();
    assert_eq!(ejected(), 1);
    tokio::time::advance(secs(60)).await;
    assert_eq!(ejected(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_mirror_gets_the_first_request_after_an_ejection_is_over() {
    let rule = "retries: {attempts: 0}, mirror: {host: shadow}";
    let reply = Reply::sequence([Reply::status(503).times(3), Reply::status(200)]);
    let builder = Setting { policy: THREE, rule }.with(Workload::of("a").replying(reply));
    let mesh = builder.with(Workload::of("shadow")).start().await;
    mesh.run(GET).times(3).await;
    mesh.run(GET).await.assert_flags("UH", 1);
    mesh.assert_mirrored("shadow", 3);
    mesh.advance(secs(60)).await;
    mesh.run(GET).await.assert_status(200, 1);
    mesh.advance(ms(1)).await;
    mesh.assert_mirrored("shadow", 4);
}

#[tokio::test(start_paused = true)]
async fn a_grpc_status_counts_where_it_stands_in_headers_and_never_in_trailers() {
    let grpc = |mesh: TestMesh| async move {
        mesh.run("POST http://a/echo.Echo/Say").header("content-type", "application/grpc").times(6).await;
        mesh.ejected().len()
    };
    assert_eq!(grpc(after_three().http2(Reply::grpc(14)).await).await, 1);
    assert_eq!(grpc(after_three().http2(Reply::grpc_in_trailers(14)).await).await, 0);
    assert_eq!(grpc(after_three().http2(Reply::grpc(5)).await).await, 0, "NOT_FOUND is 404");
}

#[tokio::test(start_paused = true)]
async fn gateway_errors_are_counted_by_themselves() {
    let policy = "outlierDetection: {consecutive5xxErrors: 0, consecutiveGatewayErrors: 3, maxEjectionPercent: 100}";
    assert!(ejected_after(3, Reply::status(502), policy, NO_RETRIES).await);
    assert!(!ejected_after(9, Reply::status(500), policy, NO_RETRIES).await);
}

const SPLIT: &str = "outlierDetection: {consecutive5xxErrors: 3, consecutiveLocalOriginFailures: 3, \
                     splitExternalLocalOriginErrors: true, maxEjectionPercent: 100}";

#[tokio::test(start_paused = true)]
async fn with_local_errors_apart_refused_connections_eject_and_closed_ones_never_do() {
    assert!(ejected_after(3, Reply::refuse(), SPLIT, NO_RETRIES).await);
    assert!(!ejected_after(7, Reply::reset(), SPLIT, NO_RETRIES).await, "each connection starts the count anew");
    assert!(ejected_after(3, Reply::status(503), SPLIT, NO_RETRIES).await);
}

#[tokio::test(start_paused = true)]
async fn requests_over_a_limit_say_nothing_about_endpoints() {
    let policy = format!("{THREE}, connectionPool: {{http: {{http2MaxRequests: 1}}}}");
    let mesh = Setting { policy: &policy, rule: NO_RETRIES }.endpoint(Reply::status(200).after(ms(10))).await;
    mesh.run(GET).times(20).at_once(20).await.assert_flags("UO", 19);
    mesh.assert_healthy("a");
}

#[tokio::test(start_paused = true)]
async fn with_all_endpoints_ejected_there_is_no_healthy_upstream() {
    let mesh = after_three().endpoints(2, Reply::status(503)).await;
    mesh.run(GET).times(6).await;
    mesh.assert_ejected("a");
    let run = mesh.run(GET).await;
    run.assert_flags("UH", 1);
    assert_eq!((run[0].status(), &*run[0].text()), (503, "no healthy upstream"));
    mesh.assert_calls("a", 6);
}

#[tokio::test(start_paused = true)]
async fn below_the_health_that_is_asked_for_ejected_endpoints_get_requests_too() {
    let policy = "outlierDetection: {consecutive5xxErrors: 3, maxEjectionPercent: 100, minHealthPercent: 60}";
    let mesh = Setting { policy, rule: NO_RETRIES }.endpoints(2, Reply::status(503)).await;
    let run = mesh.run(GET).times(40).await;
    run.assert_flags("-", 40);
    mesh.assert_ejected("a");
}

#[tokio::test(start_paused = true)]
async fn an_ejection_ends_with_the_first_sweep_after_its_time() {
    let mesh = after_three().endpoint(Reply::status(503)).await;
    mesh.advance(secs(3)).await;
    mesh.run(GET).times(3).await;
    // Out at 3 s for 30 s, swept every 10 s: back at 40 s.
    mesh.advance(secs(36)).await;
    mesh.assert_ejected("a/0");
    mesh.advance(secs(1)).await;
    mesh.assert_healthy("a/0");
}

#[tokio::test(start_paused = true)]
async fn each_further_ejection_lasts_longer_by_the_base_time_and_good_times_shorten_it_again() {
    let mesh = after_three().endpoint(Reply::status(503)).await;
    let lasts = || async {
        mesh.run(GET).times(3).await;
        mesh.assert_ejected("a/0");
        let began = tokio::time::Instant::now();
        while !mesh.ejected().is_empty() {
            mesh.advance(secs(1)).await;
        }
        began.elapsed().as_secs()
    };
    let times = [lasts().await, lasts().await, lasts().await];
    for (n, time) in (1..).zip(times) {
        assert!((30 * n..=30 * n + 10).contains(&time), "ejection {n} of {times:?}");
    }
    // Each sweep in health takes one off.
    for _ in 0..30 {
        mesh.advance(secs(1)).await;
        mesh.assert_healthy("a/0");
    }
    let after = lasts().await;
    assert!((30..=40).contains(&after), "{after}");
}

#[tokio::test(start_paused = true)]
async fn no_ejection_lasts_longer_than_five_minutes() {
    let policy = "outlierDetection: {consecutive5xxErrors: 1, baseEjectionTime: 200s, maxEjectionPercent: 100}";
    let mesh = Setting { policy, rule: NO_RETRIES }.endpoint(Reply::status(503)).await;
    for _ in 0..4 {
        mesh.run(GET).await;
        mesh.assert_ejected("a/0");
        mesh.advance(secs(311)).await;
        mesh.assert_healthy("a/0");
    }
}

#[tokio::test(start_paused = true)]
async fn an_ejection_outlives_a_change_of_the_configuration_that_leaves_its_cluster_alone() {
    let mesh = after_three().endpoints(2, Reply::status(200)).await;
    mesh.reply("a/1", &Reply::status(503));
    mesh.run(GET).times(6).await;
    mesh.assert_ejected("a/1");
    let other = "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: b}
spec: {hosts: [b], http: [{directResponse: {status: 204}}]}
";
    assert!(mesh.mesh().apply_yaml("b.yaml", other).accepted);
    mesh.assert_ejected("a/1");
    mesh.forget_calls();
    mesh.run(GET).times(4).await.assert_success(1.0);
    mesh.assert_calls("a/1", 0);
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_finds_nobody_left_loses_the_answer_before_it() {
    let policy = "outlierDetection: {consecutive5xxErrors: 1, maxEjectionPercent: 100}";
    let rule = "retries: {attempts: 3, retryOn: 5xx}";
    let run_of = Setting { policy, rule }.endpoint(Reply::status(500).body("lost")).await;
    let run = run_of.run(GET).await;
    assert_eq!((run[0].status(), &*run[0].text(), run[0].tries()), (503, "no healthy upstream", 2));
    run.assert_flags("UH", 1);
}

#[tokio::test(start_paused = true)]
async fn requests_are_spread_evenly_over_one_to_a_thousand_endpoints() {
    for endpoints in [1, 2, 3, 10, 100, 1_000] {
        let mesh = Setting { policy: PLAIN, rule: "" }.endpoints(endpoints, Reply::status(200)).await;
        mesh.run(GET).times(2 * endpoints).await.assert_success(1.0);
        for endpoint in 0..endpoints {
            mesh.assert_calls(&format!("a/{endpoint}"), 2);
        }
    }
}
