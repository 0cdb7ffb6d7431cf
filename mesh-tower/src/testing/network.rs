//! A network without sockets: which endpoint an address or a name leads to.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};
use mesh_core::cluster::EndpointAddress;
use tokio::io::DuplexStream;

use super::endpoint::Endpoint;
use crate::discovery::{Addresses, Discovery};

/// Connects addresses with endpoints.
#[derive(Debug, Default)]
pub(crate) struct Switchboard {
    /// Endpoints that have an address of their own, whatever the port.
    hosts: HashMap<IpAddr, Arc<Endpoint>>,
    ports: HashMap<SocketAddr, Arc<Endpoint>>,
    names: HashMap<String, Vec<IpAddr>>,
    given: u32,
}

impl Switchboard {
    /// An address that nobody has.
    pub(super) fn new_address(&mut self) -> IpAddr {
        self.given += 1;
        let [_, high, middle, low] = self.given.to_be_bytes();
        // A range that is kept for tests of networks is not large enough.
        Ipv4Addr::new(10, high, middle, low).into()
    }

    pub(super) fn plug(&mut self, address: IpAddr, endpoint: &Arc<Endpoint>) {
        self.hosts.insert(address, Arc::clone(endpoint));
    }

    pub(super) fn plug_at(&mut self, address: SocketAddr, endpoint: &Arc<Endpoint>) {
        self.ports.insert(address, Arc::clone(endpoint));
    }

    pub(super) fn name(&mut self, host: &str, address: IpAddr) {
        self.names.entry(host.to_owned()).or_default().push(address);
    }

    /// Opens a connection; nobody listens where there is no endpoint.
    pub(crate) async fn connect(&self, address: &EndpointAddress) -> io::Result<DuplexStream> {
        match self.at(address) {
            Some(endpoint) => Arc::clone(endpoint).connect().await,
            None => Err(io::ErrorKind::ConnectionRefused.into()),
        }
    }

    pub(super) fn at(&self, address: &EndpointAddress) -> Option<&Arc<Endpoint>> {
        let EndpointAddress::Socket(address) = address else { return None };
        self.ports.get(address).or_else(|| self.hosts.get(&address.ip()))
    }

    fn resolve(&self, host: &str, port: u16) -> Vec<SocketAddr> {
        if let Ok(address) = host.parse() {
            return vec![SocketAddr::new(address, port)];
        }
        let found = self.names.get(&host.trim_end_matches('.').to_ascii_lowercase());
        found.into_iter().flatten().map(|address| SocketAddr::new(*address, port)).collect()
    }
}

/// The names of a test.
#[derive(Debug)]
pub(super) struct Names(pub(super) Arc<Switchboard>);

impl Discovery for Names {
    fn watch(&self, host: &str, port: u16, _refresh: Duration) -> Addresses {
        Addresses::fixed(self.0.resolve(host, port))
    }

    fn once(&self, host: &str, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let found = self.0.resolve(host, port);
        let found = if found.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(found) };
        ready(found).boxed()
    }
}
