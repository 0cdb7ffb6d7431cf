//! Browsers of other origins, seen from where a browser stands: at a gateway.

use mesh_tower::Mesh;

use super::edge;
use crate::support::curl::Curl;
use crate::support::documents::service;
use crate::support::upstream::Upstream;

const RULES: &str = "---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gateway, namespace: default}
spec:
  selector: {istio: ingress}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: api, namespace: default}
spec:
  hosts: [api.example.com]
  gateways: [gateway]
  http:
  - match: [{uri: {prefix: /missing}}]
    corsPolicy: {allowOrigins: [{exact: https://shop.example.com}]}
    route: [{destination: {host: nowhere}}]
  - match: [{uri: {prefix: /aborts}}]
    corsPolicy: {allowOrigins: [{exact: https://shop.example.com}]}
    fault: {abort: {httpStatus: 503, percentage: {value: 100}}}
    route: [{destination: {host: api}}]
  - corsPolicy:
      allowOrigins: [{exact: https://shop.example.com}, {regex: 'https://pr-[0-9]+\\.example\\.com'}]
      allowMethods: [GET, PUT]
      allowHeaders: [x-token]
      exposeHeaders: [x-total]
      maxAge: 10m
      allowCredentials: true
    headers: {response: {set: {access-control-allow-origin: '*', x-by: rule}}}
    route: [{destination: {host: api}}]
";

const SHOP: &str = "origin: https://shop.example.com";
const STRANGER: &str = "origin: https://stranger.example.com";

#[tokio::test]
async fn a_browser_learns_what_it_may_and_a_stranger_is_left_alone() {
    let api = Upstream::start("api").await;
    let text = format!("{}{RULES}", service("api", 80, &[("v1", api.address)]));
    let builder = Mesh::builder().workload("default/gateway").label("istio", "ingress");
    let mesh = builder.config_yaml("cors.yaml", text).build().await.unwrap();
    let (_gateway, address) = edge::open(&mesh).await;
    let ask = |path: &str, lines: &[&str]| {
        let curl = Curl::at(address, path).header("Host: api.example.com");
        lines.iter().fold(curl, |curl, line| curl.header(line))
    };
    let preflight =
        |path: &str, origin: &str| ask(path, &[origin, "access-control-request-method: PUT"]).with(&["-X", "OPTIONS"]);

    let told = preflight("/", SHOP).run().await;
    assert_eq!((told.status, &*told.body, api.count()), (200, "", 0));
    for (name, value) in [
        ("access-control-allow-origin", "https://shop.example.com"),
        ("access-control-allow-methods", "GET,PUT"),
        ("access-control-allow-headers", "x-token"),
        ("access-control-max-age", "600"),
        ("access-control-allow-credentials", "true"),
        ("x-by", ""),
    ] {
        assert_eq!(told.header(name), value, "{name}");
    }
    assert_eq!(preflight("/missing", SHOP).run().await.status, 200);
    let aborted = preflight("/aborts", SHOP).run().await;
    assert_eq!((aborted.status, aborted.header("access-control-allow-origin")), (503, ""));

    let pull_request = ask("/", &["origin: https://pr-17.example.com"]).run().await;
    assert_eq!(pull_request.header("access-control-allow-origin"), "https://pr-17.example.com");
    assert_eq!(
        (pull_request.header("access-control-expose-headers"), pull_request.header("x-by")),
        ("x-total", "rule")
    );
    let missing = ask("/missing", &[SHOP]).run().await;
    assert_eq!((missing.status, missing.header("access-control-allow-origin")), (503, "https://shop.example.com"));

    let stranger = preflight("/", STRANGER).run().await;
    assert_eq!((stranger.status, stranger.by(), api.count()), (200, "api".into(), 2));
    // What the rule says stands, since nothing else is said.
    assert_eq!(stranger.header("access-control-allow-origin"), "*");
    assert_eq!(stranger.header("access-control-allow-credentials"), "");
}
