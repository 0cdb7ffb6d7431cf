//! Addresses that commands print: `DOWNSTREAM_REMOTE_ADDRESS`, `UPSTREAM_REMOTE_PORT`.

use std::net::SocketAddr;

use super::print;

/// Whose address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    DownstreamLocal,
    DownstreamRemote,
    /// The endpoint, whether there was a connection to it or not.
    UpstreamHost,
    /// The endpoint that there was a connection to.
    Upstream,
    /// Our end of the connection to it.
    UpstreamLocal,
}

/// How much of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AddressPart {
    Whole,
    Ip,
    Port,
}

/// The address that a command stands for.
pub(crate) fn address(command: &str) -> Option<(Whose, AddressPart)> {
    use AddressPart::{Ip, Port, Whole};
    use Whose::{DownstreamLocal, DownstreamRemote, Upstream, UpstreamHost, UpstreamLocal};
    Some(match command {
        "DOWNSTREAM_DIRECT_REMOTE_ADDRESS" | "DOWNSTREAM_REMOTE_ADDRESS" => (DownstreamRemote, Whole),
        "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT" | "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT" => {
            (DownstreamRemote, Ip)
        }
        "DOWNSTREAM_DIRECT_REMOTE_PORT" | "DOWNSTREAM_REMOTE_PORT" => (DownstreamRemote, Port),
        "DOWNSTREAM_LOCAL_ADDRESS" => (DownstreamLocal, Whole),
        "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT" => (DownstreamLocal, Ip),
        "DOWNSTREAM_LOCAL_PORT" => (DownstreamLocal, Port),
        "UPSTREAM_HOST" => (UpstreamHost, Whole),
        "UPSTREAM_LOCAL_ADDRESS" => (UpstreamLocal, Whole),
        "UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT" => (UpstreamLocal, Ip),
        "UPSTREAM_LOCAL_PORT" => (UpstreamLocal, Port),
        "UPSTREAM_REMOTE_ADDRESS" => (Upstream, Whole),
        "UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT" => (Upstream, Ip),
        "UPSTREAM_REMOTE_PORT" => (Upstream, Port),
        _ => return None,
    })
}

impl AddressPart {
    /// Appends it.
    pub(crate) fn push(self, address: SocketAddr, out: &mut Vec<u8>) {
        match self {
            Self::Whole => print(out, format_args!("{address}")),
            Self::Ip => print(out, format_args!("{}", address.ip())),
            Self::Port => print(out, format_args!("{}", address.port())),
        }
    }
}
