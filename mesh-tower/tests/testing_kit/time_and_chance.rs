//! Virtual time, and chance that a test decides.

use mesh_tower::Body;
use mesh_tower::testing::{Reply, Roll, TestMesh, TestMeshBuilder, Workload};

use super::{PLAIN, ROUTE, mesh_of, ms, rules};

const SPLIT: &str = "route: [{destination: {host: a, subset: v1}, weight: 90}, {destination: {host: a, subset: v2}, weight: 10}], \
                     mirrors: [{destination: {host: shadow}, percentage: {value: 25}}]";

fn split() -> TestMeshBuilder {
    TestMesh::builder()
        .seed(5)
        .config_yaml("a.yaml", rules(SPLIT, PLAIN))
        .with(Workload::of("a").label("version", "v1").replicas(2))
        .with(Workload::of("a").label("version", "v2"))
        .with(Workload::of("shadow"))
}

#[tokio::test(start_paused = true)]
async fn exhausted_rolls_make_shares_of_destinations_and_mirrors_exact() {
    let mesh = split().start().await;
    let run = mesh.run("GET http://a/1").times(400).exhausting_rolls().await;
    run.assert_share("a", [("v1", 90), ("v2", 10)]);
    mesh.advance(ms(1)).await;
    mesh.assert_calls("a-v2", 40);
    mesh.assert_mirrored("shadow", 100);
    let mirrored_of_v2 = mesh.calls_to("shadow").len();
    assert_eq!(mirrored_of_v2, 100);
}

#[tokio::test(start_paused = true)]
async fn without_a_number_all_rolls_are_used_once() {
    assert_eq!(split().start().await.run("GET http://a/1").exhausting_rolls().await.len(), 100);
}

#[tokio::test(start_paused = true)]
async fn pinned_rolls_decide_one_request_each() {
    let mesh = split().start().await;
    mesh.run("GET http://a/1").rolls([0, 89, 90, 99]).await.assert_share("a", [("v1", 1), ("v2", 1)]);
    mesh.run("GET http://a/1").rolls([95]).times(7).await.assert_share("a", [("v2", 1)]);
    let request = http::Request::get("http://a/own").extension(Roll(95)).body(Body::empty()).unwrap();
    mesh.client().send(request).await;
    assert!(mesh.calls_to("a-v2").iter().any(|call| call.uri() == "/own"));
}

#[tokio::test(start_paused = true)]
async fn drawn_shares_are_as_chance_has_it_and_the_same_for_the_same_seed() {
    let (one, two) = (split().start().await, split().start().await);
    let (first, second) = (one.run("GET http://a/1").times(1_000).await, two.run("GET http://a/1").times(1_000).await);
    first.assert_share("a", [("v1", 90), ("v2", 10)]);
    let clusters = |run: &mesh_tower::testing::Answers<'_>| {
        run.iter().map(|answer| answer.cluster().map(str::to_owned)).collect::<Vec<_>>()
    };
    assert_eq!(clusters(&first), clusters(&second));
}

#[tokio::test(start_paused = true)]
async fn time_passes_only_as_the_test_has_it() {
    let mesh = mesh_of(Workload::of("a").replying(Reply::status(200).after(ms(500))), ROUTE, PLAIN).start().await;
    let run = mesh.run("GET http://a/1").times(10).await;
    assert!(run.iter().all(|answer| answer.took() == ms(500)));
    mesh.advance(ms(86_400_000)).await;
    let run = mesh.run("GET http://a/1").times(10).every(ms(100)).await;
    assert!(run.iter().all(|answer| answer.took() == ms(500)));
    let at: Vec<_> = mesh.calls().iter().map(|call| call.at().as_millis()).collect();
    assert_eq!(at[..3], [0, 500, 1_000]);
    assert_eq!(at[9..13], [4_500, 86_405_000, 86_405_100, 86_405_200]);
}

#[tokio::test(start_paused = true)]
async fn requests_at_once_share_what_there_is() {
    let mesh = mesh_of(Workload::of("a").replying(Reply::status(200).after(ms(500))), ROUTE, PLAIN).start().await;
    let run = mesh.run("GET http://a/1").times(10).at_once(5).await;
    run.assert_success(1.0);
    assert_eq!(mesh.connections_opened(), 5);
    assert_eq!(mesh.calls().last().unwrap().at(), ms(500));
    mesh.assert_idle();
}

#[tokio::test]
#[should_panic(expected = "start_paused = true")]
async fn a_mesh_in_real_time_does_not_start() {
    TestMesh::builder().start().await;
}
