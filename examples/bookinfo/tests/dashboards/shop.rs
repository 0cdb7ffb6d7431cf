//! All services as processes of their own, most of them with certificates.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use bookinfo::config::{Endpoint, Service, WatchedDir};
use bookinfo::ledger::Act;
use bookinfo::probe::{Probe, Upstream};
use bookinfo::stage::Options;
use tempfile::TempDir;

use crate::authority::Authority;
use crate::process::{Process, free_port, role};

/// The requests that details answers 500.
pub(crate) const FAILING: &str = "failing";

/// The services, up and running.
pub(crate) struct Shop {
    pub(crate) gateway: SocketAddr,
    /// A product page without a certificate: whom it calls, it calls in plaintext.
    pub(crate) outside: SocketAddr,
    /// Where each process serves its metrics.
    pub(crate) metrics: Vec<SocketAddr>,
    _processes: Vec<Process>,
    _watched: WatchedDir,
    _certificates: TempDir,
}

impl Shop {
    pub(crate) async fn open() -> Self {
        let (page, details, ratings, control) = (free_port(), free_port(), free_port(), free_port());
        let (v1, v2, gateway, outside) = (free_port(), free_port(), free_port(), free_port());
        let endpoint = |address, version: &str| Endpoint { address, version: version.into(), replica: "1".into() };
        let http = |name, endpoints| Service { name, grpc: false, endpoints };
        let services = [
            http("productpage", vec![endpoint(page, "v1")]),
            http("details", vec![endpoint(details, "v1")]),
            http("reviews", vec![endpoint(v1, "v1"), endpoint(v2, "v2")]),
            Service { name: "ratings", grpc: true, endpoints: vec![endpoint(ratings, "v1")] },
        ];
        let watched = WatchedDir::create(&Options::default().mesh_dir, &services).unwrap();
        watched.put_on("all-versions.yaml").unwrap();
        take_mutual_tls(&watched.path().join("service-entries.yaml"));

        let (certificates, ca, mut metrics) = (tempfile::tempdir().unwrap(), Authority::new(), Vec::new());
        let mut start = |name: &str, version: &str, listen, certified: bool, control: Option<SocketAddr>| {
            let mut command = role(name, version, listen, &watched.path());
            let admin = free_port();
            metrics.push(admin);
            command.args(["--admin", &admin.to_string()]);
            if let Some(control) = control {
                command.args(["--control", &control.to_string()]);
            }
            if certified {
                let directory = certificates.path().join(format!("{name}-{version}"));
                std::fs::create_dir(&directory).unwrap();
                ca.write(&directory, name);
                command.arg("--identity").arg(directory);
            }
            Process::spawn(&mut command)
        };
        let processes = vec![
            start("productpage", "v1", page, true, None),
            start("details", "v1", details, true, Some(control)),
            start("reviews", "v1", v1, true, None),
            start("reviews", "v2", v2, true, None),
            start("ratings", "v1", ratings, true, None),
            start("gateway", "v1", gateway, true, None),
            start("productpage", "v1", outside, false, None),
        ];
        let all = [page, details, v1, v2, ratings, gateway, outside, control];
        listening(all.into_iter().chain(metrics.iter().copied())).await;
        let details = Upstream::new("details".to_owned(), control, Probe::default());
        details.order(FAILING, Act::Status(500), None).await.unwrap();
        Self { gateway, outside, metrics, _processes: processes, _watched: watched, _certificates: certificates }
    }
}

/// Says of all endpoints, as Istio does of those with a sidecar, that they take mutual TLS.
fn take_mutual_tls(entries: &Path) {
    let text = std::fs::read_to_string(entries).unwrap();
    let marked = text.replace("      labels:\n", "      labels:\n        security.istio.io/tlsMode: istio\n");
    assert!(marked.matches("tlsMode: istio").count() == 5, "{marked}");
    std::fs::write(entries, marked).unwrap();
}

/// Waits until all take connections, so that no request fails for want of one.
async fn listening(addresses: impl Iterator<Item = SocketAddr>) {
    let begun = Instant::now();
    for address in addresses {
        while TcpStream::connect(address).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(30), "nobody listens on {address}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
