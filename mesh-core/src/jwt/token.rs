//! A token, read and not verified yet.

use serde_json::{Map, Value};

use super::Refusal;
use super::base64url;

/// A token in compact form, taken apart.
#[derive(Clone, PartialEq)]
pub struct Token<'a> {
    /// What is signed: the first two sections.
    pub signed: &'a str,
    /// The signature.
    pub signature: Vec<u8>,
    /// `alg` of the header.
    pub algorithm: String,
    /// `kid` of the header.
    pub key_id: Option<String>,
    /// The payload as it was sent, in base64url.
    pub encoded_payload: &'a str,
    /// The payload.
    pub payload: Map<String, Value>,
}

/// The contents of tokens are nobody's business.
impl std::fmt::Debug for Token<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token")
            .field("algorithm", &self.algorithm)
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

/// Algorithms that can be verified, by their names in a token.
pub const ALGORITHMS: &[&str] = &[
    "EdDSA", "ES256", "ES384", "ES512", "HS256", "HS384", "HS512", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512",
];

impl<'a> Token<'a> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// What is wrong with its form.
    pub fn parse(text: &'a str) -> Result<Self, Refusal> {
        let mut sections = text.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (sections.next(), sections.next(), sections.next(), sections.next())
        else {
            return Err(Refusal::NotInForm);
        };
        if header.is_empty() || payload.is_empty() || signature.is_empty() {
            return Err(Refusal::NotInForm);
        }
        let decoded = base64url::decode(header).ok_or(Refusal::HeaderNotBase64)?;
        let head: Map<String, Value> = serde_json::from_slice(&decoded).map_err(|_| Refusal::HeaderNotJson)?;
        let algorithm = match head.get("alg") {
            Some(Value::String(algorithm)) => algorithm.clone(),
            _ => return Err(Refusal::BadAlgorithm),
        };
        if !ALGORITHMS.contains(&algorithm.as_str()) {
            return Err(Refusal::UnknownAlgorithm);
        }
        // Whoever does not understand it must not accept the token (RFC 7515 4.1.11); Envoy does.
        if head.contains_key("crit") {
            return Err(Refusal::CriticalHeader);
        }
        let key_id = match head.get("kid") {
            None => None,
            Some(Value::String(key_id)) => Some(key_id.clone()),
            Some(_) => return Err(Refusal::BadKeyId),
        };
        let decoded = base64url::decode(payload).ok_or(Refusal::PayloadNotBase64)?;
        let claims: Map<String, Value> = serde_json::from_slice(&decoded).map_err(|_| Refusal::PayloadNotJson)?;
        let signature = base64url::decode(signature).ok_or(Refusal::SignatureNotBase64)?;
        let signed = &text[..header.len() + 1 + payload.len()];
        Ok(Self { signed, signature, algorithm, key_id, encoded_payload: payload, payload: claims })
    }

    /// Checks what can be checked without a key, in Envoy's order. `now` counts seconds from 1970.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self, issuer: &str, audiences: &[String], now: i64) -> Result<(), Refusal> {
        let own = self.text("iss")?;
        self.text("sub")?;
        self.time("iat")?;
        if !issuer.is_empty() && own != issuer {
            return Err(Refusal::UnknownIssuer);
        }
        if self.time("nbf")?.is_some_and(|begins| begins.saturating_sub(SKEW) > now) {
            return Err(Refusal::NotYetValid);
        }
        if self.time("exp")?.is_some_and(|ends| ends.saturating_add(SKEW) < now) {
            return Err(Refusal::Expired);
        }
        let own: Vec<&str> = match self.payload.get("aud") {
            None => Vec::new(),
            Some(Value::String(audience)) => vec![audience],
            Some(Value::Array(list)) => {
                list.iter().map(Value::as_str).collect::<Option<_>>().ok_or(Refusal::BadAudience)?
            }
            Some(_) => return Err(Refusal::BadAudience),
        };
        let is_one = |audience: &&str| audiences.iter().any(|wanted| bare(wanted) == bare(audience));
        if audiences.is_empty() || own.iter().any(is_one) { Ok(()) } else { Err(Refusal::WrongAudience) }
    }

    fn text(&self, name: &str) -> Result<&str, Refusal> {
        self.payload.get(name).map_or(Some(""), Value::as_str).ok_or(Refusal::BadClaims)
    }

    fn time(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let Some(value) = self.payload.get(name) else { return Ok(None) };
        // A fraction of a second says nothing; what no clock will ever show is no time.
        let fraction = || value.as_f64().filter(|time| time.abs() < 1e15).map(|time| time as i64);
        value.as_i64().filter(|time| time.abs() < LATEST).or_else(fraction).map(Some).ok_or(Refusal::BadClaims)
    }
}

/// No time lies as far ahead, or back.
const LATEST: i64 = 1_000_000_000_000_000;

/// Clocks may differ by this many seconds.
const SKEW: i64 = 60;

/// An audience without its scheme and a slash at its end.
fn bare(audience: &str) -> &str {
    let bare = audience.strip_prefix("https://").or(audience.strip_prefix("http://")).unwrap_or(audience);
    bare.strip_suffix('/').unwrap_or(bare)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn token(header: &Value, payload: &Value) -> String {
        let part = |json: &Value| base64url::encode(json.to_string().as_bytes());
        format!("{}.{}.{}", part(header), part(payload), base64url::encode(b"signature"))
    }

    fn checked(payload: &Value) -> Result<(), Refusal> {
        let text = token(&json!({"alg": "RS256"}), payload);
        Token::parse(&text).unwrap().check("i", &["https://api/".to_owned()], 1_000)
    }

    #[test]
    fn a_form_that_is_none_is_told_apart() {
        for (text, refusal) in [
            ("", Refusal::NotInForm),
            ("a.b", Refusal::NotInForm),
            ("a.b.", Refusal::NotInForm),
            (".b.c", Refusal::NotInForm),
            ("a..c", Refusal::NotInForm),
            ("a.b.c.d", Refusal::NotInForm),
            ("!.b.c", Refusal::HeaderNotBase64),
            ("YWJj.b.c", Refusal::HeaderNotJson),
        ] {
            assert_eq!(Token::parse(text), Err(refusal), "{text}");
        }
        let none = token(&json!({"alg": "none"}), &json!({}));
        assert_eq!(Token::parse(&none), Err(Refusal::UnknownAlgorithm));
    }

    #[test]
    fn header_and_payload_are_what_is_signed() {
        let text = token(&json!({"alg": "RS256"}), &json!({"iss": "i"}));
        let parsed = Token::parse(&text).unwrap();
        assert_eq!(Some(parsed.signed), text.rsplit_once('.').map(|(signed, _)| signed));
    }

    #[test]
    fn a_time_is_a_number_that_a_clock_may_show() {
        let expires = |time: Value| checked(&json!({"iss": "i", "aud": "api", "exp": time}));
        assert_eq!(expires(json!(2_000.5)), Ok(()));
        assert_eq!(expires(json!(1.5)), Err(Refusal::Expired));
        for none in [
            json!("2000"),
            json!(1_000_000_000_000_000_i64),
            json!(-1_000_000_000_000_000_i64),
            json!(1e15),
            json!(null),
        ] {
            assert_eq!(expires(none.clone()), Err(Refusal::BadClaims), "{none}");
        }
    }

    #[test]
    fn issuer_times_and_audience_are_checked_in_this_order() {
        assert_eq!(checked(&json!({"iss": "i", "aud": "api", "exp": 2_000})), Ok(()));
        assert_eq!(checked(&json!({"iss": "i", "aud": ["x", "http://api"], "exp": 941})), Ok(()));
        assert_eq!(checked(&json!({"iss": "i", "aud": "api", "exp": 940, "nbf": 1_060})), Ok(()));
        assert_eq!(checked(&json!({"iss": "j", "aud": "api", "exp": 1})), Err(Refusal::UnknownIssuer));
        assert_eq!(checked(&json!({"iss": "i", "aud": "x", "exp": 939})), Err(Refusal::Expired));
        assert_eq!(checked(&json!({"iss": "i", "aud": "x", "nbf": 1_061})), Err(Refusal::NotYetValid));
        assert_eq!(checked(&json!({"iss": "i", "aud": "x"})), Err(Refusal::WrongAudience));
        assert_eq!(checked(&json!({"iss": "i"})), Err(Refusal::WrongAudience));
        assert_eq!(checked(&json!({"iss": "i", "aud": 1})), Err(Refusal::BadAudience));
        let two = ["other".to_owned(), "api".to_owned()];
        let text = token(&json!({"alg": "RS256"}), &json!({"iss": "i", "aud": ["x", "api"]}));
        assert_eq!(Token::parse(&text).unwrap().check("i", &two, 1_000), Ok(()));
    }
}
