//! A running Envoy, and what it logs about each request.

use std::collections::HashMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command};

use crate::bootstrap;
use crate::case::Case;
use crate::place::Place;
use crate::wire::{Framing, Wire};

/// How long it may take to come up, and to log a request that has ended.
const PATIENCE: Duration = Duration::from_secs(20);

/// A process of our own, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Envoy {
    pub(crate) address: SocketAddr,
    admin: SocketAddr,
    log: Arc<Mutex<HashMap<String, Logged>>>,
    _process: Child,
    _folder: TempDir,
}

/// What it says about a request.
#[derive(Clone, Debug)]
pub(crate) struct Logged {
    pub(crate) flags: String,
    pub(crate) attempts: u32,
}

/// The binary to compare with; without one it is said, past the capture of the test harness so that it is seen.
pub(crate) fn binary() -> Option<PathBuf> {
    let Some(binary) = std::env::var_os("ENVOY").map(PathBuf::from) else {
        let _unseen = std::io::stderr().write_all(b"SKIPPED: ENVOY is not set, which names a binary to compare with\n");
        return None;
    };
    assert!(binary.is_file(), "ENVOY is set, but {} is not there", binary.display());
    Some(binary)
}

impl Envoy {
    /// With the configuration of these cases, once it takes requests.
    pub(crate) async fn start(binary: &Path, cases: &[Case], place: Place) -> Self {
        Self::run(binary, &place.enter(&bootstrap::of(cases).to_string())).await
    }

    /// With a configuration of one listener, once it takes requests.
    pub(crate) async fn run(binary: &Path, configuration: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (config, admin) = (folder.path().join("envoy.json"), folder.path().join("admin"));
        std::fs::write(&config, configuration).unwrap();
        let mut process = Command::new(binary)
            .arg("--config-path")
            .arg(&config)
            .arg("--admin-address-path")
            .arg(&admin)
            .args(["--concurrency", "1", "--disable-hot-restart", "--file-flush-interval-msec", "5"])
            .args(["--log-level", "error"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let log = Arc::default();
        tokio::spawn(follow(process.stdout.take().unwrap(), Arc::clone(&log)));
        let (admin, address) = listening(&admin, &mut process).await;
        Self { address, admin, log, _process: process, _folder: folder }
    }

    /// What it logged about a request that has ended.
    pub(crate) async fn logged(&self, mark: &str) -> Logged {
        let begun = Instant::now();
        loop {
            if let Some(logged) = self.log.lock().unwrap().remove(mark) {
                return logged;
            }
            assert!(begun.elapsed() < PATIENCE, "Envoy logs nothing about request {mark}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// What it has counted under a name.
    pub(crate) async fn counted(&self, name: &str) -> u64 {
        self.counted_if_ever(name).await.unwrap_or_else(|| panic!("no counter {name}"))
    }

    /// The same for what it may never have counted.
    pub(crate) async fn counted_if_ever(&self, name: &str) -> Option<u64> {
        let page = get(self.admin, &format!("/stats?format=json&filter={name}")).await.expect("a page of counters");
        let counters = page["stats"].as_array().expect("counters");
        let found = counters.iter().find(|counter| counter["name"] == name);
        found.and_then(|counter| counter["value"].as_u64())
    }

    /// Whether it counts more under a name than before, within 5 s.
    pub(crate) async fn counts_more_than(&self, name: &str, before: u64) -> bool {
        for _ in 0..100 {
            if self.counted(name).await > before {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        false
    }
}

async fn follow(output: ChildStdout, log: Arc<Mutex<HashMap<String, Logged>>>) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let words: Vec<&str> = line.split(' ').collect();
        if let [mark, flags, attempts] = words[..] {
            let attempts = attempts.parse().unwrap_or_default();
            log.lock().unwrap().insert(mark.to_owned(), Logged { flags: flags.to_owned(), attempts });
        }
    }
}

/// The addresses of its administration and of its one listener.
async fn listening(admin: &Path, process: &mut Child) -> (SocketAddr, SocketAddr) {
    let begun = Instant::now();
    loop {
        assert!(process.try_wait().unwrap().is_none(), "Envoy has ended; its standard error says why");
        assert!(begun.elapsed() < PATIENCE, "Envoy does not come up");
        tokio::time::sleep(Duration::from_millis(20)).await;
        let Some(admin) = std::fs::read_to_string(admin).ok().and_then(|text| text.trim().parse().ok()) else {
            continue;
        };
        let Some(listeners) = get(admin, "/listeners?format=json").await else { continue };
        let address = &listeners["listener_statuses"][0]["local_address"]["socket_address"];
        let port = address["port_value"].as_u64().and_then(|port| u16::try_from(port).ok());
        if let Some(port) = port.filter(|port| *port != 0) {
            return (admin, ([127, 0, 0, 1], port).into());
        }
    }
}

/// A page of the admin interface.
async fn get(admin: SocketAddr, path: &str) -> Option<Value> {
    let mut wire = Wire::new(TcpStream::connect(admin).await.ok()?);
    wire.write(format!("GET {path} HTTP/1.1\r\nhost: admin\r\n\r\n").as_bytes()).await.ok()?;
    let head = wire.head().await.ok()??;
    let (body, _) = wire.body(Framing::of(&head.headers, Framing::Length(0))).await.ok()?;
    serde_json::from_slice(&body).ok()
}
