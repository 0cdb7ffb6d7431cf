//! The servers of Gateways: what each serves, and which of them share a port.

mod merge;

use mesh_config::Object;
use mesh_config::api::gateway::{Gateway, Server};
use mesh_config::api::tls::{ServerTlsMode, ServerTlsSettings};
use mesh_config::value::Protocol;

pub use merge::{Merged, Refused, SharedPort, merge};

/// What a server of a Gateway serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Serving {
    /// HTTP without TLS.
    Http,
    /// HTTP within TLS that ends here.
    Https,
    /// Bytes.
    Tcp,
    /// Bytes within TLS that ends here.
    TlsEnded,
    /// Bytes that may be TLS of somebody else, by the server name.
    TlsPassed,
}

impl Serving {
    /// What a server serves, by its protocol and its TLS settings.
    pub fn of(server: &Server) -> Self {
        let protocol = protocol_of(server);
        match &server.tls {
            _ if protocol.is_http() => Self::Http,
            None => Self::Tcp,
            Some(tls) if passes_through(tls) => Self::TlsPassed,
            Some(_) if protocol == Protocol::Https => Self::Https,
            Some(_) => Self::TlsEnded,
        }
    }

    /// Whether requests can be seen.
    pub const fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::Https)
    }

    /// Whether connections begin with TLS.
    pub const fn is_tls(self) -> bool {
        matches!(self, Self::Https | Self::TlsEnded | Self::TlsPassed)
    }
}

/// Whether a server's TLS settings say that TLS does not end at it.
pub fn passes_through(tls: &ServerTlsSettings) -> bool {
    matches!(tls.mode, ServerTlsMode::Passthrough | ServerTlsMode::AutoPassthrough)
}

/// A server and the Gateway it stands in.
#[derive(Clone, Copy, Debug)]
pub struct GatewayServerRef<'a> {
    /// The Gateway.
    pub gateway: &'a Object<Gateway>,
    /// The index in its `servers`.
    pub index: usize,
    /// The server.
    pub server: &'a Server,
}

impl GatewayServerRef<'_> {
    /// The Gateway as `namespace/name`.
    pub fn gateway_name(&self) -> String {
        format!("{}/{}", self.gateway.meta.namespace, self.gateway.meta.name)
    }

    /// The name of the route table of the server, as Istio gives it: `http.80`,
    /// `https.443.web.gateway.default`. `None` where requests cannot be seen.
    pub fn route_name(&self) -> Option<String> {
        let port = self.server.port.as_ref()?;
        let bind = if self.server.bind.is_empty() { String::new() } else { format!(".{}", self.server.bind) };
        match Serving::of(self.server) {
            Serving::Http => Some(format!("http.{}{bind}", port.number)),
            Serving::Https => {
                let meta = &self.gateway.meta;
                Some(format!("https.{}.{}.{}.{}{bind}", port.number, port.name, meta.name, meta.namespace))
            }
            _ => None,
        }
    }

    /// The hosts with the namespace whose rules may bind: of `./host` the Gateway's own, none of `*/host`.
    fn full_hosts(&self) -> Vec<String> {
        let namespace = &self.gateway.meta.namespace;
        let in_full = |host: &String| match host.split_once('/') {
            Some((".", name)) => format!("{namespace}/{name}"),
            Some(("*", name)) => name.to_owned(),
            _ => host.clone(),
        };
        self.server.hosts.iter().map(in_full).collect()
    }
}

fn protocol_of(server: &Server) -> Protocol {
    server.port.as_ref().and_then(|port| port.protocol.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
