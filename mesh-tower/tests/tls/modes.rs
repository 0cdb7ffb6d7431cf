//! PeerAuthentication on the server's side, auto mTLS on the client's.

use http::StatusCode;
use mesh_tower::identity::MemoryIdentity;
use mesh_tower::telemetry::AccessLog;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::authority::Authority;
use crate::world::{ME, SERVICE, ask, builder, caller, destination_rule, peer_authentication, server, service};

const STRICT: &str = "{mtls: {mode: STRICT}}";
const NOBODY: Option<MemoryIdentity> = None;

/// What comes back for bytes, until the connection ends.
async fn raw(address: std::net::SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let _reset = stream.read_to_end(&mut answer).await;
    answer
}

#[tokio::test]
async fn callers_are_known_by_their_certificates() {
    let ca = Authority::new();
    let strict = builder(Some(ca.workload("server"))).config_yaml("p", peer_authentication(STRICT));
    let (_server, address) = server(strict).await;
    for protocol in ["HTTP", "HTTP2"] {
        let entry = service(address, protocol, ", serviceAccount: server");
        let client = builder(Some(ca.workload("client"))).config_yaml("s", entry).build().await.unwrap();
        let (status, text) = ask(&client, SERVICE).await;
        assert_eq!(status, StatusCode::OK, "{text}");
        // The scheme is what the first proxy on the way saw.
        let told = format!("cluster.local/ns/default/sa/client http By={ME};Hash=");
        assert!(text.starts_with(&told), "{text}");
        assert!(text.ends_with(";Subject=\"\";URI=spiffe://cluster.local/ns/default/sa/client"), "{text}");
    }
}

#[cfg(feature = "axum")]
#[tokio::test]
async fn a_handler_of_axum_takes_the_caller_as_an_argument() {
    let ca = Authority::new();
    let (_server, address) = server(builder(Some(ca.workload("server")))).await;
    let entry = service(address, "HTTP", ", serviceAccount: server");
    let uri = format!("{SERVICE}extracted");
    let client = builder(Some(ca.workload("client"))).config_yaml("s", entry.clone()).build().await.unwrap();
    assert_eq!(ask(&client, &uri).await.1, "cluster.local/ns/default/sa/client true");
    let plain = builder(NOBODY).config_yaml("s", entry).build().await.unwrap();
    assert_eq!(ask(&plain, &uri).await.1, "nobody false");
    // A request that no server of the mesh has had proves nothing.
    let request = http::Request::get("/extracted").body(axum::body::Body::empty()).unwrap();
    let answer = tower::ServiceExt::oneshot(crate::world::app(), request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn strict_answers_no_plaintext_and_probes_have_a_listener_of_their_own() {
    let ca = Authority::new();
    let strict = builder(Some(ca.workload("server"))).config_yaml("p", peer_authentication(STRICT));
    let (mesh, address) = server(strict).await;
    assert_eq!(raw(address, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await, b"");
    assert_eq!(raw(address, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await, b"");
    let entry = service(address, "HTTP", "");
    let plain = builder(Some(ca.workload("client"))).config_yaml("s", entry).build().await.unwrap();
    assert_eq!(ask(&plain, SERVICE).await.0, StatusCode::SERVICE_UNAVAILABLE);

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let probes = listener.local_addr().unwrap();
    let app = axum::Router::new().route("/healthz", axum::routing::get(|| async { "fine" }));
    tokio::spawn(async move { mesh.probes(listener, app).await });
    let answer = raw(probes, b"GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert!(answer.ends_with(b"fine"));
}

#[tokio::test]
async fn permissive_takes_both_and_gives_plaintext_no_name() {
    let ca = Authority::new();
    let (_server, address) = server(builder(Some(ca.workload("server")))).await;
    let with = service(address, "HTTP", ", serviceAccount: server");
    let client = builder(Some(ca.workload("client"))).config_yaml("s", with.clone()).build().await.unwrap();
    assert_eq!(caller(&client).await, "cluster.local/ns/default/sa/client");
    let plain = builder(NOBODY).config_yaml("s", with).build().await.unwrap();
    assert_eq!(caller(&plain).await, "nobody");
    let forged = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-forwarded-client-cert: URI=spiffe://cluster.local/ns/a/sa/b\r\n\r\n";
    assert!(raw(address, forged.as_bytes()).await.ends_with(b"nobody http "));
    // What begins as a handshake is never read as HTTP.
    let answer = raw(address, b"\x16GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(answer.first().is_none_or(|byte| *byte == 0x15), "an alert, or nothing");
}

#[tokio::test]
async fn a_port_without_tls_takes_plaintext_only() {
    let ca = Authority::new();
    let disabled =
        builder(Some(ca.workload("server"))).config_yaml("p", peer_authentication("{mtls: {mode: DISABLE}}"));
    let (_server, address) = server(disabled).await;
    let entry = service(address, "HTTP", ", serviceAccount: server") + &destination_rule("{mode: ISTIO_MUTUAL}");
    let client = builder(Some(ca.workload("client"))).config_yaml("s", entry.clone()).build().await.unwrap();
    assert_eq!(ask(&client, SERVICE).await.0, StatusCode::SERVICE_UNAVAILABLE);
    // Whoever knows the mode does not try by itself.
    let entry = service(address, "HTTP", ", serviceAccount: server")
        + "---\n"
        + &peer_authentication("{mtls: {mode: DISABLE}}");
    let client = builder(Some(ca.workload("client"))).config_yaml("s", entry).build().await.unwrap();
    assert_eq!(caller(&client).await, "nobody");
}

#[tokio::test]
async fn a_change_to_strict_ends_what_was_plaintext() {
    let ca = Authority::new();
    let (mesh, address) = server(builder(Some(ca.workload("server")))).await;
    let entry = service(address, "HTTP", "");
    let plain = builder(NOBODY).config_yaml("s", entry).build().await.unwrap();
    assert_eq!(caller(&plain).await, "nobody");
    assert!(mesh.apply_yaml("p", &peer_authentication(STRICT)).accepted);
    assert_eq!(ask(&plain, SERVICE).await.0, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn strict_without_a_certificate_lets_nobody_in() {
    let ca = Authority::new();
    let (_server, address) = server(builder(NOBODY).config_yaml("p", peer_authentication(STRICT))).await;
    assert_eq!(raw(address, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await, b"");
    let entry = service(address, "HTTP", ", serviceAccount: server");
    let client = builder(Some(ca.workload("client"))).config_yaml("s", entry).build().await.unwrap();
    assert_eq!(ask(&client, SERVICE).await.0, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_and_silent_openings_hold_up_nobody() {
    let ca = Authority::new();
    let (_server, address) = server(builder(Some(ca.workload("server")))).await;
    let mut held = Vec::new();
    for n in 0..400 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        if n % 2 == 0 {
            stream.write_all(b"\x16\x03\x01\x02").await.unwrap();
        }
        held.push(stream);
    }
    let entry = service(address, "HTTP", ", serviceAccount: server");
    let client = builder(Some(ca.workload("client"))).config_yaml("s", entry).build().await.unwrap();
    for _ in 0..20 {
        assert_eq!(caller(&client).await, "cluster.local/ns/default/sa/client");
    }
}

#[tokio::test]
async fn a_server_of_another_kind_keeps_out_under_strict_whom_it_proves_nothing_of() {
    use mesh_tower::Profile;
    use mesh_tower::inbound::PeerIdentity;
    use tower::ServiceExt as _;
    use tower_layer::Layer as _;

    let app = axum::Router::new().route("/", axum::routing::get(|| async { "hello" }));
    let strict_at_9443 = peer_authentication(
        "{selector: {matchLabels: {app: app}}, mtls: {mode: PERMISSIVE}, portLevelMtls: {9443: {mode: STRICT}}}",
    );
    for (profile, port, proved, expected) in [
        (Profile::Safe, 9443, false, StatusCode::FORBIDDEN),
        (Profile::Safe, 9443, true, StatusCode::OK),
        (Profile::Safe, 8080, false, StatusCode::OK),
        (Profile::Istio, 9443, false, StatusCode::OK),
        // Nobody has said which port it is: it may be that one.
        (Profile::Safe, 0, false, StatusCode::FORBIDDEN),
        (Profile::Safe, 0, true, StatusCode::OK),
    ] {
        let mesh = builder(NOBODY).config_yaml("p", strict_at_9443.clone()).profile(profile).build().await.unwrap();
        let inbound = mesh.inbound();
        let inbound = if port == 0 { inbound } else { inbound.at(([127, 0, 0, 1], port).into()) };
        let service = inbound.layer(app.clone());
        let mut request = http::Request::get("/").header("host", "app").body(axum::body::Body::empty()).unwrap();
        if proved {
            request.extensions_mut().insert(PeerIdentity::new("spiffe://cluster.local/ns/a/sa/b", None));
        }
        let answer = service.oneshot(request).await.unwrap();
        assert_eq!(answer.status(), expected, "{profile:?} {port} {proved}");
    }
}

#[tokio::test]
async fn metrics_tell_callers_that_have_proved_who_they_are() {
    let ca = Authority::new();
    let registry = prometheus::Registry::new();
    let exporter = opentelemetry_prometheus::exporter().with_registry(registry.clone()).build().unwrap();
    let provider = opentelemetry_sdk::metrics::SdkMeterProvider::builder().with_reader(exporter).build();
    let strict = builder(Some(ca.workload("server"))).config_yaml("p", peer_authentication("{mtls: {mode: STRICT}}"));
    let (_server, address) = server(strict.meter_provider(&provider)).await;
    let entry = service(address, "HTTP", ", serviceAccount: server");
    let client = builder(Some(ca.workload("client"))).config_yaml("s", entry).build().await.unwrap();
    assert_eq!(ask(&client, SERVICE).await.0, StatusCode::OK);
    let counted = || {
        let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        text.lines().find(|line| line.starts_with("istio_requests_total{")).map(str::to_owned)
    };
    while counted().is_none() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let line = counted().unwrap();
    for label in [
        "source_principal=\"spiffe://cluster.local/ns/default/sa/client\"",
        "source_workload_namespace=\"default\"",
        "connection_security_policy=\"mutual_tls\"",
    ] {
        assert!(line.contains(label), "{label}: {line}");
    }
}

/// The server's log names both ends of mutual TLS, the client's log its own end of the connection; TLS that is refused is the
/// reason in it.
#[tokio::test]
async fn access_logs_tell_of_the_connection() {
    let directory = tempfile::tempdir().unwrap();
    let log = |name: &str, format: &str| AccessLog::file(directory.path().join(name)).text(format).unwrap();
    let names =
        "%DOWNSTREAM_LOCAL_URI_SAN% %DOWNSTREAM_PEER_URI_SAN% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS%";
    let (ca, others) = (Authority::new(), Authority::new());
    let (own, address) = server(builder(Some(ca.workload("server"))).access_log(log("server", names))).await;
    let entry = service(address, "HTTP", ", serviceAccount: server");
    let ends = "%UPSTREAM_LOCAL_ADDRESS% %UPSTREAM_TRANSPORT_FAILURE_REASON%";
    for (authority, wanted) in [(&ca, StatusCode::OK), (&others, StatusCode::SERVICE_UNAVAILABLE)] {
        let client = builder(Some(authority.workload("client"))).config_yaml("s", entry.clone());
        let client = client.access_log(log("client", ends)).build().await.unwrap();
        assert_eq!(ask(&client, SERVICE).await.0, wanted);
        client.shutdown(std::time::Duration::from_secs(5)).await;
    }
    own.shutdown(std::time::Duration::from_secs(5)).await;
    let read = |name: &str| std::fs::read_to_string(directory.path().join(name)).unwrap();
    let (server, client) = (read("server"), read("client"));
    let lines: Vec<_> = client.lines().collect();
    let local = lines[0].strip_suffix(" -").unwrap();
    let peer = "spiffe://cluster.local/ns/default/sa/client";
    assert_eq!(server, format!("{ME} {peer} {address} {local}\n"));
    assert!(lines[1].starts_with("- TLS_error:_invalid_peer_certificate"), "{client}");
}
