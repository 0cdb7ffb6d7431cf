//! Keys that tokens are signed with, and the check of a signature.

use std::sync::{Arc, OnceLock};

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519, EcdsaVerificationAlgorithm,
    ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters,
    RsaPublicKeyComponents,
};
use aws_lc_rs::{constant_time, hmac};
use mesh_core::jwt::{Keys, Refusal, RemoteKeys, Rule, Token, base64url};
use serde_json::Value;

use super::jwks::FetchedKeys;

/// Where a rule about tokens has its keys.
#[derive(Debug)]
pub(crate) enum RuleKeys {
    /// In the configuration; `None` where they cannot be read.
    Given(Option<KeySet>),
    /// At the issuer.
    Fetched(Arc<FetchedKeys>),
}

impl RuleKeys {
    /// Those of all rules. What was fetched for a rule with the same place, in this version or that before, is theirs too.
    pub(crate) fn of(rules: &[Rule], before: &[Self]) -> Box<[Self]> {
        let mut all: Vec<Self> = Vec::with_capacity(rules.len());
        for rule in rules {
            let keys = match &rule.keys {
                Keys::Inline(text) => Self::Given(KeySet::parse(text)),
                Keys::Remote(at) => {
                    let known = all.iter().chain(before).find_map(|known| known.fetched_at(at));
                    Self::Fetched(known.map_or_else(|| Arc::new(FetchedKeys::new(at.clone())), Arc::clone))
                }
            };
            all.push(keys);
        }
        all.into()
    }

    fn fetched_at(&self, at: &RemoteKeys) -> Option<&Arc<FetchedKeys>> {
        match self {
            Self::Fetched(keys) if keys.at() == at => Some(keys),
            _ => None,
        }
    }
}

/// The public keys of an issuer.
#[derive(Debug, Default)]
pub(crate) struct KeySet(Vec<Key>);

struct Key {
    id: Option<String>,
    /// What it is for, where it says so.
    algorithm: Option<String>,
    material: Material,
}

/// Made ready once: that costs a good part of what a check does. What cannot be made ready verifies nothing.
enum Material {
    Rsa(Box<RsaKey>),
    Ec { curve: Curve, key: Option<ParsedPublicKey> },
    Ed25519(Option<ParsedPublicKey>),
    Secret(Vec<u8>),
}

/// A key for several algorithms, made ready for those that tokens name.
struct RsaKey {
    n: Vec<u8>,
    e: Vec<u8>,
    ready: [OnceLock<Option<ParsedPublicKey>>; 6],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Curve {
    P256,
    P384,
    P521,
}

/// Secrets do not print.
impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("id", &self.id).field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

impl KeySet {
    /// Reads a JSON Web Key Set. A key of a kind that nobody knows is passed over; `None` if no key is left, or it is no set.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let set: Value = serde_json::from_str(text).ok()?;
        let keys: Vec<Key> = set.get("keys")?.as_array()?.iter().filter_map(Key::read).collect();
        (!keys.is_empty()).then_some(Self(keys))
    }

    /// Whether a key has this id, or some key has none.
    pub(crate) fn has(&self, id: &str) -> bool {
        self.0.iter().any(|key| key.id.as_deref().is_none_or(|own| own == id))
    }

    /// Checks the signature of a token by the keys that are for it.
    pub(crate) fn verify(&self, token: &Token<'_>) -> Result<(), Refusal> {
        let fits = |key: &&Key| {
            // A key without an id is tried for all, and a token without one by all keys.
            let same_id = token.key_id.is_none() || key.id.is_none() || key.id == token.key_id;
            same_id && key.takes(&token.algorithm)
        };
        let mut candidates = self.0.iter().filter(fits).peekable();
        if candidates.peek().is_none() {
            return Err(Refusal::NoKey);
        }
        if candidates.any(|key| key.verifies(token)) { Ok(()) } else { Err(Refusal::VerificationFailed) }
    }
}

impl Key {
    fn read(key: &Value) -> Option<Self> {
        let text = |name: &str| key.get(name)?.as_str();
        let bytes = |name: &str| base64url::decode(text(name)?);
        let material = match (text("kty")?, text("crv")) {
            ("RSA", _) => Material::Rsa(Box::new(RsaKey { n: bytes("n")?, e: bytes("e")?, ready: Default::default() })),
            ("EC", Some(curve)) => {
                let (curve, size) = match curve {
                    "P-256" => (Curve::P256, 32),
                    "P-384" => (Curve::P384, 48),
                    "P-521" => (Curve::P521, 66),
                    _ => return None,
                };
                let (x, y) = (bytes("x")?, bytes("y")?);
                let mut point = vec![4];
                point.extend(padded(&x, size)?);
                point.extend(padded(&y, size)?);
                Material::Ec { curve, key: ParsedPublicKey::new(curve.algorithm(), point).ok() }
            }
            ("OKP", Some("Ed25519")) => Material::Ed25519(ParsedPublicKey::new(&ED25519, bytes("x")?).ok()),
            ("oct", _) => Material::Secret(bytes("k")?),
            _ => return None,
        };
        let owned = |name: &str| text(name).map(str::to_owned);
        Some(Self { id: owned("kid"), algorithm: owned("alg"), material })
    }

    /// The kind of the key says which algorithms there are, never the token.
    fn takes(&self, algorithm: &str) -> bool {
        let kind = match (&self.material, algorithm) {
            (Material::Rsa(_), algorithm) => RSA.iter().any(|(name, _)| *name == algorithm),
            (Material::Ec { curve, .. }, algorithm) => {
                *curve == Curve::P256 && algorithm == "ES256"
                    || *curve == Curve::P384 && algorithm == "ES384"
                    || *curve == Curve::P521 && algorithm == "ES512"
            }
            (Material::Ed25519(_), "EdDSA") | (Material::Secret(_), "HS256" | "HS384" | "HS512") => true,
            _ => false,
        };
        kind && self.algorithm.as_deref().is_none_or(|own| own == algorithm)
    }

    fn verifies(&self, token: &Token<'_>) -> bool {
        let (signed, signature) = (token.signed.as_bytes(), token.signature.as_slice());
        let verifies = |key: &ParsedPublicKey| key.verify_sig(signed, signature).is_ok();
        match &self.material {
            Material::Rsa(key) => key.ready_for(&token.algorithm).is_some_and(verifies),
            Material::Ec { key, .. } | Material::Ed25519(key) => key.as_ref().is_some_and(verifies),
            Material::Secret(secret) => hash(&token.algorithm).is_some_and(|hash| {
                let own = hmac::sign(&hmac::Key::new(hash, secret), signed);
                constant_time::verify_slices_are_equal(own.as_ref(), signature).is_ok()
            }),
        }
    }
}

impl RsaKey {
    fn ready_for(&self, algorithm: &str) -> Option<&ParsedPublicKey> {
        let place = RSA.iter().position(|(name, _)| *name == algorithm)?;
        let components = RsaPublicKeyComponents { n: &self.n, e: &self.e };
        self.ready[place].get_or_init(|| components.to_parsed_public_key(RSA[place].1).ok()).as_ref()
    }
}

/// The algorithms of RSA keys.
static RSA: [(&str, &RsaParameters); 6] = [
    ("RS256", &RSA_PKCS1_2048_8192_SHA256),
    ("RS384", &RSA_PKCS1_2048_8192_SHA384),
    ("RS512", &RSA_PKCS1_2048_8192_SHA512),
    ("PS256", &RSA_PSS_2048_8192_SHA256),
    ("PS384", &RSA_PSS_2048_8192_SHA384),
    ("PS512", &RSA_PSS_2048_8192_SHA512),
];

impl Curve {
    fn algorithm(self) -> &'static EcdsaVerificationAlgorithm {
        match self {
            Self::P256 => &ECDSA_P256_SHA256_FIXED,
            Self::P384 => &ECDSA_P384_SHA384_FIXED,
            Self::P521 => &ECDSA_P521_SHA512_FIXED,
        }
    }
}

fn hash(algorithm: &str) -> Option<hmac::Algorithm> {
    Some(match algorithm {
        "HS256" => hmac::HMAC_SHA256,
        "HS384" => hmac::HMAC_SHA384,
        "HS512" => hmac::HMAC_SHA512,
        _ => return None,
    })
}

/// A coordinate with the zeros that its writer left out.
fn padded(bytes: &[u8], size: usize) -> Option<Vec<u8>> {
    let missing = size.checked_sub(bytes.len())?;
    Some([&vec![0; missing][..], bytes].concat())
}
