//! Each action of a rule as bytes: what the caller writes, what the upstream reads, what the caller reads.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mesh_tower::Mesh;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::edge;
use crate::support::documents::service;

/// A case: a rule, a request to the gateway, and what comes of it.
struct Case {
    what: &'static str,
    rule: &'static str,
    /// The request line's method and target, and header lines beside `host`.
    request: (&'static str, &'static [&'static str]),
    /// The request line that the upstream reads, and lines that it reads too; none where it reads nothing. A line that
    /// begins with `!` must not be there.
    upstream: Option<(&'static str, &'static [&'static str])>,
    /// The status line, lines, and body that the caller reads.
    answer: (&'static str, &'static [&'static str], &'static str),
}

const TO_APP: &str = "route: [{destination: {host: app}}]";

const CASES: &[Case] = &[
    Case {
        what: "a route",
        rule: "",
        request: ("GET /a?b=c", &["x-mine: 1"]),
        upstream: Some(("GET /a?b=c HTTP/1.1", &["host: app.example.com", "x-mine: 1", "x-envoy-attempt-count: 1"])),
        answer: ("HTTP/1.1 200 OK", &["x-upstream: yes"], "ok"),
    },
    Case {
        what: "a rewrite of prefix and authority",
        rule: "match: [{uri: {prefix: /a}}], rewrite: {uri: /z, authority: inner.example.com},",
        request: ("GET /a/b?c=d", &[]),
        upstream: Some((
            "GET /z/b?c=d HTTP/1.1",
            &["host: inner.example.com", "x-envoy-original-path: /a/b?c=d", "x-envoy-original-host: app.example.com"],
        )),
        answer: ("HTTP/1.1 200 OK", &[], "ok"),
    },
    Case {
        what: "a rewrite by a regex with what it caught",
        rule: r"rewrite: {uriRegexRewrite: {match: '^/(v[0-9]+)/(.*)$', rewrite: '/\2/\1'}},",
        request: ("GET /v2/users?all", &[]),
        upstream: Some(("GET /users/v2?all HTTP/1.1", &[])),
        answer: ("HTTP/1.1 200 OK", &[], "ok"),
    },
    Case {
        what: "header operations with values made from the request",
        rule: "headers: {request: {set: {x-path: '%REQ(:path)%', host: other.example.com}, add: {x-mine: '2'}, remove: [x-gone]}, \
               response: {set: {x-upstream: other, x-code: '%RESPONSE_CODE%'}, add: {x-new: a}, remove: [x-secret]}},",
        request: ("GET /a", &["x-mine: 1", "x-gone: 1"]),
        upstream: Some((
            "GET /a HTTP/1.1",
            &["host: other.example.com", "x-path: /a", "x-mine: 1", "x-mine: 2", "!x-gone"],
        )),
        answer: ("HTTP/1.1 200 OK", &["x-upstream: other", "x-code: 200", "x-new: a", "!x-secret"], "ok"),
    },
    Case {
        what: "a redirect",
        rule: "redirect: {uri: /new, authority: new.example.com, redirectCode: 308, scheme: https},",
        request: ("GET /a?b", &[]),
        upstream: None,
        answer: ("HTTP/1.1 308 Permanent Redirect", &["location: https://new.example.com/new?b"], ""),
    },
    Case {
        what: "a direct response",
        rule: "directResponse: {status: 503, body: {string: closed}}, headers: {response: {set: {retry-after: '60'}}},",
        request: ("GET /", &[]),
        upstream: None,
        answer: (
            "HTTP/1.1 503 Service Unavailable",
            &["content-type: text/plain", "content-length: 6", "retry-after: 60"],
            "closed",
        ),
    },
    Case {
        what: "an abort",
        rule: "fault: {abort: {httpStatus: 418, percentage: {value: 100}}},",
        request: ("GET /", &[]),
        upstream: None,
        answer: ("HTTP/1.1 418 I'm a teapot", &[], "fault filter abort"),
    },
    Case {
        what: "an abort with a gRPC status, for a caller of gRPC",
        rule: "fault: {abort: {grpcStatus: UNAVAILABLE, percentage: {value: 100}}},",
        request: ("POST /s.S/M", &["content-type: application/grpc", "content-length: 0"]),
        upstream: None,
        answer: ("HTTP/1.1 200 OK", &["content-type: application/grpc", "grpc-status: 14"], ""),
    },
    Case {
        what: "a simple request of another origin",
        rule: "corsPolicy: {allowOrigins: [{exact: 'https://shop.example'}], allowCredentials: true},",
        request: ("GET /", &["origin: https://shop.example"]),
        upstream: Some(("GET / HTTP/1.1", &["origin: https://shop.example"])),
        answer: (
            "HTTP/1.1 200 OK",
            &["access-control-allow-origin: https://shop.example", "access-control-allow-credentials: true"],
            "ok",
        ),
    },
    Case {
        what: "a preflight",
        rule: "corsPolicy: {allowOrigins: [{exact: 'https://shop.example'}], allowMethods: [PUT], maxAge: 1m},",
        request: ("OPTIONS /", &["origin: https://shop.example", "access-control-request-method: PUT"]),
        upstream: None,
        answer: (
            "HTTP/1.1 200 OK",
            &[
                "access-control-allow-origin: https://shop.example",
                "access-control-allow-methods: PUT",
                "access-control-max-age: 60",
            ],
            "",
        ),
    },
    Case {
        what: "an upgrade that is not passed on",
        rule: "",
        request: ("GET /", &["connection: upgrade, close", "upgrade: foo"]),
        upstream: None,
        answer: ("HTTP/1.1 403 Forbidden", &[], ""),
    },
];

/// An upstream that keeps the heads that it reads, byte for byte.
#[derive(Clone)]
struct Heads {
    address: SocketAddr,
    read: Arc<Mutex<Vec<String>>>,
}

impl Heads {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let heads = Self { address: listener.local_addr().unwrap(), read: Arc::default() };
        let read = Arc::clone(&heads.read);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let read = Arc::clone(&read);
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        if stream.read_buf(&mut head).await.unwrap_or(0) == 0 {
                            return;
                        }
                    }
                    read.lock().unwrap().push(String::from_utf8(head).unwrap());
                    let answer = "HTTP/1.1 200 OK\r\nx-upstream: yes\r\nx-secret: 1\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
                    stream.write_all(answer.as_bytes()).await.unwrap();
                });
            }
        });
        heads
    }
}

/// Writes a request and reads until the other end closes.
async fn exchange(address: SocketAddr, case: &Case) -> String {
    let (line, headers) = case.request;
    let mut request = format!("{line} HTTP/1.1\r\nhost: app.example.com\r\n");
    for header in headers {
        request += &format!("{header}\r\n");
    }
    if !request.contains("connection:") {
        request += "connection: close\r\n";
    }
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("{request}\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    let reading = stream.read_to_string(&mut answer);
    tokio::time::timeout(Duration::from_secs(10), reading).await.expect("the connection is closed").unwrap();
    answer
}

/// Whether a head begins with a line and has the others, whose names have no case.
fn check(what: &str, head: &str, first: &str, lines: &[&str]) {
    let mut found = head.lines();
    assert_eq!(found.next(), Some(first), "{what}: {head}");
    let found: Vec<_> = found
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    for line in lines {
        match line.strip_prefix('!') {
            Some(name) => assert!(found.iter().all(|(known, _)| known != name), "{what}: {name} is there: {head}"),
            None => {
                let (name, value) = line.split_once(": ").unwrap();
                assert!(found.iter().any(|(known, own)| known == name && own == value), "{what}: no {line} in {head}");
            }
        }
    }
}

async fn gateway(upstream: SocketAddr, rule: &str) -> Mesh {
    let action = if rule.contains("redirect:") || rule.contains("directResponse:") { "" } else { TO_APP };
    let text = format!(
        "{}---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: gateway, namespace: default}}
spec:
  selector: {{istio: ingress}}
  servers: [{{port: {{number: 80, name: http, protocol: HTTP}}, hosts: ['*']}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: app, namespace: default}}
spec:
  hosts: [app.example.com]
  gateways: [gateway]
  http: [{{{rule} {action}}}]
",
        service("app", 80, &[("v1", upstream)])
    );
    let builder = Mesh::builder().workload("default/gateway").label("istio", "ingress");
    builder.config_yaml("actions.yaml", text).build().await.unwrap()
}

#[tokio::test]
async fn every_action_is_what_the_bytes_on_both_sides_say() {
    for case in CASES {
        let upstream = Heads::start().await;
        let mesh = gateway(upstream.address, case.rule).await;
        let (_gateway, address) = edge::open(&mesh).await;
        let answer = exchange(address, case).await;
        let (status, lines, body) = case.answer;
        let (head, rest) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        check(case.what, head, status, lines);
        assert_eq!(rest, body, "{}: {answer}", case.what);
        let read = upstream.read.lock().unwrap().clone();
        match case.upstream {
            Some((first, lines)) => check(case.what, &read[0], first, lines),
            None => assert!(read.is_empty(), "{}: {read:?}", case.what),
        }
    }
}
