//! Taps hear of each request of either side that comes to its end.

use std::time::Duration;

use http::Request;
use mesh_tower::Body;
use mesh_tower::mesh_core::telemetry::Side;

use super::world::{World, soon};

#[tokio::test]
async fn both_sides_hear_of_a_request_what_they_know_of_it() {
    let world = World::start("").await;
    let (mut at_web, mut at_reviews) = (world.web.tap(), world.reviews.tap());
    let request = Request::post("http://reviews:9080/echo?q=1").header("x-user", "jason");
    assert_eq!(world.send(request, Body::from("hello")).await.body(), "hello");
    let (client, server) = (soon(at_web.next()).await.unwrap(), soon(at_reviews.next()).await.unwrap());

    assert_eq!((client.side, server.side), (Side::Client, Side::Server));
    assert_eq!(client.cluster.as_deref(), Some("outbound|9080||reviews.shop.svc.cluster.local"));
    assert_eq!(client.upstream.as_deref(), Some(&*world.at.to_string()));
    assert_eq!((client.attempts, client.downstream_remote), (1, None));
    assert_eq!(client.upstream_local, server.downstream_remote, "the two ends of one connection");
    assert_ne!(client.unique_id, server.unique_id);
    assert_eq!(server.downstream_remote.unwrap().ip(), world.at.ip());
    assert_eq!(server.downstream_local, Some(world.at));
    for record in [&client, &server] {
        assert_eq!((record.method.as_str(), record.url_path(), record.query()), ("POST", "/echo", Some("q=1")));
        assert_eq!((&*record.authority, record.status, &*record.details), ("reviews:9080", 200, "via_upstream"));
        assert_eq!((record.request_bytes, record.response_bytes), (5, 5));
        assert_eq!(record.request_header("x-user"), Some("jason"));
        assert!(record.request_header("x-request-id").is_some(), "{:?}", record.side);
        assert!(record.response_headers.contains_key("content-type"), "{:?}", record.side);
        assert!(record.response_duration.unwrap() <= record.duration && record.duration < Duration::from_secs(5));
        assert!(record.flags.is_empty());
    }
    // A server's own date is written behind the mesh.
    assert!(client.response_headers.contains_key("date"));
    assert_eq!(client.request_header("x-request-id"), server.request_header("x-request-id"));
}

#[tokio::test]
async fn what_gets_nowhere_is_heard_of_too() {
    let world = World::start("").await;
    let mut tap = world.web.tap();
    world.send(Request::get("http://reviews:9081/"), Body::empty()).await;
    let refused = soon(tap.next()).await.unwrap();
    assert_eq!((refused.status, refused.flags.to_string(), refused.attempts), (503, "URX,UF".into(), 3));
    let why =
        "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}";
    assert_eq!(&*refused.details, why);
    assert_eq!(refused.upstream_failure.as_deref(), Some("delayed connect error: Connection refused"));
    assert_eq!((refused.upstream_local, refused.response_duration), (None, None));

    let given_up = world.get("/hang");
    tokio::time::timeout(Duration::from_millis(200), given_up).await.unwrap_err();
    let gone = soon(tap.next()).await.unwrap();
    assert_eq!((gone.status, gone.flags.to_string(), &*gone.details), (0, "DC".into(), "downstream_remote_disconnect"));
    assert_eq!((gone.url_path(), gone.upstream.is_some()), ("/hang", true));
}

#[tokio::test]
async fn trailers_and_the_status_of_a_grpc_call_are_heard_of() {
    let world = World::start("").await;
    let mut tap = world.web.tap();
    let request = Request::post("http://reviews:9080/shop.Reviews/Get").version(http::Version::HTTP_2);
    world.send(request.header("content-type", "application/grpc"), Body::empty()).await;
    let record = soon(tap.next()).await.unwrap();
    assert_eq!((record.is_grpc, record.grpc_status), (true, Some(5)));
    assert_eq!(record.response_trailers["grpc-status"], "5");
}
