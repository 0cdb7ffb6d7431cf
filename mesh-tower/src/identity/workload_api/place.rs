//! Where an agent is.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

/// A place as `SPIFFE_ENDPOINT_SOCKET` names it (SPIFFE Workload Endpoint, 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    uri: Box<str>,
    pub(super) socket: Socket,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Socket {
    Unix(PathBuf),
    Tcp(SocketAddr),
}

impl Place {
    pub(super) fn as_str(&self) -> &str {
        &self.uri
    }
}

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(uri: &str) -> Result<Self, &'static str> {
        let socket = match uri.split_once(':') {
            Some(("unix", path)) => Socket::Unix(unix(path)?),
            Some(("tcp", address)) => Socket::Tcp(tcp(address)?),
            _ => return Err("the agent's place has to be unix:///path or tcp://ADDRESS:PORT"),
        };
        Ok(Self { uri: uri.into(), socket })
    }
}

fn unix(path: &str) -> Result<PathBuf, &'static str> {
    let path = path.strip_prefix("//").unwrap_or(path);
    if !path.starts_with('/') || path == "/" {
        return Err("unix: needs an absolute path, and no host");
    }
    if path.contains(['?', '#']) {
        return Err("unix: takes a path and nothing else");
    }
    Ok(path.into())
}

fn tcp(address: &str) -> Result<SocketAddr, &'static str> {
    let address = address.strip_prefix("//").ok_or("tcp: needs an address, as in tcp://127.0.0.1:8000")?;
    let address: SocketAddr = address.parse().map_err(|_| "tcp: takes an IP address with a port and nothing else")?;
    let is_anyone = match address.ip() {
        IpAddr::V4(ip) => ip.is_unspecified(),
        IpAddr::V6(ip) => ip.is_unspecified(),
    };
    if is_anyone || address.port() == 0 { Err("tcp: takes the address and port of an agent") } else { Ok(address) }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.uri)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_at_a_path_or_an_address_with_a_port() {
        let socket = |uri: &str| uri.parse::<Place>().map(|place| place.socket);
        assert_eq!(socket("unix:///run/agent.sock"), Ok(Socket::Unix("/run/agent.sock".into())));
        assert_eq!(socket("unix:/run/agent.sock"), Ok(Socket::Unix("/run/agent.sock".into())));
        assert_eq!(socket("tcp://127.0.0.1:8000"), Ok(Socket::Tcp(([127, 0, 0, 1], 8000).into())));
        assert!(socket("tcp://[::1]:8000").is_ok());
        for uri in [
            "",
            "/run/agent.sock",
            "unix:",
            "unix://",
            "unix:///",
            "unix://host/path",
            "unix:relative",
            "unix:///a?b",
            "unix:///a#b",
            "tcp:127.0.0.1:8000",
            "tcp://localhost:8000",
            "tcp://127.0.0.1",
            "tcp://127.0.0.1:8000/foo",
            "tcp://127.0.0.1:8000?foo",
            "tcp://user@127.0.0.1:8000",
            "tcp://0.0.0.0:8000",
            "tcp://127.0.0.1:0",
            "http://127.0.0.1:8000",
            "UNIX:///a",
        ] {
            assert!(socket(uri).is_err(), "{uri}");
        }
    }
}
