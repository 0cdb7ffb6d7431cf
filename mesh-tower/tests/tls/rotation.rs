//! Certificates change while requests are made.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http::{Request, Response, StatusCode};
use mesh_tower::Body;
use mesh_tower::identity::{FileIdentity, Material, MemoryIdentity};
use mesh_tower::serve::PeerAddress;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::authority::{Authority, Issued};
use crate::world::{SERVICE, ask, builder, caller, peer_authentication, server, service};

const STRICT: &str = "{mtls: {mode: STRICT}}";

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_certificates_are_replaced() {
    let ca = Authority::new();
    let own = ca.workload("server");
    let strict = builder(Some(own.clone())).config_yaml("p", peer_authentication(STRICT));
    let (_server, address) = server(strict).await;
    // Every connection serves one request, so that each makes a handshake.
    let entry = service(address, "HTTP", ", serviceAccount: server")
        + "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: s, namespace: default}\nspec: {host: server.default.svc.cluster.local, trafficPolicy: {connectionPool: {http: {maxRequestsPerConnection: 1}}}}\n";
    let theirs = ca.workload("client");
    let client = builder(Some(theirs.clone())).config_yaml("s", entry).build().await.unwrap();
    let asking = tokio::spawn(async move {
        for _ in 0..400 {
            assert_eq!(caller(&client).await, "cluster.local/ns/default/sa/client");
        }
    });
    let mut rotations = 0;
    while rotations < 200 || !asking.is_finished() {
        own.replace(ca.material("spiffe://cluster.local/ns/default/sa/server"));
        theirs.replace(ca.material("spiffe://cluster.local/ns/default/sa/client"));
        rotations += 1;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    asking.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_followed_and_broken_ones_leave_the_last_good() {
    let (ca, other) = (Authority::new(), Authority::new());
    let directory = tempfile::tempdir().unwrap();
    ca.write(directory.path(), "server");
    let files = FileIdentity::directory(directory.path());
    let (_server, address) = server(builder(Some(files)).config_yaml("p", peer_authentication(STRICT))).await;
    let entry = service(address, "HTTP", ", serviceAccount: server");
    let client = |ca: &Authority| builder(Some(ca.workload("client"))).config_yaml("s", entry.clone()).build();
    assert_eq!(caller(&client(&ca).await.unwrap()).await, "cluster.local/ns/default/sa/client");

    // A key that belongs to nothing, then half a file: the old certificate serves on.
    std::fs::write(directory.path().join("key.pem"), other.issue(&[], |_| {}).key).unwrap();
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(caller(&client(&ca).await.unwrap()).await, "cluster.local/ns/default/sa/client");
    std::fs::write(directory.path().join("cert-chain.pem"), "-----BEGIN CERTIFICATE-----\nMIIB").unwrap();
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(caller(&client(&ca).await.unwrap()).await, "cluster.local/ns/default/sa/client");

    other.write(directory.path(), "server");
    let stranger = client(&other).await.unwrap();
    let mut status = StatusCode::SERVICE_UNAVAILABLE;
    for _ in 0..100 {
        status = ask(&stranger, SERVICE).await.0;
        if status == StatusCode::OK {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(status, StatusCode::OK);
    assert_eq!(ask(&client(&ca).await.unwrap(), SERVICE).await.0, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_mesh_does_not_start_with_what_is_no_identity() {
    let directory = tempfile::tempdir().unwrap();
    let started = builder(Some(FileIdentity::directory(directory.path()))).build().await;
    assert!(started.unwrap_err().to_string().contains("cert-chain.pem"));
}

/// The certificate that a gateway shows, and what it answers; nothing if it does not.
async fn shown(address: SocketAddr, own: Option<&Issued>) -> Option<(CertificateDer<'static>, Vec<u8>)> {
    let config = rustls::ClientConfig::builder_with_provider(crate::anybody::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(crate::anybody::Anybody));
    let mut config = match own {
        None => config.with_no_client_auth(),
        Some(own) => {
            let key = rustls_pki_types::PrivateKeyDer::from_pem_slice(own.key.as_bytes()).unwrap();
            config.with_client_auth_cert(vec![leaf(&own.chain)], key).unwrap()
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let stream = TcpStream::connect(address).await.ok()?;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let mut stream = connector.connect("web.example".try_into().unwrap(), stream).await.ok()?;
    let certificate = stream.get_ref().1.peer_certificates()?.first()?.clone().into_owned();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: web.example\r\nconnection: close\r\n\r\n").await.ok()?;
    let mut answer = Vec::new();
    let _unclean = stream.read_to_end(&mut answer).await;
    Some((certificate, answer))
}

fn leaf(chain: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(chain.as_bytes()).unwrap()
}

fn gateway(tls: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {{name: web, namespace: default}}\nspec: {{selector: {{app: app}}, servers: [{{hosts: [web.example], port: {{number: 443, name: https, protocol: HTTPS}}, tls: {tls}}}]}}\n---\n\
         apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: web, namespace: default}}\nspec: {{hosts: [web.example], gateways: [web], http: [{{directResponse: {{status: 200, body: {{string: fine}}}}}}]}}\n"
    )
}

fn secret(issued: &Issued) -> String {
    let secret = serde_json::json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": "web", "namespace": "default"},
        "stringData": {"tls.crt": issued.chain, "tls.key": issued.key}});
    secret.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_a_gateway_changes_its_certificates() {
    const ROTATIONS: usize = 200;
    let ca = Authority::new();
    for is_mutual in [false, true] {
        let id = "spiffe://cluster.local/ns/default/sa/gateway";
        let names: &[&str] = if is_mutual { &[id] } else { &["web.example"] };
        let mut issued = ca.issue(names, |_| {});
        let identity = ca.workload("gateway");
        let tls = if is_mutual { "{mode: ISTIO_MUTUAL}" } else { "{mode: SIMPLE, credentialName: web}" };
        let mesh = builder(Some(identity.clone()))
            .config_yaml("gateway", gateway(tls))
            .config_yaml("secret", secret(&issued))
            .build()
            .await
            .unwrap();
        let served = mesh.gateway().map_port(443, 0).address([127, 0, 0, 1]).start().await.unwrap();
        let address = served.address_of(443).unwrap();
        let own = Arc::new(ca.issue(&["spiffe://cluster.local/ns/default/sa/client"], |_| {}));
        let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let (client, stopped) = (Arc::clone(&own), Arc::clone(&stop));
        // Every request makes a handshake.
        let asking = tokio::spawn(async move {
            let mut asked = 0;
            while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
                let (_, answer) = shown(address, is_mutual.then_some(&*client)).await.expect("an answer");
                assert!(answer.starts_with(b"HTTP/1.1 200 ") && answer.ends_with(b"fine"));
                asked += 1;
            }
            asked
        });
        for _ in 0..ROTATIONS {
            issued = ca.issue(names, |_| {});
            if is_mutual {
                identity.replace(Material::from_pem(&issued.chain, &issued.key, ca.pem()).unwrap());
            } else {
                assert!(mesh.apply_yaml("secret", &secret(&issued)).accepted);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let changed = Instant::now();
        while shown(address, is_mutual.then_some(&*own)).await.unwrap().0 != leaf(&issued.chain) {
            assert!(changed.elapsed() < Duration::from_secs(2), "still the old one");
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(asking.await.unwrap() > ROTATIONS / 4);
    }
}

/// A certificate that counts for so long.
fn short(ca: &Authority, lasts: Duration) -> Material {
    let Issued { chain, key } = ca.issue(&[crate::world::ME], |params| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        params.not_after = rcgen::date_time_ymd(1970, 1, 1) + now + lasts;
    });
    Material::from_pem(chain, key, ca.pem()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_does_not_outlive_the_certificate_of_its_server() {
    let ca = Authority::new();
    let own = MemoryIdentity::new(short(&ca, Duration::from_secs(3)));
    let mesh = builder(Some(own.clone())).config_yaml("p", peer_authentication(STRICT)).build().await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // Tells connections apart.
    let app = tower::service_fn(|request: Request<Body>| async move {
        let peer = request.extensions().get::<PeerAddress>().and_then(PeerAddress::socket).unwrap();
        Ok::<_, Infallible>(Response::new(Body::from(peer.to_string())))
    });
    tokio::spawn(async move { mesh.serve(listener, app).await });
    let mut clients = Vec::new();
    for protocol in ["HTTP", "HTTP2"] {
        let entry = service(address, protocol, ", serviceAccount: server");
        let client = builder(Some(ca.workload("client"))).config_yaml("s", entry).build().await.unwrap();
        let (status, first) = ask(&client, SERVICE).await;
        assert_eq!((status, &ask(&client, SERVICE).await.1), (StatusCode::OK, &first), "{protocol}: one connection");
        clients.push((client, first));
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    // No new one is made with what has expired, and no old one is used on.
    for (client, _) in &clients {
        assert_eq!(ask(client, SERVICE).await.0, StatusCode::SERVICE_UNAVAILABLE);
    }
    own.replace(short(&ca, Duration::from_secs(3600)));
    for (client, first) in &clients {
        let (status, next) = ask(client, SERVICE).await;
        assert_eq!(status, StatusCode::OK);
        assert_ne!(&next, first);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_outlives_a_certificate_by_no_more_than_its_grace() {
    let ca = Authority::new();
    for (grace, is_cut) in [(Some(Duration::from_millis(500)), true), (None, false)] {
        let mesh = builder(Some(ca.workload("server"))).config_yaml("p", peer_authentication(STRICT));
        let mesh = mesh.build().await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = tower::service_fn(|_: Request<Body>| async {
            let pieces = futures_util::stream::unfold((), |()| async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                Some((Ok::<_, Infallible>(http_body::Frame::data(bytes::Bytes::from_static(b"more"))), ()))
            });
            Ok::<_, Infallible>(Response::new(Body::new(http_body_util::StreamBody::new(Box::pin(pieces)))))
        });
        let options = mesh_tower::serve::ServeOptions::new().certificate_grace(grace);
        tokio::spawn(async move { mesh.serve_with(listener, app, options).await });
        let asked = ["HTTP", "HTTP2"].map(|protocol| {
            let entry = service(address, protocol, ", serviceAccount: server");
            let own = MemoryIdentity::new(short(&ca, Duration::from_secs(2)));
            let client = builder(Some(own)).config_yaml("s", entry);
            tokio::spawn(async move {
                let client = client.build().await.unwrap();
                let request = Request::get(SERVICE).body(Body::empty()).unwrap();
                let answer = client.client().send(request).await;
                assert_eq!(answer.status(), StatusCode::OK, "{protocol}");
                let reading = http_body_util::BodyExt::collect(answer.into_body());
                tokio::time::timeout(Duration::from_secs(5), reading).await.map(|read| read.is_ok())
            })
        });
        for read in asked {
            let read = read.await.unwrap();
            assert_eq!(read.is_ok(), is_cut, "{grace:?}");
            assert_ne!(read, Ok(true), "{grace:?}: it does not look whole");
        }
    }
}
