//! Requests that come before the names of their endpoints have been looked up.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use mesh_tower::Mesh;
use mesh_tower::discovery::{Dns, Resolve};

use crate::support::ask::ask;
use crate::support::documents::{service, virtual_service};
use crate::support::until;
use crate::support::upstream::Upstream;

/// How long an answer takes.
const TAKES: Duration = Duration::from_millis(150);

/// Takes its time, and then says that all is on this machine but what is nowhere.
#[derive(Debug)]
struct Slow;

impl Resolve for Slow {
    fn resolve(&self, host: &str, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let answer = match host {
            "nowhere.example" => Err(io::Error::new(io::ErrorKind::NotFound, "no such name")),
            _ => Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))]),
        };
        async move {
            tokio::time::sleep(TAKES).await;
            answer
        }
        .boxed()
    }
}

/// A host that is looked up, and where it is.
fn looked_up(host: &str, name: &str, at: SocketAddr) -> String {
    format!(
        "---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}, namespace: default}}
spec:
  hosts: [{host}]
  resolution: DNS
  ports: [{{number: 80, name: http, protocol: HTTP, targetPort: {}}}]
---
",
        at.port()
    )
}

async fn mesh(main: &Upstream, copies: &Upstream, host: &str, mirror: &str) -> Mesh {
    let rule = format!("route: [{{destination: {{host: {host}}}}}], mirrors: [{{destination: {{host: {mirror}}}}}]");
    let documents = looked_up(host, "main", main.address)
        + &looked_up("copies.example", "copies-by-name", copies.address)
        + &service("copies", 80, &[("v1", copies.address)])
        + "---\n"
        + &virtual_service(host, &[&rule]);
    let builder = Mesh::builder().workload("default/client").discovery(Dns::new(Slow));
    builder.config_yaml("look-ups.yaml", documents).build().await.unwrap()
}

#[tokio::test]
async fn the_first_request_is_copied_although_no_name_was_looked_up_before_it() {
    for mirror in ["copies", "copies.example"] {
        let (main, copies) = (Upstream::start("main").await, Upstream::start("copies").await);
        let mesh = mesh(&main, &copies, "main.example", mirror).await;
        assert_eq!(ask(&mesh.client(), "http://main.example/first", &[]).await.by(), "main", "{mirror}");
        until(&format!("the copy arrives at {mirror}"), || copies.count() == 1).await;
        assert_eq!(copies.seen()[0].path, "/first");
    }
}

#[tokio::test]
async fn no_copy_is_sent_where_the_look_up_finds_that_nobody_is_there() {
    let (main, copies) = (Upstream::start("main").await, Upstream::start("copies").await);
    let mesh = mesh(&main, &copies, "nowhere.example", "copies").await;
    assert_eq!(ask(&mesh.client(), "http://nowhere.example/", &[]).await.status, 503);
    // The copy's task is over with that, and nothing was sent.
    until("the copy is over", || mesh.gauges().mirrors == 0).await;
    assert_eq!((main.count(), copies.count()), (0, 0));
}
