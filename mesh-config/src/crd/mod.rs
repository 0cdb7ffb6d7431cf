//! The verdict that the Kubernetes API server gives by Istio's CRDs, before any webhook is asked.
//!
//! A CRD has the types, bounds and names of the fields and some rules between them. Here they are tables, one file a
//! kind; [`check`] walks a parsed document along the table of its kind. Fields that no kind has are the reader's to
//! report. Not checked here: `metadata`, which every kind of Kubernetes shares, and `status`, which the API server drops
//! from what users write.

mod at;
mod help;
mod rule;
mod schema;
mod value;
mod walk;

mod authorization_policy;
mod connection_pool;
mod destination_rule;
mod gateway;
mod load_balancer;
mod peer_authentication;
mod port;
mod proxy_config;
mod request_authentication;
mod selector;
mod server_tls;
mod service_entry;
mod sidecar;
mod telemetry;
mod virtual_service;
mod workload_entry;
mod workload_group;

#[cfg(test)]
mod tests;

use self::at::At;
use self::schema::Schema;
use self::value::Value;
use self::walk::Walk;
use crate::diagnostic::FieldPath;
use crate::locate::{NodeId, Tree};
use crate::resource::Kind;

/// What the API server objects to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) path: FieldPath,
    pub(crate) about: Objection,
    /// The API server's text.
    pub(crate) message: String,
    pub(crate) help: Option<String>,
    /// Whether it is about the name of the field rather than its value.
    pub(crate) at_key: bool,
}

/// Whether the reader may have the same to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Objection {
    /// A value of another type.
    Type,
    /// The number of a name: protobuf's JSON takes it, the CRD does not.
    Number,
    /// A field under a name that protobuf knows and the CRD does not.
    Name,
    /// Anything else.
    Rule,
}

impl Finding {
    fn new(at: &At<'_>, about: Objection, message: String, help: Option<String>) -> Self {
        Self { path: at.path(), about, message, help, at_key: false }
    }
}

/// What the CRD of a kind objects to in a document whose top node is `root`; nothing for kinds that are not Istio's.
pub(crate) fn check(kind: Kind, tree: &Tree, root: NodeId) -> Vec<Finding> {
    let Some((schema, needs_spec)) = schema_of(kind) else { return Vec::new() };
    let mut walk = Walk { found: Vec::new(), is_cut: false };
    let at = At::root("spec");
    match Value::new(tree, root).get("spec") {
        Some(spec) => walk.check(schema, spec, &at),
        None if needs_spec => {
            let help = Some("write a `spec`".to_owned());
            let missing = Finding::new(&at, Objection::Rule, "spec: Required value".to_owned(), help);
            walk.found.push(Finding { at_key: true, ..missing });
        }
        None => {}
    }
    walk.found
}

/// The schema of a kind's spec, and whether there has to be one.
fn schema_of(kind: Kind) -> Option<(&'static Schema, bool)> {
    Some(match kind {
        Kind::VirtualService => (&virtual_service::SPEC, false),
        Kind::DestinationRule => (&destination_rule::SPEC, false),
        Kind::Gateway => (&gateway::SPEC, false),
        Kind::Sidecar => (&sidecar::SPEC, false),
        Kind::ServiceEntry => (&service_entry::SPEC, true),
        Kind::WorkloadEntry => (&workload_entry::SPEC, true),
        Kind::WorkloadGroup => (&workload_group::SPEC, true),
        Kind::ProxyConfig => (&proxy_config::SPEC, false),
        Kind::AuthorizationPolicy => (&authorization_policy::SPEC, false),
        Kind::PeerAuthentication => (&peer_authentication::SPEC, false),
        Kind::RequestAuthentication => (&request_authentication::SPEC, false),
        Kind::Telemetry => (&telemetry::SPEC, false),
        _ => return None,
    })
}
