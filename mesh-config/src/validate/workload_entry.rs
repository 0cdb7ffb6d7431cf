//! WorkloadEntry, alone and as an endpoint of a ServiceEntry.

use std::collections::BTreeSet;

use super::checker::{At, Checker};
use super::common;
use crate::api::WorkloadEntry;
use crate::resource::Object;
use crate::value::host::check_fqdn;
use crate::value::port::{check_port, check_port_name};

pub(super) fn check(cx: &mut Checker<'_>, object: &Object<WorkloadEntry>) {
    check_entry(cx, &At::top("spec"), &object.spec, None, true);
}

/// Checks an endpoint. `ports` are the names that the service has, if it is known.
pub(super) fn check_entry(
    cx: &mut Checker<'_>,
    at: &At<'_>,
    entry: &WorkloadEntry,
    ports: Option<&BTreeSet<&str>>,
    allows_names: bool,
) {
    check_address(cx, at, entry, allows_names);
    common::labels(cx, &at.field("labels"), &entry.labels);
    for (name, port) in &entry.ports {
        let at = at.field("ports");
        let at = at.key(name);
        if ports.is_some_and(|ports| !ports.contains(name.as_str())) {
            cx.error(&at, format!("endpoint port {name} is not defined by the service entry"));
        }
        cx.check(&at, check_port_name(name));
        cx.check(&at, check_port(*port));
    }
}

fn check_address(cx: &mut Checker<'_>, at: &At<'_>, entry: &WorkloadEntry, allows_names: bool) {
    let address = entry.address.as_str();
    let at_address = at.field("address");
    if address.is_empty() {
        return match entry.network.as_str() {
            "" => cx.error(at, "address is required"),
            network => cx.warn(at, format!("address is unset with network {network:?}")),
        };
    }
    if let Some(path) = address.strip_prefix(UNIX) {
        cx.check(&at_address, common::unix_address(path));
        if !entry.ports.is_empty() {
            cx.error(&at.field("ports"), format!("unix endpoint {address} must not include ports"));
        }
    } else if !common::is_ip(address) {
        if !allows_names {
            cx.error(&at_address, format!("endpoint address {address:?} is not a valid IP address"));
        } else if check_fqdn(address).is_err() {
            cx.error(&at_address, format!("endpoint address {address:?} is not a valid FQDN or an IP address"));
        }
    }
}

/// What the address of a unix socket begins with.
pub(super) const UNIX: &str = "unix://";
