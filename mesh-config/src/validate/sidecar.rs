//! Sidecar.

use std::collections::BTreeMap;

use super::checker::{At, Checker};
use super::common::{self, Scope};
use super::destination_rule::check_connection_pool;
use super::server_tls;
use super::virtual_service::check_subset_name;
use crate::api::Sidecar;
use crate::api::port::Port;
use crate::api::sidecar::{
    CaptureMode, IstioEgressListener, IstioIngressListener, OutboundTrafficPolicy, OutboundTrafficPolicyMode,
};
use crate::api::tls::{ServerTlsMode, ServerTlsSettings};
use crate::resource::Object;
use crate::value::Protocol;
use crate::value::address::{check_ip, check_unix};
use crate::value::host::check_fqdn;
use crate::value::port::{check_port, check_port_name};

pub(super) fn check(cx: &mut Checker<'_>, object: &Object<Sidecar>) {
    let sidecar = &object.spec;
    let spec = At::top("spec");
    if let Some(selector) = &sidecar.workload_selector {
        common::named_selector(cx, &spec.field("workloadSelector").field("labels"), &selector.labels, "sidecar");
    }
    let has_more = sidecar.outbound_traffic_policy.is_some() || sidecar.inbound_connection_pool.is_some();
    if sidecar.ingress.is_empty() && sidecar.egress.is_empty() && !has_more {
        cx.error(&spec, "sidecar: empty configuration provided");
    }
    for (index, listener) in sidecar.ingress.iter().enumerate() {
        let at = spec.field("ingress");
        let at = at.index(index);
        check_ingress(cx, &at, listener);
        let number = |listener: &IstioIngressListener| listener.port.as_ref().map(|port| port.number);
        let is_repeated = sidecar.ingress[..index].iter().any(|other| number(other) == number(listener));
        let is_repeated = is_repeated && listener.port.is_some();
        cx.error_if(is_repeated, &at.field("port"), "sidecar: ports on IP bound listeners must be unique");
    }
    check_all_egress(cx, &spec.field("egress"), &sidecar.egress);
    if let Some(policy) = &sidecar.outbound_traffic_policy {
        check_outbound(cx, &spec.field("outboundTrafficPolicy"), policy);
    }
    if let Some(pool) = &sidecar.inbound_connection_pool {
        check_connection_pool(cx, &spec.field("inboundConnectionPool"), pool);
    }
}

fn check_ingress(cx: &mut Checker<'_>, at: &At<'_>, listener: &IstioIngressListener) {
    let Some(port) = &listener.port else {
        return cx.error(at, "sidecar: port is required for ingress listeners");
    };
    check_name_and_protocol(cx, &at.field("port"), port);
    cx.check(&at.field("port").field("number"), check_port(port.number));
    if !listener.bind.is_empty() {
        cx.check(&at.field("bind"), check_ip(&listener.bind));
    }
    if !listener.default_endpoint.is_empty() {
        cx.check(&at.field("defaultEndpoint"), default_endpoint(&listener.default_endpoint));
    }
    if let Some(tls) = &listener.tls {
        check_ingress_tls(cx, &at.field("tls"), port, tls);
    }
    if let Some(pool) = &listener.connection_pool {
        check_connection_pool(cx, &at.field("connectionPool"), pool);
        let is_http = port.protocol.parse().is_ok_and(Protocol::is_http);
        if pool.http.is_some() && !is_http {
            let Port { number, name, protocol, .. } = port;
            let message = format!(
                "sidecar: HTTP connection pool settings are configured for port {number} ({name:?}) but its protocol is not \
                 HTTP ({protocol}); only TCP settings will apply"
            );
            cx.warn(&at.field("connectionPool").field("http"), message);
        }
    }
}

fn check_name_and_protocol(cx: &mut Checker<'_>, at: &At<'_>, port: &Port) {
    if port.target_port > 0 {
        cx.error(&at.field("targetPort"), "targetPort has no impact on Sidecars");
    }
    if !port.name.is_empty() {
        cx.check(&at.field("name"), check_port_name(&port.name));
    }
    cx.check(&at.field("protocol"), port.protocol.parse::<Protocol>().map_err(|problem| problem.to_string()));
}

fn default_endpoint(endpoint: &str) -> Result<(), String> {
    if let Some(path) = endpoint.strip_prefix("unix://") {
        return check_unix(path);
    }
    let form = "sidecar: defaultEndpoint must be of form 127.0.0.1:<port>,0.0.0.0:<port>,[::1]:port,[::]:port,\
                unix://filepath or unset";
    let (host, port) = endpoint.rsplit_once(':').ok_or_else(|| form.to_owned())?;
    if !matches!(host, "" | "127.0.0.1" | "0.0.0.0" | "[::1]" | "[::]") {
        return Err(form.to_owned());
    }
    let number = port.parse().map_err(|_| format!("sidecar: defaultEndpoint port ({port}) is not a number"))?;
    check_port(number).map(|_| ())
}

fn check_ingress_tls(cx: &mut Checker<'_>, at: &At<'_>, port: &Port, tls: &ServerTlsSettings) {
    for (field, is_set, message) in [
        (
            "subjectAltNames",
            !tls.subject_alt_names.is_empty(),
            "sidecar: subjectAltNames is not supported in ingress tls",
        ),
        ("httpsRedirect", tls.https_redirect, "sidecar: httpsRedirect is not supported"),
        ("credentialName", !tls.credential_name.is_empty(), "sidecar: credentialName is not currently supported"),
        ("credentialNames", !tls.credential_names.is_empty(), "sidecar: credentialNames is not currently supported"),
        ("tlsCertificates", !tls.tls_certificates.is_empty(), "sidecar: tls_certificates is not currently supported"),
    ] {
        cx.error_if(is_set, &at.field(field), message);
    }
    if matches!(tls.mode, ServerTlsMode::IstioMutual | ServerTlsMode::AutoPassthrough) {
        let message = format!("configuration is invalid: cannot set mode to {} in sidecar ingress tls", tls.mode);
        cx.error(&at.field("mode"), message);
    }
    if !port.protocol.parse().is_ok_and(Protocol::is_tls) {
        cx.error(at, "server cannot have TLS settings for non HTTPS/TLS ports");
    }
    server_tls::check(cx, at, tls);
}

fn check_all_egress(cx: &mut Checker<'_>, at: &At<'_>, listeners: &[IstioEgressListener]) {
    for (index, listener) in listeners.iter().enumerate() {
        let at = at.index(index);
        match &listener.port {
            None if index + 1 < listeners.len() => {
                let message = "sidecar: the egress listener with empty port should be the last listener in the list";
                cx.error(&at, message);
            }
            None => {}
            Some(port) => check_egress_port(cx, &at, port, listener, &listeners[..index]),
        }
        check_egress_hosts(cx, &at, &listener.hosts);
    }
}

fn check_egress_port(
    cx: &mut Checker<'_>,
    at: &At<'_>,
    port: &Port,
    listener: &IstioEgressListener,
    earlier: &[IstioEgressListener],
) {
    let at_port = at.field("port");
    check_name_and_protocol(cx, &at_port, port);
    let numbers = || earlier.iter().filter_map(|other| Some((other.port.as_ref()?.number, other.bind.as_str())));
    if port.number != 0 {
        cx.check(&at_port.field("number"), check_port(port.number));
        if !listener.bind.is_empty() {
            cx.check(&at.field("bind"), check_ip(&listener.bind));
        }
        let is_repeated = numbers().any(|(number, _)| number == port.number);
        return cx.error_if(is_repeated, &at_port, "sidecar: ports on IP bound listeners must be unique");
    }
    match listener.bind.strip_prefix("unix://") {
        Some(path) => cx.check(&at.field("bind"), check_unix(path)),
        None => cx.error(&at_port, "sidecar: ports with 0 value must have a unix domain socket bind address"),
    }
    let is_captured = listener.capture_mode == CaptureMode::Iptables;
    let message = "sidecar: captureMode must be DEFAULT/NONE for unix domain socket listeners";
    cx.error_if(is_captured, &at.field("captureMode"), message);
    let is_repeated = numbers().any(|(number, bind)| number == 0 && bind == listener.bind);
    cx.error_if(is_repeated, &at.field("bind"), "sidecar: unix domain socket values for listeners must be unique");
}

fn check_egress_hosts(cx: &mut Checker<'_>, at: &At<'_>, hosts: &[String]) {
    cx.error_if(hosts.is_empty(), at, "sidecar: egress listener must contain at least one host");
    let own = cx.namespace();
    let mut seen: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (index, host) in hosts.iter().enumerate() {
        let at = at.field("hosts");
        let at = at.index(index);
        for problem in common::scoped_host(host, Scope::Sidecar) {
            cx.error(&at, problem);
        }
        let Some((namespace, name)) = host.split_once('/') else { continue };
        // What is left out is no further import.
        if namespace.len() > 1 && namespace.starts_with('~') {
            continue;
        }
        let names = seen.entry(if namespace == "." { own } else { namespace }).or_default();
        if !names.is_empty() && (name == "*" || names.contains(&name) || names.contains(&"*")) {
            cx.warn(&at, format!("duplicated egress host: {host}"));
        }
        names.push(name);
    }
    let takes_all = seen.get("*").is_some_and(|names| names.contains(&"*"));
    if takes_all && seen.keys().any(|namespace| !matches!(*namespace, "*" | "~")) {
        cx.warn(&at.field("hosts"), "`*/*` host select all resources, no other hosts can be added");
    }
}

fn check_outbound(cx: &mut Checker<'_>, at: &At<'_>, policy: &OutboundTrafficPolicy) {
    let Some(proxy) = &policy.egress_proxy else { return };
    let at = at.field("egressProxy");
    if policy.mode != OutboundTrafficPolicyMode::AllowAny {
        return cx.error(&at, "sidecar: egress_proxy must be set only with ALLOW_ANY outbound_traffic_policy mode");
    }
    cx.check(&at.field("host"), check_fqdn(&proxy.host));
    if !proxy.subset.is_empty() {
        cx.check(&at.field("subset"), check_subset_name(&proxy.subset));
    }
    match proxy.port {
        Some(port) => cx.check(&at.field("port").field("number"), check_port(port.number)),
        None => cx.error(&at, "sidecar: egress_proxy port must be non-nil"),
    }
}
