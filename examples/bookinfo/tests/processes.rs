//! One process per service, as docker-compose starts them: the same binary with `--role`.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test, of other processes in real time")]

#[path = "support/process.rs"]
mod process;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bookinfo::config::{Endpoint, Service, WatchedDir};
use bookinfo::probe::{Call, Probe, Upstream};
use bookinfo::stage::{Options, SHOP};

use process::{Process, free_port};

fn start(dir: &WatchedDir, role: &str, version: &str, listen: SocketAddr, control: Option<SocketAddr>) -> Process {
    let mut command = process::role(role, version, listen, &dir.path());
    if let Some(control) = control {
        command.args(["--control", &control.to_string()]);
    }
    Process::spawn(&mut command)
}

#[tokio::test]
async fn services_in_processes_of_their_own_make_the_page() {
    let (shop, details, ratings) = (free_port(), free_port(), free_port());
    let (v1, v2, v2_control, gateway) = (free_port(), free_port(), free_port(), free_port());
    let endpoint = |address, version: &str| Endpoint { address, version: version.into(), replica: "1".into() };
    let dir = WatchedDir::create(
        &Options::default().mesh_dir,
        &[
            Service { name: "productpage", grpc: false, endpoints: vec![endpoint(shop, "v1")] },
            Service { name: "details", grpc: false, endpoints: vec![endpoint(details, "v1")] },
            Service { name: "reviews", grpc: false, endpoints: vec![endpoint(v1, "v1"), endpoint(v2, "v2")] },
            Service { name: "ratings", grpc: true, endpoints: vec![endpoint(ratings, "v1")] },
        ],
    )
    .unwrap();
    dir.put_on("header-routing.yaml").unwrap();
    let _processes = [
        start(&dir, "productpage", "v1", shop, None),
        start(&dir, "details", "v1", details, None),
        start(&dir, "reviews", "v1", v1, None),
        start(&dir, "reviews", "v2", v2, Some(v2_control)),
        start(&dir, "ratings", "v1", ratings, None),
        start(&dir, "gateway", "v1", gateway, None),
    ];

    let probe = Probe::default();
    let page = Call::get(gateway, "/productpage").host(SHOP);
    let complete = |text: &str| text.contains("William Shakespeare") && text.contains("from reviews");
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        match probe.send(&page.clone().case("somebody")).await {
            Ok(answer) if complete(&answer.text()) => break,
            other => assert!(Instant::now() < end, "{other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let jason = probe.send(&page.case("jason").header("end-user", "jason")).await.unwrap().text();
    assert!(jason.contains(r#"class="stars black""#), "{jason}");
    let reviews = Upstream::new("reviews v2".to_owned(), v2_control, probe);
    assert_eq!(reviews.requests("jason").await.unwrap(), 1);
    assert_eq!(reviews.requests("somebody").await.unwrap(), 0);
}
