//! Keys that are fetched from an issuer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::hmac;
use mesh_tower::mesh_core::jwt::base64url;
use mesh_tower::{Mesh, Profile};
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

async fn mesh(port: u16) -> Mesh {
    let rules = json!([{"jwtRules": [{
        "issuer": "i", "jwksUri": format!("http://127.0.0.1:{port}/keys"),
        "outputClaimToHeaders": [{"header": "x-user", "claim": "sub"}],
    }]}]);
    let allow = json!([{"action": "ALLOW", "rules": [{"from": [{"source": {"requestPrincipals": ["i/*"]}}]}]}]);
    let yaml = [documents("RequestAuthentication", &rules), documents("AuthorizationPolicy", &allow)].join("\n---\n");
    Mesh::builder().config_yaml("case.yaml", yaml).profile(Profile::Safe).build().await.unwrap()
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
