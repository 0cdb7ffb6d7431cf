//! Name servers that change their mind, or do not answer.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use mesh_tower::Mesh;
use mesh_tower::discovery::{Dns, Resolve};
use tokio::time::Instant;

use crate::ledger::{Ledger, Reply};
use crate::load::{self, Ask};
use crate::scenario::{Scenario, assert_nothing_lost_or_repeated};

/// What the name server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    NoSuchName,
    Nothing,
    Hosts(u8),
    Hangs,
}

/// A resolver that is told what to say by the number of the question.
#[derive(Clone)]
struct Names {
    says: fn(usize) -> Says,
    asked: Arc<AtomicUsize>,
    at_once: Arc<AtomicUsize>,
    most_at_once: Arc<AtomicUsize>,
}

impl Names {
    fn new(says: fn(usize) -> Says) -> Self {
        Self { says, asked: Arc::default(), at_once: Arc::default(), most_at_once: Arc::default() }
    }
}

impl Resolve for Names {
    fn resolve(&self, _: &str, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let names = self.clone();
        async move {
            let number = names.asked.fetch_add(1, Ordering::SeqCst);
            let now = names.at_once.fetch_add(1, Ordering::SeqCst) + 1;
            names.most_at_once.fetch_max(now, Ordering::SeqCst);
            let says = (names.says)(number);
            let pause = if says == Says::Hangs { Duration::from_secs(30) } else { Duration::from_millis(5) };
            tokio::time::sleep(pause).await;
            names.at_once.fetch_sub(1, Ordering::SeqCst);
            match says {
                Says::NoSuchName | Says::Hangs => Err(io::Error::new(io::ErrorKind::NotFound, "no such name")),
                Says::Nothing => Ok(Vec::new()),
                Says::Hosts(count) => Ok((1..=count).map(|last| SocketAddr::from(([127, 9, 0, last], port))).collect()),
            }
        }
        .boxed()
    }
}

/// A mesh with a service that is found by name.
async fn mesh(scenario: &Scenario, names: &Names, port: u16) -> Mesh {
    let text = format!(
        "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: app, namespace: default}}
spec:
  hosts: [app.example.com]
  location: MESH_EXTERNAL
  resolution: DNS
  ports: [{{number: {port}, name: http, protocol: HTTP}}]
"
    );
    let builder = scenario.with_text(text).discovery(Dns::new(names.clone()));
    builder.mesh_config_yaml("dnsRefreshRate: 0.1s").build().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_comes_and_goes_keeps_the_last_addresses_it_had() {
    let scenario = Scenario::begin("12 flapping names", 15, 64).await;
    let names = Names::new(|number| match number % 5 {
        0 => Says::Hosts(1),
        1 => Says::NoSuchName,
        2 => Says::Hosts(50),
        3 => Says::Nothing,
        _ => Says::Hosts(3),
    });
    // Some answers last over a change.
    let ledger = Ledger::new(|seen| match &*seen.path {
        "/slow" => Reply::ok().after(Duration::from_millis(250)),
        _ => Reply::ok(),
    });
    let port = ledger.endpoint_at([0, 0, 0, 0]).await.port();
    let mesh = mesh(&scenario, &names, port).await;
    let url = format!("http://app.example.com:{port}/");
    let slow = {
        let (client, url) = (mesh.client(), format!("{url}slow"));
        tokio::spawn(async move { load::run(&client, 8, (100_000..100_080).map(|n| Ask::get(n).to(&url))).await })
    };
    let mut tally = load::Tally::default();
    let began = Instant::now();
    let mut from = 0;
    while began.elapsed() < Duration::from_secs(3) {
        tally = tally.join(load::run(&mesh.client(), 8, (from..from + 50).map(|n| Ask::get(n).to(&url))).await);
        from += 50;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tally = tally.join(slow.await.unwrap());
    assert!(names.asked.load(Ordering::SeqCst) >= 20, "{:?}", names.asked);
    assert_eq!(names.most_at_once.load(Ordering::SeqCst), 1, "one question at a time");
    assert_eq!(tally.acknowledged(), tally.requests(), "{:?}", tally.statuses());
    assert_nothing_lost_or_repeated(&ledger, &tally);
    scenario.end([mesh], ledger).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_server_that_hangs_holds_up_neither_requests_nor_the_end() {
    let scenario = Scenario::begin("13 hanging names", 10, 48).await;
    let names = Names::new(|number| if number == 0 { Says::Hosts(2) } else { Says::Hangs });
    let ledger = Ledger::good();
    let port = ledger.endpoint_at([0, 0, 0, 0]).await.port();
    let mesh = mesh(&scenario, &names, port).await;
    let url = format!("http://app.example.com:{port}/");
    let began = Instant::now();
    let mut tally = load::Tally::default();
    while began.elapsed() < Duration::from_secs(1) {
        let from = tally.requests();
        tally = tally.join(load::run(&mesh.client(), 4, (from..from + 50).map(|n| Ask::get(n).to(&url))).await);
    }
    assert_eq!(names.asked.load(Ordering::SeqCst), 2, "the second question has no answer yet");
    assert_eq!(tally.acknowledged(), tally.requests(), "{:?}", tally.statuses());
    assert_nothing_lost_or_repeated(&ledger, &tally);
    let began = Instant::now();
    mesh.shutdown(Duration::from_secs(5)).await;
    scenario.end([mesh], ledger).await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}
