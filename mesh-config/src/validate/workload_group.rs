//! WorkloadGroup.

use super::checker::{At, Checker};
use super::{common, workload_entry};
use crate::api::WorkloadGroup;
use crate::api::workload_group::ReadinessProbe;
use crate::resource::Object;
use crate::value::header::check_strict_name;
use crate::value::labels;
use crate::value::port::check_port;

pub(super) fn check(cx: &mut Checker<'_>, object: &Object<WorkloadGroup>) {
    let spec = At::top("spec");
    match &object.spec.template {
        None => cx.error(&spec, "template is required"),
        // Istio leaves a template to the entries made of it. The address comes with each of them.
        Some(template) => cx.unchecked(|cx| workload_entry::check_template(cx, &spec.field("template"), template)),
    }
    if let Some(metadata) = &object.spec.metadata {
        for problem in labels::check(&metadata.labels) {
            let at = spec.field("metadata");
            cx.error(&at.field("labels"), format!("invalid labels: {problem}"));
        }
    }
    if let Some(probe) = &object.spec.probe {
        check_probe(cx, &spec.field("probe"), probe);
    }
}

fn check_probe(cx: &mut Checker<'_>, at: &At<'_>, probe: &ReadinessProbe) {
    for (field, seconds) in [
        ("periodSeconds", probe.period_seconds),
        ("initialDelaySeconds", probe.initial_delay_seconds),
        ("timeoutSeconds", probe.timeout_seconds),
        ("successThreshold", probe.success_threshold),
        ("failureThreshold", probe.failure_threshold),
    ] {
        common::not_negative(cx, &at.field(field), seconds, field);
    }
    if let Some(http) = &probe.http_get {
        let at = at.field("httpGet");
        cx.check(&at.field("port"), check_port(http.port));
        if !matches!(http.scheme.as_str(), "" | "HTTP" | "HTTPS") {
            cx.error(&at.field("scheme"), r#"httpGet.scheme must be one of "HTTPS", "HTTP""#);
        }
        for (index, header) in http.http_headers.iter().enumerate() {
            let at = at.field("httpHeaders");
            cx.check(&at.index(index).field("name"), check_strict_name(&header.name));
        }
    } else if let Some(tcp) = &probe.tcp_socket {
        cx.check(&at.field("tcpSocket").field("port"), check_port(tcp.port));
    } else if let Some(exec) = &probe.exec {
        cx.error_if(exec.command.is_empty(), &at.field("exec"), "exec.command is required");
    } else {
        let kind = if probe.grpc.is_some() { "*v1alpha3.ReadinessProbe_Grpc" } else { "<nil>" };
        cx.error(at, format!("unknown health check method {kind}"));
    }
}
