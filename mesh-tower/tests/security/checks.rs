//! Services that are told the body of a request, or asked over gRPC.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::any;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use mesh_tower::{Body, Mesh, MeshBuilder};
use tokio::net::TcpListener;

use crate::check_service::{self, Http};

/// A service that is asked over HTTP, and what it was told: headers and body.
type Told = Arc<Mutex<Vec<(HeaderMap, Vec<u8>)>>>;

async fn http_service() -> (u16, Told) {
    let told = Told::default();
    let seen = Arc::clone(&told);
    let app = Router::new().fallback(any(move |request: Request<axum::body::Body>| async move {
        let (head, body) = request.into_parts();
        let denies = head.uri.path() == "/deny";
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        seen.lock().unwrap().push((head.headers, body));
        let status = if denies { StatusCode::UNAUTHORIZED } else { StatusCode::OK };
        (status, [("x-user", "ann"), ("x-route", "b")])
    }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (port, told)
}

/// A mesh whose requests are asked about at a port, by this kind of provider with these further fields.
fn builder(kind: &str, port: u16, fields: &str) -> MeshBuilder {
    let protocol = if kind.ends_with("Grpc") { "GRPC" } else { "HTTP" };
    let mesh = format!(
        "{{extensionProviders: [{{name: ask, {kind}: {{service: authz.example, port: 9000, timeout: 2s{fields}}}}}]}}"
    );
    let documents = format!(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: authz, namespace: default}}\nspec: \
         {{hosts: [authz.example], resolution: STATIC, ports: [{{number: 9000, name: main, protocol: {protocol}}}], \
         endpoints: [{{address: 127.0.0.1, ports: {{main: {port}}}}}]}}\n---\n\
         apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: a, namespace: default}}\nspec: \
         {{action: CUSTOM, provider: {{name: ask}}, rules: [{{}}]}}\n"
    );
    Mesh::builder().workload("default/app").label("app", "app").mesh_config_yaml(mesh).config_yaml("ask", documents)
}

/// An application that answers with the headers that it was sent, and with the body.
fn app() -> Router {
    Router::new().fallback(any(|request: Request<axum::body::Body>| async move {
        let (head, body) = request.into_parts();
        let lines = head.headers.iter().map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap()));
        let mut text: String = format!("{}\n", head.uri);
        text.extend(lines);
        let body = body.collect().await.unwrap().to_bytes();
        text + "\n" + &String::from_utf8_lossy(&body)
    }))
}

async fn served(builder: MeshBuilder) -> (Mesh, SocketAddr) {
    let mesh = builder.build().await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = mesh.clone();
    tokio::spawn(async move { serving.serve(listener, app()).await });
    (mesh, address)
}

async fn send(address: SocketAddr, request: Request<Body>) -> (Response<()>, String) {
    let (mut head, body) = request.into_parts();
    head.headers.insert("host", "shop:80".parse().unwrap());
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let response = sender.send_request(Request::from_parts(head, body)).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (Response::from_parts(head, ()), String::from_utf8(body.to_vec()).unwrap())
}

fn post(target: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post(target).body(body.into()).unwrap()
}

fn in_parts(parts: &'static [&'static str]) -> Body {
    let parts = parts.iter().map(|part| Ok::<_, mesh_tower::BoxError>(http_body::Frame::data(part.as_bytes().into())));
    Body::new(http_body_util::StreamBody::new(futures_util::stream::iter(parts)))
}

const WHOLE: &str = ", includeRequestBodyInCheck: {maxRequestBytes: 10}";
const PARTIAL: &str = ", includeRequestBodyInCheck: {maxRequestBytes: 10, allowPartialMessage: true}";
const BYTES: &str = ", includeRequestBodyInCheck: {maxRequestBytes: 10, allowPartialMessage: true, packAsBytes: true}";

#[tokio::test]
async fn a_service_over_http_is_told_the_body_and_the_application_gets_all_of_it() {
    let (port, told) = http_service().await;
    let last = || told.lock().unwrap().pop().unwrap();
    let (_whole, whole) = served(builder("envoyExtAuthzHttp", port, WHOLE)).await;
    let (_partial, partial) = served(builder("envoyExtAuthzHttp", port, PARTIAL)).await;
    for address in [whole, partial] {
        for (body, expected) in [(Body::from("0123456789"), "0123456789"), (in_parts(&["abc", "def"]), "abcdef")] {
            let (answer, text) = send(address, post("/a", body)).await;
            assert_eq!(answer.status(), StatusCode::OK);
            assert!(text.ends_with(&format!("\n\n{expected}")), "{text}");
            let (headers, body) = last();
            assert_eq!(
                (&body[..], &headers["x-envoy-auth-partial-body"]),
                (expected.as_bytes(), &"false".parse().unwrap())
            );
            assert_eq!(headers["content-length"], expected.len().to_string());
        }
        // Nothing is told of a body that is not there.
        for request in [post("/a", Body::empty()), Request::get("/a").body(Body::empty()).unwrap()] {
            assert_eq!(send(address, request).await.0.status(), StatusCode::OK);
            let (headers, body) = last();
            assert!(body.is_empty() && !headers.contains_key("x-envoy-auth-partial-body"));
        }
    }
    for body in [Body::from("0123456789AB"), in_parts(&["abcdef", "ghijkl", "mn"])] {
        let (answer, text) = send(whole, post("/a", body)).await;
        assert_eq!((answer.status(), text.as_str()), (StatusCode::PAYLOAD_TOO_LARGE, "Payload Too Large"));
        assert!(told.lock().unwrap().is_empty());
    }
    let (answer, text) = send(partial, post("/a", in_parts(&["abcdef", "ghijkl", "mn"]))).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(text.ends_with("\n\nabcdefghijklmn"), "{text}");
    let (headers, body) = last();
    assert_eq!((&body[..], &headers["x-envoy-auth-partial-body"]), (&b"abcdefghij"[..], &"true".parse().unwrap()));
    assert_eq!(send(whole, post("/deny", "abc")).await.0.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_body_that_is_too_long_is_refused_even_where_failures_are_let_in() {
    let fields = format!("{WHOLE}, failOpen: true");
    let (_mesh, address) = served(builder("envoyExtAuthzHttp", 1, &fields)).await;
    assert_eq!(send(address, post("/a", "0123456789AB")).await.0.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(send(address, post("/a", "0123")).await.0.status(), StatusCode::OK);
}

#[tokio::test]
async fn in_a_server_of_another_kind_what_needs_the_body_is_denied() {
    use tower::ServiceExt as _;
    use tower_layer::Layer as _;

    let (port, told) = http_service().await;
    let mesh = builder("envoyExtAuthzHttp", port, WHOLE).build().await.unwrap();
    let request = || Request::post("/a").header("host", "shop");
    let other = request().body(axum::body::Body::from("abc")).unwrap();
    assert_eq!(mesh.inbound().layer(app()).oneshot(other).await.unwrap().status(), StatusCode::FORBIDDEN);
    assert!(told.lock().unwrap().is_empty());
    let ours = request().body(Body::from("abc")).unwrap();
    assert_eq!(mesh.inbound().layer(app()).oneshot(ours).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_service_over_grpc_sees_the_request_and_its_answer_counts() {
    let (port, asked) = check_service::serve().await;
    let (mesh, address) = served(builder("envoyExtAuthzGrpc", port, "")).await;
    assert!(!mesh.report().iter().any(|finding| finding.path.to_string().contains("extensionProviders")));
    let mut request = post("/a/../b?q=1", "0123");
    for (name, value) in [("x-two", "1"), ("x-two", "2"), ("x-more", "old"), ("x-gone", "1"), ("x-user", "bob")] {
        request.headers_mut().append(name, value.parse().unwrap());
    }
    let (answer, text) = send(address, request).await;
    assert_eq!((answer.status(), &answer.headers()["x-down"]), (StatusCode::OK, &"d".parse().unwrap()));
    assert!(text.starts_with("/b?q=1\n") && text.ends_with("\n\n0123"), "{text}");
    for line in ["x-user: ann\n", "x-more: old,new\n", "host: shop:80\n"] {
        assert!(text.contains(line), "{text}");
    }
    assert!(!text.contains("x-gone") && !text.contains("x-none") && !text.contains("bob"), "{text}");

    let about = asked.lock().unwrap().pop().unwrap().attributes.unwrap();
    let socket = |peer: check_service::Peer| peer.address.unwrap().socket.unwrap();
    assert_eq!(socket(about.source.unwrap()).address, "127.0.0.1");
    assert_eq!(socket(about.destination.unwrap()).port, u32::from(address.port()));
    let request = about.request.unwrap();
    assert!(request.time.unwrap().seconds > 1_700_000_000);
    let Http { method, headers, path, host, scheme, size, protocol, body, .. } = request.http.unwrap();
    assert_eq!((method.as_str(), path.as_str(), host.as_str()), ("POST", "/b?q=1", "shop:80"));
    assert_eq!((scheme.as_str(), size, protocol.as_str(), body.as_str()), ("http", 4, "HTTP/1.1", ""));
    let pairs =
        [(":path", "/b?q=1"), (":method", "POST"), (":authority", "shop:80"), (":scheme", "http"), ("x-two", "1,2")];
    for (name, value) in pairs {
        assert_eq!(headers[name], value);
    }
    assert!(!headers.contains_key("host") && !headers.contains_key("x-envoy-auth-partial-body"));
}

#[tokio::test]
async fn a_service_over_grpc_denies_and_fails_as_it_says() {
    let (port, asked) = check_service::serve().await;
    for (fields, failed) in [("", 403), (", statusOnError: '503'", 503), (", failOpen: true", 200)] {
        let (_mesh, address) = served(builder("envoyExtAuthzGrpc", port, fields)).await;
        let status = async |target: &str| send(address, post(target, Body::empty())).await.0.status().as_u16();
        assert_eq!(status("/fail").await, failed, "{fields}");
        assert_eq!((status("/plain").await, status("/deny").await), (403, 401), "{fields}");
    }
    let (_mesh, address) = served(builder("envoyExtAuthzGrpc", port, "")).await;
    let (answer, text) = send(address, post("/deny", Body::empty())).await;
    let lines: Vec<_> = answer.headers().get_all("x-d").iter().map(|line| line.to_str().unwrap()).collect();
    assert_eq!((lines, text.as_str()), (vec!["1", "2"], "nope"));
    assert_eq!(
        (&answer.headers()["content-type"], answer.headers().get("x-e")),
        (&"text/plain".parse().unwrap(), None)
    );
    let (answer, text) = send(address, post("/bad", Body::empty())).await;
    let expected = (StatusCode::SERVICE_UNAVAILABLE, "invalid header value for: x-user");
    assert_eq!((answer.status(), text.as_str()), expected);
    // A caller of gRPC is told in its own way.
    let mut grpc = post("/deny", Body::empty());
    grpc.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    let (answer, _) = send(address, grpc).await;
    let told = (&answer.headers()["grpc-status"], &answer.headers()["grpc-message"]);
    assert_eq!((answer.status(), told), (StatusCode::OK, (&"16".parse().unwrap(), &"nope".parse().unwrap())));
    assert!(!asked.lock().unwrap().is_empty());
    // A service that speaks no gRPC says nothing.
    let (port, _) = http_service().await;
    let (_mesh, address) = served(builder("envoyExtAuthzGrpc", port, "")).await;
    assert_eq!(send(address, post("/a", Body::empty())).await.0.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_service_over_grpc_is_told_the_body_as_text_or_as_bytes() {
    let (port, asked) = check_service::serve().await;
    let told = || {
        let request = asked.lock().unwrap().pop().unwrap().attributes.unwrap().request.unwrap().http.unwrap();
        (request.body, request.raw_body, request.headers["x-envoy-auth-partial-body"].clone())
    };
    let (_whole, whole) = served(builder("envoyExtAuthzGrpc", port, WHOLE)).await;
    let (_partial, partial) = served(builder("envoyExtAuthzGrpc", port, PARTIAL)).await;
    let (_bytes, bytes) = served(builder("envoyExtAuthzGrpc", port, BYTES)).await;
    for (address, body, expected) in [
        (whole, &b"0123"[..], ("0123".to_owned(), vec![], "false".to_owned())),
        (partial, b"0123456789AB", ("0123456789".to_owned(), vec![], "true".to_owned())),
        (partial, b"\xffab", ("!ab".to_owned(), vec![], "false".to_owned())),
        (bytes, b"\xffab", (String::new(), b"\xffab".to_vec(), "false".to_owned())),
    ] {
        let (answer, text) = send(address, post("/a", body.to_vec())).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert!(text.ends_with(&format!("\n\n{}", String::from_utf8_lossy(body))), "{text}");
        assert_eq!(told(), expected);
    }
    assert_eq!(send(whole, post("/a", "0123456789AB")).await.0.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

/// Two routes at a gateway, by a header that the service sets.
fn routes(upstream: SocketAddr) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: app, namespace: default}}\nspec: \
         {{hosts: [app.example], resolution: STATIC, ports: [{{number: 80, name: http, protocol: HTTP}}], \
         endpoints: [{{address: {}, ports: {{http: {}}}}}]}}\n---\n\
         apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {{name: g, namespace: default}}\n\
         spec: {{selector: {{app: app}}, servers: [{{port: {{number: 80, name: http, protocol: HTTP}}, hosts: ['*']}}]}}\n---\n\
         apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: v, namespace: default}}\nspec:\n  \
         hosts: ['*']\n  gateways: [g]\n  http:\n  \
         - match: [{{headers: {{x-route: {{exact: b}}}}}}]\n    headers: {{request: {{set: {{x-routed: b}}}}}}\n    \
         route: [{{destination: {{host: app.example}}}}]\n  \
         - headers: {{request: {{set: {{x-routed: default}}}}}}\n    route: [{{destination: {{host: app.example}}}}]\n",
        upstream.ip(),
        upstream.port()
    )
}

#[tokio::test]
async fn what_a_service_sets_changes_the_route_only_where_the_route_is_chosen_anew() {
    let (http, _) = http_service().await;
    let (grpc, _) = check_service::serve().await;
    let (_inside, upstream) = served(Mesh::builder().workload("default/inside")).await;
    let up = ", headersToUpstreamOnAllow: [x-route]";
    let clear = ", clearRouteCache: true";
    for (kind, port, fields, expected) in [
        ("envoyExtAuthzHttp", http, up.to_owned(), "default"),
        ("envoyExtAuthzHttp", http, format!("{up}{clear}"), "b"),
        ("envoyExtAuthzGrpc", grpc, String::new(), "default"),
        ("envoyExtAuthzGrpc", grpc, clear.to_owned(), "b"),
        ("envoyExtAuthzGrpc", grpc, format!("{clear}{PARTIAL}"), "b"),
    ] {
        let mesh = builder(kind, port, &fields).config_yaml("routes", routes(upstream)).build().await.unwrap();
        let gateway = mesh.gateway().address([127, 0, 0, 1]).map_port(80, 0).start().await.unwrap();
        let (answer, text) = send(gateway.address_of(80).unwrap(), post("/a", "0123456789ABCDEF")).await;
        assert_eq!(answer.status(), StatusCode::OK, "{text}");
        // The header itself goes on in any case.
        assert!(
            text.contains("x-route: b\n") && text.contains(&format!("x-routed: {expected}\n")),
            "{kind}{fields}: {text}"
        );
        assert!(text.ends_with("\n\n0123456789ABCDEF"), "{text}");
    }
}
