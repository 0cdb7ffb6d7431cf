//! Tokens of callers: what is read from a request, and what it says.
//!
//! Everything but keys and signatures is decided here, by a time that comes in.

mod authentication;
pub mod base64url;
mod claims;
mod locations;
mod output;
mod refusal;
mod token;

#[cfg(test)]
mod tests;

pub use self::authentication::{Accepted, Authentication, Keys, RemoteKeys, Rule};
pub use self::claims::Claims;
pub use self::locations::{Location, Locations, without_params};
pub use self::refusal::Refusal;
pub use self::token::{ALGORITHMS, Token};
