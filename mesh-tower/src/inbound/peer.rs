//! [`PeerIdentity`].

use std::sync::Arc;

/// Who the caller is, as mutual TLS has proved it: a request extension that the server sets for every request of the
/// connection. Without it the caller is nobody. It never comes from a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerIdentity {
    principal: Arc<str>,
    server_name: Option<Arc<str>>,
}

impl PeerIdentity {
    /// The identity of a certificate that was verified, `spiffe://td/ns/x/sa/y`, and the server name that was asked for.
    pub fn new(principal: &str, server_name: Option<&str>) -> Self {
        Self { principal: principal.into(), server_name: server_name.map(Into::into) }
    }

    /// The identity, `spiffe://td/ns/x/sa/y`.
    pub fn principal(&self) -> &str {
        &self.principal
    }

    /// The server name of the handshake.
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }
}
