//! What a Sidecar lets a client reach, and where requests go that say so themselves.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use mesh_tower::Mesh;
use mesh_tower::discovery::{Addresses, Discovery};

use crate::support::ask::ask;
use crate::support::documents::service;
use crate::support::upstream::Upstream;

fn sidecar(spec: &str) -> String {
    format!(
        "---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {{name: own, namespace: default}}
spec: {spec}
"
    )
}

#[tokio::test]
async fn a_service_that_a_sidecar_hides_is_502_and_comes_back_with_its_import() {
    let near = Upstream::start("near").await;
    let far = Upstream::start("far").await;
    let services = service("near", 80, &[("v1", near.address)])
        + "---\n"
        + &service("far", 80, &[("v1", far.address)]).replace("namespace: default", "namespace: prod");
    let under = |hosts: &str| {
        let own = format!(
            "{{workloadSelector: {{labels: {{app: client}}}}, egress: [{{hosts: {hosts}}}], \
             outboundTrafficPolicy: {{mode: REGISTRY_ONLY}}}}"
        );
        services.clone() + &sidecar(&own)
    };
    let builder = Mesh::builder().workload("default/client").label("app", "client");
    let mesh = builder.config_yaml("scope.yaml", under("[./*]")).build().await.unwrap();
    let client = mesh.client();
    assert_eq!(ask(&client, "http://near.default/", &[]).await.by(), "near");
    let hidden = ask(&client, "http://far.default/", &[]).await;
    assert_eq!((hidden.status, far.count()), (502, 0));
    assert!(mesh.apply_yaml("scope.yaml", &under("[./*, prod/*]")).accepted);
    assert_eq!(ask(&client, "http://far.default/", &[]).await.by(), "far");
}

/// Every name is one of this machine.
#[derive(Debug)]
struct Here;

impl Discovery for Here {
    fn watch(&self, _: &str, port: u16, _: Duration) -> Addresses {
        Addresses::fixed([SocketAddr::from(([127, 0, 0, 1], port))])
    }

    fn once(&self, _: &str, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        std::future::ready(Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))])).boxed()
    }
}

#[tokio::test]
async fn a_request_that_says_where_it_goes_is_sent_to_the_target_port() {
    let upstream = Upstream::start("there").await;
    let entry = format!(
        "apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: there, namespace: default}}
spec:
  hosts: [there.example]
  resolution: NONE
  ports: [{{number: 80, name: http, protocol: HTTP, targetPort: {}}}]
",
        upstream.address.port()
    );
    let builder = Mesh::builder().workload("default/client").discovery(Here);
    let mesh = builder.config_yaml("scope.yaml", entry).build().await.unwrap();
    let answer = ask(&mesh.client(), "http://there.example/", &[]).await;
    assert_eq!((answer.status, answer.by().as_str()), (200, "there"));
}

#[tokio::test]
async fn unknown_hosts_go_through_the_proxy_that_a_sidecar_names() {
    let proxy = Upstream::start("proxy").await;
    let policy = "{outboundTrafficPolicy: {mode: ALLOW_ANY, \
                  egressProxy: {host: out.default.svc.cluster.local, port: {number: 80}}}}";
    let documents = service("out", 80, &[("v1", proxy.address)]) + &sidecar(policy);
    let mesh = Mesh::builder().workload("default/client").config_yaml("scope.yaml", documents).build().await.unwrap();
    let answer = ask(&mesh.client(), "http://unknown.example/", &[]).await;
    assert_eq!((answer.status, answer.by().as_str()), (200, "proxy"));
    assert_eq!(proxy.seen()[0].header("host"), "unknown.example");
}
