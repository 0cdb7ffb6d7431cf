//! What replies come to.

use mesh_tower::testing::{Answer, Reply, TestMesh, Workload};

use super::{PLAIN, ROUTE, mesh_of, ms};

/// What a caller gets without retries, over HTTP/1 and over HTTP/2.
async fn answers_to(reply: Reply, rule: &str) -> [Answer; 2] {
    let rule = format!("retries: {{attempts: 0}}, {rule}");
    let mut answers = Vec::new();
    for workload in [Workload::of("a"), Workload::of("a").http2()] {
        let mesh = mesh_of(workload.replying(reply.clone()), &rule, PLAIN).start().await;
        answers.push(mesh.run("GET http://a/1").await[0].clone());
    }
    answers.try_into().unwrap()
}

fn told(answers: &[Answer; 2]) -> [(u16, String); 2] {
    answers.each_ref().map(|answer| (answer.status(), answer.flags().to_string()))
}

#[tokio::test(start_paused = true)]
async fn a_status_comes_with_its_headers_and_its_body_when_its_time_has_come() {
    let reply = Reply::status(201).header("x-a", "b").body("made").after(ms(30));
    for answer in answers_to(reply, ROUTE).await {
        assert_eq!((answer.status(), answer.header("x-a"), &*answer.text()), (201, Some("b"), "made"));
        assert_eq!(answer.took(), ms(30));
    }
}

#[tokio::test(start_paused = true)]
async fn a_grpc_status_stands_in_headers_or_in_trailers() {
    let status = |answers: &[Answer; 2]| answers.each_ref().map(|answer| (answer.grpc_status(), answer.is_success()));
    let headers = answers_to(Reply::grpc(14), ROUTE).await;
    assert_eq!(status(&headers), [(Some(14), false); 2]);
    assert!(headers.iter().all(|answer| answer.header("grpc-status") == Some("14")));
    // Nobody asks for trailers over HTTP/1 here.
    let trailers = answers_to(Reply::grpc_in_trailers(5), ROUTE).await;
    assert_eq!((trailers[1].grpc_status(), trailers[1].header("grpc-status")), (Some(5), None));
}

#[tokio::test(start_paused = true)]
async fn a_reset_closes_the_connection_or_resets_the_stream() {
    let reset = answers_to(Reply::reset(), ROUTE).await;
    assert_eq!(told(&reset), [(503, "UC".into()), (503, "UR".into())]);
    let refused = answers_to(Reply::refused_stream(), ROUTE).await;
    assert_eq!(told(&refused), [(503, "UC".into()), (503, "UR".into())]);
    assert!(refused[1].details().contains("refused_stream") || refused[1].text().contains("refused stream"));
}

#[tokio::test(start_paused = true)]
async fn one_that_hangs_is_ended_by_the_timeout() {
    let answers = answers_to(Reply::hang(), &format!("timeout: 2s, {ROUTE}")).await;
    assert_eq!(told(&answers), [(504, "UT".into()), (504, "UT".into())]);
    assert!(answers.iter().all(|answer| answer.took() == ms(2_000)));
}

#[tokio::test(start_paused = true)]
async fn a_refused_connection_is_known_at_once_and_one_that_is_never_made_after_the_connect_timeout() {
    let refused = answers_to(Reply::refuse(), ROUTE).await;
    assert_eq!(told(&refused), [(503, "UF".into()), (503, "UF".into())]);
    assert!(refused.iter().all(|answer| answer.took().is_zero()));
    let unreachable = answers_to(Reply::unreachable(), ROUTE).await;
    assert_eq!(told(&unreachable), [(503, "UF".into()), (503, "UF".into())]);
    assert!(unreachable.iter().all(|answer| answer.took() == ms(10_000)), "{unreachable:?}");
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_speaks_something_else_breaks_the_protocol() {
    let answers = answers_to(Reply::not_http(), ROUTE).await;
    assert_eq!(told(&answers)[0], (502, "UPE".into()));
    assert!(answers[1].status() >= 500);
}

#[tokio::test(start_paused = true)]
async fn a_slow_body_takes_its_time_and_the_timeout_cuts_it_off() {
    let slow = Reply::slow_body(ms(400), ["one ", "two ", "three"]);
    for answer in answers_to(slow.clone(), ROUTE).await {
        assert_eq!((&*answer.text(), answer.took(), answer.broken()), ("one two three", ms(1_200), None));
    }
    for answer in answers_to(slow, &format!("timeout: 1s, {ROUTE}")).await {
        assert_eq!((answer.status(), &*answer.text(), answer.took()), (200, "one two ", ms(1_000)));
        assert!(answer.broken().is_some() && !answer.is_success());
    }
}

#[tokio::test(start_paused = true)]
async fn a_broken_body_ends_too_early() {
    for answer in answers_to(Reply::broken_body("half"), ROUTE).await {
        assert_eq!((answer.status(), &*answer.text()), (200, "half"));
        assert!(answer.broken().is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_sequence_plays_one_reply_after_the_other_connections_included() {
    for workload in [Workload::of("a"), Workload::of("a").http2()] {
        let script = Reply::sequence([
            Reply::status(200).times(2),
            Reply::refuse(),
            Reply::reset(),
            Reply::refuse().times(2),
            Reply::status(204),
        ]);
        let rule = format!("retries: {{attempts: 0}}, {ROUTE}");
        let mesh = mesh_of(workload.replying(script), &rule, PLAIN).start().await;
        let run = mesh.run("GET http://a/1").times(8).await;
        assert_eq!(run.statuses(), [200, 200, 503, 503, 503, 503, 204, 204]);
        let flags: Vec<_> = run.iter().map(|answer| answer.flags().to_string()).collect();
        let gone = if flags[3] == "UR" { "UR" } else { "UC" };
        assert_eq!(flags, ["-", "-", "UF", gone, "UF", "UF", "-", "-"]);
        mesh.assert_calls("a", 5);
    }
}

#[tokio::test(start_paused = true)]
async fn what_an_endpoint_does_can_change_while_connections_are_open() {
    let mesh =
        mesh_of(Workload::of("a").replicas(2), &format!("retries: {{attempts: 0}}, {ROUTE}"), PLAIN).start().await;
    mesh.run("GET http://a/1").times(4).await.assert_success(1.0);
    mesh.reply("a/1", &Reply::refuse());
    mesh.run("GET http://a/1").times(4).await.assert_flags("UF", 2);
    mesh.serve("a/1", axum::Router::new().fallback(|| async { "here again" }));
    let run = mesh.run("GET http://a/1").times(4).await;
    assert_eq!(run.iter().filter(|answer| answer.text() == "here again").count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_reply_may_come_from_an_axum_router() {
    let app = axum::Router::new().route("/{id}", axum::routing::post(|body: String| async move { body + " back" }));
    let mesh: TestMesh = mesh_of(Workload::of("a").serving(app), ROUTE, PLAIN).start().await;
    let run = mesh.run("POST http://a/1").body("there and").await;
    assert_eq!(run[0].text(), "there and back");
    assert_eq!(mesh.calls()[0].body(), "there and");
}

#[tokio::test(start_paused = true)]
async fn a_reply_may_come_from_tonic_routes_to_a_tonic_client() {
    use crate::common_grpc::client::EchoClient;
    use crate::common_grpc::server::EchoServer;
    use crate::common_grpc::text;

    let routes = tonic::service::Routes::new(EchoServer::default());
    let mesh = mesh_of(Workload::of("a:9000").grpc().serving(routes), ROUTE, PLAIN).start().await;
    let mut client = EchoClient::with_origin(mesh.client(), "http://a:9000".parse().unwrap());
    assert_eq!(client.say(text("hello")).await.unwrap().into_inner().value, "hello");
    mesh.reply("a", &Reply::grpc(14));
    assert_eq!(client.say(text("hello")).await.unwrap_err().code(), tonic::Code::Unavailable);
    // The first one, and a first try with two more by Istio's default.
    mesh.assert_calls("a", 4);
}
