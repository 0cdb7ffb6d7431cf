//! What assertions demand, and what they say when it is not so.

use std::panic::AssertUnwindSafe;

use mesh_tower::testing::{Reply, TestMesh, Workload};

use super::{PLAIN, ROUTE, mesh_of, ms, rules};

/// The text with which something fails.
fn failure(assertion: impl FnOnce()) -> String {
    let panic = std::panic::catch_unwind(AssertUnwindSafe(assertion)).expect_err("it should have failed");
    panic.downcast_ref::<String>().expect("a text").clone()
}

const EJECTS: &str = "outlierDetection: {consecutive5xxErrors: 3, baseEjectionTime: 30s, maxEjectionPercent: 50}";

async fn one_of_two_fails(policy: &str) -> TestMesh {
    let rule = format!("retries: {{attempts: 1, retryOn: 5xx}}, {ROUTE}");
    let mesh = mesh_of(Workload::of("a").label("version", "v1"), &rule, policy)
        .with(Workload::of("a").label("version", "v2").replying(Reply::status(503)))
        .start()
        .await;
    // Slow enough for the budget that retries have by default.
    mesh.run("GET http://a/1").times(20).every(ms(100)).await.assert_success(1.0);
    mesh
}

#[tokio::test(start_paused = true)]
async fn a_failed_share_says_what_was_expected_what_there_was_why_and_how_to_see_it_again() {
    let split =
        "route: [{destination: {host: a, subset: v1}, weight: 95}, {destination: {host: a, subset: v2}, weight: 5}]";
    let mesh = TestMesh::builder()
        .seed(7)
        .config_yaml("a.yaml", rules(split, PLAIN))
        .with(Workload::of("a").label("version", "v1"))
        .with(Workload::of("a").label("version", "v2"))
        .start()
        .await;
    let run = mesh.run("GET http://a/1").times(200).exhausting_rolls().await;
    run.assert_share("a", [("v1", 95), ("v2", 5)]);
    let text = failure(|| run.assert_share("a", [("v1", 90), ("v2", 10)]));
    let beginning = "\
assert_share(a): 200 of 200 requests were for it
  v1: expected 180, got 190
  v2: expected 20, got 10
200 x GET http://a/1
  190 x 200 - via_upstream, 1 try, outbound|80|v1|a.default.svc.cluster.local
  10 x 200 - via_upstream, 1 try, outbound|80|v2|a.default.svc.cluster.local
for example 200 - via_upstream, 1 try, outbound|80|v1|a.default.svc.cluster.local
why, in the configuration:
";
    assert!(text.starts_with(beginning), "{text}");
    assert!(text.contains("rule") && text.contains("a.yaml:"), "it names the rule and its line: {text}");
    assert!(text.ends_with("\nseed 7: MESH_TEST_SEED=7 runs this again"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn statuses_flags_and_tries_are_counted() {
    let rule = format!("retries: {{attempts: 2, retryOn: 5xx}}, {ROUTE}");
    let script = Reply::cycle([Reply::status(503).times(3), Reply::status(200)]);
    let mesh = mesh_of(Workload::of("a").replying(script), &rule, PLAIN).start().await;
    let run = mesh.run("GET http://a/1").times(2).await;
    assert_eq!(run.statuses(), [503, 200]);
    run.assert_success(0.5);
    run.assert_status(503, 1);
    run.assert_flags("URX", 1);
    run.assert_flags("-", 1..);
    run.assert_tries(1..=3);
    assert_eq!(run.tries(), 4);
    assert!(failure(|| run.assert_success(0.6)).starts_with("assert_success(0.6): 1 of 2 requests succeeded\n"));
    assert!(failure(|| run.assert_status(200, 2)).starts_with("assert_status(200): expected 2 of 2, got 1\n"));
    assert!(failure(|| run.assert_flags("UO", 1..)).starts_with("assert_flags(UO): expected at least 1 of 2, got 0\n"));
    assert!(
        failure(|| run.assert_tries(..=2)).starts_with("assert_tries: expected at most 2 for each request, got 3\n")
    );
}

#[tokio::test(start_paused = true)]
async fn an_ejection_is_seen_and_so_is_its_end() {
    let mesh = one_of_two_fails(EJECTS).await;
    mesh.assert_ejected("a-v2/0");
    mesh.assert_healthy("a-v1");
    assert_eq!(mesh.ejected(), ["a-v2/0"]);
    mesh.assert_calls("a-v2", 3);
    let text = failure(|| mesh.assert_healthy("a-v2"));
    assert!(text.starts_with("assert_healthy(a-v2): a-v2/0 is ejected from outbound|80||a.default."), "{text}");
    mesh.advance(ms(40_000)).await;
    mesh.assert_healthy("a-v2/0");
}

#[tokio::test(start_paused = true)]
async fn a_missing_ejection_says_that_the_percentage_did_not_allow_it() {
    let mesh = one_of_two_fails("outlierDetection: {consecutive5xxErrors: 3}").await;
    let text = failure(|| mesh.assert_ejected("a-v2"));
    assert!(text.starts_with("assert_ejected(a-v2): a-v2/0 is in rotation; nothing is ejected\n"), "{text}");
    assert!(text.contains("maxEjectionPercent (10 unless set) did not allow"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn calls_headers_and_mirrors_are_those_that_endpoints_saw() {
    let rule = "headers: {request: {set: {x-by: mesh}, remove: [x-gone]}}, mirror: {host: shadow}, route: [{destination: {host: a}}]";
    let mesh = mesh_of(Workload::of("a"), rule, PLAIN).with(Workload::of("shadow")).start().await;
    mesh.run("POST http://a/1").header("x-gone", "1").body("once").times(3).await.assert_success(1.0);
    mesh.advance(ms(1)).await;
    mesh.assert_calls("a", 3);
    mesh.assert_calls("shadow", 0);
    mesh.assert_mirrored("shadow", 3);
    mesh.assert_header("a", "x-by", "mesh");
    mesh.assert_header("shadow", "x-gone", None);
    mesh.assert_nothing_sent_twice();
    mesh.assert_idle();
    assert!(mesh.calls().iter().all(|call| call.body() == "once"));
    let text = failure(|| mesh.assert_mirrored("shadow", 4));
    assert!(text.starts_with("assert_mirrored(shadow): expected 4, got 3\n  a/0: 3 requests, 0 mirrored\n  shadow/0: 0 requests, 3 mirrored\n"), "{text}");
    let text = failure(|| mesh.assert_header("a", "x-by", "hand"));
    assert!(text.starts_with("assert_header(a): expected x-by Some(\"hand\"), got Some(\"mesh\") in\n"), "{text}");
    assert!(
        failure(|| mesh.assert_calls("b", 1))
            .starts_with("no workload and no endpoint is called b; there are a/0, shadow/0")
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_sent_twice_is_found() {
    let mesh = one_of_two_fails(PLAIN).await;
    let text = failure(|| mesh.assert_nothing_sent_twice());
    assert!(text.starts_with("assert_nothing_sent_twice: this was sent twice\n  "), "{text}");
    assert!(text.contains("a-v2/0 GET /1, try 1\n") && text.contains("a-v1/0 GET /1, try 2\n"), "{text}");
    mesh.forget_calls();
    mesh.assert_nothing_sent_twice();
}

#[tokio::test(start_paused = true)]
async fn what_is_under_way_is_seen() {
    let mesh =
        mesh_of(Workload::of("a").replying(Reply::hang()), ROUTE, "connectionPool: {http: {http2MaxRequests: 10}}")
            .start()
            .await;
    let client = mesh.client();
    let call = tokio::spawn(async move {
        client.send(http::Request::get("http://a/").body(mesh_tower::Body::empty()).unwrap()).await
    });
    mesh.advance(ms(1)).await;
    let text = failure(|| mesh.assert_idle());
    assert!(
        text.starts_with(
            "assert_idle: outbound|80||a.default.svc.cluster.local counts 1 of connectionPool.http.http2MaxRequests\n"
        ),
        "{text}"
    );
    call.abort();
    mesh.advance(ms(1)).await;
    mesh.assert_idle();
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "150 requests cannot use each of the 100 rolls of this split equally often: send 100 or 200")]
async fn rolls_that_cannot_be_exhausted_are_refused() {
    let split =
        "route: [{destination: {host: a, subset: v1}, weight: 95}, {destination: {host: a, subset: v2}, weight: 5}]";
    let mesh = mesh_of(Workload::of("a"), split, PLAIN).start().await;
    mesh.run("GET http://a/1").times(150).exhausting_rolls().await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "no answer to GET http://a/1 within 600s: nothing limits how long it may take")]
async fn a_test_that_waits_for_ever_says_so() {
    let mesh = mesh_of(Workload::of("a").replying(Reply::hang()), ROUTE, PLAIN).start().await;
    mesh.run("GET http://a/1").await;
}
