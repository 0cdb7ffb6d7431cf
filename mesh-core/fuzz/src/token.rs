//! Tokens, and where they are.

use std::sync::LazyLock;

use http::{HeaderMap, HeaderValue, Method};
use mesh_config::{Object, ObjectMeta};
use mesh_core::jwt::{Authentication, Claims, Token, base64url, without_params};
use mesh_core::{PeerView, RequestView, Scheme};
use serde_json::json;

static RULES: LazyLock<Authentication> = LazyLock::new(|| {
    let spec = json!({"jwtRules": [
        {"issuer": "i", "jwks": "{}", "audiences": ["a"], "outputPayloadToHeader": "x-payload",
            "outputClaimToHeaders": [{"header": "x-claim", "claim": "a.b"}]},
        {"issuer": "", "jwks": "{}", "fromHeaders": [{"name": "x-token", "prefix": "T "}], "fromParams": ["t"],
            "fromCookies": ["c"], "forwardOriginalToken": true},
    ]});
    let spec = serde_json::from_value(spec).expect("it is a RequestAuthentication");
    Authentication::new([&Object::new(ObjectMeta::default(), spec)])
});

/// Takes bytes for a token, for its sections before they are encoded, and for what a request holds one in.
pub fn token(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    parse(&text);
    let (header, payload) = text.split_once('\n').unwrap_or((&text, "{}"));
    let encoded = |text: &str| base64url::encode(text.as_bytes());
    let whole = format!("{}.{}.{}", encoded(header), encoded(payload), encoded("signature"));
    parse(&whole);
    parse(&format!("{}.{}.c2ln", encoded(r#"{"alg":"RS256"}"#), encoded(payload)));
    assert_eq!(base64url::decode(&encoded(&text)).as_deref(), Some(text.as_bytes()));
    judge(header, payload);
    judge(&format!("Bearer {whole}"), &format!("access_token={whole}&t={payload}"));
}

/// What was read is what stands there.
fn parse(text: &str) {
    let Ok(token) = Token::parse(text) else { return };
    assert_eq!(text.rsplit_once('.').map(|(signed, _)| signed), Some(token.signed));
    assert!(!token.algorithm.eq_ignore_ascii_case("none"), "{text}");
    let _any = token.check("i", &["a".to_owned()], 1_000);
    let claims = Claims::with_lists(token.payload, &["roles".to_owned()]);
    let _any = claims.has(&["a", "b"], |text| text.len() > 3);
}

fn judge(line: &str, query: &str) {
    let mut headers = HeaderMap::new();
    for name in ["authorization", "x-token", "cookie"] {
        if let Ok(value) = HeaderValue::from_bytes(line.as_bytes()) {
            headers.append(name, value);
        }
    }
    let view = RequestView {
        method: &Method::GET,
        scheme: Scheme::Http,
        authority: "app",
        path: "/",
        query: Some(query),
        headers: &headers,
        peer: PeerView::default(),
        port: 80,
    };
    let mut verified = 0;
    let judged = RULES.judge(&view, 1_000, |_, _| {
        verified += 1;
        Ok(())
    });
    let Ok(Some(accepted)) = judged else { return };
    // Nobody is named by a token that no key was asked about.
    assert!(verified > 0);
    let mut left = headers.clone();
    if let Ok(params) = accepted.apply(&mut left) {
        let _any = without_params(query, &params);
    }
}
