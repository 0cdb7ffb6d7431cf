//! Name servers that change their mind, or do not answer.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use mesh_tower::Mesh;
use mesh_tower::discovery::{Dns, Resolve};
use tokio::time::Instant;

use crate::judged::Judged;
use crate::ledger::{Ledger, Reply};
use crate::load::{self, Ask};
use crate::scenario::Scenario;

const HOST: &str = "app.example.com";

/// What the name server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    NoSuchName,
    Nothing,
    Hosts(u8),
    Hangs,
}

/// A resolver that is told what to say by the number of the question and the time since the first.
#[derive(Clone)]
struct Names {
    says: fn(usize, Duration) -> Says,
    began: Instant,
    inner: Arc<Mutex<HashMap<String, Questions>>>,
}

/// The questions about one name.
#[derive(Clone, Copy, Debug, Default)]
struct Questions {
    asked: usize,
    at_once: usize,
    most_at_once: usize,
    failed: usize,
}

impl Names {
    fn new(says: fn(usize, Duration) -> Says) -> Self {
        Self { says, began: Instant::now(), inner: Arc::default() }
    }

    fn of(&self, host: &str) -> Questions {
        self.inner.lock().unwrap().get(host).copied().unwrap_or_default()
    }

    fn note<T>(&self, host: &str, note: impl FnOnce(&mut Questions) -> T) -> T {
        note(self.inner.lock().unwrap().entry(host.to_owned()).or_default())
    }
}

impl Resolve for Names {
    fn resolve(&self, host: &str, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let (names, host) = (self.clone(), host.to_owned());
        async move {
            let number = names.note(&host, |questions| {
                questions.at_once += 1;
                questions.most_at_once = questions.most_at_once.max(questions.at_once);
                questions.asked += 1;
                questions.asked - 1
            });
            let says = (names.says)(number, names.began.elapsed());
            let pause = if says == Says::Hangs { Duration::from_secs(30) } else { Duration::from_millis(5) };
            tokio::time::sleep(pause).await;
            let fails = !matches!(says, Says::Hosts(_));
            names.note(&host, |questions| {
                questions.at_once -= 1;
                questions.failed += usize::from(fails);
            });
            match says {
                Says::NoSuchName | Says::Hangs => Err(io::Error::new(io::ErrorKind::NotFound, "no such name")),
                Says::Nothing => Ok(Vec::new()),
                Says::Hosts(count) => Ok((1..=count).map(|last| SocketAddr::from(([127, 9, 0, last], port))).collect()),
            }
        }
        .boxed()
    }
}

/// A mesh with services that are found by name; other names are asked for where requests go there.
async fn mesh(scenario: &Scenario, names: &Names, hosts: &[&str], port: u16) -> Mesh {
    let entry = |(n, host): (usize, &&str)| {
        format!(
            "---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: app-{n}, namespace: default}}
spec:
  hosts: [{host}]
  location: MESH_EXTERNAL
  resolution: DNS
  ports: [{{number: {port}, name: http, protocol: HTTP}}]
"
        )
    };
    let text = hosts.iter().enumerate().map(entry).collect();
    let builder = scenario.with_text(text).discovery(Dns::new(names.clone()));
    builder.mesh_config_yaml("dnsRefreshRate: 0.1s").build().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_comes_and_goes_keeps_the_last_addresses_it_had() {
    let scenario = Scenario::begin("12 flapping names", 15, 64).await;
    // It says something else twenty times a second. The mesh asks half as often: no name more than ten times a second,
    // whatever `dnsRefreshRate` says. What nobody has known there are no addresses of yet.
    let names = Names::new(|number, time| match (number, time.as_millis() / 50 % 5) {
        (0, _) | (_, 0) => Says::Hosts(1),
        (_, 1) => Says::NoSuchName,
        (_, 2) => Says::Hosts(50),
        (_, 3) => Says::Nothing,
        _ => Says::Hosts(3),
    });
    // Some answers last over a change.
    let ledger = Ledger::new(|seen| match &*seen.path {
        "/slow" => Reply::ok().after(Duration::from_millis(250)),
        _ => Reply::ok(),
    });
    let port = ledger.endpoint_at([0, 0, 0, 0]).await.port();
    // Of the last nobody has said anything: it is asked for because requests go there.
    let hosts = ["app.example.com", "other.example.com", "else.example.com"];
    let mesh = mesh(&scenario, &names, &hosts[..2], port).await;
    let url = move |n: usize| format!("http://{}:{port}/", hosts[n % 3]);
    let slow = {
        let client = mesh.client();
        let asks = (100_000..100_080).map(move |n| Ask::get(n).to(&format!("{}slow", url(n))));
        tokio::spawn(async move { load::run(&client, 8, asks).await })
    };
    let mut tally = load::Tally::default();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(5) {
        let from = tally.requests();
        // Very many at once.
        tally = tally.join(load::run(&mesh.client(), 60, (from..from + 120).map(|n| Ask::get(n).to(&url(n)))).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tally = tally.join(slow.await.unwrap());
    tally.took = began.elapsed();
    for host in hosts {
        let questions = names.of(host);
        println!("{host}: {questions:?}");
        assert!(questions.most_at_once == 1, "{host}: one question at a time: {questions:?}");
    }
    // The last is asked for when requests go there, and its answer is good for a while.
    let [first, second, last] = hosts.map(|host| names.of(host).asked);
    assert!(first.min(second) >= 25 && (1..=60).contains(&last), "{first}, {second}, {last}");
    assert_eq!(tally.acknowledged(), tally.requests(), "{:?}", tally.statuses());
    let judged = Judged::by(&ledger, &tally);
    scenario.end(judged, [mesh], ledger).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_server_that_hangs_holds_up_neither_requests_nor_the_end() {
    let scenario = Scenario::begin("13 hanging names", 10, 48).await;
    let names = Names::new(|number, _| if number == 0 { Says::Hosts(2) } else { Says::Hangs });
    let ledger = Ledger::good();
    let port = ledger.endpoint_at([0, 0, 0, 0]).await.port();
    let mesh = mesh(&scenario, &names, &[HOST], port).await;
    let url = format!("http://{HOST}:{port}/");
    let began = Instant::now();
    let mut tally = load::Tally::default();
    while began.elapsed() < Duration::from_secs(1) {
        let from = tally.requests();
        tally = tally.join(load::run(&mesh.client(), 4, (from..from + 50).map(|n| Ask::get(n).to(&url))).await);
    }
    assert_eq!(names.of(HOST).asked, 2, "the second question has no answer yet");
    assert_eq!(tally.acknowledged(), tally.requests(), "{:?}", tally.statuses());
    tally.took = began.elapsed();
    let judged = Judged::by(&ledger, &tally);
    let began = Instant::now();
    mesh.shutdown(Duration::from_secs(5)).await;
    scenario.end(judged, [mesh], ledger).await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}
