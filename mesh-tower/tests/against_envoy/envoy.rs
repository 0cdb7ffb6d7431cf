//! A running Envoy, and what it logs about each request.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
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

impl Envoy {
    /// With the configuration of these cases, once it takes requests.
    pub(crate) async fn start(binary: &Path, cases: &[Case], place: Place) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (config, admin) = (folder.path().join("envoy.json"), folder.path().join("admin"));
        std::fs::write(&config, place.enter(&bootstrap::of(cases).to_string())).unwrap();
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
        let address = listening(&admin, &mut process).await;
        Self { address, log, _process: process, _folder: folder }
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

/// The address of its one listener.
async fn listening(admin: &Path, process: &mut Child) -> SocketAddr {
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
            return ([127, 0, 0, 1], port).into();
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
