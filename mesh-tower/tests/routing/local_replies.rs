//! What the mesh answers when no upstream does: seen by `curl` at a gateway, by the mesh's own client, and by a caller
//! that speaks gRPC.

use mesh_tower::{Gateway, Mesh, Profile};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::edge;
use crate::support::ask::ask;
use crate::support::curl::Curl;
use crate::support::documents::{policy, service, subsets};
use crate::support::raw::{Does, Raw};
use crate::support::refusing::Refusing;
use crate::support::upstream::Upstream;

const GATEWAY: &str = "---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gateway, namespace: default}
spec:
  selector: {istio: ingress}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: app, namespace: default}
spec:
  hosts: [app.example.com]
  gateways: [gateway, mesh]
  http:
";

/// Rules by their paths, the same for a gateway's callers and for those in the mesh.
const RULES: &str = "
  - {match: [{uri: {exact: /up}}], route: [{destination: {host: up}}]}
  - {match: [{uri: {exact: /nobody}}], route: [{destination: {host: up, subset: v9}}]}
  - {match: [{uri: {exact: /no-subset}}], route: [{destination: {host: up, subset: none}}]}
  - {match: [{uri: {exact: /no-host}}], route: [{destination: {host: nowhere}}]}
  - {match: [{uri: {exact: /no-port}}], route: [{destination: {host: up, port: {number: 81}}}]}
  - {match: [{uri: {exact: /refuses}}], retries: {attempts: 0}, route: [{destination: {host: refusing}}]}
  - {match: [{uri: {exact: /refuses-thrice}}], route: [{destination: {host: refusing}}]}
  - {match: [{uri: {exact: /closes}}], route: [{destination: {host: closing}}]}
  - {match: [{uri: {exact: /closes-thrice}}], retries: {attempts: 2, retryOn: 5xx}, route: [{destination: {host: closing}}]}
  - {match: [{uri: {exact: /resets}}], route: [{destination: {host: resetting}}]}
  - {match: [{uri: {exact: /babbles}}], route: [{destination: {host: babbling}}]}
  - {match: [{uri: {exact: /fails-twice}}], retries: {attempts: 1, retryOn: 5xx}, route: [{destination: {host: busy}}]}
  - {match: [{uri: {exact: /late}}], timeout: 200ms, route: [{destination: {host: hanging}}]}
  - match: [{uri: {exact: /late-try}}]
    retries: {attempts: 1, perTryTimeout: 100ms, retryOn: connect-failure}
    route: [{destination: {host: hanging}}]
  - match: [{uri: {exact: /late-tries}}]
    retries: {attempts: 1, perTryTimeout: 100ms, retryOn: 5xx}
    route: [{destination: {host: hanging}}]
  - {match: [{uri: {exact: /full}}], route: [{destination: {host: narrow}}]}
  - {match: [{uri: {exact: /aborts}}], fault: {abort: {httpStatus: 555, percentage: {value: 100}}}, route: [{destination: {host: up}}]}
  - {match: [{uri: {exact: /delays}}], fault: {delay: {fixedDelay: 100ms, percentage: {value: 100}}}, route: [{destination: {host: up}}]}
  - {match: [{uri: {exact: /teapot}}], directResponse: {status: 418, body: {string: short and stout}}}
  - {match: [{uri: {exact: /moved}}], redirect: {uri: /here, authority: new.example.com, redirectCode: 308}}
";

/// A mesh and a gateway of one process, before upstreams of every kind.
struct World {
    mesh: Mesh,
    _gateway: Gateway,
    address: std::net::SocketAddr,
    narrow: Upstream,
    _refusing: Refusing,
}

impl World {
    async fn start() -> Self {
        let (up, narrow, refusing) = (Upstream::start("up").await, Upstream::start("narrow").await, Refusing::new());
        let mut text = format!("{GATEWAY}{RULES}");
        for (name, address) in [
            ("up", up.address),
            ("narrow", narrow.address),
            ("refusing", refusing.address),
            ("closing", Raw::start(Does::Close).await.address),
            ("resetting", Raw::start(Does::Reset).await.address),
            ("hanging", Raw::start(Does::Hang).await.address),
            ("babbling", Raw::start(Does::Say("bla bla bla\r\n\r\n")).await.address),
            ("busy", Raw::start(Does::Say("HTTP/1.1 503 No\r\ncontent-length: 4\r\n\r\nbusy")).await.address),
        ] {
            text += &service(name, 80, &[("v1", address)]);
        }
        text += &subsets("up", &["v9"]);
        text += &policy("narrow", "connectionPool: {http: {http2MaxRequests: 1}}");
        let builder = Mesh::builder().workload("default/gateway").label("istio", "ingress").profile(Profile::Istio);
        let mesh = builder.config_yaml("world.yaml", text).seed(5).build().await.unwrap();
        let (gateway, address) = edge::open(&mesh).await;
        Self { mesh, _gateway: gateway, address, narrow, _refusing: refusing }
    }

    fn curl(&self, path: &str) -> Curl {
        Curl::at(self.address, path).header("Host: app.example.com")
    }
}

fn url(path: &str) -> String {
    format!("http://app.example.com{path}")
}

/// What one path comes to.
struct Case {
    path: &'static str,
    status: u16,
    body: &'static str,
    flags: &'static str,
    details: &'static str,
    attempts: u32,
}

const fn case(
    path: &'static str,
    status: u16,
    body: &'static str,
    flags: &'static str,
    details: &'static str,
    attempts: u32,
) -> Case {
    Case { path, status, body, flags, details, attempts }
}

const NO_CONNECTION: &str =
    "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure";
const NO_CONNECTION_AGAIN: &str = "upstream connect error or disconnect/reset before headers. retried and the latest \
                                   reset reason: remote connection failure";
const CLOSED: &str = "upstream connect error or disconnect/reset before headers. reset reason: connection termination";
const CLOSED_AGAIN: &str = "upstream connect error or disconnect/reset before headers. retried and the latest reset \
                            reason: connection termination";
const NOT_HTTP: &str = "upstream connect error or disconnect/reset before headers. reset reason: protocol error";
const OVERFLOW: &str = "upstream connect error or disconnect/reset before headers. reset reason: overflow";
const LATE: &str = "upstream request timeout";

/// What the mesh says itself.
const LOCAL: &[Case] = &[
    case("/nowhere", 404, "", "NR", "route_not_found", 0),
    case("/nobody", 503, "no healthy upstream", "UH", "no_healthy_upstream", 1),
    case("/no-subset", 503, "", "NC", "cluster_not_found", 0),
    case("/no-host", 503, "", "NC", "cluster_not_found", 0),
    case("/no-port", 503, "", "NC", "cluster_not_found", 0),
    case("/refuses", 503, NO_CONNECTION, "UF", "upstream_reset_before_response_started{remote_connection_failure}", 1),
    case(
        "/refuses-thrice",
        503,
        NO_CONNECTION_AGAIN,
        "URX,UF",
        "upstream_reset_before_response_started{remote_connection_failure}",
        3,
    ),
    case("/closes", 503, CLOSED, "UC", "upstream_reset_before_response_started{connection_termination}", 1),
    case(
        "/closes-thrice",
        503,
        CLOSED_AGAIN,
        "URX,UC",
        "upstream_reset_before_response_started{connection_termination}",
        3,
    ),
    case("/resets", 503, CLOSED, "UC", "upstream_reset_before_response_started{connection_termination}", 1),
    case("/babbles", 502, NOT_HTTP, "UPE", "upstream_reset_before_response_started{protocol_error}", 1),
    case("/late", 504, LATE, "UT", "response_timeout", 1),
    case("/late-try", 504, LATE, "UT", "upstream_per_try_timeout", 1),
    case("/late-tries", 504, LATE, "URX,UT", "upstream_per_try_timeout", 2),
    case("/aborts", 555, "fault filter abort", "FI", "fault_filter_abort", 0),
];

/// What an upstream or a rule says.
const OTHERS: &[Case] = &[
    case("/fails-twice", 503, "busy", "URX", "via_upstream", 2),
    case("/teapot", 418, "short and stout", "-", "direct_response", 0),
    case("/moved", 308, "", "-", "direct_response", 0),
];

#[tokio::test]
async fn the_client_tells_status_body_flags_and_details_of_each_failure() {
    let world = World::start().await;
    let client = world.mesh.client();
    for case in LOCAL.iter().chain(OTHERS) {
        let answer = ask(&client, &url(case.path), &[]).await;
        assert_eq!((answer.status, &*answer.body), (case.status, case.body), "{}", case.path);
        assert_eq!((&*answer.flags(), answer.info.details()), (case.flags, case.details), "{}", case.path);
        assert_eq!(answer.info.attempts(), case.attempts, "{}", case.path);
    }
    for case in LOCAL {
        let answer = ask(&client, &url(case.path), &[]).await;
        let kind = if case.body.is_empty() { "" } else { "text/plain" };
        assert_eq!((answer.header("content-type"), answer.header("x-envoy-overloaded")), (kind, ""), "{}", case.path);
    }
    let delayed = ask(&client, &url("/delays"), &[]).await;
    assert_eq!((delayed.status, delayed.by(), delayed.flags()), (200, "up".into(), "DI".into()));
    let fine = ask(&client, &url("/up"), &[]).await;
    assert_eq!(
        (fine.status, fine.by(), fine.flags(), fine.info.details()),
        (200, "up".into(), "-".into(), "via_upstream")
    );
}

#[tokio::test]
async fn curl_sees_the_same_at_a_gateway() {
    let world = World::start().await;
    for case in LOCAL.iter().chain(OTHERS) {
        for version in ["--http1.1", "--http2-prior-knowledge"] {
            let printed = world.curl(case.path).with(&[version]).run().await;
            assert_eq!((printed.status, &*printed.body), (case.status, case.body), "{} {version}", case.path);
            // An empty body needs no length on HTTP/2.
            let length = if case.body.is_empty() && version != "--http1.1" {
                String::new()
            } else {
                case.body.len().to_string()
            };
            assert_eq!(printed.header("content-length"), length, "{} {version}", case.path);
        }
    }
    for case in LOCAL.iter().filter(|case| !case.body.is_empty()) {
        assert_eq!(world.curl(case.path).run().await.header("content-type"), "text/plain", "{}", case.path);
    }
    let moved = world.curl("/moved").run().await;
    assert_eq!(moved.header("location"), "http://new.example.com/here");
    assert_eq!(world.curl("/delays").run().await.by(), "up");
    let head = world.curl("/nobody").with(&["--head"]).run().await;
    assert_eq!((head.status, &*head.body), (503, ""), "an answer to HEAD has no body");
}

#[tokio::test]
async fn a_grpc_caller_gets_each_failure_as_a_grpc_status() {
    let world = World::start().await;
    let client = world.mesh.client();
    for case in LOCAL {
        // By the HTTP status that others get.
        let code = match case.status {
            404 => "12",
            502..=504 => "14",
            _ => "2",
        };
        let lines = [("content-type", "application/grpc"), ("te", "trailers")];
        let answer = ask(&client, &url(case.path), &lines).await;
        assert_eq!((answer.status, &*answer.body), (200, ""), "{}", case.path);
        let headers = ["content-type", "grpc-status", "grpc-message"].map(|name| answer.header(name));
        assert_eq!(headers, ["application/grpc", code, case.body], "{}", case.path);
        assert_eq!(answer.flags(), case.flags, "{}", case.path);
        let printed = world.curl(case.path).header("content-type: application/grpc").run().await;
        assert_eq!((printed.status, printed.header("grpc-status")), (200, code), "{}", case.path);
    }
    // This one only looks like it.
    let answer = ask(&client, &url("/nobody"), &[("content-type", "application/grpc-web")]).await;
    assert_eq!((answer.status, &*answer.body), (503, "no healthy upstream"));
}

#[tokio::test]
async fn one_request_too_many_is_turned_away_at_once() {
    let world = World::start().await;
    let client = world.mesh.client();
    world.narrow.hold();
    let (first, ()) = tokio::join!(world.curl("/full").run(), async {
        world.narrow.has_seen(1).await;
        let answer = ask(&client, &url("/full"), &[]).await;
        assert_eq!((answer.status, &*answer.body, answer.flags()), (503, OVERFLOW, "UO".into()));
        assert_eq!(answer.header("x-envoy-overloaded"), "true");
        assert_eq!(answer.info.details(), "upstream_reset_before_response_started{overflow}");
        let printed = world.curl("/full").run().await;
        assert_eq!((printed.status, &*printed.body), (503, OVERFLOW));
        assert_eq!(printed.header("x-envoy-overloaded"), "true");
        let grpc = world.curl("/full").header("content-type: application/grpc").run().await;
        assert_eq!((grpc.status, grpc.header("grpc-status"), grpc.header("grpc-message")), (200, "14", OVERFLOW));
        world.narrow.let_go();
    });
    assert_eq!((first.status, first.by()), (200, "narrow".into()));
    assert_eq!(world.narrow.count(), 1);
    assert_eq!(world.curl("/full").run().await.status, 200, "the place is free again");
}

#[tokio::test]
async fn a_gateway_refuses_what_it_cannot_route() {
    let world = World::start().await;
    let old = world.curl("/up").with(&["-0"]).run().await;
    assert_eq!((old.status, &*old.body), (426, "Upgrade Required"));
    let other = world.curl("/up").header("Connection: Upgrade").header("Upgrade: irc").run().await;
    assert_eq!((other.status, &*other.body), (403, ""));
    let without_host = Curl::at(world.address, "/up").header("Host:").run().await;
    assert_eq!((without_host.status, &*without_host.body), (400, ""));
    let zero = world.curl("/%00").run().await;
    assert_eq!((zero.status, &*zero.body), (400, ""));
    let star = world.curl("/").with(&["-X", "OPTIONS", "--request-target", "*"]).run().await;
    assert_eq!((star.status, &*star.body), (404, ""));
    let mut tunnel = TcpStream::connect(world.address).await.unwrap();
    tunnel.write_all(b"CONNECT app.example.com:80 HTTP/1.1\r\nhost: app.example.com\r\n\r\n").await.unwrap();
    let mut answer = [0; 13];
    tunnel.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 404 ");
    let unknown = Curl::at(world.address, "/up").header("Host: app.example.org").run().await;
    assert_eq!((unknown.status, &*unknown.body), (404, ""));
    assert_eq!(world.curl("/up").run().await.status, 200);
}

#[tokio::test]
async fn a_gateway_tells_whoever_does_not_speak_http_so_and_goes_on() {
    let world = World::start().await;
    for noise in ["\u{1}\u{2}\u{3}\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/1.1\r\nno colon\r\n\r\n"] {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        stream.write_all(noise.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{noise:?}: {answer}");
    }
    assert_eq!(world.curl("/up").run().await.status, 200);
}

#[tokio::test]
async fn the_client_refuses_the_same_and_says_why() {
    let world = World::start().await;
    let client = world.mesh.client();
    let lines = [("connection", "upgrade"), ("upgrade", "irc")];
    let answer = ask(&client, &url("/up"), &lines).await;
    assert_eq!((answer.status, answer.flags(), answer.info.details()), (403, "-".into(), "upgrade_failed"));
    let answer = ask(&client, &url("/%00"), &[]).await;
    assert_eq!((answer.status, answer.flags(), answer.info.details()), (400, "-".into(), "path_normalization_failed"));
    let answer = ask(&client, "/up", &[]).await;
    assert_eq!((answer.status, answer.flags(), answer.info.details()), (400, "-".into(), "missing_host_header"));
}

#[tokio::test]
async fn a_host_that_the_registry_does_not_hold_may_be_blocked() {
    let elsewhere = Upstream::start("elsewhere").await;
    let url = format!("http://{}/", elsewhere.address);
    for (mode, status, flags) in [("REGISTRY_ONLY", 502, "-"), ("ALLOW_ANY", 200, "-")] {
        let config = format!("outboundTrafficPolicy: {{mode: {mode}}}");
        let documents = service("app", 80, &[("v1", elsewhere.address)]);
        let builder = Mesh::builder().mesh_config_yaml(config).config_yaml("app.yaml", documents);
        let mesh = builder.build().await.unwrap();
        let answer = ask(&mesh.client(), &url, &[]).await;
        assert_eq!((answer.status, &*answer.flags()), (status, flags), "{mode}");
    }
    assert_eq!(elsewhere.count(), 1);
}
