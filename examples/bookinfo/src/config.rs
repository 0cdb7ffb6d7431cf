//! The directory that all services watch in the one-process run: the base files, ServiceEntries with the real ports,
//! and the file of the scenario that is being played.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use tempfile::TempDir;

use crate::Result;

/// A host that only tells which configuration is in force (see [`WatchedDir::put_on`]).
pub const GENERATION_HOST: &str = "generation.bookinfo.internal";

/// A service of the mesh and where its endpoints really listen.
#[derive(Clone, Debug)]
pub struct Service {
    /// Short name; the namespace is `default`.
    pub name: &'static str,
    /// Whether port 9080 speaks gRPC.
    pub grpc: bool,
    /// The endpoints.
    pub endpoints: Vec<Endpoint>,
}

/// An endpoint of a [`Service`].
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Where it listens.
    pub address: SocketAddr,
    /// Label `version`.
    pub version: String,
    /// Label `replica`.
    pub replica: String,
}

/// A temporary directory in the shape of `mesh/`, gone when dropped.
#[derive(Debug)]
pub struct WatchedDir {
    root: TempDir,
    scenarios: PathBuf,
    generation: AtomicU64,
}

impl WatchedDir {
    /// Copies `base/` of the given folder, writes the endpoints, and puts no scenario on.
    pub fn create(mesh_dir: &Path, services: &[Service]) -> Result<Self> {
        let root = TempDir::with_prefix("bookinfo-")?;
        let dir = Self { root, scenarios: mesh_dir.join("scenarios"), generation: AtomicU64::new(0) };
        fs::create_dir(dir.path())?;
        let base = mesh_dir.join("base");
        for file in fs::read_dir(&base).map_err(|error| format!("{}: {error}", base.display()))? {
            let file = file?;
            fs::copy(file.path(), dir.path().join(file.file_name()))?;
        }
        fs::write(dir.path().join("service-entries.yaml"), service_entries(services))?;
        dir.replace("")?;
        Ok(dir)
    }

    /// The directory to watch.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.root.path().join("watched")
    }

    /// The text of a scenario's file.
    pub fn scenario(&self, file: &str) -> Result<String> {
        let path = self.scenarios.join(file);
        Ok(fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?)
    }

    /// Puts a scenario's file in the place of the last one, in one step. Returns its generation: the number that
    /// [`GENERATION_HOST`] answers with as soon as the new file is in force.
    pub fn put_on(&self, file: &str) -> Result<u64> {
        self.replace(&self.scenario(file)?)
    }

    fn replace(&self, text: &str) -> Result<u64> {
        let generation = self.generation.fetch_add(1, Ordering::Relaxed) + 1;
        // Written beside the watched directory and renamed, so that nobody ever reads half a file.
        let fresh = self.root.path().join("scenario.yaml");
        fs::write(&fresh, format!("{text}{}", marker(generation)))?;
        fs::rename(&fresh, self.path().join("scenario.yaml"))?;
        Ok(generation)
    }
}

/// The question in the first line of a scenario's file.
#[must_use]
pub fn question(text: &str) -> &str {
    text.lines().next().and_then(|line| line.strip_prefix("# asks: ")).unwrap_or("(says nothing)")
}

/// Stands in the file with the scenario's rules, so that it comes into force with them and not before.
fn marker(generation: u64) -> String {
    format!(
        r#"---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: generation
  namespace: default
spec:
  hosts:
    - {GENERATION_HOST}
  http:
    - directResponse:
        status: 200
        body:
          string: "{generation}"
"#
    )
}

fn service_entries(services: &[Service]) -> String {
    services.iter().map(service_entry).collect::<Vec<_>>().join("---\n")
}

fn service_entry(service: &Service) -> String {
    let (name, port) = (service.name, if service.grpc { "grpc" } else { "http" });
    let mut yaml = format!(
        "apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata:
  name: {name}
  namespace: default
spec:
  hosts:
    - {name}.default.svc.cluster.local
  location: MESH_INTERNAL
  resolution: STATIC
  ports:
    - number: 9080
      name: {port}
      protocol: {}
  endpoints:
",
        port.to_uppercase()
    );
    for Endpoint { address, version, replica } in &service.endpoints {
        let (ip, number) = (address.ip(), address.port());
        // Writing to a string cannot fail.
        let _ = write!(
            yaml,
            "    - address: {ip}
      ports:
        {port}: {number}
      labels:
        version: {version}
        replica: \"{replica}\"
"
        );
    }
    yaml
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_is_the_first_line() {
        assert_eq!(question("# asks: what\nkind: X\n"), "what");
        assert_eq!(question("kind: X\n"), "(says nothing)");
    }

    #[test]
    fn an_endpoint_says_its_real_port_and_its_labels() {
        let endpoint = Endpoint { address: ([127, 0, 0, 1], 4711).into(), version: "v2".into(), replica: "1".into() };
        let yaml = service_entry(&Service { name: "ratings", grpc: true, endpoints: vec![endpoint] });
        assert!(yaml.contains("- number: 9080\n      name: grpc\n      protocol: GRPC"), "{yaml}");
        assert!(
            yaml.contains("        grpc: 4711\n      labels:\n        version: v2\n        replica: \"1\"\n"),
            "{yaml}"
        );
    }
}
