//! Keys that are fetched from an issuer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::hmac;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use mesh_tower::inbound::{CheckAnswer, CheckRequest, Checking, ExternalAuthorizer};
use mesh_tower::mesh_core::jwt::base64url;
use mesh_tower::{Mesh, MeshBuilder, Profile};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::case::{attack, documents};
use crate::wire;

const SECRET: &[u8] = b"a secret of at least thirty-two bytes";

/// Serves this answer, and counts how often.
async fn issuer(answer: String) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let count: Arc<AtomicUsize> = Arc::default();
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (answer, counted) = (answer.clone(), Arc::clone(&counted));
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") && stream.read_buf(&mut head).await.is_ok_and(|read| read > 0) {}
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                let _gone = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    (port, count)
}

fn key_set() -> String {
    let body = json!({"keys": [{"kty": "oct", "kid": "k", "k": base64url::encode(SECRET)}]}).to_string();
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn token() -> String {
    let part = |json: serde_json::Value| base64url::encode(json.to_string().as_bytes());
    let signed = format!("{}.{}", part(json!({"alg": "HS256", "kid": "k"})), part(json!({"iss": "i", "sub": "ann"})));
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), signed.as_bytes());
    format!("{signed}.{}", base64url::encode(signature.as_ref()))
}

/// Lets in whom a token names.
async fn mesh(port: u16) -> Mesh {
    let allow = json!([{"action": "ALLOW", "rules": [{"from": [{"source": {"requestPrincipals": ["i/*"]}}]}]}]);
    under(port, &allow).build().await.unwrap()
}

fn under(port: u16, policies: &serde_json::Value) -> MeshBuilder {
    let rules = json!([{"jwtRules": [{
        "issuer": "i", "jwksUri": format!("http://127.0.0.1:{port}/keys"),
        "outputClaimToHeaders": [{"header": "x-user", "claim": "sub"}],
    }]}]);
    let yaml = [documents("RequestAuthentication", &rules), documents("AuthorizationPolicy", policies)].join("\n---\n");
    Mesh::builder().config_yaml("case.yaml", yaml).profile(Profile::Safe)
}

async fn ask(mesh: &Mesh, token: Option<&str>) -> crate::case::Outcome {
    let mut headers = vec![("host".to_owned(), "app".to_owned()), ("x-user".to_owned(), "forged".to_owned())];
    headers.extend(token.map(|token| ("authorization".to_owned(), format!("Bearer {token}"))));
    attack(mesh, None, &wire::http1("GET", "/", &headers, ""), false).await
}

#[tokio::test]
async fn keys_are_fetched_once_for_all_who_come_meanwhile() {
    let (port, fetches) = issuer(key_set()).await;
    let mesh = mesh(port).await;
    let token = token();
    let asking = (0..20).map(|_| ask(&mesh, Some(&token)));
    for outcome in futures_util::future::join_all(asking).await {
        assert_eq!(outcome.status, Some(200), "{outcome:?}");
        let (_, headers) = &outcome.reached[0];
        assert!(headers.contains(&("x-user".to_owned(), "ann".to_owned())), "{headers:?}");
        assert!(!headers.iter().any(|(name, _)| name == "authorization"), "{headers:?}");
    }
    assert_eq!(fetches.load(Ordering::SeqCst), 1);
    assert_eq!(ask(&mesh, None).await.status, Some(403));
    let forged = format!("{}x", &token[..token.len() - 2]);
    assert_eq!(ask(&mesh, Some(&forged)).await.status, Some(401));
}

#[tokio::test]
async fn without_keys_no_token_is_good_and_nobody_asks_again_at_once() {
    for answer in ["HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n<a/>"] {
        let (port, fetches) = issuer(answer.to_owned()).await;
        let mesh = mesh(port).await;
        let before = fetches.load(Ordering::SeqCst);
        assert_eq!(ask(&mesh, Some(&token())).await.status, Some(401));
        let once = fetches.load(Ordering::SeqCst);
        assert_eq!(ask(&mesh, Some(&token())).await.status, Some(401));
        assert!(once > before && fetches.load(Ordering::SeqCst) == once, "{once} fetches");
    }
}

/// Gives each request this token.
#[derive(Clone, Debug)]
struct Brings(String);

impl ExternalAuthorizer for Brings {
    fn check(&self, _: CheckRequest) -> Checking {
        let value = format!("Bearer {}", self.0).parse().unwrap();
        Box::pin(async { CheckAnswer::Allow(HeaderMap::from_iter([(AUTHORIZATION, value)])) })
    }
}

#[tokio::test]
async fn who_is_asked_comes_before_the_token_and_may_bring_one() {
    let (port, _) = issuer(key_set()).await;
    let policies = json!([
        {"name": "ask", "action": "CUSTOM", "provider": {"name": "brings"}, "rules": [{"to": [{"operation": {"paths": ["/"]}}]}]},
        {"name": "allow", "action": "ALLOW", "rules": [{"from": [{"source": {"requestPrincipals": ["i/ann"]}}]}]},
    ]);
    let mesh = under(port, &policies).external_authorizer("brings", Brings(token())).build().await.unwrap();
    // The first waits for an answer, then for keys.
    for own in [None, Some("x.y.z")] {
        let outcome = ask(&mesh, own).await;
        assert_eq!(outcome.status, Some(200));
        assert!(outcome.reached[0].1.contains(&("x-user".to_owned(), "ann".to_owned())), "{outcome:?}");
    }
}

#[tokio::test]
async fn nobody_waits_for_keys_that_are_renewed_for_an_unknown_one() {
    let (port, fetches) = issuer(key_set()).await;
    let mesh = mesh(port).await;
    assert_eq!(ask(&mesh, Some(&token())).await.status, Some(200));
    // An id that anybody can make up makes nobody ask again at once.
    let head = base64url::encode(json!({"alg": "HS256", "kid": "made-up"}).to_string().as_bytes());
    let token = token();
    let made_up = format!("{head}{}", &token[token.find('.').unwrap()..]);
    assert_eq!(ask(&mesh, Some(&made_up)).await.status, Some(401));
    assert_eq!(fetches.load(Ordering::SeqCst), 1);
}
