//! What a real Envoy counts as messages of gRPC calls, with the filter that Istio's metrics take them from, and what the
//! mesh counts in the same pieces.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::response::IntoResponse as _;
use http::StatusCode;
use mesh_core::telemetry::messages::Messages;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::bootstrap::{address, filter, typed};
use crate::envoy::{Envoy, binary};

/// Bodies by the name of the method that they are sent to, in their pieces. They come back as they are.
const BODIES: [(&str, &[&[u8]]); 10] = [
    ("One", &[b"\0\0\0\0\x02ab"]),
    ("Empty", &[b"\0\0\0\0\0\0\0\0\0\0"]),
    ("Compressed", &[b"\x01\0\0\0\x01z\x01\0\0\0\x01z"]),
    ("Pieces", &[b"\0", b"\0\0\0", b"\x03", b"a", b"bc\0\0", b"\0\0\0\0"]),
    ("FlagAtTheEnd", &[b"\0\0\0\0\x01a", b"\0"]),
    ("CutInItsLength", &[b"\0\0\0"]),
    ("CutInIt", &[b"\0\0\0\0\x09abc", b"def"]),
    // What says that it is longer than what comes is one message, whatever comes.
    ("Endless", &[b"\0\xff\xff\xff\xff\0\0\0\0\0", b"\0\0\0\0\0"]),
    ("UnknownFlags", &[b"\x04\0\0\0\0\x80\0\0\0\0"]),
    // What ends an answer in the Connect protocol.
    ("Connect", &[b"\0\0\0\0\x01a\x02\0\0\0\x01a\0\0\0\0\x01a"]),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_are_counted_as_envoy_counts_them() {
    let Some(binary) = binary() else { return };
    let envoy = Envoy::run(&binary, &configuration(upstream().await).to_string()).await;
    let counted = async |method: &str, what: &str| {
        let name = format!("cluster.upstream.grpc.calls.{method}.{what}_message_count");
        envoy.counted_if_ever(&name).await.unwrap_or_default()
    };
    for (method, pieces) in BODIES {
        call(envoy.address, method, "application/grpc", pieces).await;
        let ours = [Messages::default(), Messages::of_answer()]
            .map(|mut messages| pieces.iter().map(|piece| messages.begun_in(piece)).sum::<u64>());
        assert_eq!([counted(method, "request").await, counted(method, "response").await], ours, "{method}");
    }
    // An answer counts only where it is 200 and says that it is gRPC; a request only where it says so.
    let one: &[&[u8]] = &[b"\0\0\0\0\0"];
    for (method, content_type, theirs) in [
        ("Gone", "application/grpc", (1, 0)),
        ("Text", "application/grpc", (1, 0)),
        ("Web", "application/grpc-web", (0, 0)),
    ] {
        call(envoy.address, method, content_type, one).await;
        assert_eq!((counted(method, "request").await, counted(method, "response").await), theirs, "{method}");
    }
}

/// Sends back what it gets, as gRPC but for a method or two.
async fn upstream() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let echo = |Path(method): Path<String>, body: bytes::Bytes| async move {
        let status = if method == "Gone" { StatusCode::GONE } else { StatusCode::OK };
        let content_type = if method == "Text" { "text/plain" } else { "application/grpc" };
        (status, [("content-type", content_type)], body).into_response()
    };
    let app = Router::new().route("/calls/{method}", axum::routing::post(echo));
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// Makes a call and reads its answer to the end.
async fn call(envoy: SocketAddr, method: &str, content_type: &str, pieces: &[&[u8]]) {
    let mut stream = TcpStream::connect(envoy).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let head = format!(
        "POST /calls/{method} HTTP/1.1\r\nhost: calls\r\ncontent-type: {content_type}\r\nconnection: close\r\n\
         transfer-encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    for piece in pieces {
        let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
        stream.write_all(&chunk).await.unwrap();
        // So that they come one by one.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 "), "{}", String::from_utf8_lossy(&answer));
}

fn configuration(upstream: SocketAddr) -> Value {
    let mut counts = filter("grpc_stats", "extensions.filters.http.grpc_stats.v3.FilterConfig");
    counts["typed_config"]["stats_for_all_methods"] = true.into();
    let routes = json!([{"match": {"prefix": "/"}, "route": {"cluster": "upstream"}}]);
    let manager = typed(
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        json!({
            "stat_prefix": "main",
            "http_filters": [counts, filter("router", "extensions.filters.http.router.v3.Router")],
            "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        }),
    );
    let endpoint = json!({"endpoint": {"address": address("127.0.0.1", upstream.port())}});
    json!({
        "admin": {"address": address("127.0.0.1", 0)},
        "static_resources": {
            "listeners": [{
                "name": "main", "stat_prefix": "main", "address": address("127.0.0.1", 0),
                "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
            }],
            "clusters": [{
                "name": "upstream", "type": "STATIC",
                "load_assignment": {"cluster_name": "upstream", "endpoints": [{"lb_endpoints": [endpoint]}]},
            }],
        },
    })
}
