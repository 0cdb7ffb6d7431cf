//! WorkloadEntry, alone and as an endpoint of a ServiceEntry.

use std::collections::BTreeSet;

use super::checker::{At, Checker};
use super::common;
use crate::api::WorkloadEntry;
use crate::resource::Object;
use crate::value::address::{check_unix, is_ip};
use crate::value::host::check_fqdn;
use crate::value::port::{check_port, check_port_name};

pub(super) fn check(cx: &mut Checker<'_>, object: &Object<WorkloadEntry>) {
    let (spec, entry) = (At::top("spec"), &object.spec);
    check_address(cx, &spec, entry, Names::Taken);
    check_ports(cx, &spec, entry, None);
    common::labels(cx, &spec.field("labels"), &entry.labels);
}

/// Checks what entries are made of, which have an address of their own.
pub(super) fn check_template(cx: &mut Checker<'_>, at: &At<'_>, template: &WorkloadEntry) {
    if !template.address.is_empty() {
        check_address(cx, at, template, Names::Taken);
    }
    check_ports(cx, at, template, None);
    common::labels(cx, &at.field("labels"), &template.labels);
}

/// What becomes of an address that is a name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    Taken,
    Refused,
    /// It is looked up, so that there has to be a name or an IP address, and no socket.
    Looked,
}

/// Checks an endpoint of a service with ports of these names.
pub(super) fn check_endpoint(
    cx: &mut Checker<'_>,
    at: &At<'_>,
    entry: &WorkloadEntry,
    service: &BTreeSet<&str>,
    names: Names,
) {
    check_address(cx, at, entry, names);
    check_ports(cx, at, entry, Some(service));
    common::labels(cx, &at.field("labels"), &entry.labels);
    if names == Names::Refused && entry.address.starts_with(UNIX) && service.len() != 1 {
        cx.error(&at.field("address"), "exactly 1 service port required for unix endpoints");
    }
}

fn check_ports(cx: &mut Checker<'_>, at: &At<'_>, entry: &WorkloadEntry, service: Option<&BTreeSet<&str>>) {
    for (name, port) in &entry.ports {
        let at = at.field("ports");
        let at = at.key(name);
        if service.is_some_and(|service| !service.contains(name.as_str())) {
            cx.error(&at, format!("endpoint port {port} is not defined by the service entry"));
        }
        cx.check(&at, check_port_name(name));
        cx.check(&at, check_port(*port));
    }
}

fn check_address(cx: &mut Checker<'_>, at: &At<'_>, entry: &WorkloadEntry, names: Names) {
    let address = entry.address.as_str();
    let at_address = at.field("address");
    match address.strip_prefix(UNIX) {
        Some(path) if names != Names::Looked => {
            cx.check(&at_address, check_unix(path));
            if !entry.ports.is_empty() {
                cx.error(&at.field("ports"), format!("unix endpoint {address} must not include ports"));
            }
        }
        _ if address.is_empty() && names != Names::Looked => match entry.network.as_str() {
            "" => cx.error(at, "address is required"),
            network => cx.warn(at, format!("address is unset with network {network:?}")),
        },
        _ if is_ip(address) => {}
        _ if names == Names::Refused => {
            cx.error(&at_address, format!("endpoint address {address:?} is not a valid IP address"));
        }
        _ if check_fqdn(address).is_err() => {
            cx.error(&at_address, format!("endpoint address {address:?} is not a valid FQDN or an IP address"));
        }
        _ => {}
    }
}

/// What the address of a unix socket begins with.
const UNIX: &str = "unix://";
