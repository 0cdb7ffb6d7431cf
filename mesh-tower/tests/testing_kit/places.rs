//! Where workloads are found.

use mesh_tower::testing::{Reply, TestMesh, Workload};
use tower::Layer as _;

#[tokio::test(start_paused = true)]
async fn a_short_host_is_a_service_of_the_callers_namespace() {
    let builder = TestMesh::builder().configure(|mesh| mesh.workload("shop/web"));
    let mesh = builder.with(Workload::of("cart:8080")).with(Workload::of("auth.login.svc.cluster.local")).start().await;
    for url in ["http://cart:8080/", "http://cart.shop:8080/", "http://cart.shop.svc.cluster.local:8080/"] {
        mesh.run(&format!("GET {url}")).await.assert_success(1.0);
    }
    mesh.run("GET http://auth.login/").await.assert_success(1.0);
    mesh.assert_calls("cart", 3);
    mesh.assert_calls("auth", 1);
}

#[tokio::test(start_paused = true)]
async fn the_services_of_the_configuration_are_taken_as_they_are() {
    let service = "
apiVersion: v1
kind: Service
metadata: {name: a, namespace: default}
spec: {selector: {app: a}, ports: [{name: http, port: 80, targetPort: 8080}, {name: grpc, port: 9000}]}
";
    let mesh = TestMesh::builder().config_yaml("a.yaml", service).with(Workload::of("a")).start().await;
    mesh.run("GET http://a/").await.assert_success(1.0);
    mesh.run("GET http://a:9000/").await.assert_success(1.0);
    let versions: Vec<_> = mesh.calls().iter().map(mesh_tower::testing::Call::version).collect();
    assert_eq!(versions, [http::Version::HTTP_11, http::Version::HTTP_2]);
}

#[tokio::test(start_paused = true)]
async fn service_entries_of_the_configuration_find_workloads_by_name_by_label_or_at_an_address() {
    let entries = "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: by-name, namespace: default}
spec: {hosts: [api.example.com], resolution: DNS, ports: [{number: 80, name: http, protocol: HTTP}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: by-label, namespace: default}
spec:
  hosts: [vm.example.com]
  resolution: STATIC
  workloadSelector: {labels: {app: vm}}
  ports: [{number: 80, name: http, protocol: HTTP}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: at, namespace: default}
spec:
  hosts: [fixed.example.com]
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints: [{address: 192.0.2.7, ports: {http: 8080}}]
";
    let mesh = TestMesh::builder()
        .config_yaml("entries.yaml", entries)
        .with(Workload::of("api.example.com").replicas(2))
        .with(Workload::of("vm.example.com"))
        .with(Workload::at("192.0.2.7:8080").named("fixed"))
        .with(Workload::of("unheard-of.example.com"))
        .with(Workload::at("elsewhere.example.com").replying(Reply::status(202)))
        .start()
        .await;
    for host in ["api", "vm", "fixed", "unheard-of", "elsewhere"] {
        mesh.run(&format!("GET http://{host}.example.com/")).await.assert_success(1.0);
        mesh.assert_calls(host, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_that_nobody_has_does_not_exist() {
    let mesh = TestMesh::builder().start().await;
    mesh.run("GET http://nowhere.example.com/").await.assert_flags("UH", 1);
}

#[tokio::test(start_paused = true)]
async fn an_explanation_says_why_as_meshctl_would() {
    let rule = crate::rules("route: [{destination: {host: a, subset: v3}}]", crate::PLAIN);
    let mesh = TestMesh::builder().seed(1).config_yaml("a.yaml", rule).with(Workload::of("a")).start().await;
    let explanation = mesh.explain("GET http://a/");
    assert_eq!((explanation.status, &*explanation.flags), (Some(503), "NC"));
    assert!(mesh.mesh().report().iter().any(|finding| finding.to_string().contains("IST0101")));
    mesh.run("GET http://a/").await.assert_flags("NC", 1);
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "Workload::at")]
async fn a_workload_cannot_take_the_place_of_endpoints_that_the_configuration_names() {
    let entry = "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: at, namespace: default}
spec:
  hosts: [fixed.example.com]
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints: [{address: 192.0.2.7}]
";
    TestMesh::builder().config_yaml("at.yaml", entry).with(Workload::of("fixed.example.com")).start().await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "unknown field")]
async fn a_configuration_with_an_error_does_not_start() {
    let rule = crate::rules("rout: []", crate::PLAIN);
    TestMesh::builder().config_yaml("a.yaml", rule).start().await;
}

const GATEWAY: &str = "
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: public, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 8080, name: http, protocol: HTTP}, hosts: [shop.example.com]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, namespace: default}
spec:
  hosts: [shop.example.com]
  gateways: [public]
  http: [{route: [{destination: {host: cart, port: {number: 80}}, weight: 75}, {destination: {host: old}, weight: 25}]}]
";

#[tokio::test(start_paused = true)]
async fn requests_may_come_in_at_a_gateway() {
    let mesh = TestMesh::builder()
        .configure(|mesh| mesh.label("istio", "ingressgateway"))
        .config_yaml("gateway.yaml", GATEWAY)
        .with(Workload::of("cart"))
        .with(Workload::of("old"))
        .start()
        .await;
    mesh.run("GET http://shop.example.com/1").at_gateway(8080).exhausting_rolls().await.assert_success(1.0);
    mesh.assert_calls("cart", 75);
    mesh.assert_header("cart", "x-forwarded-for", "192.0.2.1");
    mesh.run("GET http://other.example.com/1").at_gateway(8080).await.assert_status(404, 1);
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "no Gateway that selects this workload has a server of HTTP at port 8080")]
async fn a_gateway_that_does_not_select_the_workload_takes_no_requests() {
    let mesh = TestMesh::builder().config_yaml("gateway.yaml", GATEWAY).with(Workload::of("cart")).start().await;
    mesh.run("GET http://shop.example.com/1").at_gateway(8080).await;
}

#[tokio::test(start_paused = true)]
async fn a_workload_may_call_another_one_through_the_mesh() {
    let mesh = TestMesh::builder().with(Workload::of("front")).with(Workload::of("back")).start().await;
    let client = mesh.client();
    let front = axum::Router::new().fallback(move || {
        let request = http::Request::get("http://back/stars").body(mesh_tower::Body::empty()).unwrap();
        let call = client.send(request);
        async move { call.await.status() }
    });
    mesh.serve("front", mesh.mesh().inbound().layer(front));
    mesh.reply("back", &Reply::status(418));
    let run = mesh.run("GET http://front/").header("x-request-id", "one").await;
    assert_eq!(run[0].status(), 418);
    // The server side of the mesh carries the request id into the calls that are made for a request.
    mesh.assert_header("back", "x-request-id", "one");
}
