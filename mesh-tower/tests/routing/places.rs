//! Where the servers of Gateways listen.

use std::net::SocketAddr;

use mesh_tower::{Gateway, Mesh};

use crate::support::curl::Curl;
use crate::support::until;

/// A Gateway of one server for each address, and a rule for each that says which it is.
fn gateways(binds: &[&str]) -> String {
    let mut text = String::new();
    for (n, bind) in binds.iter().enumerate() {
        let port = if bind.starts_with("unix:") { 0 } else { 80 };
        let bind = if bind.is_empty() { String::new() } else { format!("bind: \"{bind}\", ") };
        text += &format!(
            "---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: g{n}, namespace: default}}
spec:
  selector: {{app: edge}}
  servers: [{{{bind}port: {{number: {port}, name: http, protocol: HTTP}}, hosts: ['*']}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: v{n}, namespace: default}}
spec:
  hosts: ['*']
  gateways: [g{n}]
  http: [{{directResponse: {{status: 200, body: {{string: g{n}}}}}}}]
"
        );
    }
    text
}

async fn edge(binds: &[&str]) -> Mesh {
    let builder = Mesh::builder().workload("default/edge").label("app", "edge");
    builder.config_yaml("gateways", gateways(binds)).build().await.unwrap()
}

async fn start(mesh: &Mesh) -> Gateway {
    mesh.gateway().map_port(80, 0).address([127, 0, 0, 1]).start().await.unwrap()
}

async fn answer(address: SocketAddr) -> String {
    Curl::at(address, "/").run().await.body
}

#[tokio::test]
async fn servers_of_one_port_at_two_addresses_have_routes_of_their_own() {
    let mesh = edge(&["127.0.0.1", "127.0.0.2"]).await;
    let gateway = start(&mesh).await;
    let addresses = gateway.addresses();
    let ips: Vec<_> = addresses.iter().map(|(port, address)| (*port, address.ip().to_string())).collect();
    assert_eq!(ips, [(80, "127.0.0.1".to_owned()), (80, "127.0.0.2".to_owned())]);
    assert_eq!(answer(addresses[0].1).await, "g0");
    assert_eq!(answer(addresses[1].1).await, "g1");
}

#[tokio::test]
async fn a_server_that_is_bound_elsewhere_moves() {
    let mesh = edge(&["127.0.0.2"]).await;
    let gateway = start(&mesh).await;
    let before = gateway.address_of(80).unwrap();
    assert_eq!(answer(before).await, "g0");
    assert!(mesh.apply_yaml("gateways", &gateways(&["127.0.0.3"])).accepted);
    until("it listens at the other address", || {
        gateway.address_of(80).is_some_and(|address| address.ip().to_string() == "127.0.0.3")
    })
    .await;
    assert_eq!(answer(gateway.address_of(80).unwrap()).await, "g0");
    assert!(tokio::net::TcpStream::connect(before).await.is_err(), "nobody listens where it was");
}

#[tokio::test]
async fn a_server_can_move_from_all_addresses_to_one_at_the_same_port() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mesh = edge(&["0.0.0.0"]).await;
    let gateway = mesh.gateway().map_port(80, free).start().await.unwrap();
    assert_eq!(answer(SocketAddr::from(([127, 0, 0, 2], free))).await, "g0");
    assert!(mesh.apply_yaml("gateways", &gateways(&["127.0.0.1"])).accepted);
    let one = SocketAddr::from(([127, 0, 0, 1], free));
    until("it moves", || gateway.address_of(80) == Some(one)).await;
    assert_eq!(answer(one).await, "g0");
    assert!(tokio::net::TcpStream::connect(("127.0.0.2", free)).await.is_err());
}

#[tokio::test]
async fn a_server_bound_to_a_socket_of_unix_is_named_and_not_served_anywhere() {
    let mesh = edge(&["", "unix:///tmp/gate.sock"]).await;
    let gateway = start(&mesh).await;
    assert_eq!(gateway.addresses().len(), 1);
    let not_served = gateway.not_served();
    assert!(not_served.len() == 1 && not_served[0].contains("Gateway default/g1"), "{not_served:?}");
    assert!(not_served[0].contains("gate.sock"), "{not_served:?}");
    // A set that is refused says nothing about what is served.
    assert!(!mesh.apply_yaml("gateways", "{").accepted);
    assert_eq!(gateway.not_served(), not_served);
}
