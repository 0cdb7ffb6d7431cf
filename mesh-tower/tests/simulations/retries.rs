//! Retries: what is tried again, how often, where and after which pause.

use std::time::Duration;

use mesh_tower::Profile;
use mesh_tower::mesh_core::{Rng as _, SplitMix64};
use mesh_tower::testing::{Answer, Reply, TestMesh, Workload};

use super::{GET, PLAIN, Setting, ms};

/// The answer of one endpoint that speaks HTTP/1, with two retries on a condition.
async fn retried_on(condition: &str, reply: Reply) -> Answer {
    let rule = format!("retries: {{attempts: 2, retryOn: {condition:?}, perTryTimeout: 1s}}");
    Setting { policy: PLAIN, rule: &rule }.endpoint(reply).await.run(GET).await[0].clone()
}

async fn tries(condition: &str, reply: Reply) -> u32 {
    retried_on(condition, reply).await.tries()
}

#[tokio::test(start_paused = true)]
async fn which_statuses_a_condition_takes() {
    for (condition, taken, left) in [
        ("5xx", &[500, 503, 599][..], &[404, 409, 200][..]),
        ("gateway-error", &[502, 503, 504], &[500, 501, 429]),
        ("retriable-4xx", &[409], &[400, 404, 429, 503]),
        ("429,503", &[429, 503], &[500, 502]),
        ("connect-failure,reset,refused-stream", &[], &[500, 503]),
    ] {
        for status in taken {
            assert_eq!(tries(condition, Reply::status(*status)).await, 3, "{condition} takes {status}");
        }
        for status in left {
            assert_eq!(tries(condition, Reply::status(*status)).await, 1, "{condition} leaves {status}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn which_failures_a_condition_takes() {
    // A refused connection, one that closes without an answer, and no answer in time.
    for (condition, expected) in [
        ("5xx", [3, 3, 3]),
        ("gateway-error", [3, 3, 3]),
        ("reset", [3, 3, 3]),
        ("connect-failure", [3, 1, 1]),
        ("reset-before-request", [3, 1, 1]),
        ("retriable-4xx", [1, 1, 1]),
        // Codes are those that were received.
        ("503,504", [1, 1, 1]),
        ("connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes", [3, 1, 1]),
    ] {
        let mut found = Vec::new();
        for reply in [Reply::refuse(), Reply::reset(), Reply::hang()] {
            found.push(tries(condition, reply).await);
        }
        assert_eq!(found, expected, "{condition}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_stream_is_no_connection_that_failed() {
    for (condition, expected) in [
        ("refused-stream", 3),
        ("5xx", 3),
        ("reset", 3),
        ("gateway-error", 3),
        ("connect-failure", 1),
        ("reset-before-request", 1),
    ] {
        let rule = format!("retries: {{attempts: 2, retryOn: {condition:?}}}");
        let mesh = Setting { policy: PLAIN, rule: &rule }.http2(Reply::refused_stream()).await;
        let run = mesh.run(GET).await;
        assert_eq!(run[0].tries(), expected, "{condition}");
        assert!(run[0].flags().to_string().ends_with("UR"), "{condition}: {run:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_grpc_status_is_a_reason_where_it_stands_in_headers_and_never_in_trailers() {
    let rule = "retries: {attempts: 2, retryOn: \"unavailable\"}";
    for (reply, expected) in [(Reply::grpc(14), 3), (Reply::grpc(5), 1), (Reply::grpc_in_trailers(14), 1)] {
        let mesh = Setting { policy: PLAIN, rule }.http2(reply).await;
        let run = mesh.run("POST http://a/echo.Echo/Say").header("content-type", "application/grpc").await;
        assert_eq!(run[0].tries(), expected);
        assert_eq!(run[0].flags().to_string(), if expected == 3 { "URX" } else { "-" });
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_policy_refused_connections_get_two_more_tries_and_errors_none() {
    let mesh = Setting { policy: PLAIN, rule: "" }.endpoint(Reply::refuse()).await;
    mesh.run(GET).await.assert_tries(3);
    mesh.reply("a", &Reply::status(503));
    mesh.run(GET).await.assert_tries(1);
    mesh.reply("a", &Reply::reset());
    mesh.run(GET).await.assert_tries(1);
}

#[tokio::test(start_paused = true)]
async fn what_is_rate_limited_is_left_alone_and_what_is_overloaded_is_not() {
    assert_eq!(tries("5xx", Reply::status(503).header("x-envoy-ratelimited", "true")).await, 1);
    assert_eq!(tries("5xx", Reply::status(503).header("x-envoy-overloaded", "true")).await, 3);
    assert_eq!(tries("envoy-ratelimited", Reply::status(200).header("x-envoy-ratelimited", "")).await, 3);
}

#[tokio::test(start_paused = true)]
async fn used_up_retries_are_flagged_and_said() {
    let answer = retried_on("5xx", Reply::status(503).body("mine")).await;
    assert_eq!((answer.flags().to_string(), answer.details(), &*answer.text()), ("URX".into(), "via_upstream", "mine"));
    let answer = retried_on("5xx", Reply::refuse()).await;
    assert_eq!(answer.flags().to_string(), "URX,UF");
    let text = "upstream connect error or disconnect/reset before headers. retried and the latest reset reason: ";
    assert_eq!(answer.text(), format!("{text}remote connection failure"));
    let answer = retried_on("5xx", Reply::reset()).await;
    assert_eq!((answer.flags().to_string(), answer.text()), ("URX,UC".into(), format!("{text}connection termination")));
}

#[tokio::test(start_paused = true)]
async fn endpoints_are_told_which_try_it_is() {
    let rule = "retries: {attempts: 3, retryOn: 5xx}";
    let mesh = Setting { policy: PLAIN, rule }.endpoint(Reply::status(503)).await;
    mesh.run(GET).await.assert_tries(4);
    let told: Vec<_> = mesh.calls().iter().map(mesh_tower::testing::Call::attempt).collect();
    assert_eq!(told, [1, 2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn tries_of_one_request_go_to_endpoints_that_have_not_been_asked() {
    let rule = "retries: {attempts: 3, retryOn: 5xx}";
    for policy in ["loadBalancer: {simple: RANDOM}", "loadBalancer: {simple: LEAST_REQUEST}", PLAIN] {
        let mesh = Setting { policy, rule }.endpoints(8, Reply::status(503)).await;
        mesh.run(GET).times(50).await.assert_tries(4);
        let mut again = 0;
        for request in mesh.calls().chunks(4) {
            let asked: Vec<_> = request.iter().map(mesh_tower::testing::Call::endpoint).collect();
            again += (1..4).filter(|n| asked[..*n].contains(&asked[*n])).count();
        }
        // Up to five picks look for another one, then the last is taken: of 3 in 8 that is less than 1 in 100.
        assert!(again <= 3, "{policy}: {again} of 150 retries");
    }
}

#[tokio::test(start_paused = true)]
async fn an_injected_abort_is_not_tried_again() {
    let rule = "retries: {attempts: 3, retryOn: 5xx}, fault: {abort: {httpStatus: 503, percentage: {value: 100}}}";
    let mesh = Setting { policy: PLAIN, rule }.endpoint(Reply::status(200)).await;
    let run = mesh.run(GET).times(5).await;
    run.assert_flags("FI", 5);
    mesh.assert_calls("a", 0);
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_finds_no_slot_leaves_the_answer_as_it_is_and_flags_it() {
    let policy = "connectionPool: {http: {maxRetries: 1}}";
    let rule = "retries: {attempts: 1, retryOn: 5xx, backoff: 100ms}";
    let mesh = Setting { policy, rule }.endpoint(Reply::status(503).after(ms(20))).await;
    let run = mesh.run(GET).times(10).at_once(10).await;
    run.assert_flags("URX", 1);
    run.assert_flags("UO", 9);
    assert!(run.iter().all(|answer| answer.status() == 503 && answer.details() == "via_upstream"));
    mesh.assert_calls("a", 11);
    mesh.assert_idle();
}

/// How long each pause was, for many requests with so many retries.
async fn pauses(rule: &str, retries: usize) -> Vec<Vec<Duration>> {
    let mesh = Setting { policy: PLAIN, rule }.endpoint(Reply::status(503)).await;
    mesh.run(GET).times(400).await.assert_tries(retries + 1);
    let mut pauses = vec![Vec::new(); retries];
    for request in mesh.calls().chunks(retries + 1) {
        for (n, pair) in request.windows(2).enumerate() {
            pauses[n].push(pair[1].at() - pair[0].at());
        }
    }
    pauses
}

/// Anywhere between nothing and the bound, which tokio's clock may miss by a millisecond.
fn assert_uniform_below(bound: u64, pauses: &[Duration]) {
    let millis = |pause: &Duration| pause.as_secs_f64() * 1_000.0;
    let mean = pauses.iter().map(millis).sum::<f64>() / pauses.len() as f64;
    let (least, most) = (pauses.iter().min().unwrap(), pauses.iter().max().unwrap());
    assert!(*most <= ms(bound + 1), "{most:?} for {bound} ms");
    assert!(*most >= ms(bound * 9 / 10) && *least <= ms(bound / 10 + 1), "{least:?} to {most:?} for {bound} ms");
    // Five standard deviations, and the millisecond.
    let slack = 5.0 * bound as f64 / (12.0 * pauses.len() as f64).sqrt() + 1.0;
    assert!((mean - bound as f64 / 2.0).abs() < slack, "{mean} for {bound} ms");
}

#[tokio::test(start_paused = true)]
async fn pauses_double_from_the_base_to_ten_times_it_with_full_jitter() {
    let pauses = pauses("retries: {attempts: 6, retryOn: 5xx, backoff: 100ms}", 6).await;
    for (pauses, bound) in pauses.iter().zip([100, 200, 400, 800, 1_000, 1_000]) {
        assert_uniform_below(bound, pauses);
    }
}

#[tokio::test(start_paused = true)]
async fn pauses_begin_with_twenty_five_milliseconds_unless_set() {
    let pauses = pauses("retries: {attempts: 6, retryOn: 5xx}", 6).await;
    for (pauses, bound) in pauses.iter().zip([25, 50, 100, 200, 250, 250]) {
        assert_uniform_below(bound, pauses);
    }
}

#[tokio::test(start_paused = true)]
async fn what_an_endpoint_says_of_retrying_later_changes_no_pause() {
    let mesh: TestMesh = Setting { policy: PLAIN, rule: "retries: {attempts: 1, retryOn: 5xx}" }
        .with(Workload::of("a").replying(Reply::status(503).header("retry-after", "30")))
        .start()
        .await;
    let run = mesh.run(GET).times(20).await;
    assert!(run.iter().all(|answer| answer.took() <= ms(26)));
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_an_endpoint_asks_for_is_kept_where_that_is_asked_for() {
    let rule = "retries: {attempts: 1, retryOn: '429'}";
    for (asked, most, between) in [("2", 10, ms(2_000)..=ms(3_000)), ("20", 10, ms(0)..=ms(25))] {
        let reply = Reply::status(429).header("retry-after", asked);
        let setting = Setting { policy: PLAIN, rule }.with(Workload::of("a").replying(reply));
        let mesh = setting.configure(move |mesh| mesh.honor_retry_after(Duration::from_secs(most))).start().await;
        let run = mesh.run(GET).await;
        let took = run[0].took();
        assert_eq!(run[0].tries(), 2);
        assert!(between.contains(&took), "{asked}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_grpc_status_in_trailers_is_a_reason_where_that_is_asked_for() {
    let rule = "retries: {attempts: 2, retryOn: unavailable}";
    for (peek, expected) in [(false, 1), (true, 3)] {
        let workload = Workload::of("a").http2().replying(Reply::grpc_in_trailers(14));
        let setting = Setting { policy: PLAIN, rule }.with(workload);
        let mesh = setting.configure(move |mesh| if peek { mesh.peek_grpc_trailers() } else { mesh }).start().await;
        let run = mesh.run("POST http://a/echo.Echo/Say").header("content-type", "application/grpc").await;
        assert_eq!(run[0].tries(), expected, "{run:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_kept_is_the_same_for_each_try_and_one_too_long_is_sent_once() {
    let rule = "retries: {attempts: 2, retryOn: 5xx}";
    let mesh = Setting { policy: PLAIN, rule }.endpoint(Reply::status(503)).await;
    let body: Vec<u8> = (0..60_000_u32).map(|n| (n % 251) as u8).collect();
    mesh.run("POST http://a/1").body(body.clone()).await.assert_tries(3);
    assert!(mesh.calls().iter().all(|call| call.body() == body));
}

/// One answer in ten is 503, at places that a seed decides.
fn one_in_ten_fails(seed: u64) -> Reply {
    let mut rng = SplitMix64::new(seed);
    Reply::cycle((0..5_000).map(|_| Reply::status(if rng.below(10) == 0 { 503 } else { 200 }).after(ms(200))))
}

#[tokio::test(start_paused = true)]
async fn one_failure_in_ten_is_hidden_by_two_retries_within_the_budget_of_the_safe_profile() {
    let rule = "retries: {attempts: 2, retryOn: \"503\", backoff: 5ms}";
    let builder = Setting { policy: "loadBalancer: {simple: RANDOM}", rule }
        .with(Workload::of("a").named("a-0").replying(one_in_ten_fails(1)))
        .with(Workload::of("a").named("a-1").replying(one_in_ten_fails(2)))
        .with(Workload::of("a").named("a-2").replying(one_in_ten_fails(3)));
    let mesh = builder.configure(|mesh| mesh.profile(Profile::Safe)).start().await;
    // 200 are under way at a time, 40 of which may be retries; about 22 are.
    let run = mesh.run(GET).times(20_000).every(ms(1)).await;
    run.assert_success(0.9985);
    assert!(mesh.calls().len() <= 22_500, "{} tries", mesh.calls().len());
    mesh.assert_idle();
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_not_made_worse_than_the_budget_of_the_safe_profile_allows() {
    let rule = "retries: {attempts: 5, retryOn: \"503\"}";
    let setting = Setting { policy: PLAIN, rule };
    let builder = setting.with(Workload::of("a").replicas(4).replying(Reply::status(503).after(ms(20))));
    let mesh = builder.configure(|mesh| mesh.profile(Profile::Safe)).start().await;
    let run = mesh.run(GET).times(4_000).every(ms(5)).await;
    run.assert_status(503, 4_000);
    // 20 seconds: a fifth on top, and ten a second.
    let most = 4_000 * 12 / 10 + 10 * 21;
    assert!(mesh.calls().len() <= most, "{} of {most}", mesh.calls().len());
}

#[tokio::test(start_paused = true)]
async fn a_configured_budget_counts_active_requests_and_takes_the_place_of_a_number() {
    let policy = "retryBudget: {percent: 20, minRetryConcurrency: 2}";
    let rule = "retries: {attempts: 1, retryOn: 5xx, backoff: 100ms}";
    for (at_once, retried) in [(4, 2), (10, 2), (50, 10)] {
        let mesh = Setting { policy, rule }.endpoint(Reply::status(503).after(ms(20))).await;
        let run = mesh.run(GET).times(at_once).at_once(at_once).await;
        let found = run.iter().filter(|answer| answer.tries() == 2).count();
        assert!(found.abs_diff(retried) <= retried / 4, "{found} of {at_once} were tried again, {retried} expected");
    }
}
