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
                        .effect("connections are told apart by their port alone: those to other hosts on it come here, too")
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
