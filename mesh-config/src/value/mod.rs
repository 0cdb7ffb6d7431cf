//! Leaf types that are valid once parsed, and the rules on names and numbers that several kinds share.
//!
//! The structs of [`crate::api`] hold these types, so that whoever reads a field later never parses it again. Where Istio
//! checks a value with a message of its own, the check stands beside the type it belongs to (`check_*`) and gives that
//! message as text; the rules that span several fields are in the validation modules.

pub mod bytes;
pub mod duration;
pub mod grpc_status;
pub mod host;
pub mod labels;
pub mod percent;
pub mod port;
pub(crate) mod proto;
pub mod regex;
pub mod retry_on;
pub mod string_match;

pub use bytes::Bytes;
pub use duration::{Duration, ParseDurationError};
pub use host::HostMap;
pub use labels::Labels;
pub use percent::Percent;
pub use port::Protocol;
pub use proto::field_names;
pub use retry_on::{RetryCondition, RetryOn};
pub use string_match::StringMatch;
