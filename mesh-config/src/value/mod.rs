//! Leaf types that are valid once parsed, and the rules on names and numbers that several kinds share.
//!
//! The structs of [`crate::api`] hold these types, so that whoever reads a field later never parses it again. Where Istio
//! checks a value with a message of its own, the check stands beside the type it belongs to (`check_*`) and gives that
//! message as text; the rules that span several fields are in the validation modules.

pub mod address;
pub mod bytes;
pub mod cel;
pub mod condition;
pub mod dry_run;
pub mod duration;
pub mod export_to;
pub mod grpc_status;
pub mod header;
pub mod host;
pub mod http_status;
pub mod jwks_uri;
pub mod labels;
pub mod locality;
pub mod path_template;
pub mod percent;
pub mod port;
pub(crate) mod proto;
pub mod regex;
pub mod retry_on;
pub mod secret_text;
pub mod string_match;
pub mod trust_domain;
pub mod wildcard;

pub use bytes::Bytes;
pub use duration::{Duration, ParseDurationError};
pub use host::HostMap;
pub use jwks_uri::{JwksUri, ParseJwksUriError};
pub use labels::Labels;
pub use percent::Percent;
pub use port::Protocol;
pub use proto::field_names;
pub use retry_on::{RetryCondition, RetryOn};
pub use secret_text::SecretText;
pub use string_match::StringMatch;
