//! What all scenarios have in common: a beginning, bounds, and what has to hold at the end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::{Method, Request, Response};
use mesh_tower::{Body, Mesh, MeshBuilder};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::documents;
use crate::ledger::Ledger;
use crate::load::Tally;

/// One after the other: they measure the memory of the process.
static TURN: Mutex<()> = Mutex::const_new(());

/// A scenario that runs.
pub(crate) struct Scenario {
    name: &'static str,
    pub(crate) seed: u64,
    tasks: usize,
    began: Instant,
    wall: Duration,
    rss: Rss,
    /// More than this may not be added to the memory of the process, in MiB.
    memory: usize,
    troubles: usize,
    /// Errors in the log that are part of it.
    pub(crate) errors: usize,
    _turn: MutexGuard<'static, ()>,
}

impl Scenario {
    /// Waits for its turn. It may take so many seconds, and so many MiB beside what is there.
    pub(crate) async fn begin(name: &'static str, seconds: u64, memory: usize) -> Self {
        let turn = TURN.lock().await;
        // What tokio itself starts once is there before anything is counted.
        tokio::time::sleep(Duration::from_millis(1)).await;
        let seed = std::env::var("CHAOS_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(fastrand_seed);
        println!("{name}: seed {seed} (CHAOS_SEED sets it)");
        Self {
            name,
            seed,
            tasks: alive(),
            began: Instant::now(),
            wall: Duration::from_secs(seconds),
            rss: Rss::watch(),
            memory,
            troubles: Troubles::count(),
            errors: 0,
            _turn: turn,
        }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    pub(crate) fn chance(&self) -> fastrand::Rng {
        fastrand::Rng::with_seed(self.seed)
    }

    /// A mesh of a service `app` at some endpoints, with a policy and rules.
    pub(crate) async fn mesh(&self, endpoints: &[SocketAddr], policy: &str, rules: &[&str]) -> Mesh {
        self.builder(endpoints, policy, rules).build().await.unwrap()
    }

    pub(crate) fn builder(&self, endpoints: &[SocketAddr], policy: &str, rules: &[&str]) -> MeshBuilder {
        self.with_text(app(endpoints, policy, rules))
    }

    pub(crate) fn with_text(&self, text: String) -> MeshBuilder {
        Mesh::builder().workload("default/caller").config_yaml("app.yaml", text).seed(self.seed)
    }

    /// The end: what has to hold, whatever went wrong before. `keep` lives until nothing is under way any more.
    pub(crate) async fn end<K>(self, meshes: impl IntoIterator<Item = Mesh>, keep: K) {
        let name = self.name;
        let meshes: Vec<_> = meshes.into_iter().collect();
        at_rest(&meshes).await;
        drop((meshes, keep));
        eventually(&format!("{name}: all tasks are over"), || alive() <= self.tasks + TIMERS)
            .await
            .unwrap_or_else(|text| panic!("{text}: {} instead of {}", alive(), self.tasks));
        let took = self.began.elapsed();
        let grown = self.rss.grown();
        println!("{name}: {took:.1?}, {grown} MiB");
        assert!(grown <= self.memory, "{name}: {grown} MiB more, and {} are allowed", self.memory);
        assert!(took <= self.wall, "{name}: {took:?}, and {:?} are allowed", self.wall);
        let troubles = Troubles::count() - self.troubles;
        assert_eq!(troubles, self.errors, "{name}: panics and errors in the log");
    }
}

/// Waits until nothing is under way any more.
pub(crate) async fn at_rest(meshes: &[Mesh]) {
    eventually("all slots are back", || meshes.iter().all(|mesh| mesh.gauges().is_at_rest()))
        .await
        .unwrap_or_else(|text| panic!("{text}: {:#?}", meshes.iter().map(Mesh::gauges).collect::<Vec<_>>()));
}

/// An application behind a mesh of its own; ends when dropped.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    pub(crate) mesh: Mesh,
    _task: tokio::task::JoinSet<()>,
}

impl Served {
    /// One that calls nobody.
    pub(crate) async fn start<S>(app: impl FnOnce(Mesh) -> S) -> Self
    where
        S: tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
            + Clone
            + Send
            + 'static,
    {
        Self::with(Mesh::builder().workload("default/app").build().await.unwrap(), app).await
    }

    pub(crate) async fn with<S>(mesh: Mesh, app: impl FnOnce(Mesh) -> S) -> Self
    where
        S: tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
            + Clone
            + Send
            + 'static,
    {
        Self::at(SocketAddr::from(([127, 0, 0, 1], 0)), mesh, app).await
    }

    pub(crate) async fn at<S>(address: SocketAddr, mesh: Mesh, app: impl FnOnce(Mesh) -> S) -> Self
    where
        S: tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
            + Clone
            + Send
            + 'static,
    {
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut task = tokio::task::JoinSet::new();
        let (serving, app) = (mesh.clone(), app(mesh.clone()));
        task.spawn(async move { serving.serve(listener, app).await.unwrap() });
        Self { address, mesh, _task: task }
    }
}

/// The same documents, with another protocol.
pub(crate) fn speaking(protocol: &str, text: &str) -> String {
    text.replace("protocol: HTTP}", &format!("protocol: {protocol}}}"))
}

/// What the ledger has to say about a load: nothing was repeated that must not be, nothing acknowledged that is not
/// there, and nothing changed on the way.
pub(crate) fn assert_nothing_lost_or_repeated(ledger: &Ledger, tally: &Tally) {
    assert!(tally.versions().len() <= 1, "one version decided: {:?}", tally.versions());
    let entries = ledger.entries();
    for (id, entry) in &entries {
        assert!(entry.method == Method::GET || entry.begun <= 1, "{id} was sent {} times", entry.begun);
    }
    for outcome in &tally.outcomes {
        assert!(outcome.is_whole, "{} was answered something else: {:?}", outcome.id, outcome.text);
        if outcome.is_acknowledged() {
            let entry = entries.get(&outcome.id).unwrap_or_else(|| panic!("{} was acknowledged by nobody", outcome.id));
            let once = entry.method == Method::GET || entry.hashes.len() == 1;
            assert!(once && entry.hashes.contains(&outcome.hash), "{}: {entry:?}", outcome.id);
        }
    }
}

/// Tries are no more than requests and a fifth, and ten a second, of which there are ten at the beginning.
pub(crate) fn assert_budgeted(requests: usize, tries: usize, took: Duration) {
    let most = requests as f64 * 1.2 + 10.0 * took.as_secs_f64() + 10.0;
    assert!(tries as f64 <= most, "{tries} tries for {requests} requests in {took:?}, and {most:.0} are allowed");
}

/// The documents of a service `app` at port 80.
pub(crate) fn app(endpoints: &[SocketAddr], policy: &str, rules: &[&str]) -> String {
    let endpoints: Vec<_> = endpoints.iter().map(|address| ("v1", *address)).collect();
    let rules: Vec<_> = rules
        .iter()
        .map(|rule| if rule.contains("route:") { (*rule).to_owned() } else { format!("{rule}, {TO_APP}") })
        .collect();
    let rules: Vec<_> = rules.iter().map(|rule| rule.trim_start_matches(", ")).collect();
    documents::service("app", 80, &endpoints)
        + &documents::policy("app", policy)
        + &documents::virtual_service("app", &rules)
}

const TO_APP: &str = "route: [{destination: {host: app}}]";

/// A policy that changes nothing.
pub(crate) const PLAIN: &str = "loadBalancer: {simple: ROUND_ROBIN}";

/// Waits up to five seconds until something is so.
pub(crate) async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) -> Result<(), String> {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), waiting).await.map_err(|_| format!("never: {what}"))
}

fn alive() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

fn fastrand_seed() -> u64 {
    fastrand::u64(..)
}

/// The most memory that the process had since the beginning of a scenario.
struct Rss {
    before: usize,
    most: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
}

impl Rss {
    fn watch() -> Self {
        let before = resident();
        let (most, over) = (Arc::new(AtomicUsize::new(before)), Arc::new(AtomicBool::new(false)));
        let (told, ended) = (Arc::clone(&most), Arc::clone(&over));
        // A thread, since the runtime may be busy.
        std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                told.fetch_max(resident(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        Self { before, most, over }
    }

    /// In MiB.
    fn grown(&self) -> usize {
        (self.most.load(Ordering::Relaxed).max(resident()) - self.before) / (1 << 20)
    }
}

impl Drop for Rss {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// Bytes of memory that the process has.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: usize = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or_default();
    pages * 4096
}

/// Counts panics that are not on purpose, and what is logged as an error.
struct Troubles;

static TROUBLES: OnceLock<AtomicUsize> = OnceLock::new();

/// The timers that requests leave on a thread have a task that looks after them for a minute; the test itself has a
/// thread beside the two workers.
const TIMERS: usize = 3;

/// What a panic says that is part of a scenario.
pub(crate) const ON_PURPOSE: &str = "on purpose";

impl Troubles {
    fn count() -> usize {
        let counter = TROUBLES.get_or_init(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                let is_on_purpose = panic.payload_as_str().is_some_and(|text| text.contains(ON_PURPOSE));
                if !is_on_purpose {
                    Self::note();
                    before(panic);
                }
            }));
            tracing::subscriber::set_global_default(Self).expect("nobody else listens");
            AtomicUsize::new(0)
        });
        counter.load(Ordering::Relaxed)
    }

    fn note() {
        if let Some(counter) = TROUBLES.get() {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl tracing::Subscriber for Troubles {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::ERROR
    }

    fn max_level_hint(&self) -> Option<tracing::level_filters::LevelFilter> {
        Some(tracing::level_filters::LevelFilter::ERROR)
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        Self::note();
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}
