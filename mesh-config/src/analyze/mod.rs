//! Findings that need more than one object, one file per analyzer.
//!
//! A new analyzer is a file with a type that implements [`Analyzer`], and an entry in [`ANALYZERS`]. What breaks a
//! rule within one object belongs to [`crate::validate`].
//!
//! Much of what `istioctl analyze` finds is something missing: a service, a pod, a secret. Whether that is a finding depends
//! on how much of the cluster is at hand, which [`Options`] say:
//!
//! ```
//! use mesh_config::analyze::{Inventory, Options};
//! use mesh_config::{ConfigSet, parse};
//!
//! let (documents, _) = parse("reviews.yaml", "
//! apiVersion: networking.istio.io/v1
//! kind: VirtualService
//! metadata: {name: reviews}
//! spec: {hosts: [reviews], http: [{route: [{destination: {host: reviews}}]}]}
//! ");
//! let (set, _) = ConfigSet::from_documents(documents);
//! // The service may be in another file.
//! assert!(set.analyze().is_empty());
//! // In a whole cluster it is not.
//! let found = set.analyze_with(&Options::default().inventory(Inventory::Cluster));
//! assert_eq!(found.iter().map(|finding| finding.code.as_str()).collect::<Vec<_>>(), ["IST0101"]);
//! ```

mod authorization_policies;
mod blocked_cidrs;
mod ca_certificates;
mod certificate;
mod claim_routes;
mod conditions;
mod conflicting_gateways;
mod conflicting_hosts;
mod context;
mod default_telemetries;
mod deprecated;
mod destination_hosts;
mod destination_subsets;
mod destinations;
mod gateway_certificates;
mod gateway_ports;
mod gateway_secrets;
mod gateway_selectors;
mod impossible_ejection;
mod lightstep;
mod many_tries;
mod mirror_loop;
mod options;
mod selector_conflicts;
mod service_entry_addresses;
mod service_entry_protocols;
mod services;
mod sidecar_selectors;
mod subset_pods;
mod telemetry_providers;
mod telemetry_selectors;
mod virtual_service_gateways;
mod whole_pool_ejection;
mod workloads;

// Ours, beyond what Istio's own analyzers find, and what they share.
mod cover;
mod doubled_mirror;
mod empty_subset;
mod endpoints;
mod evaded_denial;
mod fault_and_retries;
mod identity_without_mtls;
mod open_policy;
mod overruled_peer_mode;
mod partial_regex;
mod pattern;
mod peer_mode;
mod port_policy;
mod repeated_post;
mod rewrite_slashes;
mod rules;
mod shadowed_routes;
mod split_match;
mod tls_conflict;
mod tries_over_timeout;
mod unmatchable;
mod unmatchable_principal;
mod weights;
mod without_mesh;

pub use self::context::Context;
pub use self::options::{Inventory, Options};

use std::collections::HashSet;

use crate::diagnostic::{Code, Diagnostic, Report};
use crate::set::ConfigSet;

/// Something that looks at all objects together.
pub trait Analyzer: Sync {
    /// What `istioctl analyze --analyzer` calls it; `mesh.` and the type for one of our own.
    fn name(&self) -> &'static str;

    /// The codes that it may report.
    fn codes(&self) -> &'static [Code];

    /// Whether all that it finds depends on what else there is in the cluster, so that it only runs with
    /// [`Inventory::Cluster`].
    fn needs_cluster(&self) -> bool {
        false
    }

    /// Looks, and reports.
    fn analyze(&self, context: &Context<'_>, out: &mut Report);
}

/// Every analyzer, in the order in which they run.
pub static ANALYZERS: &[&dyn Analyzer] = &[
    &virtual_service_gateways::VirtualServiceGateways,
    &destination_hosts::DestinationHosts,
    &destination_subsets::DestinationSubsets,
    &conflicting_hosts::ConflictingHosts,
    &claim_routes::ClaimRoutes,
    &subset_pods::SubsetPods,
    &ca_certificates::CaCertificates,
    &impossible_ejection::ImpossibleEjection,
    &service_entry_addresses::ServiceEntryAddresses,
    &service_entry_protocols::ServiceEntryProtocols,
    &conflicting_gateways::ConflictingGateways,
    &gateway_ports::GatewayPorts,
    &gateway_secrets::GatewaySecrets,
    &gateway_certificates::GatewayCertificates,
    &gateway_selectors::GatewaySelectors,
    &sidecar_selectors::SidecarSelectors,
    &telemetry_selectors::TelemetrySelectors,
    &default_telemetries::DefaultTelemetries,
    &telemetry_providers::TelemetryProviders,
    &lightstep::Lightstep,
    &authorization_policies::AuthorizationPolicies,
    &blocked_cidrs::BlockedCidrs,
    &conditions::Conditions,
    &deprecated::Deprecated,
    &empty_subset::EmptySubset,
    &without_mesh::WithoutMesh,
    &shadowed_routes::ShadowedRoutes,
    &unmatchable::Unmatchable,
    &partial_regex::PartialRegex,
    &split_match::SplitMatch,
    &rewrite_slashes::RewriteSlashes,
    &weights::Weights,
    &doubled_mirror::DoubledMirror,
    &repeated_post::RepeatedPost,
    &tries_over_timeout::TriesOverTimeout,
    &fault_and_retries::FaultAndRetries,
    &port_policy::PortPolicy,
    &tls_conflict::TlsConflict,
    &overruled_peer_mode::OverruledPeerMode,
    &open_policy::OpenPolicy,
    &unmatchable_principal::UnmatchablePrincipal,
    &identity_without_mtls::IdentityWithoutMtls,
    &evaded_denial::EvadedDenial,
    &mirror_loop::MirrorLoop,
    &many_tries::ManyTries,
    &whole_pool_ejection::WholePoolEjection,
];

/// Runs the analyzers that the options ask for.
///
/// Of findings that say the same of the same field one is kept, and none of those that an object's annotation
/// [`SUPPRESS`] names.
pub(crate) fn analyze(set: &ConfigSet, options: &Options) -> Report {
    let context = Context::new(set, options);
    let mut found = Report::new();
    for analyzer in ANALYZERS.iter().filter(|analyzer| options.runs(**analyzer)) {
        analyzer.analyze(&context, &mut found);
    }
    let mut seen = HashSet::new();
    let mut report = Report::new();
    report.extend(found.into_iter().filter(|finding| !is_suppressed(set, finding) && seen.insert(identity(finding))));
    report.locate();
    report
}

/// The annotation that lists codes which are not to be reported of its object; `*` is all.
const SUPPRESS: &str = "galley.istio.io/analyze-suppress";

fn is_suppressed(set: &ConfigSet, finding: &Diagnostic) -> bool {
    let document = finding.resource.as_ref().and_then(|id| set.get(id));
    let listed = document.and_then(|document| document.resource.meta().annotations.get(SUPPRESS));
    listed.is_some_and(|codes| codes.split(',').map(str::trim).any(|code| code == "*" || code == finding.code.as_str()))
}

/// What makes a finding another one: the same fact may come up in several analyzers.
fn identity(finding: &Diagnostic) -> impl Eq + std::hash::Hash + use<> {
    (finding.code, finding.resource.clone(), finding.path.clone(), finding.message.clone())
}

/// The domain that short names are completed with. Findings compare completed names with each other only, so that any
/// would do.
const CLUSTER_DOMAIN: &str = "cluster.local";

/// The name that stands for the sidecars of the mesh.
const MESH: &str = "mesh";

/// A list as Istio's messages print it: `[a b]`.
fn printed<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<_> = items.into_iter().map(|item| item.to_string()).collect();
    format!("[{}]", items.join(" "))
}

/// The first few names of many, for a text: `a, b, and 3 more`.
fn some_of(names: &[String]) -> String {
    const SHOWN: usize = 5;
    match names.len().checked_sub(SHOWN) {
        Some(more) if more > 0 => format!("{}, and {more} more", names[..SHOWN].join(", ")),
        _ => names.join(", "),
    }
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
