//! What nobody is told, wherever it is asked.

use mesh_tower::admin::Admin;
use mesh_tower::identity::{Material, MemoryIdentity};

use super::World;

/// A shared key of an issuer, as base64url, and in clear.
const SHARED: &str = "Y2FuYXJ5LW9mLXRoZS1zaGFyZWQta2V5LTAwMDAwMQ";
const SHARED_CLEAR: &str = "canary-of-the-shared-key-000001";
const STORED: &str = "CanaryOfAStoredKey";
const TOKEN: &str = "canary-of-the-admin-token";

const DOCUMENTS: &str = "
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: tokens, namespace: shop}
spec:
  jwtRules:
  - issuer: issuer.example
    jwks: '{\"keys\": [{\"kty\": \"oct\", \"alg\": \"HS256\", \"k\": \"SHARED\"}]}'
---
apiVersion: v1
kind: Secret
metadata: {name: stored, namespace: shop}
type: kubernetes.io/tls
stringData: {tls.crt: no certificate, tls.key: STORED}
";

fn material() -> (Material, String) {
    let id = "spiffe://cluster.local/ns/shop/sa/web".try_into().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.subject_alt_names = vec![rcgen::SanType::URI(id)];
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let pem = key.serialize_pem();
    let words: String = pem.lines().filter(|line| !line.starts_with('-')).take(1).collect();
    (Material::from_pem(certificate.pem(), pem, certificate.pem()).unwrap(), words)
}

#[tokio::test]
async fn keys_tokens_queries_and_headers_of_requests_are_told_nowhere() {
    let (material, private) = material();
    let documents = DOCUMENTS.replace("SHARED", SHARED).replace("STORED", STORED);
    let admin = Admin::at("127.0.0.1:0").token(TOKEN);
    let builder = |builder: mesh_tower::MeshBuilder| {
        builder.config_yaml("secrets.yaml", &*documents).identity(MemoryIdentity::new(material)).admin(admin)
    };
    let world = World::start(builder).await;
    assert_eq!((world.call("v1").await, world.call("v2").await), (200, 503));
    let index = world.json("/mesh/").await;
    let mut paths: Vec<&str> = index.as_object().unwrap().keys().map(String::as_str).collect();
    paths.retain(|path| *path != "/mesh/tap");
    let explain = "/mesh/explain?url=http://reviews:9080/&h=authorization:%20Bearer%20mine";
    paths.extend(["/mesh/effective/reviews", explain, "/mesh/uneject/x", "/nowhere"]);
    assert!(paths.len() > 10 && world.get("/mesh/certs").await.body.contains("spiffe://"), "{paths:?}");
    let mut told = String::new();
    for path in paths {
        told += &world.get(path).await.body;
    }
    told += &world.ask("GET /mesh/ HTTP/1.1\r\nhost: localhost\r\naccept: text/html\r\n\r\n").await.body;
    told += &world.ask("POST /mesh/drain HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer x\r\n\r\n").await.body;
    for secret in [&*private, SHARED, SHARED_CLEAR, STORED, TOKEN, "hush", "PRIVATE KEY"] {
        assert!(!told.contains(secret), "{secret} in {told}");
    }
}
