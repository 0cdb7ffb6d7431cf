//! A request on its way into a guarded application, ready to be measured: who calls, what its token says, whether it may.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::future::{Ready, ready};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use http::header::{AUTHORIZATION, HOST, HeaderValue};
use http::{Request, Response, StatusCode};
use mesh_core::jwt::base64url;
use mesh_tower::inbound::{Inbound, PeerIdentity};
use mesh_tower::{Body, Mesh};
use serde_json::{Value, json};
use tower::util::ServiceFn;
use tower::{Layer as _, Service as _};

const CALLER: &str = "spiffe://cluster.local/ns/shop/sa/cart";
const ISSUER: &str = "https://issuer.example";

/// What stands in front of the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// The form of requests alone.
    Nothing,
    /// A policy that lets in the caller's identity.
    Policy,
    /// That, and a token that has to be good.
    Token(Algorithm),
}

/// What a token is signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA with P-256.
    Es256,
    /// RSA with 2048 bits.
    Rs256,
}

impl Algorithm {
    /// As tokens name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }
}

/// A signed token, and the key to check it by.
#[derive(Clone)]
pub struct Signed {
    text: String,
    signed: usize,
    signature: Vec<u8>,
    key: UnparsedPublicKey<Vec<u8>>,
    keys: Value,
}

impl Signed {
    /// Signs a token with a fresh key.
    ///
    /// # Errors
    /// If the library makes no key.
    pub fn new(algorithm: Algorithm) -> Result<Self, Box<dyn Error>> {
        let part = |value: Value| base64url::encode(value.to_string().as_bytes());
        let header = part(json!({"alg": algorithm.name(), "kid": "k", "typ": "JWT"}));
        let claims = part(json!({"iss": ISSUER, "sub": "jane", "aud": "shop", "exp": 4_000_000_000_u64,
                                 "groups": ["buyers", "testers"]}));
        let mut text = format!("{header}.{claims}");
        let signed = text.len();
        let random = SystemRandom::new();
        let (signature, public, fields, check): (_, _, _, &'static dyn VerificationAlgorithm) = match algorithm {
            Algorithm::Es256 => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
                let point = pair.public_key().as_ref().to_vec();
                let (x, y) = (base64url::encode(&point[1..33]), base64url::encode(&point[33..]));
                let fields = json!({"kty": "EC", "crv": "P-256", "kid": "k", "x": x, "y": y});
                let signature = pair.sign(&random, text.as_bytes())?.as_ref().to_vec();
                (signature, point, fields, &ECDSA_P256_SHA256_FIXED)
            }
            Algorithm::Rs256 => {
                let pair = rsa::KeyPair::generate(rsa::KeySize::Rsa2048)?;
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, text.as_bytes(), &mut signature)?;
                let public = pair.public_key().as_ref().to_vec();
                // It ends in the modulus and the exponent 65537, five bytes as DER writes it.
                let end = public.len() - 5;
                let modulus = base64url::encode(&public[end - pair.public_modulus_len()..end]);
                let fields = json!({"kty": "RSA", "kid": "k", "n": modulus, "e": "AQAB"});
                (signature, public, fields, &RSA_PKCS1_2048_8192_SHA256)
            }
        };
        text.push('.');
        text.push_str(&base64url::encode(&signature));
        let key = UnparsedPublicKey::new(check, public);
        Ok(Self { text, signed, signature, key, keys: json!({"keys": [fields]}) })
    }

    /// The check of the signature and nothing else, by the library that ours is made with.
    pub fn verify(&self) -> bool {
        self.key.verify(&self.text.as_bytes()[..self.signed], &self.signature).is_ok()
    }
}

/// Tokens and keys do not print.
impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signed").finish_non_exhaustive()
    }
}

type App = ServiceFn<fn(Request<Body>) -> Ready<Result<Response<Body>, Infallible>>>;

/// An application behind a mesh, in this process and without a socket.
#[derive(Debug)]
pub struct Guarded {
    app: Inbound<App>,
    token: Option<HeaderValue>,
    _mesh: Mesh,
}

impl Guarded {
    /// Prepares an application; `token` is what requests bring where one is asked for.
    ///
    /// # Errors
    /// What is wrong with the configuration, or that a request is not let in.
    pub async fn new(before: Before, token: Option<&Signed>) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let mut builder = Mesh::builder().workload("default/app");
        if before != Before::Nothing {
            builder = builder.config_yaml("policies", policies(token));
        }
        let mesh = builder.build().await?;
        let app: fn(Request<Body>) -> _ = |_| ready(Ok(Response::new(Body::empty())));
        let app = mesh.inbound().layer(tower::service_fn(app));
        let token = token.map(|token| HeaderValue::try_from(format!("Bearer {}", token.text))).transpose()?;
        let mut guarded = Self { app, token, _mesh: mesh };
        let status = guarded.call().await.status();
        if status == StatusCode::OK { Ok(guarded) } else { Err(format!("answered {status}").into()) }
    }

    /// One request, from its head to the head of its answer.
    pub async fn call(&mut self) -> Response<impl http_body::Body> {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = http::Uri::from_static("/orders/42?page=1");
        request.headers_mut().insert(HOST, HeaderValue::from_static("app.default"));
        if let Some(token) = &self.token {
            request.headers_mut().insert(AUTHORIZATION, token.clone());
        }
        request.extensions_mut().insert(PeerIdentity::new(CALLER, None));
        match self.app.call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

fn policies(token: Option<&Signed>) -> String {
    let source = match token {
        Some(_) => format!("{{principals: [cluster.local/ns/shop/sa/cart], requestPrincipals: ['{ISSUER}/jane']}}"),
        None => "{principals: [cluster.local/ns/shop/sa/cart]}".to_owned(),
    };
    let policy = format!(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: callers, namespace: default}}\n\
         spec:\n  rules:\n  - from: [{{source: {source}}}]\n    to: [{{operation: {{methods: [GET], paths: [/orders/*]}}}}]\n"
    );
    let Some(token) = token else { return policy };
    format!(
        "{policy}---\napiVersion: security.istio.io/v1\nkind: RequestAuthentication\n\
         metadata: {{name: tokens, namespace: default}}\nspec:\n  jwtRules:\n  - issuer: {ISSUER}\n    \
         audiences: [shop]\n    forwardOriginalToken: true\n    jwks: '{}'\n",
        token.keys
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_that_is_let_in_is_one_with_a_token_that_is_good() -> Result<(), Box<dyn Error>> {
        for algorithm in [Algorithm::Es256, Algorithm::Rs256] {
            let token = Signed::new(algorithm)?;
            assert!(token.verify());
            assert!(Guarded::new(Before::Token(algorithm), Some(&token)).await.is_ok());
            let mut other = token.clone();
            other.keys = Signed::new(algorithm)?.keys;
            assert!(Guarded::new(Before::Token(algorithm), Some(&other)).await.is_err());
        }
        assert!(Guarded::new(Before::Policy, None).await.is_ok());
        Ok(())
    }
}
