//! The few lines that make a service a member of the mesh.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use mesh_tower::admin::Admin;
use mesh_tower::identity::FileIdentity;
use mesh_tower::mesh_config::Severity;
use mesh_tower::{Mesh, Profile};
use tokio::time::{Instant, sleep};

use crate::Result;
use crate::config::GENERATION_HOST;
use crate::roles::Role;

/// How long a written configuration may take to be in force everywhere.
const SLOWEST_LOAD: Duration = Duration::from_secs(15);

/// Who a service is in the mesh and where its configuration lies.
#[derive(Clone, Debug)]
pub struct Membership {
    /// Which service.
    pub role: Role,
    /// Label `version`.
    pub version: String,
    /// Directories (or files) to watch.
    pub config: Vec<PathBuf>,
    /// Makes chance reproducible.
    pub seed: Option<u64>,
    /// Where its certificate lies, as Istio's agent writes it; without one it speaks plaintext.
    pub identity: Option<PathBuf>,
    /// Where to serve the admin page and the metrics.
    pub admin: Option<SocketAddr>,
}

/// Joins the mesh.
pub async fn join(member: &Membership) -> Result<Mesh> {
    let mut builder = Mesh::builder();
    for path in &member.config {
        builder = builder.config_dir(path);
    }
    if let Some(seed) = member.seed {
        builder = builder.seed(seed);
    }
    builder = match member.role {
        // The label that the Gateway selects.
        Role::Gateway => builder.workload("istio-ingress/gateway").label("istio", "ingress"),
        role => builder
            .workload(&format!("default/{}", role.name()))
            .label("app", role.name())
            .label("version", member.version.as_str()),
    };
    if let Some(directory) = &member.identity {
        builder = builder.identity(FileIdentity::directory(directory));
    }
    if let Some(address) = member.admin {
        // With it requests are counted. Both sides of a call tell each other what they are called, as in Istio.
        builder = builder.admin(Admin::at(address.to_string())).exchange_metadata(true);
    }
    builder = builder.workload_name(format!("{}-{}", member.role.name(), member.version));
    // The scenarios ask for what Istio does, without the extra caution of the default profile.
    let mesh = builder.profile(Profile::Istio).build().await?;
    for finding in mesh.report().iter().filter(|finding| finding.severity >= Severity::Warning) {
        tracing::warn!(role = member.role.name(), "{finding}");
    }
    Ok(mesh)
}

/// Waits until a mesh acts by the configuration of this generation, or a later one.
pub async fn in_force(mesh: &Mesh, generation: u64) -> Result<()> {
    let end = Instant::now() + SLOWEST_LOAD;
    while current(mesh).await? < generation {
        if Instant::now() >= end {
            return Err(format!("generation {generation} is not in force; the mesh says:\n{}", mesh.report()).into());
        }
        sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

async fn current(mesh: &Mesh) -> Result<u64> {
    let request = Request::get(format!("http://{GENERATION_HOST}/")).body(Body::empty())?;
    let response = mesh.client().send(request).await;
    if response.status() != StatusCode::OK {
        return Err(format!("{GENERATION_HOST} answers {}", response.status()).into());
    }
    let body = response.into_body().collect().await?.to_bytes();
    Ok(std::str::from_utf8(&body)?.parse()?)
}
