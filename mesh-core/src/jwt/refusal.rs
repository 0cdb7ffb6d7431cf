//! Why a token is refused, and what the caller is told.

use std::fmt;

use http::StatusCode;

/// Why a request is refused for its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// The header names no algorithm.
    BadAlgorithm,
    /// The audience is neither a text nor a list of texts.
    BadAudience,
    /// A claim that is always looked at has another type than it may have.
    BadClaims,
    /// The key id is no text.
    BadKeyId,
    /// The header asks for what nobody here understands.
    CriticalHeader,
    /// It has expired.
    Expired,
    /// The keys could not be had.
    FetchFailed,
    /// The header is not in base64url.
    HeaderNotBase64,
    /// The header is no JSON object.
    HeaderNotJson,
    /// There is none, and there has to be one.
    Missing,
    /// No key is for it.
    NoKey,
    /// It does not have the three sections of a token.
    NotInForm,
    /// It is not valid yet.
    NotYetValid,
    /// The payload is not in base64url.
    PayloadNotBase64,
    /// The payload is no JSON object.
    PayloadNotJson,
    /// The signature is not in base64url.
    SignatureNotBase64,
    /// An algorithm that nobody verifies, `none` among them.
    UnknownAlgorithm,
    /// No rule has its issuer.
    UnknownIssuer,
    /// The signature is not that of the key.
    VerificationFailed,
    /// It is for somebody else.
    WrongAudience,
}

impl Refusal {
    /// The status of the answer.
    pub fn status(self) -> StatusCode {
        match self {
            Self::WrongAudience => StatusCode::FORBIDDEN,
            _ => StatusCode::UNAUTHORIZED,
        }
    }

    /// The body of the answer, in Envoy's words.
    pub fn text(self) -> &'static str {
        match self {
            Self::BadAlgorithm => "Jwt header [alg] field is required and must be a string",
            Self::BadAudience => "Jwt payload [aud] field is not a string or string list",
            Self::BadClaims => "Jwt payload is an invalid JSON",
            Self::BadKeyId => "Jwt header [kid] field is not a string",
            Self::CriticalHeader => "Jwt header [crit] is not supported",
            Self::Expired => "Jwt is expired",
            Self::FetchFailed => "Jwks remote fetch is failed",
            Self::HeaderNotBase64 => "Jwt header is an invalid Base64url encoded",
            Self::HeaderNotJson => "Jwt header is an invalid JSON",
            Self::Missing => "Jwt is missing",
            Self::NoKey => "Jwks doesn't have key to match kid or alg from Jwt",
            Self::NotInForm => "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections",
            Self::NotYetValid => "Jwt not yet valid",
            Self::PayloadNotBase64 => "Jwt payload is an invalid Base64url encoded",
            Self::PayloadNotJson => "Jwt payload is an invalid JSON",
            Self::SignatureNotBase64 => "Jwt signature is an invalid Base64url encoded",
            Self::UnknownAlgorithm => "Jwt header [alg] is not supported",
            Self::UnknownIssuer => "Jwt issuer is not configured",
            Self::VerificationFailed => "Jwt verification fails",
            Self::WrongAudience => "Audiences in Jwt are not allowed",
        }
    }

    /// `www-authenticate` of the answer, for what the caller asked for: `http://host`, and its path with the query, of
    /// which the first 256 bytes are told.
    pub fn challenge(self, host: &str, target: &str) -> String {
        let target = target.get(..256).unwrap_or(target);
        let error = if self == Self::Missing { "" } else { ", error=\"invalid_token\"" };
        format!("Bearer realm=\"{host}{target}\"{error}")
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl std::error::Error for Refusal {}
