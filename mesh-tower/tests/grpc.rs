//! gRPC through the mesh: a client made as tonic makes them, with an interceptor, and Python's through a gateway.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests say what they expect"
)]

mod common_grpc;
#[path = "support/refusing.rs"]
mod refusing;

use std::time::Duration;

use futures_util::StreamExt as _;
use mesh_tower::MeshClient;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::{Code, Request, Status};

use common_grpc::client::EchoClient;
use common_grpc::python::{SCRIPT, python};
use common_grpc::{Text, World, eventually, text, times};
use refusing::Refusing;

/// Both are HTTP/2 to the endpoint.
const PROTOCOLS: [&str; 2] = ["GRPC", "HTTP2"];

/// Marks each call, as applications do, and says by it what shall become of the call.
#[derive(Clone, Debug)]
struct Want(&'static str);

impl Interceptor for Want {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("x-want", MetadataValue::from_static(self.0));
        request.metadata_mut().insert("x-caller", MetadataValue::from_static("tonic"));
        Ok(request)
    }
}

fn client(world: &World, want: &'static str) -> EchoClient<InterceptedService<MeshClient, Want>> {
    EchoClient::with_interceptor(world.mesh.client(), Want(want), "http://echo:9000".parse().unwrap())
}

#[tokio::test]
async fn a_unary_call_passes_with_what_the_interceptor_adds() {
    for protocol in PROTOCOLS {
        let world = World::start(protocol).await;
        let response = client(&world, "answer").say(text("hello")).await.unwrap();
        assert_eq!(response.metadata().get("x-seen-caller").unwrap(), "tonic");
        assert_eq!(response.into_inner(), text("hello"));
    }
}

#[tokio::test]
async fn a_refusal_of_the_interceptor_never_leaves() {
    let world = World::start("GRPC").await;
    let refuses = |_: Request<()>| -> Result<Request<()>, Status> { Err(Status::unauthenticated("no token")) };
    let origin = "http://echo:9000".parse().unwrap();
    let status = EchoClient::with_interceptor(world.mesh.client(), refuses, origin).say(text("x")).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unauthenticated, "no token"));
    assert_eq!(world.echo.calls(), 0);
}

#[tokio::test]
async fn a_server_streams_as_many_messages_as_asked_for() {
    for protocol in PROTOCOLS {
        let world = World::start(protocol).await;
        let answers = client(&world, "answer").repeat(times("again", 2_000)).await.unwrap().into_inner();
        let answers: Vec<Text> = answers.map(Result::unwrap).collect().await;
        assert_eq!(answers.len(), 2_000);
        assert!(answers.iter().zip(0..).all(|(answer, n)| *answer == times("again", n)));
    }
}

#[tokio::test]
async fn a_client_streams_and_gets_one_answer() {
    let world = World::start("GRPC").await;
    let texts = tokio_stream::iter(["a", "b", "c"].map(text));
    let answer = client(&world, "answer").join(texts).await.unwrap().into_inner();
    assert_eq!(answer, times("abc", 3));
}

#[tokio::test]
async fn both_sides_take_turns_on_one_stream() {
    for protocol in PROTOCOLS {
        let world = World::start(protocol).await;
        let (asks, asked) = mpsc::channel(1);
        let mut answers = client(&world, "answer").chat(ReceiverStream::new(asked)).await.unwrap().into_inner();
        // Nothing is sent before the last answer is there: a side that collected would wait for ever.
        for n in 0..100 {
            let question = text(format!("text {n}"));
            asks.send(question.clone()).await.unwrap();
            assert_eq!(answers.message().await.unwrap().unwrap(), question);
        }
        drop(asks);
        assert!(answers.message().await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_stream_outlasts_the_timeout_of_its_rule_while_its_caller_still_sends() {
    let world = World::start("GRPC").await;
    let (asks, asked) = mpsc::channel(1);
    let mut answers = client(&world, "timeout").chat(ReceiverStream::new(asked)).await.unwrap().into_inner();
    for n in 0..4 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        asks.send(text(n.to_string())).await.unwrap();
        assert_eq!(answers.message().await.unwrap().unwrap(), text(n.to_string()));
    }
}

#[tokio::test]
async fn trailers_arrive_whole_after_messages_and_without_them() {
    for protocol in PROTOCOLS {
        let world = World::start(protocol).await;
        let alone = client(&world, "answer").say(text("fail")).await.unwrap_err();
        let mut request = Request::new(times("x", 3));
        request.metadata_mut().insert("x-then", MetadataValue::from_static("fail"));
        let mut answers = client(&world, "answer").repeat(request).await.unwrap().into_inner();
        for n in 0..3 {
            assert_eq!(answers.message().await.unwrap().unwrap(), times("x", n));
        }
        let after = answers.message().await.unwrap_err();
        for status in [alone, after] {
            assert_eq!((status.code(), status.message()), (Code::Aborted, "as told: 100 % ü"));
            assert_eq!(status.details(), [8, 1]);
            assert_eq!(status.metadata().get("x-detail").unwrap(), "kept");
            let binary = status.metadata().get_bin("x-detail-bin").unwrap();
            assert_eq!(binary.to_bytes().unwrap().as_ref(), [0, 159, 146, 150]);
        }
    }
}

#[tokio::test]
async fn what_the_mesh_answers_arrives_as_a_code_on_every_kind_of_call() {
    for protocol in PROTOCOLS {
        let world = World::start(protocol).await;
        for (want, code, message) in [
            ("abort", Code::ResourceExhausted, "fault filter abort"),
            ("nobody", Code::Unavailable, "no healthy upstream"),
            ("missing", Code::Unavailable, ""),
            ("nothing we know", Code::Unimplemented, ""),
        ] {
            let unary = client(&world, want).say(text("sleep")).await.unwrap_err();
            let streaming = client(&world, want).chat(tokio_stream::iter([text("sleep")])).await;
            let streaming = match streaming {
                Err(status) => status,
                Ok(answers) => answers.into_inner().message().await.unwrap_err(),
            };
            for status in [unary, streaming] {
                assert_eq!(status.code(), code, "{want}: {status}");
                assert!(status.message().contains(message), "{want}: {status}");
            }
        }
    }
}

#[tokio::test]
async fn a_timeout_before_the_headers_is_unavailable_and_after_them_no_success() {
    let world = World::start("GRPC").await;
    let status = client(&world, "timeout").say(text("sleep")).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unavailable, "upstream request timeout"));
    let mut answers = client(&world, "timeout").chat(tokio_stream::iter([text("sleep")])).await.unwrap().into_inner();
    assert!(answers.message().await.is_err());
    eventually("the service gives up", || world.echo.under_way() == 0).await;
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_is_unavailable() {
    let nobody = Refusing::new();
    let text_of = common_grpc::documents("GRPC", nobody.address.port());
    let mesh = mesh_tower::Mesh::builder().config_yaml("echo.yaml", text_of).build().await.unwrap();
    let origin = "http://echo:9000".parse().unwrap();
    let status = EchoClient::with_interceptor(mesh.client(), Want("answer"), origin).say(text("x")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("remote connection failure"), "{status}");
}

#[tokio::test]
async fn a_full_cluster_is_unavailable_until_the_call_in_its_slot_is_over() {
    let world = World::start("GRPC").await;
    let (asks, asked) = mpsc::channel(1);
    let mut answers = client(&world, "one").chat(ReceiverStream::new(asked)).await.unwrap().into_inner();
    asks.send(text("first")).await.unwrap();
    assert_eq!(answers.message().await.unwrap().unwrap(), text("first"));
    let status = client(&world, "one").say(text("second")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().ends_with("reset reason: overflow"), "{status}");
    drop(asks);
    assert!(answers.message().await.unwrap().is_none());
    assert_eq!(client(&world, "one").say(text("third")).await.unwrap().into_inner(), text("third"));
}

#[tokio::test]
async fn a_deadline_of_the_callers_ends_the_call_on_both_sides() {
    let world = World::start("GRPC").await;
    let mut request = Request::new(text("hang"));
    request.set_timeout(Duration::from_millis(100));
    let status = client(&world, "answer").say(request).await.unwrap_err();
    // Envoy's code for it is not the one of the same name.
    assert_eq!((status.code(), status.message()), (Code::Unavailable, "upstream request timeout"));
    eventually("the service gives up", || world.echo.under_way() == 0).await;
}

#[tokio::test]
async fn a_status_that_the_rule_names_is_tried_again() {
    let world = World::start("GRPC").await;
    let status = client(&world, "retry").say(text("unavailable")).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unavailable, "told to be"));
    assert_eq!(world.echo.calls(), 3, "one try and two more");
    let status = client(&world, "retry").say(text("fail")).await.unwrap_err();
    assert_eq!((status.code(), world.echo.calls()), (Code::Aborted, 4));
}

#[tokio::test]
async fn a_caller_that_gives_up_ends_the_call_at_the_service() {
    let world = World::start("GRPC").await;
    let mut waiting = client(&world, "one");
    let hanging = tokio::spawn(async move { waiting.say(text("hang")).await });
    eventually("the call arrives", || world.echo.under_way() == 1).await;
    hanging.abort();
    eventually("the call ends", || world.echo.under_way() == 0).await;
    assert_eq!(client(&world, "one").say(text("next")).await.unwrap().into_inner(), text("next"));
}

#[tokio::test]
async fn a_caller_that_drops_a_stream_it_still_sends_on_ends_the_call_at_the_service() {
    let world = World::start("GRPC").await;
    let (asks, asked) = mpsc::channel(1);
    let mut answers = client(&world, "one").chat(ReceiverStream::new(asked)).await.unwrap().into_inner();
    asks.send(text("first")).await.unwrap();
    assert_eq!(answers.message().await.unwrap().unwrap(), text("first"));
    assert_eq!(world.echo.under_way(), 1);
    drop(answers);
    eventually("the call ends", || world.echo.under_way() == 0).await;
    tokio::time::timeout(Duration::from_secs(5), asks.closed()).await.expect("nobody reads what is sent any more");
    assert_eq!(client(&world, "one").say(text("next")).await.unwrap().into_inner(), text("next"));
}

#[tokio::test]
async fn many_calls_share_the_connection() {
    let world = World::start("GRPC").await;
    let caller = client(&world, "answer");
    let calls = (0..500).map(|n| {
        let mut caller = caller.clone();
        async move { caller.say(text(n.to_string())).await.unwrap().into_inner() == text(n.to_string()) }
    });
    assert!(futures_util::future::join_all(calls).await.into_iter().all(|same| same));
    assert_eq!(world.echo.calls(), 500);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_python_client_calls_and_streams_through_the_gateway() {
    let Some(python) = python() else { return };
    for protocol in PROTOCOLS {
        let world = World::start(protocol).await;
        let gateway = world.mesh.gateway().map_port(80, 0).address([127, 0, 0, 1]).start().await.unwrap();
        let address = gateway.address_of(80).unwrap().to_string();
        let run = tokio::process::Command::new(&python).args(["-c", SCRIPT, &address]).kill_on_drop(true).output();
        let output = tokio::time::timeout(Duration::from_secs(60), run).await.expect("it ends").unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("all as asked"), "{protocol}: {said}{}", String::from_utf8_lossy(&output.stderr));
        eventually("no call is left at the service", || world.echo.under_way() == 0).await;
    }
}
