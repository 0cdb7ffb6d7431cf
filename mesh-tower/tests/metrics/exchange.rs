//! What both sides of a call tell each other of themselves.

use axum::Router;
use http::{HeaderMap, Request};
use http_body_util::BodyExt as _;
use mesh_core::telemetry::Workload;
use mesh_core::telemetry::peer_metadata::METADATA;
use mesh_tower::Body;

use super::{REQUESTS, Scrape, World, caller};

#[tokio::test]
async fn both_sides_learn_what_the_other_is_called() {
    let world = World::start().await;
    world.get("/reviews/1").await;
    let both = [
        ("source_workload", "web"),
        ("source_app", "web"),
        ("source_workload_namespace", "shop"),
        ("destination_workload", "reviews-v1"),
        ("destination_app", "reviews"),
        ("destination_version", "v1"),
    ];
    world.at_web.until(REQUESTS, &[&both[..], &[("reporter", "source")]].concat(), 1.0).await;
    world.at_reviews.until(REQUESTS, &[&both[..], &[("reporter", "destination")]].concat(), 1.0).await;
}

/// A server without a mesh that says which of its caller's headers are Envoy's, and tells of itself unasked.
async fn stranger() -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().fallback(|headers: HeaderMap| async move {
        let names: Vec<_> = headers.keys().filter(|name| name.as_str().contains("peer-metadata")).collect();
        ([(METADATA, Workload::unknown().to_metadata())], format!("{names:?}"))
    });
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

async fn asked(mesh: &mesh_tower::Mesh, url: &str) -> (HeaderMap, String) {
    let response = mesh.client().send(Request::get(url).body(Body::empty()).unwrap()).await;
    let (parts, body) = response.into_parts();
    (parts.headers, String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap())
}

#[tokio::test]
async fn only_services_of_the_mesh_are_told_and_only_where_that_is_asked_for() {
    let (scrape, address) = (Scrape::new(), stranger().await);
    let both = r#"["x-envoy-peer-metadata", "x-envoy-peer-metadata-id"]"#;
    let mut both: Vec<String> = serde_json::from_str(both).unwrap();
    both.sort();
    let told = |text: &str| {
        let mut names: Vec<String> = serde_json::from_str(text).unwrap();
        names.sort();
        names
    };
    let builder = caller(&[address]).exchange_metadata(true).meter_provider(&scrape.provider);
    let counted = builder.build().await.unwrap();
    let (headers, body) = asked(&counted, "http://reviews:9080/").await;
    assert_eq!(told(&body), both);
    assert!(!headers.contains_key(METADATA), "what the endpoint tells is for the mesh");
    // Hosts that nobody registered are outside.
    let (_, body) = asked(&counted, &format!("http://{address}/")).await;
    assert_eq!(told(&body), Vec::<String>::new());
    // Nothing is told, and nothing changed, where nothing is counted or nobody has asked for it.
    let silent = caller(&[address]).meter_provider(&scrape.provider);
    for mesh in [caller(&[address]).exchange_metadata(true), silent] {
        let (headers, body) = asked(&mesh.build().await.unwrap(), "http://reviews:9080/").await;
        assert_eq!(told(&body), Vec::<String>::new());
        assert!(headers.contains_key(METADATA));
    }
}

#[tokio::test]
async fn callers_that_make_up_names_make_up_few_series() {
    let world = World::start().await;
    let address = world.address;
    let client = caller(&[address]).build().await.unwrap().client();
    for n in 0..200 {
        let own = Workload { name: format!("made-up-{n}").into(), ..Workload::unknown() };
        let request = Request::get("http://reviews:9080/reviews/1").header(METADATA, own.to_metadata());
        client.send(request.body(Body::empty()).unwrap()).await.into_body().collect().await.unwrap();
    }
    world.at_reviews.until(REQUESTS, &[], 200.0).await;
    let lines = world.at_reviews.lines(REQUESTS, &[]);
    assert!((2..=65).contains(&lines.len()), "{} series", lines.len());
}
