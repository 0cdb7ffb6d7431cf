//! TCP ports of hosts that no address tells apart.

use serde_json::Value;

use super::{Analyzer, Context};
use crate::api::MeshConfig;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::resource::Kind;
use crate::validate::{At, Checker};

/// `IST0134`.
pub(super) struct ServiceEntryAddresses;

impl Analyzer for ServiceEntryAddresses {
    fn name(&self) -> &'static str {
        "serviceentry.Analyzer"
    }

    fn codes(&self) -> &'static [Code] {
        &[Code::ADDRESSES_REQUIRED]
    }

    fn analyze(&self, context: &Context<'_>, out: &mut Report) {
        if context.mesh_config().is_some_and(allocates_addresses) {
            return;
        }
        for entry in context.set.service_entries() {
            if !entry.spec.addresses.is_empty() || !entry.status.addresses.is_empty() {
                continue;
            }
            let cx = &mut Checker::new(Kind::ServiceEntry, &entry.meta, &entry.origin, out);
            for (index, port) in entry.spec.ports.iter().enumerate() {
                if port.protocol.is_empty() || port.protocol.eq_ignore_ascii_case("TCP") {
                    let message = "ServiceEntry addresses are required for this protocol.";
                    let finding = Diagnostic::warning(Code::ADDRESSES_REQUIRED, message)
                        .effect(
                            "connections are told apart by their port alone: those to other hosts on it come here, too",
                        )
                        .help("addresses: [the addresses of the host], or a protocol that names the host (HTTP, TLS)");
                    cx.push(&At::top("spec").field("ports").index(index), finding);
                }
            }
        }
    }
}

/// Whether hosts without addresses get one of their own.
fn allocates_addresses(mesh: &MeshConfig) -> bool {
    let metadata = mesh.default_config.as_ref().map(|config| &config.proxy_metadata);
    let is_on = |name: &str| match metadata.and_then(|metadata| metadata.get(name)) {
        Some(Value::String(text)) => text == "true",
        Some(value) => value == &Value::Bool(true),
        None => false,
    };
    is_on("ISTIO_META_DNS_CAPTURE") && (is_on("ISTIO_META_DNS_AUTO_ALLOCATE") || is_on("PILOT_ENABLE_IP_AUTOALLOCATE"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::tests::found;

    fn entry(spec: &str, rest: &str) -> String {
        format!(
            "{{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {{name: e, namespace: a}}, \
             spec: {{hosts: [e.com], {spec}}}{rest}}}\n"
        )
    }

    #[test]
    fn each_port_of_tcp_needs_an_address() {
        let ports =
            "ports: [{number: 1, name: a, protocol: tcp}, {number: 2, name: b}, {number: 3, name: c, protocol: TLS}]";
        assert_eq!(
            found(&ServiceEntryAddresses, &entry(ports, "")),
            ["IST0134 ServiceEntry a/e spec.ports[0]", "IST0134 ServiceEntry a/e spec.ports[1]"]
        );
        assert_eq!(found(&ServiceEntryAddresses, &entry(&format!("{ports}, addresses: [10.0.0.1]"), "")), [""; 0]);
        let assigned = entry(ports, ", status: {addresses: [{value: 240.240.0.1}]}");
        assert_eq!(found(&ServiceEntryAddresses, &assigned), [""; 0]);
    }

    #[test]
    fn the_mesh_may_give_hosts_addresses_of_their_own() {
        let text = |capture: &str| {
            entry("ports: [{number: 1, name: a, protocol: TCP}]", "")
                + &format!(
                    "---\ndefaultConfig: {{proxyMetadata: {{ISTIO_META_DNS_CAPTURE: '{capture}', ISTIO_META_DNS_AUTO_ALLOCATE: 'true'}}}}\n"
                )
        };
        assert_eq!(found(&ServiceEntryAddresses, &text("true")), [""; 0]);
        assert_eq!(found(&ServiceEntryAddresses, &text("false")), ["IST0134 ServiceEntry a/e spec.ports[0]"]);
    }
}
