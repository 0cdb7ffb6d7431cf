//! Turns documents into a snapshot.
//!
//! Pure: the same function serves a running process, a test and a command line. The way is: the
//! services there are ([`registry`]) and which of them this workload sees ([`scope`]), the policy
//! that counts for each (`destination_rules`), the rules of delegates put in where they are named
//! ([`delegate`]), then for each listener port of the mesh (`mesh_hosts`) and each port that servers
//! of Gateways share ([`gateway_servers`], `gateway`) the virtual hosts with their routes (`rules`),
//! whose destinations become `clusters`.

mod clusters;
pub mod delegate;
mod destination_rules;
mod findings;
mod gateway;
pub mod gateway_servers;
mod hashing;
pub mod host_names;
mod kubernetes;
mod mesh_hosts;
mod mesh_notes;
pub mod registry;
mod rules;
pub mod scope;
mod security;
mod service_entry;
mod tables;
mod telemetry;
pub mod visibility;

#[cfg(test)]
mod tests;

use mesh_config::api::MeshConfig;
use mesh_config::{ConfigSet, Report};

use crate::Site;
use crate::authn::PeerModes;
use crate::identity::TrustDomains;
use crate::mesh_tls::MeshTls;
use crate::snapshot::Snapshot;

use clusters::Clusters;
use delegate::Delegates;
pub(crate) use destination_rules::{DestinationRules, MergedRule};
use findings::Findings;
use gateway::GatewayBuilder;
use mesh_hosts::MeshBuilder;
use scope::Sight;
use tables::Tables;

/// What a set of documents comes to.
#[derive(Debug)]
#[non_exhaustive]
pub struct Compiled {
    /// What requests are decided by.
    pub snapshot: Snapshot,
    /// What there is to say: who lost against whom, what is missing, what does not act yet. With an
    /// error in it the snapshot should not be put into use.
    pub report: Report,
}

/// Compiles the documents of `set` for the workload `site`.
///
/// Never fails: what cannot be compiled is reported and left out. Whoever puts snapshots into use
/// refuses one whose report, or the set's own validation, has an error.
pub fn compile(set: &ConfigSet, mesh: &MeshConfig, site: &Site) -> Compiled {
    let mut findings = Findings::default();
    let delegates = Delegates::build(set, mesh, site, &mut findings);
    let sight = Sight::build(set, mesh, site, &delegates);
    scope::findings::report(&sight, mesh, site, &mut findings);
    scope::findings::displaced(&sight, set, site, &mut findings);
    let rules = DestinationRules::build(set, mesh, site, &mut findings);
    let mut clusters = Clusters::new(&sight, &rules, mesh, site, set);
    let mut tables = Tables::default();
    let mesh_tables = MeshBuilder {
        scope: &sight.mesh,
        delegates: &delegates,
        mesh,
        site,
        clusters: &mut clusters,
        tables: &mut tables,
        findings: &mut findings,
    }
    .build();
    let gateways = GatewayBuilder {
        delegates: &delegates,
        mesh,
        site,
        clusters: &mut clusters,
        tables: &mut tables,
        findings: &mut findings,
    }
    .build(set);
    security::check(set, mesh, site, &mut findings);
    let authorization = security::authorization(set, mesh, site);
    let providers = security::providers(&authorization, mesh, site, &mut clusters, &mut findings);
    let telemetry = telemetry::telemetries(set, mesh, site, &mut findings);
    mesh_notes::report(set, mesh, &mut findings);
    let snapshot = Snapshot {
        tables: tables.tables,
        mesh: mesh_tables.by_port.into_iter().collect(),
        unknown_port: Some(mesh_tables.unknown_port),
        vhosts: tables.vhosts,
        routes: tables.routes,
        clusters: clusters.into_specs(),
        gateways,
        path_normalization: mesh.normalization(),
        trusted_proxies: mesh.num_trusted_proxies(),
        peer_modes: PeerModes::of_site(set, mesh.root_namespace(), site),
        trust_domains: TrustDomains::of(mesh),
        tls: MeshTls::of(mesh),
        authorization,
        authentication: security::authentication(set, mesh, site),
        providers,
        telemetry,
    };
    Compiled { snapshot, report: findings.into_report() }
}
