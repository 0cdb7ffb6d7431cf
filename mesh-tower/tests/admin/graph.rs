//! What requests came to of late.

use mesh_tower::identity::MemoryIdentity;

use super::authority::Authority;
use super::*;

async fn row(world: &World, path: &str, list: &str, of: impl Fn(&Value) -> bool) -> Value {
    let told = world.json(path).await;
    told[list].as_array().unwrap().iter().find(|row| of(row)).unwrap_or_else(|| panic!("no row in {told:#}")).clone()
}

#[tokio::test]
async fn edges_are_told_with_their_rates_shares_and_failures() {
    let world = World::plain().await;
    for _ in 0..3 {
        assert_eq!(world.call("v1").await, 200);
    }
    assert_eq!(world.call("v2").await, 503);
    let graph = world.json("/mesh/graph?window=5m").await;
    assert_eq!(
        (&graph["window"], &graph["missed"], &graph["self"]["account"]),
        (&"5m".into(), &0.into(), &"web".into())
    );
    assert!(graph["covered_seconds"].as_f64().unwrap() >= 1.0, "{graph:#}");
    let good = row(&world, "/mesh/graph", "edges", |edge| edge["subset"] == "v1").await;
    assert_eq!((&good["requests"], &good["share"], &good["error_share"]), (&3.into(), &0.75.into(), &0.0.into()));
    assert_eq!((&good["endpoint"], &good["health"]), (&world.good.to_string().into(), &"ok".into()));
    assert_eq!((&good["tls"], &good["tls_policy"]), (&false.into(), &"plaintext".into()));
    assert_eq!((&good["last_flag"], &good["tries_per_request"]), (&Value::Null, &1.0.into()));
    assert!(good["rps"].as_f64().unwrap() > 0.0 && good["p95_ms"].as_f64().unwrap() > 0.0, "{good:#}");
    let bad = row(&world, "/mesh/graph", "edges", |edge| edge["subset"] == "v2").await;
    assert_eq!((&bad["share"], &bad["error_share"], &bad["health"]), (&0.25.into(), &1.0.into(), &"ejected".into()));
    let cluster = row(&world, "/mesh/graph?host=|v2|", "clusters", |_| true).await;
    assert_eq!((&cluster["host"], &cluster["share"]), (&"reviews.shop.svc.cluster.local".into(), &0.25.into()));
    assert_eq!(world.get("/mesh/graph?window=1h").await.status, 400);
}

#[tokio::test]
async fn a_request_without_an_endpoint_is_told_with_its_flag() {
    let world = World::plain().await;
    assert_eq!((world.call("v2").await, world.call("v2").await), (503, 503));
    let nowhere = row(&world, "/mesh/graph", "edges", |edge| edge["endpoint"].is_null()).await;
    assert_eq!((&nowhere["last_flag"]["flags"], &nowhere["tls"]), (&"UH".into(), &Value::Null), "{nowhere:#}");
    assert!(nowhere["last_flag"]["seconds_ago"].as_f64().unwrap() < 5.0);
    assert!(!nowhere["last_flag"]["means"][0].as_str().unwrap().is_empty());
}

#[tokio::test]
async fn rules_and_endpoints_have_rates_of_their_own() {
    let world = World::plain().await;
    for version in ["v1", "v1", "v2"] {
        world.call(version).await;
    }
    let hosts = world.json("/mesh/routes?host=reviews&window=15m").await;
    let host = hosts.as_array().unwrap().iter().find(|host| host["listener"] == "mesh:9080").unwrap();
    let of = |route: usize, field: &str| host["routes"][route]["rates"][field].clone();
    assert_eq!((of(0, "requests"), of(0, "ok_percent"), of(0, "errors")), (1.into(), 0.0.into(), 1.into()));
    assert_eq!((of(1, "requests"), of(1, "ok_percent")), (2.into(), 100.0.into()));
    assert_eq!(world.endpoint("v1").await["rates"]["requests"], 2);
    let clusters = world.json("/mesh/endpoints?host=|v2|").await;
    assert_eq!(clusters[0]["rates"]["error_share"], 1.0);
}

#[tokio::test]
async fn callers_are_told_with_who_could_call_no_more_under_strict() {
    let authority = Authority::new();
    let identity = |account: &str| {
        MemoryIdentity::new(authority.material(&format!("spiffe://cluster.local/ns/shop/sa/{account}")))
    };
    let world = World::start(|builder| builder.identity(identity("web")).admin("127.0.0.1:0")).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().fallback(get(async || "here"));
    let serving = tokio::spawn({
        let mesh = world.mesh.clone();
        async move { mesh.serve(listener, app).await }
    });

    // One that proves nothing, and one with a certificate.
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: web\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    let caller = Mesh::builder()
        .workload("shop/front")
        .identity(identity("front"))
        .config_yaml("web.yaml", web(address))
        .build()
        .await
        .unwrap();
    let request = Request::get("http://web.shop.svc.cluster.local:9080/").body(Body::empty()).unwrap();
    let response = caller.client().send(request).await;
    assert_eq!(response.status(), 200, "{:?}", response.extensions().get::<mesh_tower::RouteInfo>());
    response.into_body().collect().await.unwrap();

    let told = async {
        loop {
            let peers = world.json("/mesh/peers").await;
            if peers["callers"].as_array().unwrap().len() == 2 {
                break peers;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let peers = timeout(Duration::from_secs(5), told).await.unwrap();
    assert_eq!((&peers["mode"], &peers["cut_off_by_strict"]), (&"PERMISSIVE".into(), &1.into()), "{peers:#}");
    let of = |name: &str| {
        let caller = peers["callers"].as_array().unwrap().iter().find(|caller| caller["caller"] == name);
        caller.unwrap_or_else(|| panic!("{name} in {peers:#}")).clone()
    };
    let proved = of("spiffe://cluster.local/ns/shop/sa/front");
    assert_eq!((&proved["tls"], &proved["would_be_cut_off_by_strict"]), (&true.into(), &false.into()));
    let open = of("127.0.0.1");
    assert_eq!((&open["tls"], &open["would_be_cut_off_by_strict"]), (&false.into(), &true.into()));
    assert_eq!((&open["address"], &open["principal"]), (&"127.0.0.1".into(), &Value::Null));
    assert!(open["last_seen_seconds"].as_f64().unwrap() < 5.0);
    serving.abort();
}

fn web(address: SocketAddr) -> String {
    format!(
        "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: web, namespace: shop}}
spec:
  hosts: [web.shop.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 9080, name: http, protocol: HTTP}}]
  endpoints: [{{address: 127.0.0.1, ports: {{http: {}}}}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: web, namespace: shop}}
spec: {{host: web.shop.svc.cluster.local, trafficPolicy: {{tls: {{mode: ISTIO_MUTUAL}}}}}}
",
        address.port()
    )
}

#[tokio::test]
async fn what_is_called_in_plaintext_is_told_among_the_peers() {
    let world = World::plain().await;
    assert_eq!(world.call("v1").await, 200);
    let edge = row(&world, "/mesh/peers", "plaintext_edges", |_| true).await;
    assert_eq!((&edge["endpoint"], &edge["tls"]), (&world.good.to_string().into(), &false.into()));
}
