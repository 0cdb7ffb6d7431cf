//! What all scenarios have in common: a beginning, bounds, and what has to hold at the end.

use std::net::SocketAddr;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use http::{Request, Response};
use mesh_tower::timeout::TimeoutLayer;
use mesh_tower::{Body, Mesh, MeshBuilder};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;
use tower::{Layer as _, ServiceExt as _};

use crate::judged::Judged;
use crate::watch::{Processors, Rss, Troubles};
use crate::{documents, total};

/// One after the other: they measure the memory of the process.
static TURN: Mutex<()> = Mutex::const_new(());

/// A scenario that runs.
pub(crate) struct Scenario {
    name: &'static str,
    pub(crate) seed: u64,
    tasks: usize,
    began: Instant,
    processors: Processors,
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
    /// Waits for its turn. It may take so many seconds, those left out in which others have the machine, and so many MiB beside what is there.
    pub(crate) async fn begin(name: &'static str, seconds: u64, memory: usize) -> Self {
        let turn = TURN.lock().await;
        keep_timers().await;
        let seed = std::env::var("CHAOS_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(fastrand_seed);
        println!("{name}: seed {seed} (CHAOS_SEED sets it)");
        Self {
            name,
            seed,
            tasks: alive(),
            began: Instant::now(),
            processors: Processors::now(),
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
    pub(crate) async fn end<K>(self, judged: Judged, meshes: impl IntoIterator<Item = Mesh>, keep: K) {
        let name = self.name;
        let meshes: Vec<_> = meshes.into_iter().collect();
        at_rest(&meshes).await;
        for mesh in &meshes {
            println!("{name}: {:?}", mesh.gauges());
        }
        drop((meshes, keep));
        // Exactly: who looks after the timers of a thread does so for a minute, and that is longer than any scenario.
        eventually(&format!("{name}: all tasks are over"), || alive() == self.tasks)
            .await
            .unwrap_or_else(|text| panic!("{text}: {} instead of {}", alive(), self.tasks));
        judged.assert_budgeted(name);
        let took = self.began.elapsed();
        let alone = self.processors.alone(took);
        let grown = self.rss.grown();
        println!("{name}: {took:.1?}, {alone:.1?} of it on a machine of one's own, {grown} MiB");
        assert!(grown <= self.memory, "{name}: {grown} MiB more, and {} are allowed", self.memory);
        assert!(alone <= self.wall, "{name}: {alone:?} of {took:?}, and {:?} are allowed", self.wall);
        let troubles = Troubles::count() - self.troubles;
        assert_eq!(troubles, self.errors, "{name}: panics and errors in the log");
        total::note(name, took, alone);
    }
}

/// Requests leave their timers on their thread, with a task that looks after them. Each thread gets its own before
/// anything is counted: the workers, which have to wait for each other so that each has a part in it, and the test's.
async fn keep_timers() {
    let workers = Handle::current().metrics().num_workers();
    let all_are_here = Arc::new(Barrier::new(workers));
    let leaving: Vec<_> = (0..workers)
        .map(|_| {
            let all_are_here = Arc::clone(&all_are_here);
            tokio::spawn(async move {
                all_are_here.wait();
                leave_timer().await;
            })
        })
        .collect();
    for left in leaving {
        left.await.unwrap();
    }
    leave_timer().await;
    eventually("each thread keeps its timers", || alive() == workers + 1).await.unwrap();
}

/// Runs a request with a time limit up to the moment in which it begins to wait, on this thread.
async fn leave_timer() {
    let waits = tower::service_fn(|_: Request<Body>| std::future::pending::<Result<Response<Body>, http::Error>>());
    let mut call = Box::pin(TimeoutLayer::new(Duration::from_secs(1)).layer(waits).oneshot(Request::<Body>::default()));
    let is_waiting = std::future::poll_fn(|cx| std::task::Poll::Ready(call.as_mut().poll(cx).is_pending())).await;
    assert!(is_waiting);
}

/// Waits until nothing is under way any more.
pub(crate) async fn at_rest(meshes: &[Mesh]) {
    eventually("all slots are back", || meshes.iter().all(|mesh| mesh.gauges().is_at_rest()))
        .await
        .unwrap_or_else(|text| panic!("{text}: {:#?}", meshes.iter().map(Mesh::gauges).collect::<Vec<_>>()));
}

/// The same documents, with another protocol.
pub(crate) fn speaking(protocol: &str, text: &str) -> String {
    text.replace("protocol: HTTP}", &format!("protocol: {protocol}}}"))
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
    Handle::current().metrics().num_alive_tasks()
}

fn fastrand_seed() -> u64 {
    fastrand::u64(..)
}
