//! The mesh of a test.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use mesh_config::{ConfigSet, Document, Report};
use mesh_core::Site;
use mesh_core::explain::{Explanation, Question};
use tower_service::Service;

use super::call::{Call, Ledger, belongs};
use super::documents::{HostGroup, Member, documents};
use super::endpoint::{Behaviour, Endpoint};
use super::network::{Names, Switchboard};
use super::reply::{Reply, Script};
use super::run::Run;
use super::workload::{Place, Workload, boxed};
use super::{failed, seed};
use crate::{Body, BoxError, Mesh, MeshBuilder, MeshClient};

/// What a [`TestMesh`] is made of.
#[derive(Debug)]
#[must_use]
pub struct TestMeshBuilder {
    mesh: MeshBuilder,
    texts: Vec<(String, String)>,
    paths: Vec<PathBuf>,
    workloads: Vec<Workload>,
    seed: Option<u64>,
}

impl TestMeshBuilder {
    /// Reads a directory or a file, once: the configuration that is under test.
    pub fn config_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.paths.push(path.into());
        self
    }

    /// Documents of the test itself; `name` stands for a file name in findings.
    pub fn config_yaml(mut self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.texts.push((name.into(), text.into()));
        self
    }

    /// Puts a workload into the mesh.
    pub fn with(mut self, workload: Workload) -> Self {
        self.workloads.push(workload);
        self
    }

    /// The seed of all chance: balancing, back-off, faults, and splits whose rolls are not pinned. A new one for each
    /// mesh unless set here or by the environment variable `MESH_TEST_SEED`; failures name it.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed: Some(seed), ..self }
    }

    /// Sets what else a mesh may be told: who the caller is, its labels, the profile.
    ///
    /// ```
    /// # use mesh_tower::{Profile, testing::TestMesh};
    /// let builder = TestMesh::builder().configure(|mesh| mesh.workload("prod/web").profile(Profile::Istio));
    /// ```
    pub fn configure(self, settings: impl FnOnce(MeshBuilder) -> MeshBuilder) -> Self {
        Self { mesh: settings(self.mesh), ..self }
    }

    /// Puts everything into use.
    ///
    /// # Panics
    /// If the configuration has errors, if time is not paused, and outside of a tokio runtime.
    pub async fn start(self) -> TestMesh {
        if !crate::clock::is_paused() {
            failed("a TestMesh needs virtual time: #[tokio::test(start_paused = true)]");
        }
        let Self { mesh, texts, paths, workloads, seed: wished } = self;
        let seed = wished.unwrap_or_else(seed);
        let parse = mesh.parse_options();
        let site = mesh.site().clone();
        let read_texts = texts.iter().map(|(name, text)| (name.clone(), mesh_config::parse_with(name, text, &parse)));
        let read_paths =
            paths.iter().map(|path| (path.display().to_string(), mesh_config::dir::read_path(path, &parse)));
        let mut given: Vec<(String, Vec<Document>, Report)> =
            read_texts.chain(read_paths).map(|(name, (documents, report))| (name, documents, report)).collect();
        let set = set_of(&given);
        let ledger = Ledger::new();
        let mut switchboard = Switchboard::default();
        let plugged = plug(&workloads, &mut switchboard, &ledger);
        let added = added_documents(&workloads, &plugged, &set, &site);
        let (documents, report) = mesh_config::parse_with("workloads of the test", &added, &parse);
        given.push(("workloads of the test".into(), documents, report));
        let switchboard = Arc::new(switchboard);
        let names = Names(Arc::clone(&switchboard));
        let built = mesh.seed(seed).discovery(names).in_memory(given, Arc::clone(&switchboard)).build().await;
        let mesh = built.unwrap_or_else(|error| failed(&error.to_string()));
        let endpoints = plugged.into_iter().flatten().map(|plugged| plugged.endpoint).collect();
        TestMesh { mesh, switchboard, endpoints, ledger, seed }
    }
}

/// An endpoint at its address.
struct Plugged {
    address: IpAddr,
    endpoint: Arc<Endpoint>,
}

fn set_of(given: &[(String, Vec<Document>, Report)]) -> ConfigSet {
    ConfigSet::from_documents(given.iter().flat_map(|(_, documents, _)| documents).cloned()).0
}

/// Gives each workload its endpoints.
fn plug(workloads: &[Workload], switchboard: &mut Switchboard, ledger: &Arc<Ledger>) -> Vec<Vec<Plugged>> {
    let mut names = Vec::new();
    let mut plug_one = |workload: &Workload, n: usize| {
        let name = format!("{}/{n}", workload.name());
        if names.contains(&name) {
            failed(&format!("two workloads are called {}: give one another name, with named(..)", workload.name()));
        }
        let endpoint = Endpoint::new(&name, workload.behaviour(), ledger);
        names.push(name);
        let fixed = match &workload.place {
            Place::Address(place) => place.parse().ok(),
            Place::Host(_) => None,
        };
        let address = fixed.unwrap_or_else(|| switchboard.new_address());
        match (&workload.place, fixed) {
            (_, Some(address)) => switchboard.plug_at(SocketAddr::new(address, workload.port), &endpoint),
            (Place::Host(name) | Place::Address(name), None) => {
                switchboard.plug(address, &endpoint);
                switchboard.name(name, address);
            }
        }
        Plugged { address, endpoint }
    };
    workloads.iter().map(|workload| (0..workload.replicas).map(|n| plug_one(workload, n)).collect()).collect()
}

fn added_documents(workloads: &[Workload], plugged: &[Vec<Plugged>], set: &ConfigSet, site: &Site) -> String {
    let mut groups: BTreeMap<&str, HostGroup<'_>> = BTreeMap::new();
    for (workload, plugged) in workloads.iter().zip(plugged) {
        let Place::Host(host) = &workload.place else { continue };
        let group = groups.entry(host).or_insert_with(|| HostGroup { host, ports: Vec::new(), endpoints: Vec::new() });
        if !group.ports.iter().any(|(port, _)| *port == workload.port) {
            group.ports.push((workload.port, workload.protocol));
        }
        let members = plugged.iter().map(|plugged| Member {
            address: plugged.address,
            labels: &workload.labels,
            locality: &workload.locality,
        });
        group.endpoints.extend(members);
    }
    groups.values().map(|group| documents(group, set, site).unwrap_or_else(|why| failed(&why))).collect()
}

/// A mesh whose endpoints are in this process and whose time is virtual. See the [module](crate::testing).
pub struct TestMesh {
    mesh: Mesh,
    switchboard: Arc<Switchboard>,
    endpoints: Vec<Arc<Endpoint>>,
    ledger: Arc<Ledger>,
    seed: u64,
}

impl TestMesh {
    /// Begins to describe a mesh.
    pub fn builder() -> TestMeshBuilder {
        let mesh = Mesh::builder().workload("default/test");
        TestMeshBuilder { mesh, texts: Vec::new(), paths: Vec::new(), workloads: Vec::new(), seed: None }
    }

    /// The mesh itself.
    pub fn mesh(&self) -> &Mesh {
        &self.mesh
    }

    /// Its client, for tonic and for requests of one's own.
    pub fn client(&self) -> MeshClient {
        self.mesh.client()
    }

    /// The seed that chance comes from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Prepares requests, such as `GET http://reviews:9080/1`; await the result to send them.
    ///
    /// # Panics
    /// If this is no method and URL.
    #[track_caller]
    pub fn run(&self, request: &str) -> Run<'_> {
        Run::new(self, request)
    }

    /// Lets time pass. Whatever is due in it happens on the way.
    pub async fn advance(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    /// All requests that endpoints have seen so far, in their order.
    pub fn calls(&self) -> Vec<Call> {
        self.ledger.calls()
    }

    /// Those that a workload (`reviews-v1`) or endpoint (`reviews-v1/0`) has seen.
    ///
    /// # Panics
    /// If there is none of this name.
    #[track_caller]
    pub fn calls_to(&self, name: &str) -> Vec<Call> {
        self.endpoints_of(name);
        self.calls().into_iter().filter(|call| call.is_at(name)).collect()
    }

    /// Forgets the calls so far.
    pub fn forget_calls(&self) {
        self.ledger.forget();
    }

    /// Lets a workload or endpoint reply in another way from now on.
    ///
    /// # Panics
    /// If there is none of this name.
    #[track_caller]
    pub fn reply(&self, name: &str, reply: &Reply) {
        for endpoint in self.endpoints_of(name) {
            endpoint.change(Behaviour::Script(Script::new(reply.clone())));
        }
    }

    /// Lets a workload or endpoint answer with an application from now on.
    ///
    /// # Panics
    /// If there is none of this name.
    #[track_caller]
    pub fn serve<S, R>(&self, name: &str, app: S)
    where
        S: Service<Request<Body>, Response = Response<R>> + Clone + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
        R: http_body::Body<Data = Bytes> + Send + 'static,
        R::Error: Into<BoxError>,
    {
        let app = boxed(app);
        for endpoint in self.endpoints_of(name) {
            endpoint.change(Behaviour::App(app.clone()));
        }
    }

    /// Why a request goes where it goes.
    ///
    /// # Panics
    /// If this is no method and URL.
    #[track_caller]
    pub fn explain(&self, request: &str) -> Explanation {
        let (method, url) = request.split_once(' ').unwrap_or(("GET", request));
        match Question::new(method, url) {
            Ok(question) => self.explain_question(&question),
            Err(error) => failed(&error.to_string()),
        }
    }

    pub(super) fn explain_question(&self, question: &Question) -> Explanation {
        self.mesh.explain(question)
    }

    /// The endpoints of this name.
    #[track_caller]
    pub(super) fn endpoints_of(&self, name: &str) -> Vec<&Arc<Endpoint>> {
        let found: Vec<_> = self.endpoints.iter().filter(|endpoint| belongs(endpoint.name(), name)).collect();
        if found.is_empty() {
            let names: Vec<_> = self.endpoints.iter().map(|endpoint| endpoint.name()).collect();
            failed(&format!("no workload and no endpoint is called {name}; there are {}", names.join(", ")));
        }
        found
    }

    pub(super) fn switchboard(&self) -> &Switchboard {
        &self.switchboard
    }
}

impl fmt::Debug for TestMesh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestMesh").field("seed", &self.seed).field("endpoints", &self.endpoints).finish_non_exhaustive()
    }
}

impl Drop for TestMesh {
    /// A test that fails by an assertion of its own says how to run it again, too.
    #[expect(clippy::print_stderr, reason = "beside the text of the panic")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("mesh of this test: {}", super::how_to_repeat(self.seed));
        }
    }
}
