//! Clients that speak TLS otherwise than the server takes it.

use std::collections::HashMap;

use super::peer_mode::{Mode, PeerModes};
use super::{Analyzer, CLUSTER_DOMAIN, Context};
use crate::api::DestinationRule;
use crate::api::peer_authentication::MutualTlsMode;
use crate::api::service_entry::Location;
use crate::api::tls::{ClientTlsMode, ClientTlsSettings};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::resource::{Kind, Object};
use crate::validate::{At, Checker};
use crate::value::Labels;
use crate::value::host::resolve_short_name;

/// `MESH0601`: `tls.mode` of a DestinationRule against what a PeerAuthentication demands of the workloads behind the host.
pub(super) struct TlsConflict;

impl Analyzer for TlsConflict {
    fn name(&self) -> &'static str {
        "mesh.TlsConflict"
    }

    fn codes(&self) -> &'static [Code] {
        &[Code::TLS_CONFLICT]
    }

    fn analyze(&self, context: &Context<'_>, out: &mut Report) {
        let set = context.set;
        let servers = Servers::of(context);
        for rule in set.destination_rules() {
            let host = resolve_short_name(&rule.spec.host, &rule.meta.namespace, CLUSTER_DOMAIN);
            if let Some(mode) = servers.mode(&host) {
                check(rule, &host, &mode, out);
            }
        }
    }
}

/// What is known about the workloads behind hosts.
struct Servers<'a> {
    modes: PeerModes<'a>,
    /// Namespace and labels of the workloads of a host that is surely a part of the mesh.
    hosts: HashMap<String, (&'a str, Labels)>,
}

impl<'a> Servers<'a> {
    fn of(context: &Context<'a>) -> Self {
        let set = context.set;
        let mut hosts = HashMap::new();
        for service in set.services().filter(|service| !service.spec.selector.is_empty()) {
            let host = format!("{}.{}.svc.{CLUSTER_DOMAIN}", service.meta.name, service.meta.namespace);
            hosts.insert(host, (service.meta.namespace.as_str(), service.spec.selector.clone()));
        }
        for entry in set.service_entries().filter(|entry| entry.spec.location == Location::MeshInternal) {
            let selector = entry.spec.workload_selector.as_ref();
            let labels = selector.map(|selector| selector.labels.clone()).unwrap_or_default();
            for host in &entry.spec.hosts {
                hosts.insert(host.clone(), (entry.meta.namespace.as_str(), labels.clone()));
            }
        }
        Self { modes: PeerModes::of(context), hosts }
    }

    /// The mode of a host's workloads, where a policy says it.
    fn mode(&self, host: &str) -> Option<Mode<'a>> {
        if let Some((namespace, labels)) = self.hosts.get(host) {
            return self.modes.of_workloads(namespace, labels).filter(|mode| mode.by.is_some());
        }
        // Without the Service a host of a namespace may still be one without sidecar, so that only a policy of that very
        // namespace counts.
        let suffix = host.strip_suffix(CLUSTER_DOMAIN)?.strip_suffix(".svc.")?;
        let (name, namespace) = suffix.split_once('.')?;
        let mode = self.modes.of_workloads(namespace, &Labels::new())?;
        let is_own = mode.by.is_some_and(|policy| policy.meta.namespace == namespace && !self.modes.is_root(namespace));
        (is_own && !name.starts_with('*') && !namespace.contains('.')).then_some(mode)
    }
}

fn check(rule: &Object<DestinationRule>, host: &str, mode: &Mode<'_>, out: &mut Report) {
    let cx = &mut Checker::new(Kind::DestinationRule, &rule.meta, &rule.origin, out);
    let spec = At::top("spec");
    let mut check = |at: &At<'_>, tls: Option<&ClientTlsSettings>| {
        if let Some(finding) = tls.and_then(|tls| conflict(tls.mode, mode, host)) {
            cx.push(&at.field("tls").field("mode"), finding);
        }
    };
    if let Some(policy) = &rule.spec.traffic_policy {
        let at = spec.field("trafficPolicy");
        check(&at, policy.tls.as_ref());
        for (index, port) in policy.port_level_settings.iter().enumerate() {
            check(&at.field("portLevelSettings").index(index), port.tls.as_ref());
        }
    }
    for (index, subset) in rule.spec.subsets.iter().enumerate() {
        let Some(policy) = &subset.traffic_policy else { continue };
        let at = spec.field("subsets");
        let at = at.index(index);
        check(&at.field("trafficPolicy"), policy.tls.as_ref());
    }
}

fn conflict(client: ClientTlsMode, server: &Mode<'_>, host: &str) -> Option<Diagnostic> {
    let effect = match (client, server.mode) {
        (ClientTlsMode::Disable, MutualTlsMode::Strict) => {
            "the server closes the connection without an answer: 503 UC for every request"
        }
        (ClientTlsMode::Simple, MutualTlsMode::Strict) => {
            "the server ends the handshake for want of a client certificate: 503 UF for every request"
        }
        (ClientTlsMode::Simple | ClientTlsMode::IstioMutual, MutualTlsMode::Disable) => {
            "the server takes plain text only, so that the handshake fails: 503 UF for every request"
        }
        _ => return None,
    };
    let message = format!("tls.mode {} does not go with what {host} takes: {}", client.as_str(), server.text());
    let finding = Diagnostic::warning(Code::TLS_CONFLICT, message).effect(effect);
    Some(
        finding.help(
            "leave `tls` out, so that the mesh chooses by what the server takes, or change the PeerAuthentication",
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::super::testing::{object, only, places};
    use super::*;

    const NONE: [&str; 0] = [];
    const FOUND: [&str; 1] = ["MESH0601 warning spec.trafficPolicy.tls.mode"];

    fn client(mode: &str) -> String {
        object("DestinationRule", "r", &format!("{{host: r, trafficPolicy: {{tls: {{mode: {mode}}}}}}}"))
    }

    fn server(mode: &str) -> String {
        object("PeerAuthentication", "m", &format!("{{mtls: {{mode: {mode}}}}}"))
    }

    #[test]
    fn plain_text_does_not_go_with_strict_nor_tls_with_disable() {
        for (one, other, conflicts) in [
            ("DISABLE", "STRICT", true),
            ("SIMPLE", "STRICT", true),
            ("ISTIO_MUTUAL", "STRICT", false),
            ("DISABLE", "PERMISSIVE", false),
            ("DISABLE", "DISABLE", false),
            ("ISTIO_MUTUAL", "DISABLE", true),
        ] {
            let found = places(&TlsConflict, &format!("{}{}", client(one), server(other)));
            assert_eq!(found == FOUND, conflicts, "{one} {other}: {found:?}");
        }
        assert_eq!(places(&TlsConflict, &client("DISABLE")), NONE);
    }

    #[test]
    fn of_a_mesh_wide_policy_only_a_service_with_workloads_is_sure_to_be_meant() {
        let mesh = server("STRICT").replace("namespace: a", "namespace: istio-system");
        let yaml = format!("{}{mesh}", client("DISABLE"));
        assert_eq!(places(&TlsConflict, &yaml), NONE);
        let service = object("Service", "r", "{selector: {app: r}, ports: [{port: 80}]}");
        assert_eq!(places(&TlsConflict, &format!("{yaml}{service}")), FOUND);
        let api = object("Service", "r", "{ports: [{port: 443}]}");
        assert_eq!(places(&TlsConflict, &format!("{yaml}{api}")), NONE);
    }

    #[test]
    fn a_policy_for_other_workloads_does_not_count() {
        let policy = object("PeerAuthentication", "m", "{selector: {matchLabels: {app: s}}, mtls: {mode: STRICT}}");
        let service = object("Service", "r", "{selector: {app: r}, ports: [{port: 80}]}");
        let yaml = format!("{}{service}", client("DISABLE"));
        assert_eq!(places(&TlsConflict, &format!("{yaml}{policy}")), NONE);
        let finding = only(&TlsConflict, &format!("{yaml}{}", policy.replace("app: s", "app: r")));
        assert!(finding.message.ends_with("PeerAuthentication a/m says STRICT"), "{finding}");
    }
}
