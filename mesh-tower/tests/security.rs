//! Attacks on the server side, over real sockets and byte by byte: what is let in, what is denied by policy, and what is
//! refused before. Both what Istio does and what is stricter are tested.
//!
//! The cases are not part of this repository; see `support/cases.rs`.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]
#![allow(clippy::disallowed_methods, reason = "measures real time")]
#![allow(dead_code, reason = "the support is shared")]

#[path = "support/anybody.rs"]
mod anybody;
#[path = "security/authorization.rs"]
mod authorization;
#[path = "security/case.rs"]
mod case;
#[path = "support/cases.rs"]
mod cases;
#[path = "security/check_service.rs"]
mod check_service;
#[path = "security/checks.rs"]
mod checks;
#[path = "security/edge.rs"]
mod edge;
#[path = "security/issuers.rs"]
mod issuers;
#[path = "security/places.rs"]
mod places;
#[path = "security/policies.rs"]
mod policies;
#[path = "security/providers.rs"]
mod providers;
#[path = "security/secure.rs"]
mod secure;
#[path = "security/tokens.rs"]
mod tokens;
#[path = "security/told.rs"]
mod told;
#[path = "security/wire.rs"]
mod wire;
