//! A server under attack, an honest caller beside it, and what has to hold at the end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use mesh_tower::identity::MemoryIdentity;
use mesh_tower::serve::ServeOptions;
use mesh_tower::{Body, Mesh};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

/// One after the other: they measure the memory of the process.
static TURN: Mutex<()> = Mutex::new(());

/// Waits until nothing else runs.
pub(crate) fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A server in a runtime of its own, and the callers' runtime.
pub(crate) struct World {
    name: &'static str,
    serving: Runtime,
    pub(crate) calling: Runtime,
    pub(crate) address: SocketAddr,
    tasks: usize,
    memory: usize,
    began: Instant,
    _mesh: Mesh,
    _turn: MutexGuard<'static, ()>,
}

impl World {
    /// With an identity connections are judged by the mode, `STRICT` or `PERMISSIVE`.
    pub(crate) fn start(
        name: &'static str,
        options: ServeOptions,
        identity: Option<MemoryIdentity>,
        mode: &str,
    ) -> Self {
        let turn = turn();
        let runtime = || Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (serving, calling) = (runtime(), runtime());
        let answers = mode != "STRICT";
        let mode = format!(
            "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {{name: p, namespace: default}}\nspec: {{mtls: {{mode: {mode}}}}}\n"
        );
        let builder = Mesh::builder().workload("default/app").label("app", "app").config_yaml("p", mode);
        let (mesh, address) = serving.block_on(async {
            let builder = identity.into_iter().fold(builder, mesh_tower::MeshBuilder::identity);
            let mesh = builder.build().await.unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let server = mesh.clone();
            tokio::spawn(async move { server.serve_with(listener, tower::service_fn(answer), options).await });
            (mesh, address)
        });
        // The first answer starts what there is once.
        calling.block_on(async { assert_eq!(ask(address).await.is_some(), answers) });
        std::thread::sleep(Duration::from_millis(100));
        let tasks = serving.metrics().num_alive_tasks();
        Self { name, serving, calling, address, tasks, memory: rss(), began: Instant::now(), _mesh: mesh, _turn: turn }
    }

    /// Runs an attack while an honest caller asks; then everything is as before.
    pub(crate) fn under<T>(self, most_mib: usize, attack: impl Future<Output = T>) -> T {
        let quiet = self.calling.block_on(async {
            let honest = Honest::start(self.address);
            tokio::time::sleep(Duration::from_millis(300)).await;
            honest.end().await
        });
        let (outcome, under) = self.calling.block_on(async {
            let honest = Honest::start(self.address);
            let outcome = attack.await;
            (outcome, honest.end().await)
        });
        println!(
            "{}: {} honest requests, slowest hundredth {:?} before and {:?} meanwhile, {} MiB more, {:.1?}",
            self.name,
            under.answered,
            quiet.slow,
            under.slow,
            under.rss.saturating_sub(self.memory),
            self.began.elapsed()
        );
        assert_eq!((quiet.failed, under.failed), (0, 0), "{}: honest requests failed", self.name);
        // On a busy machine a few milliseconds say nothing.
        let bound = (quiet.slow * 5).max(Duration::from_millis(200));
        assert!(under.slow <= bound, "{}: {:?} instead of {:?}", self.name, under.slow, quiet.slow);
        let grown = under.rss.saturating_sub(self.memory);
        assert!(grown <= most_mib, "{}: {grown} MiB more, and {most_mib} are allowed", self.name);
        let over = (0..100).any(|_| {
            std::thread::sleep(Duration::from_millis(100));
            self.serving.metrics().num_alive_tasks() <= self.tasks
        });
        assert!(over, "{}: {} tasks are left", self.name, self.serving.metrics().num_alive_tasks() - self.tasks);
        outcome
    }
}

/// Answers at once, after 5 s, or with more than a window holds.
async fn answer(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    match request.uri().path() {
        "/slow" => tokio::time::sleep(Duration::from_secs(5)).await,
        "/large" => return Ok(Response::new(Body::from(Bytes::from_static(&[b'a'; 1 << 20])))),
        "/read" => drop(http_body_util::BodyExt::collect(request.into_body()).await),
        _ => {}
    }
    Ok(Response::new(Body::from("fine")))
}

/// Asks on a connection of its own; how long it took, if it was answered.
async fn ask(address: SocketAddr) -> Option<Duration> {
    let began = Instant::now();
    let asked = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: app\r\nconnection: close\r\n\r\n").await.ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok()?;
        answer.ends_with(b"fine").then(|| began.elapsed())
    };
    tokio::time::timeout(Duration::from_secs(5), asked).await.ok().flatten()
}

/// Asks over and over, and keeps an eye on the memory.
struct Honest {
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<Seen>,
}

struct Seen {
    answered: usize,
    failed: usize,
    /// What 99 of 100 took at most.
    slow: Duration,
    /// The most memory there was, in MiB.
    rss: usize,
}

impl Honest {
    fn start(address: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let task = tokio::spawn(async move {
            let (mut took, mut failed, mut most) = (Vec::new(), 0, 0);
            while !stopped.load(Ordering::Relaxed) {
                match ask(address).await {
                    Some(time) => took.push(time),
                    None => failed += 1,
                }
                most = most.max(rss());
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            took.sort_unstable();
            let slow = took.get(took.len() * 99 / 100).copied().unwrap_or_default();
            Seen { answered: took.len(), failed, slow, rss: most }
        });
        Self { stop, task }
    }

    async fn end(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap()
    }
}

/// The memory of the process, in MiB.
pub(crate) fn rss() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    pages.and_then(|text| text.split(' ').nth(1)?.parse::<usize>().ok()).unwrap_or(0) * 4 / 1024
}

/// What a connection says until it is closed, which has to be soon.
pub(crate) async fn last_words(stream: &mut TcpStream, soon: Duration) -> Vec<u8> {
    let mut said = Vec::new();
    let end = tokio::time::timeout(soon, stream.read_to_end(&mut said)).await;
    assert!(end.is_ok(), "still open after {soon:?}");
    said
}

/// Counts what went as it should.
pub(crate) async fn all_of(tasks: Vec<tokio::task::JoinHandle<()>>) -> usize {
    let done = AtomicUsize::new(0);
    for task in tasks {
        task.await.unwrap();
        done.fetch_add(1, Ordering::Relaxed);
    }
    done.into_inner()
}
