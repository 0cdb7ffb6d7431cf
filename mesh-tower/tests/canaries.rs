//! Secrets do not get out by what is written for people: log lines, findings, and what types print.
//!
//! Each secret is a word that stands nowhere else. They are put where secrets are, all of it is made to talk, at level
//! `TRACE`, and what was said is searched for the words.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use std::fmt::Write as _;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use aws_lc_rs::hmac;
use http::header::{HeaderMap, HeaderValue};
use http::{Method, Request, Version};
use mesh_tower::identity::{FileIdentity, Material, MemoryIdentity, inspect};
use mesh_tower::mesh_config::{ConfigSet, parse};
use mesh_tower::mesh_core::authz::Access;
use mesh_tower::mesh_core::jwt::{Claims, Keys, Token, base64url};
use mesh_tower::mesh_core::request_form::Head;
use mesh_tower::mesh_core::{PeerView, RequestView, Scheme};
use mesh_tower::{Body, Mesh};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Words of which none may be said. The key is found in base64url, too.
const KEY: &str = "canary-of-the-signing-key-000001";
const CLAIM: &str = "canary-of-a-claim";
const AUTHORIZATION: &str = "canary-of-authorization";
const COOKIE: &str = "canary-of-a-cookie";
const PARAMETER: &str = "canary-of-a-parameter";
const PEM: &str = "CanaryOfThePrivateKey";

const NOW: u64 = 1_700_000_000;

/// All that a log would have got.
#[derive(Clone, Debug, Default)]
struct Said(Arc<Mutex<Vec<u8>>>);

impl io::Write for Said {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Said {
    fn listen() -> Self {
        let said = Self::default();
        let writer = said.clone();
        tracing_subscriber::fmt()
            .with_env_filter("mesh_tower=trace,mesh_core=trace,mesh_config=trace")
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .init();
        said
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

fn token() -> String {
    let part = |json: serde_json::Value| base64url::encode(json.to_string().as_bytes());
    let signed = format!(
        "{}.{}",
        part(json!({"alg": "HS256", "kid": "k"})),
        part(json!({"iss": "issuer", "sub": "alice", "group": CLAIM, "exp": NOW + 60}))
    );
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, KEY.as_bytes()), signed.as_bytes());
    format!("{signed}.{}", base64url::encode(signature.as_ref()))
}

/// The secrets, in every form that they are written in.
fn canaries() -> Vec<String> {
    let token = token();
    let sections = token.split('.').skip(1).map(str::to_owned);
    let words = [KEY, CLAIM, AUTHORIZATION, COOKIE, PARAMETER, PEM].map(str::to_owned);
    words.into_iter().chain(sections).chain([base64url::encode(KEY.as_bytes())]).collect()
}

fn jwks() -> String {
    json!({"keys": [{"kty": "oct", "kid": "k", "alg": "HS256", "k": base64url::encode(KEY.as_bytes())}]}).to_string()
}

fn documents(upstream: u16) -> String {
    format!(
        "
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {{ name: tokens, namespace: default }}
spec:
  jwtRules:
  - issuer: issuer
    fromHeaders: [{{ name: authorization, prefix: 'Bearer ' }}]
    fromParams: [access_token]
    outputPayloadToHeader: x-payload
    jwks: '{}'
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{ name: not-admin, namespace: default }}
spec: {{ action: DENY, rules: [{{ to: [{{ operation: {{ paths: [/admin] }} }}] }}] }}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{ name: watch, namespace: default, annotations: {{ istio.io/dry-run: 'true' }} }}
spec: {{ rules: [{{ when: [{{ key: 'request.auth.claims[group]', values: [somebody] }}] }}] }}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{ name: up, namespace: default }}
spec:
  hosts: [up.example]
  resolution: STATIC
  ports: [{{ number: 80, name: http, protocol: HTTP, targetPort: {upstream} }}]
  endpoints: [{{ address: 127.0.0.1 }}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{ name: up, namespace: default }}
spec:
  hosts: [up.example]
  http:
  - match: [{{ uri: {{ prefix: /fault }} }}]
    fault: {{ abort: {{ httpStatus: 503, percentage: {{ value: 100 }} }} }}
    route: [{{ destination: {{ host: up.example }} }}]
  - retries: {{ attempts: 2, retryOn: '5xx,connect-failure,reset' }}
    route: [{{ destination: {{ host: up.example }} }}]
",
        jwks()
    )
}

/// Sends a request on a connection of its own, and gives the whole answer.
async fn ask(port: u16, target: &str, lines: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let head = format!("GET {target} HTTP/1.1\r\nhost: app\r\nconnection: close\r\n{lines}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// Requests with secrets: served, refused for their tokens, denied, malformed; and calls that fail, are tried again, aborted.
async fn traffic(mesh: &Mesh, port: u16) {
    let token = token();
    let secrets = format!("cookie: session={COOKIE}\r\nx-secret: {AUTHORIZATION}\r\n");
    let good = format!("authorization: Bearer {token}\r\n{secrets}");
    let forged = format!("authorization: Bearer {}AAAA\r\n{secrets}", &token[..token.len() - 4]);
    let other = format!("authorization: Basic {AUTHORIZATION}\r\n{secrets}");
    for (target, lines, status) in [
        ("/", &good, "200"),
        ("/admin", &good, "403"),
        ("/", &forged, "401"),
        ("/", &other, "200"),
        (&*format!("/?access_token={token}&p={PARAMETER}"), &secrets, "200"),
        (&*format!("/?p={PARAMETER}"), &format!("connection: host\r\n{good}"), "400"),
        ("/%00", &good, "400"),
    ] {
        let answer = ask(port, target, lines).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{target}: {answer}");
    }
    for path in ["/", "/fault", "/lost"] {
        let request = Request::get(format!("http://up.example{path}?p={PARAMETER}"))
            .header("authorization", format!("Bearer {token}"))
            .header("cookie", COOKIE);
        let response = mesh.client().send(request.body(Body::empty()).unwrap()).await;
        assert!(response.status().is_server_error(), "{path}: {}", response.status());
    }
}

/// What the public types print that hold secrets.
fn printed(mesh: &Mesh) -> String {
    let mut said = String::new();
    let token = token();
    let mut headers = HeaderMap::new();
    headers.insert("authorization", HeaderValue::try_from(format!("Bearer {token}")).unwrap());
    headers.insert("cookie", HeaderValue::from_static(COOKIE));
    let parsed = Token::parse(&token).unwrap();
    let claims = Claims::new(parsed.payload.clone());
    let peer = PeerView { claims: Some(&claims), ..PeerView::default() };
    let view = RequestView {
        method: &Method::GET,
        scheme: Scheme::Http,
        authority: "app",
        path: "/",
        query: Some(PARAMETER),
        headers: &headers,
        peer,
        port: 80,
    };
    let head =
        Head { version: Version::HTTP_11, method: &Method::GET, scheme: None, authority: None, headers: &headers };
    let live = mesh.snapshot();
    let authentication = live.snapshot().authentication();
    let accepted = authentication.judge(&view, i64::try_from(NOW).unwrap(), |_, _| Ok(())).unwrap().unwrap();
    for printed in [
        format!("{mesh:?} {:?}", mesh.client()),
        format!("{live:?}"),
        format!("{authentication:?}"),
        format!("{:?}", Keys::Inline(jwks().into())),
        format!("{parsed:?} {claims:?} {accepted:?}"),
        format!("{view:?} {head:?} {:?}", Access::request(&view)),
        format!("{:?}", mesh.report()),
    ] {
        assert!(!printed.is_empty());
        said.push_str(&printed);
        said.push('\n');
    }
    said
}

/// A certificate, its key, and who vouches for it.
struct Issued {
    chain: String,
    key: String,
    roots: String,
}

fn issued() -> Issued {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose, SanType};
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.subject_alt_names = vec![SanType::URI("spiffe://cluster.local/ns/default/sa/app".try_into().unwrap())];
    let key = KeyPair::generate().unwrap();
    let chain = params.signed_by(&key, &authority).unwrap().pem();
    Issued { chain, key: key.serialize_pem(), roots: authority.pem() }
}

/// A key in the forms that it could be printed in: lines of PEM, and bytes of its secret part, one by one or in digits.
fn canaries_of(key: &str) -> Vec<String> {
    use rustls_pki_types::pem::PemObject as _;
    let lines: Vec<&str> = key.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = rustls_pki_types::PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    // Of a key of P-256 in PKCS #8 these are the secret number; what stands before is the same in all.
    let secret = &der.secret_der()[36..60];
    let listed = |text: fn(&u8) -> String| secret.iter().map(text).collect::<Vec<_>>();
    let digits = listed(|byte| format!("{byte:02x}")).concat();
    let forms = [listed(u8::to_string).join(", "), digits.to_uppercase(), digits];
    lines.iter().map(|line| (*line).to_owned()).chain([lines.concat()]).chain(forms).collect()
}

/// What the types of TLS print, with a key in all of them, and what is said about keys that do not fit.
async fn printed_tls(issued: &Issued, other: &Issued) -> String {
    let material = || Material::from_pem(&issued.chain, &issued.key, &issued.roots).unwrap();
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in [("cert-chain.pem", &issued.chain), ("key.pem", &issued.key), ("root-cert.pem", &issued.roots)]
    {
        std::fs::write(directory.path().join(name), text).unwrap();
    }
    let files = FileIdentity::directory(directory.path());
    let memory = MemoryIdentity::new(material());
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": "web", "namespace": "default"},
        "stringData": {"tls.crt": issued.chain, "tls.key": issued.key}})
    .to_string();
    let gateway = json!({"apiVersion": "networking.istio.io/v1", "kind": "Gateway",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"selector": {"app": "app"}, "servers": [{"hosts": ["*"],
            "port": {"number": 443, "name": "https", "protocol": "HTTPS"},
            "tls": {"mode": "SIMPLE", "credentialName": "web"}}]}})
    .to_string();
    let builder = Mesh::builder().workload("default/app").label("app", "app").identity(memory.clone());
    let builder = builder.config_yaml("secret", secret.clone()).config_yaml("gateway", gateway);
    let mesh = builder.build().await.unwrap();
    let served = mesh.gateway().map_port(443, 0).start().await.unwrap();
    let live = mesh.snapshot();
    let (documents, report) = parse("secret", &secret);
    let (set, duplicates) = ConfigSet::from_documents(documents);
    let unfit = [
        Material::from_pem(&issued.chain, &other.key, &issued.roots).unwrap_err(),
        Material::from_pem(&issued.chain, issued.key.replace("-----END", "-----ENDED"), &issued.roots).unwrap_err(),
        Material::from_pem(&issued.key, &issued.key, &issued.roots).unwrap_err(),
    ];
    let printed = [
        format!("{:?} {memory:?} {files:?} {:?}", material(), inspect(issued.chain.as_bytes())),
        format!("{mesh:?} {served:?} {live:?} {:?} {:?}", live.snapshot().gateway_servers(), mesh.report()),
        format!(
            "{set:?} {:?} {:?} {report:?} {duplicates:?} {:?}",
            set.validate(),
            set.analyze(),
            set.iter().map(|document| &document.resource).collect::<Vec<_>>()
        ),
        unfit.iter().map(|problem| format!("{problem} {problem:?}")).collect(),
    ];
    mesh.shutdown(Duration::from_secs(1)).await;
    printed.join("\n")
}

/// What is found wrong with documents that have secrets in them.
fn findings() -> String {
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{PEM}{PEM}\n-----END PRIVATE KEY-----");
    let key = base64url::encode(KEY.as_bytes());
    let authentication = |spec: serde_json::Value| {
        json!({"apiVersion": "security.istio.io/v1", "kind": "RequestAuthentication",
            "metadata": {"name": "tokens", "namespace": "default"}, "spec": spec})
        .to_string()
    };
    let rule = |jwks: String| authentication(json!({"jwtRules": [{"issuer": "i", "jwks": jwks}]}));
    let secret = |data: serde_json::Value| {
        json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
            "metadata": {"name": "tls", "namespace": "default"}, "stringData": data})
        .to_string()
    };
    let documents = [
        rule(format!("{{\"keys\": [{{\"kty\": \"oct\", \"k\": \"{key}\"")),
        rule(format!("{{\"k\": \"{key}\"}}")),
        rule(json!({"keys": [{"kty": "oct", "k": [key]}]}).to_string()),
        rule(json!({"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB", "d": key}]}).to_string()),
        authentication(json!({"jwtRules": [{"issuer": "i", "jwks": {"keys": [{"kty": "oct", "k": key}]}}]})),
        secret(json!({"tls.key": pem, "tls.crt": "nothing"})),
        secret(json!({"tls.key": [pem]})),
        secret(json!({"tls.key": {"pem": pem}})),
    ];
    let mut said = String::new();
    for text in documents {
        let (parsed, report) = parse("broken.yaml", &text);
        let (set, duplicates) = ConfigSet::from_documents(parsed);
        // Keys of rules are in the documents themselves, too.
        writeln!(said, "{set:?} {:?}", set.iter().map(|document| &document.resource).collect::<Vec<_>>()).unwrap();
        for report in [report, duplicates, set.validate(), set.analyze()] {
            writeln!(said, "{report}\n{report:?}").unwrap();
        }
    }
    said
}

#[tokio::test]
async fn no_secret_is_said() {
    let said = Said::listen();
    let application = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = application.local_addr().unwrap().port();
    // Nobody listens there.
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let builder =
        Mesh::builder().workload("default/app").label("app", "app").config_yaml("mesh.yaml", documents(upstream));
    let mesh = builder.token_clock(|| UNIX_EPOCH + Duration::from_secs(NOW)).build().await.unwrap();
    let serving = {
        let mesh = mesh.clone();
        let app = axum::Router::new().fallback(|| async { "hello" });
        tokio::spawn(async move { mesh.serve(application, app).await })
    };
    traffic(&mesh, port).await;
    let broken = mesh.apply_yaml("mesh.yaml", &documents(upstream).replace("\"kty\":\"oct\",", "\"kty\":,"));
    let (own, other) = (issued(), issued());
    let tls = printed_tls(&own, &other).await;
    let all = [format!("{broken:?}"), printed(&mesh), tls, findings(), said.text()].concat();
    mesh.shutdown(Duration::from_secs(1)).await;
    serving.abort();
    // It did talk.
    for word in [
        "denied by authorization",
        "the token is refused",
        "dry run",
        "RequestView",
        "jwks parse error",
        "JwtRule",
        "Material",
    ] {
        assert!(all.contains(word), "{word}: {all}");
    }
    let canaries: Vec<_> = [canaries(), canaries_of(&own.key), canaries_of(&other.key)].concat();
    for canary in &canaries {
        let around = all.find(canary.as_str()).map(|at| {
            let start = (0..=at.saturating_sub(300)).rev().find(|start| all.is_char_boundary(*start)).unwrap_or(0);
            &all[start..at + canary.len()]
        });
        assert_eq!(around, None, "{canary}");
    }
    println!("{} bytes said, {} canaries, none of them heard", all.len(), canaries.len());
}
