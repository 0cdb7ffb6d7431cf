//! [`Access`]: what a policy may look at.

use std::net::IpAddr;

use http::HeaderMap;

use crate::{PeerView, RequestView};

/// One access to this workload: a request, or a connection that carries something else.
#[derive(Clone, Copy, Debug)]
pub struct Access<'a> {
    /// Who is at the other end.
    pub peer: PeerView<'a>,
    /// The port of the workload.
    pub port: u16,
    /// The request; `None` for a connection that is no HTTP.
    pub request: Option<&'a RequestView<'a>>,
    /// Where the original client is.
    pub remote: Remote,
    /// What becomes of conditions on our own port (0: not known) or address (`None`) where that is not known. Unless set they
    /// match nothing; if set they count against the caller: a rule that lets in does not match by them, one that keeps out
    /// does, so that nobody gets in because a server does not say where it listens.
    pub unknown_place_closes: bool,
}

impl<'a> Access<'a> {
    /// A request, as a workload gets it.
    pub fn request(request: &'a RequestView<'a>) -> Self {
        Self {
            peer: request.peer,
            port: request.port,
            request: Some(request),
            remote: Remote::LastForwarded,
            unknown_place_closes: false,
        }
    }

    /// A connection that is no HTTP.
    pub fn connection(peer: PeerView<'a>, port: u16) -> Self {
        Self { peer, port, request: None, remote: Remote::LastForwarded, unknown_place_closes: false }
    }

    /// The address of the original client, as far as it is known.
    pub fn remote_address(&self) -> Option<IpAddr> {
        match (self.remote, self.request) {
            (Remote::At(address), _) => Some(address),
            (Remote::LastForwarded, Some(request)) => last_forwarded(request.headers).or(self.peer.address),
            (Remote::LastForwarded, None) => self.peer.address,
        }
    }
}

/// How the address of the original client is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Remote {
    /// The last entry of `x-forwarded-for`, which is believed whoever sent it, as Istio's inbound sidecar does; the
    /// peer's address where that is none.
    #[default]
    LastForwarded,
    /// Found already, as a gateway does by the proxies that it trusts.
    At(IpAddr),
}

/// Only a bare address counts: no port, no brackets, no text.
fn last_forwarded(headers: &HeaderMap) -> Option<IpAddr> {
    let line = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
    line.rsplit(',').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::testing::Request;

    #[test]
    fn the_last_entry_forwarded_is_the_client() {
        for (lines, expected) in [
            (&[][..], "127.0.0.1"),
            (&["203.0.113.7"], "203.0.113.7"),
            (&["203.0.113.7, 192.0.2.1"], "192.0.2.1"),
            (&["203.0.113.7", "192.0.2.1"], "192.0.2.1"),
            (&["203.0.113.7:80"], "127.0.0.1"),
            (&["203.0.113.007"], "127.0.0.1"),
            (&["[2001:db8::1]"], "127.0.0.1"),
            (&["2001:db8::1"], "2001:db8::1"),
            (&["192.0.2.1,"], "127.0.0.1"),
            (&["unknown"], "127.0.0.1"),
        ] {
            let request = lines.iter().fold(Request::get("/"), |request, line| request.header("x-forwarded-for", line));
            let mut view = request.view();
            view.peer.address = Some([127, 0, 0, 1].into());
            let found = Access::request(&view).remote_address();
            assert_eq!(found, Some(expected.parse().unwrap()), "{lines:?}");
        }
    }
}
