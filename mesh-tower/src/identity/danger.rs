//! Switches that weaken checks. Nothing here is needed in production.

use std::time::SystemTime;

use crate::MeshBuilder;

/// Lets `insecureSkipVerify: true` of a DestinationRule act: the servers behind it are believed without a look at their
/// certificates. Unless this is called, such a rule makes no connection.
#[must_use]
pub fn allow_insecure_skip_verify(builder: MeshBuilder) -> MeshBuilder {
    builder.identity_options(super::Options::allow_skip_verify)
}

/// Judges certificates by another clock than the system's; for tests.
#[must_use]
pub fn calendar(builder: MeshBuilder, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> MeshBuilder {
    builder.identity_options(|options| options.calendar(now))
}
