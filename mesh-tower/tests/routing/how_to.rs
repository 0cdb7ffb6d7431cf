//! The nine files that a how-to gives its readers: where they lie, and the services they name.

use std::path::PathBuf;

use mesh_tower::{Mesh, MeshBuilder, Profile};

use crate::support::upstream::Upstream;
use crate::support::{cases, documents};

pub(crate) const NINE: &[&str] = &[
    "authorizationpolicy-allow-get-only.yaml",
    "destinationrule-my-app-cb.yaml",
    "destinationrule-my-app.yaml",
    "gateway-gateway.yaml",
    "peerauthentication-default.yaml",
    "virtualservice-my-app-canary.yaml",
    "virtualservice-my-app-mirror.yaml",
    "virtualservice-my-app-resilience.yaml",
    "virtualservice-my-app.yaml",
];

pub(crate) fn folder() -> Option<PathBuf> {
    cases::folder("conformance/user-examples")
}

/// Two endpoints of `my-app` (`v1` and `v2`), which are those of `my-app-v1` and `my-app-v2` too.
pub(crate) struct MyApp {
    folder: PathBuf,
    pub(crate) v1: Upstream,
    pub(crate) v2: Upstream,
}

impl MyApp {
    pub(crate) async fn start() -> Option<Self> {
        let folder = folder()?;
        Some(Self { folder, v1: Upstream::start("v1").await, v2: Upstream::start("v2").await })
    }

    /// A caller in the mesh that reads these files where they lie.
    pub(crate) async fn caller(&self, files: &[&str]) -> Mesh {
        let site = Mesh::builder().workload("default/my-app").label("app", "my-app");
        self.build(site, files, &self.documents()).await
    }

    /// The ingress that the how-to's Gateway selects.
    pub(crate) async fn ingress(&self, files: &[&str]) -> Mesh {
        let site = Mesh::builder().workload("istio-ingress/gateway").label("istio", "ingress");
        self.build(site, files, &self.documents()).await
    }

    pub(crate) async fn build(&self, site: MeshBuilder, files: &[&str], documents: &str) -> Mesh {
        let mut builder = site.config_yaml("services.yaml", documents).profile(Profile::Istio).seed(23);
        for file in files {
            builder = builder.config_dir(self.folder.join(file));
        }
        builder.build().await.unwrap_or_else(|error| panic!("{files:?}: {error}"))
    }

    pub(crate) fn documents(&self) -> String {
        let (v1, v2) = (("v1", self.v1.address), ("v2", self.v2.address));
        documents::service("my-app", 8080, &[v1, v2])
            + &documents::service("my-app-v1", 8080, &[v1])
            + &documents::service("my-app-v2", 8080, &[v2])
    }
}

pub(crate) const URL: &str = "http://my-app:8080/";

#[test]
fn the_nine_are_all_there_is() {
    let Some(folder) = folder() else { return };
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut there: Vec<String> = names.filter(|name| name.ends_with(".yaml")).collect();
    there.sort();
    assert_eq!(there, NINE);
}
