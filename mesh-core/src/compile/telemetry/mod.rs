//! Telemetry resources, merged for one workload as Istio merges them.

mod applicable;
mod expression;
mod logging;
mod metrics;
mod providers;
mod tracing;

#[cfg(test)]
mod tests;

use mesh_config::ConfigSet;
use mesh_config::api::MeshConfig;
use mesh_config::api::telemetry::WorkloadMode;

use self::applicable::Applicable;
use self::providers::Providers;
use super::findings::Findings;
use crate::Site;
use crate::telemetry::policy::{Side, Telemetries, TelemetryPolicy};

/// What is told of the requests of a workload.
pub(crate) fn telemetries(set: &ConfigSet, mesh: &MeshConfig, site: &Site, findings: &mut Findings) -> Telemetries {
    let applicable = Applicable::of(set, mesh, site);
    let providers = Providers::new(mesh);
    let tracing = tracing::merged(&applicable, mesh, &providers, findings);
    let mut of = |side, tracing| {
        let metrics = metrics::merged(&applicable, &providers, side, findings);
        let mut logs = logging::merged(&applicable, (mesh, site), &providers, side, findings);
        logs.files.extend(site.access_logs.iter().cloned());
        TelemetryPolicy::new(metrics, tracing, logs)
    };
    let (client, server) = tracing.map_or((None, None), |(client, server)| (Some(client), Some(server)));
    let (client, server) = (of(Side::Client, client), of(Side::Server, server));
    let from =
        applicable.objects().map(|object| format!("{}/{}", object.meta.namespace, object.meta.name).into()).collect();
    let named = mesh.default_config.as_ref().map(|proxy| proxy.mesh_id.as_str()).filter(|id| !id.is_empty());
    let mesh_id = named.unwrap_or_else(|| mesh.trust_domain()).into();
    Telemetries { client, server, mesh_id, from }
}

/// Whether a `match.mode`, or the lack of one, means a side.
fn means(mode: Option<WorkloadMode>, side: Side) -> bool {
    match mode {
        None | Some(WorkloadMode::ClientAndServer) => true,
        Some(WorkloadMode::Client) => side == Side::Client,
        Some(WorkloadMode::Server) => side == Side::Server,
    }
}
