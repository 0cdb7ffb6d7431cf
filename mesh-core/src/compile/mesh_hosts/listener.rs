//! What there is on one port: its services, and which hosts of a VirtualService are among them.

use std::collections::HashMap;

use mesh_config::value::host;

use super::imports::{HostRules, Imports};
use crate::compile::registry::{Port, Service};

/// The services of one port.
#[derive(Debug)]
pub(super) struct Listener<'i, 'a> {
    imports: &'i Imports<'a>,
    pub(super) port: u16,
    pub(super) services: Vec<(&'a Service, &'a Port)>,
    by_host: HashMap<&'a str, usize>,
}

/// The hosts of a VirtualService on one port.
#[derive(Debug, Default)]
pub(super) struct Split<'r> {
    /// Indices of the services of the port that the rules apply to.
    pub(super) services: Vec<usize>,
    /// Hosts that no service of the port has.
    pub(super) literal: Vec<&'r str>,
}

impl<'i, 'a> Listener<'i, 'a> {
    pub(super) fn new(imports: &'i Imports<'a>, port: u16) -> Self {
        let on_port = imports.services.iter().filter_map(|service| Some((*service, service.port(port)?)));
        let services: Vec<_> = on_port.collect();
        let by_host = services.iter().enumerate().map(|(n, (service, _))| (service.host.as_str(), n)).collect();
        Self { imports, port, services, by_host }
    }

    /// The service that takes connections to whatever address: the first on the port that has none of its own, if what
    /// it speaks cannot be told by a host or a server name.
    pub(super) fn carries_all(&self) -> Option<(&'a Service, &'a Port)> {
        let anywhere = |(service, port): &&(&Service, &Port)| !port.protocol.is_tcp() || service.networks.is_empty();
        let (service, port) = self.services.iter().find(anywhere)?;
        (port.protocol.is_tcp() && !port.protocol.is_tls()).then_some((*service, *port))
    }

    /// Sorts the hosts of a VirtualService into services of this port and others.
    ///
    /// A wildcard takes those services that no other host describes better; one that covers any
    /// service of the port, taken or not, is no host of its own.
    pub(super) fn split<'r>(&self, rules: &'r HostRules<'a>) -> Split<'r> {
        let mut split = Split::default();
        let (wildcards, exact): (Vec<_>, Vec<_>) = rules.hosts.iter().partition(|host| host::is_wildcard(host));
        for host in exact {
            match self.by_host.get(host.as_str()) {
                Some(n) => split.services.push(*n),
                None => split.literal.push(host),
            }
        }
        for wildcard in wildcards {
            let mut covers = false;
            for (n, (service, _)) in self.services.iter().enumerate() {
                if host::matches(&service.host, wildcard) {
                    covers = true;
                    if self.imports.is_best_for(&service.host, rules.object) {
                        split.services.push(n);
                    }
                }
            }
            if !covers {
                split.literal.push(wildcard);
            }
        }
        // Where only connections can be seen, rules for HTTP say nothing.
        split.services.retain(|n| !self.services[*n].1.protocol.is_tcp());
        split.services.sort_unstable();
        split.services.dedup();
        split
    }
}
