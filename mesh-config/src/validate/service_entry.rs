//! ServiceEntry.

use std::collections::BTreeSet;

use super::checker::{At, Checker};
use super::common::{self, Exported};
use super::workload_entry::{self, Names};
use crate::api::ServiceEntry;
use crate::api::service_entry::{Resolution, ServicePort};
use crate::resource::Object;
use crate::value::Protocol;
use crate::value::address::check_subnet;
use crate::value::host::{check_fqdn, check_wildcard_domain, is_partial_wildcard, is_wildcard};
use crate::value::port::{check_port, check_port_name};

pub(super) fn check(cx: &mut Checker<'_>, object: &Object<ServiceEntry>) {
    let entry = &object.spec;
    let spec = At::top("spec");
    if let Some(selector) = &entry.workload_selector {
        common::named_selector(cx, &spec.field("workloadSelector").field("labels"), &selector.labels, "service entry");
        if !entry.endpoints.is_empty() {
            let message = "only one of WorkloadSelector or Endpoints is allowed in Service Entry";
            cx.error(&spec.field("endpoints"), message);
        }
    }
    check_hosts(cx, &spec, entry);
    check_addresses(cx, &spec.field("addresses"), entry);
    check_ports(cx, &spec.field("ports"), entry, gets_addresses(object));
    check_resolution(cx, &spec, entry);
    check_several_hosts(cx, &spec, entry);
    common::export_to(cx, &spec.field("exportTo"), &entry.export_to, Exported::ServiceEntry);
}

fn check_hosts(cx: &mut Checker<'_>, spec: &At<'_>, entry: &ServiceEntry) {
    cx.error_if(entry.hosts.is_empty(), spec, "service entry must have at least one host");
    for (index, host) in entry.hosts.iter().enumerate() {
        let at = spec.field("hosts");
        let at = at.index(index);
        match host.as_str() {
            "*" => cx.error(&at, "invalid host *"),
            host => cx.check(&at, check_wildcard_domain(host)),
        }
        if is_partial_wildcard(host) && entry.resolution != Resolution::DynamicDns {
            cx.warn(&at, format!("partial wildcard {host:?} not allowed"));
        }
    }
}

fn check_addresses(cx: &mut Checker<'_>, at: &At<'_>, entry: &ServiceEntry) {
    for (index, address) in entry.addresses.iter().enumerate() {
        cx.check(&at.index(index), check_subnet(address));
        if address.contains('/') && !matches!(entry.resolution, Resolution::None | Resolution::Static) {
            cx.error(&at.index(index), "CIDR addresses are allowed only for NONE/STATIC resolution types");
        }
    }
}

/// Whether Istio makes up an address where none is given: not without resolution, and not if a label says so.
fn gets_addresses(object: &Object<ServiceEntry>) -> bool {
    const LABEL: &str = "networking.istio.io/enable-autoallocate-ip";
    let is_off = object.meta.labels.get(LABEL).is_some_and(|value| value.eq_ignore_ascii_case("false"));
    object.spec.resolution != Resolution::None && !is_off
}

fn check_ports(cx: &mut Checker<'_>, at: &At<'_>, entry: &ServiceEntry, gets_addresses: bool) {
    for (index, port) in entry.ports.iter().enumerate() {
        let earlier = &entry.ports[..index];
        let at = at.index(index);
        if earlier.iter().any(|other| other.name == port.name) {
            cx.error(&at.field("name"), format!("service entry port name {:?} already defined", port.name));
        }
        if earlier.iter().any(|other| other.number == port.number) {
            cx.error(&at.field("number"), format!("service entry port {} already defined", port.number));
        }
        if port.target_port != 0 {
            cx.check(&at.field("targetPort"), check_port(port.target_port));
        }
        let needs_address = entry.addresses.is_empty() && !gets_addresses;
        if needs_address && matches!(port.protocol.as_str(), "" | "TCP") {
            let message = "addresses are required for ports serving TCP (or unset) protocol when IP Autoallocation is not enabled";
            cx.warn(&at, message);
        }
        cx.check(&at.field("name"), check_port_name(&port.name));
        cx.check(&at.field("protocol"), port.protocol.parse::<Protocol>().map_err(|problem| problem.to_string()));
        cx.check(&at.field("number"), check_port(port.number));
    }
}

fn protocol(port: &ServicePort) -> Option<Protocol> {
    port.protocol.parse().ok()
}

fn check_resolution(cx: &mut Checker<'_>, spec: &At<'_>, entry: &ServiceEntry) {
    match entry.resolution {
        Resolution::None => {
            let has_endpoints = !entry.endpoints.is_empty();
            cx.error_if(
                has_endpoints,
                &spec.field("endpoints"),
                "no endpoints should be provided for resolution type none",
            );
            if entry.workload_selector.is_some() {
                let message = "workloadSelector should not be set when resolution mode is NONE";
                cx.warn(&spec.field("workloadSelector"), message);
            }
        }
        Resolution::Static => check_endpoints(cx, spec, entry, Names::Refused),
        Resolution::Dns | Resolution::DnsRoundRobin => check_dns(cx, spec, entry),
        Resolution::DynamicDns => check_dynamic(cx, spec, entry),
    }
}

fn check_endpoints(cx: &mut Checker<'_>, spec: &At<'_>, entry: &ServiceEntry, names: Names) {
    let ports: BTreeSet<&str> = entry.ports.iter().map(|port| port.name.as_str()).collect();
    for (index, endpoint) in entry.endpoints.iter().enumerate() {
        workload_entry::check_endpoint(cx, &spec.field("endpoints").index(index), endpoint, &ports, names);
    }
}

fn check_dns(cx: &mut Checker<'_>, spec: &At<'_>, entry: &ServiceEntry) {
    let mode = entry.resolution;
    if entry.endpoints.is_empty() {
        for (index, host) in entry.hosts.iter().enumerate() {
            if let Err(problem) = check_fqdn(host) {
                let message = format!(
                    "hosts must be FQDN or contain only prefix wildcards if no endpoints are provided for resolution mode \
                     {mode}, {problem}"
                );
                cx.error(&spec.field("hosts").index(index), message);
            }
        }
    }
    if mode == Resolution::DnsRoundRobin && entry.endpoints.len() > 1 {
        let message = format!("there must only be 0 or 1 endpoint for resolution mode {mode}");
        cx.error(&spec.field("endpoints"), message);
    }
    check_endpoints(cx, spec, entry, Names::Looked);
}

/// The name is looked up for each request, so there is nothing to list.
fn check_dynamic(cx: &mut Checker<'_>, spec: &At<'_>, entry: &ServiceEntry) {
    for (index, host) in entry.hosts.iter().enumerate().filter(|(_, host)| !is_wildcard(host)) {
        let message = format!("hosts must be wildcards for resolution mode DYNAMIC_DNS, found {host:?}");
        cx.error(&spec.field("hosts").index(index), message);
    }
    let has_addresses = !entry.addresses.is_empty();
    cx.error_if(
        has_addresses,
        &spec.field("addresses"),
        "no addresses should be provided for resolution type DYNAMIC_DNS",
    );
    let has_endpoints = !entry.endpoints.is_empty();
    cx.error_if(
        has_endpoints,
        &spec.field("endpoints"),
        "no endpoints should be provided for resolution type DYNAMIC_DNS",
    );
    for (index, port) in entry.ports.iter().enumerate() {
        if protocol(port).is_some_and(|protocol| !protocol.is_http() && !protocol.is_tls()) {
            let message = "only HTTP and TLS protocols are supported for resolution mode DYNAMIC_DNS";
            cx.error(&spec.field("ports").index(index).field("protocol"), message);
        }
    }
}

/// Connections without a name in them cannot be told apart by host.
fn check_several_hosts(cx: &mut Checker<'_>, spec: &At<'_>, entry: &ServiceEntry) {
    if entry.hosts.len() < 2 {
        return;
    }
    let protocols = || entry.ports.iter().filter_map(protocol);
    let is_opaque = |protocol: Protocol| !protocol.is_http() && !protocol.is_tls();
    if entry.resolution != Resolution::None && protocols().any(is_opaque) {
        cx.error(&spec.field("hosts"), "multiple hosts provided with non-HTTP, non-TLS ports");
    }
    let is_looked_up = matches!(entry.resolution, Resolution::Dns | Resolution::DnsRoundRobin);
    if is_looked_up && !entry.addresses.is_empty() && protocols().any(Protocol::is_tcp) {
        let message =
            "service entry can not have more than one host specified simultaneously with address and tcp port";
        cx.warn(&spec.field("hosts"), message);
    }
}
