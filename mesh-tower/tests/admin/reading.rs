//! What is told.

use super::*;

#[tokio::test]
async fn the_index_names_what_there_is_and_each_of_it_answers() {
    let world = World::plain().await;
    let index = world.json("/mesh/").await;
    for path in index.as_object().unwrap().keys().filter(|path| !["/mesh/tap", "/mesh/explain"].contains(&&***path)) {
        let path = path.replace("{host}", "reviews");
        let answer = world.get(&path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        assert!(answer.head.contains("x-content-type-options: nosniff"), "{}", answer.head);
    }
    assert_eq!(world.get("/nothing").await.status, 404);
}

#[tokio::test]
async fn routes_are_told_in_their_order_with_what_they_ask_for() {
    let world = World::plain().await;
    let hosts = world.json("/mesh/routes?host=reviews").await;
    let host = hosts.as_array().unwrap().iter().find(|host| host["listener"] == "mesh:9080").unwrap();
    let routes = host["routes"].as_array().unwrap();
    let names: Vec<_> = routes.iter().map(|route| route["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["broken", "usual"]);
    assert_eq!(routes[0]["rule"], "VirtualService shop/reviews http[0]");
    assert_eq!(routes[0]["match"][0]["headers"]["version"]["exact"], "v2");
    assert_eq!(routes[1]["to"][0]["cluster"], "outbound|9080|v1|reviews.shop.svc.cluster.local");
    assert_eq!(world.json("/mesh/routes?host=nobody").await, serde_json::json!([]));
}

#[tokio::test]
async fn an_ejected_endpoint_is_told_with_the_time_that_is_left() {
    let world = World::plain().await;
    assert_eq!(world.endpoint("v2").await["health"], "ok");
    assert_eq!(world.call("v2").await, 503);
    let endpoint = world.endpoint("v2").await;
    assert_eq!(endpoint["address"], world.bad.to_string());
    assert_eq!(endpoint["health"], "ejected");
    let left = endpoint["ejected_for_seconds"].as_f64().unwrap();
    assert!((25.0..=30.0).contains(&left), "{left}");
    assert_eq!(endpoint["tls"], false);
    let other = world.endpoint("v1").await;
    assert_eq!((&other["address"], &other["health"]), (&world.good.to_string().into(), &"ok".into()));
    assert_eq!(other["ejected_for_seconds"], Value::Null);
}

#[tokio::test]
async fn limits_are_told_with_what_is_in_use() {
    let world = World::plain().await;
    assert_eq!(world.call("v1").await, 200);
    let limits = world.json("/mesh/limits?host=|v1|").await;
    assert_eq!(limits[0]["connections"], serde_json::json!({"used": 1, "most": 7, "refused": 0}));
    assert_eq!(limits[0]["requests"]["used"], 0);
}

#[tokio::test]
async fn what_acts_and_what_was_refused_is_told_with_its_place() {
    let world = World::plain().await;
    let before = world.json("/mesh/config").await;
    assert_eq!((&before["generation"], before["refused"].as_array().unwrap().len()), (&1.into(), 0));
    let bad = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: empty, namespace: shop}\n\
               spec: {hosts: [empty]}\n";
    assert!(!world.mesh.apply_yaml("more.yaml", bad).accepted);
    let after = world.json("/mesh/config").await;
    assert_eq!(after["generation"], 1);
    assert_eq!(after["accepted"], before["accepted"]);
    assert_eq!(after["refused"][0]["file"], "more.yaml", "{after}");
    assert!(after["refused"][0]["resource"].as_str().unwrap().contains("empty"), "{after}");
    assert!(world.json("/mesh/lint").await["errors"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn a_request_is_explained_by_what_is_in_use() {
    let world = World::plain().await;
    let found = world.json("/mesh/explain?url=http://reviews:9080/1&h=version:+v2").await;
    assert_eq!(found["destination"]["cluster"], "outbound|9080|v2|reviews.shop.svc.cluster.local", "{found}");
    let here = serde_json::to_value(world.mesh.explain(&question())).unwrap();
    assert_eq!(world.json("/mesh/explain?url=http://reviews:9080/1").await, here);
    // From another namespace the short name means another service.
    let theirs = world.json("/mesh/explain?url=http://reviews:9080/1&from=books/front").await;
    assert_ne!(theirs["destination"], here["destination"]);
    for bad in ["", "?url=nothing", "?url=http://a/&roll=x", "?url=http://a/&h=x"] {
        assert_eq!(world.get(&format!("/mesh/explain{bad}")).await.status, 400, "{bad}");
    }
}

fn question() -> mesh_tower::mesh_core::explain::Question {
    mesh_tower::mesh_core::explain::Question::get("http://reviews:9080/1").unwrap()
}

#[tokio::test]
async fn a_tap_tells_the_requests_that_are_asked_for_and_no_secrets() {
    let world = World::plain().await;
    let mut tap = world.connect().await;
    let request = "GET /mesh/tap?status=5xx HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n";
    tap.write_all(request.as_bytes()).await.unwrap();
    let mut text = until(&mut tap, String::new(), ": listening").await;
    assert!(text.contains("text/event-stream"), "{text}");
    assert_eq!((world.call("v1").await, world.call("v2").await), (200, 503));
    text = until(&mut tap, text, "\n\n\r\n").await;
    let events: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    let event: Value = serde_json::from_str(events[0]).unwrap();
    assert_eq!((&event["status"], &event["path"], &event["method"]), (&503.into(), &"/1".into(), &"GET".into()));
    assert_eq!(event["endpoint"], world.bad.to_string());
    assert!(!text.contains("hush"), "{text}");
    assert_eq!(world.get("/mesh/tap?status=x").await.status, 400);
}

/// Reads on until the text is there, behind what came before.
async fn until(stream: &mut TcpStream, before: String, wanted: &str) -> String {
    let mut text = before;
    let begin = text.len();
    let read = async {
        while !text[begin..].contains(wanted) {
            let mut bytes = [0; 1024];
            let count = stream.read(&mut bytes).await.unwrap();
            assert!(count > 0, "the tap ended: {text}");
            text.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
        }
    };
    timeout(Duration::from_secs(5), read).await.expect("nothing was told");
    text
}

#[tokio::test]
async fn metrics_are_the_meshs_own_unless_it_was_given_a_provider() {
    let world = World::plain().await;
    assert_eq!(world.call("v1").await, 200);
    let counted = async {
        while !world.get("/metrics").await.body.contains("istio_requests_total{") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(5), counted).await.unwrap();
    let provider = opentelemetry_sdk::metrics::SdkMeterProvider::builder().build();
    let other = World::start(|builder| builder.meter_provider(&provider).admin("127.0.0.1:0")).await;
    assert_eq!(other.get("/metrics").await.status, 404);
}
