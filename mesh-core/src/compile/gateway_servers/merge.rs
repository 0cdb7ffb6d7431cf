//! Which servers share a port, and which one does not get it.

use std::collections::{BTreeMap, HashMap, HashSet};

use mesh_config::Object;
use mesh_config::api::gateway::{Gateway, Server};

use super::{GatewayServerRef, Serving};

/// The servers that share a port and an address.
#[derive(Clone, Debug)]
pub struct SharedPort<'a> {
    /// The port.
    pub port: u16,
    /// The address, as the first server writes it; empty for all.
    pub bind: &'a str,
    /// In order.
    pub servers: Vec<GatewayServerRef<'a>>,
}

/// A server that is not opened, and why.
#[derive(Clone, Debug)]
pub struct Refused<'a> {
    /// The server.
    pub server: GatewayServerRef<'a>,
    /// What is in its way.
    pub why: String,
}

/// What the servers of several Gateways come to.
#[derive(Clone, Debug, Default)]
pub struct Merged<'a> {
    /// The ports that are opened, in the order in which they were first asked for.
    pub ports: Vec<SharedPort<'a>>,
    /// The servers that are left out.
    pub refused: Vec<Refused<'a>>,
}

/// Merges the servers of Gateways, in their order: the first to ask for a port decides what it is.
///
/// Servers without TLS share a port if both are HTTP; servers with TLS do if no host is named twice.
/// Servers with different addresses are not in each other's way.
pub fn merge<'a>(gateways: impl IntoIterator<Item = &'a Object<Gateway>>) -> Merged<'a> {
    let mut merger = Merger::default();
    for gateway in gateways {
        for (index, server) in gateway.spec.servers.iter().enumerate() {
            let server = GatewayServerRef { gateway, index, server };
            if let Err(why) = merger.add(server) {
                merger.merged.refused.push(Refused { server, why });
            }
        }
    }
    merger.merged
}

#[derive(Default)]
struct Merger<'a> {
    merged: Merged<'a>,
    ports: HashMap<u16, PortState<'a>>,
    route_names: HashSet<String>,
}

/// What a port is.
struct PortState<'a> {
    /// What its first server serves and where, if that is without TLS.
    plain: Option<(Serving, &'a str)>,
    /// The addresses that servers with TLS have.
    tls_binds: HashSet<&'a str>,
    /// The hosts of servers with TLS settings, with their addresses.
    tls_hosts: BTreeMap<String, &'a str>,
}

impl<'a> Merger<'a> {
    fn add(&mut self, server: GatewayServerRef<'a>) -> Result<(), String> {
        let port = number(server.server)?;
        let (bind, serving) = (server.server.bind.as_str(), Serving::of(server.server));
        self.claim_hosts(server, port)?;
        let Some(state) = self.ports.get_mut(&port) else { return self.open(server, port, serving) };
        if let Some((first, first_bind)) = state.plain {
            if bind == first_bind && !(first == Serving::Http && serving == Serving::Http) {
                return Err(format!("port {port} already serves {}", describe(first)));
            }
        } else {
            if serving.is_http() && !server.route_name().is_some_and(|name| self.route_names.insert(name)) {
                return Err(format!("another server of port {port} has the same port name"));
            }
            let is_new = state.tls_binds.insert(bind);
            if server.server.tls.is_none() && !is_new {
                return Err(format!("port {port} already serves TLS"));
            }
        }
        self.join(server, port);
        Ok(())
    }

    /// Hosts of servers with TLS settings tell them apart: none may be there twice.
    fn claim_hosts(&mut self, server: GatewayServerRef<'a>, port: u16) -> Result<(), String> {
        let Some(state) = self.ports.get_mut(&port).filter(|_| server.server.tls.is_some()) else { return Ok(()) };
        let (hosts, bind) = (server.full_hosts(), server.server.bind.as_str());
        let twice: Vec<_> = hosts.iter().filter(|host| state.tls_hosts.get(*host) == Some(&bind)).cloned().collect();
        if !twice.is_empty() {
            return Err(format!("another server of port {port} already has {}", twice.join(", ")));
        }
        state.tls_hosts.extend(hosts.into_iter().map(|host| (host, bind)));
        Ok(())
    }

    fn open(&mut self, server: GatewayServerRef<'a>, port: u16, serving: Serving) -> Result<(), String> {
        let bind = server.server.bind.as_str();
        let hosts = if server.server.tls.is_some() { server.full_hosts() } else { Vec::new() };
        let state = PortState {
            plain: (!serving.is_tls()).then_some((serving, bind)),
            tls_binds: serving.is_tls().then_some(bind).into_iter().collect(),
            tls_hosts: hosts.into_iter().map(|host| (host, bind)).collect(),
        };
        self.ports.insert(port, state);
        self.route_names.extend(server.route_name());
        self.join(server, port);
        Ok(())
    }

    fn join(&mut self, server: GatewayServerRef<'a>, port: u16) {
        let bind = server.server.bind.as_str();
        // Without TLS one listener serves all; with it the protocol tells what to do with a connection.
        let kind = |of: &Server| (Serving::of(of) != Serving::Http).then(|| protocol(of));
        let same = |shared: &&mut SharedPort<'a>| {
            let first = shared.servers.first().map(|first| kind(first.server));
            shared.port == port && shared.bind == bind && first == Some(kind(server.server))
        };
        match self.merged.ports.iter_mut().find(same) {
            Some(shared) => shared.servers.push(server),
            None => self.merged.ports.push(SharedPort { port, bind, servers: vec![server] }),
        }
    }
}

fn number(server: &Server) -> Result<u16, String> {
    let port = server.port.as_ref().ok_or("it names no port")?;
    // A socket of Unix has no port, and is written with 0.
    let has_port = !server.bind.starts_with("unix://");
    let number = u16::try_from(port.number).ok().filter(|number| *number != 0 || !has_port);
    number.ok_or_else(|| "its port is out of range".to_owned())
}

fn protocol(server: &Server) -> String {
    server.port.as_ref().map(|port| port.protocol.to_ascii_uppercase()).unwrap_or_default()
}

const fn describe(serving: Serving) -> &'static str {
    match serving {
        Serving::Http => "HTTP",
        Serving::Tcp => "TCP",
        Serving::Https | Serving::TlsEnded | Serving::TlsPassed => "TLS",
    }
}
