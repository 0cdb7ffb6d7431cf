//! `RequestAuthentication`: which tokens a workload accepts.

use crate::api::selector::{PolicyTargetReference, WorkloadSelector};
use crate::value::proto::{message, proto_enum};
use crate::value::{Duration, SecretText};

message! {
    /// Which tokens are valid. A request without a token passes; one with an invalid token does not.
    pub struct RequestAuthentication {
        /// Workloads that this is for. Unset: all in the namespace (in the root namespace: in the mesh).
        pub selector: Option<WorkloadSelector>,
        /// Deprecated form of `target_refs`.
        #[serde(alias = "target_ref")]
        pub target_ref: Option<PolicyTargetReference>,
        /// Gateways and waypoints that this is for, instead of a selector.
        #[serde(alias = "target_refs")]
        pub target_refs: Vec<PolicyTargetReference>,
        /// Issuers whose tokens are accepted.
        #[serde(alias = "jwt_rules")]
        pub jwt_rules: Vec<JwtRule>,
    }
}

message! {
    /// An issuer, its keys, and where its tokens are found.
    pub struct JwtRule {
        /// The `iss` claim, exactly. May be empty only where `jwks_uri` is set.
        pub issuer: String,
        /// Audiences of which a token has to name one. Empty: any.
        pub audiences: Vec<String>,
        /// Where the keys are fetched. Empty, and no `jwks`: found by OpenID discovery at the issuer.
        #[serde(alias = "jwks_uri")]
        pub jwks_uri: String,
        /// The keys themselves, as a JSON Web Key Set. Not together with `jwks_uri`. Debug output keeps them to itself, since
        /// keys of `HS256` are secrets.
        pub jwks: SecretText,
        /// Headers that hold a token. Without any location: `Authorization: Bearer`, then the parameter `access_token`.
        #[serde(alias = "from_headers")]
        pub from_headers: Vec<JwtHeader>,
        /// Query parameters that hold a token.
        #[serde(alias = "from_params")]
        pub from_params: Vec<String>,
        /// Cookies that hold a token.
        #[serde(alias = "from_cookies")]
        pub from_cookies: Vec<String>,
        /// Header that gets the payload of a valid token, in base64url. Empty: none.
        #[serde(alias = "output_payload_to_header")]
        pub output_payload_to_header: String,
        /// Keeps the token in the request. Default: false.
        #[serde(alias = "forward_original_token")]
        pub forward_original_token: bool,
        /// Headers that get single claims of a valid token.
        #[serde(alias = "output_claim_to_headers")]
        pub output_claim_to_headers: Vec<ClaimToHeader>,
        /// Limit for fetching the keys. Default: 5 s.
        pub timeout: Option<Duration>,
        /// Claims that are lists separated by spaces, besides `scope` and `permission`.
        #[serde(alias = "space_delimited_claims")]
        pub space_delimited_claims: Vec<String>,
        /// Whether a request without a token of this issuer passes. Newer than Istio 1.30.
        pub presence: JwtPresence,
    }
}

proto_enum! {
    /// Whether a request needs a token.
    pub enum JwtPresence {
        /// Without one it passes.
        #[default]
        Optional = 0 => "OPTIONAL",
        /// Without one it is refused with 401.
        Required = 1 => "REQUIRED",
    }
}

message! {
    /// A header that holds a token.
    pub struct JwtHeader {
        /// Name. Required.
        pub name: String,
        /// What stands before the token, case and spaces included. Empty: nothing.
        pub prefix: String,
    }
}

message! {
    /// A header that gets a claim. Both are required.
    pub struct ClaimToHeader {
        /// Name of the header.
        pub header: String,
        /// Name of the claim; dots reach into objects.
        pub claim: String,
    }
}
