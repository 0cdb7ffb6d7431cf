//! A Prometheus that runs, and its answers.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bookinfo::probe::{Call, Probe};
use serde::Deserialize;
use tempfile::TempDir;

use crate::process::{Process, free_port};

/// How long an answer may take to become what it has to be: several scrapes, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// The binary; without one it is said, past the capture of the test harness so that it is seen.
pub(crate) fn binary() -> Option<PathBuf> {
    let named = std::env::var_os("PROMETHEUS").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found =
        named.or_else(|| std::env::split_paths(&path).map(|folder| folder.join("prometheus")).find(|at| at.is_file()));
    if found.is_none() {
        use std::io::Write as _;
        let in_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
        assert!(!in_ci, "there is no prometheus, which `.ci/prepare` installs");
        let _unseen = std::io::stderr().write_all(b"SKIPPED: there is no prometheus (Debian's package of this name)\n");
    }
    found
}

/// A process of our own, which ends when this is dropped.
pub(crate) struct Prometheus {
    address: SocketAddr,
    probe: Probe,
    _process: Process,
    _folder: TempDir,
}

/// One line of an answer.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Sample {
    pub(crate) metric: BTreeMap<String, String>,
    value: (f64, String),
}

impl Sample {
    pub(crate) fn value(&self) -> f64 {
        self.value.1.parse().unwrap()
    }
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    data: Data,
    #[serde(default)]
    error: String,
}

#[derive(Default, Deserialize)]
struct Data {
    result: Vec<Sample>,
}

impl Prometheus {
    /// Scrapes these every second.
    pub(crate) async fn start(binary: &Path, targets: &[SocketAddr]) -> Self {
        let (folder, address) = (tempfile::tempdir().unwrap(), free_port());
        let targets: Vec<_> = targets.iter().map(|target| format!("'{target}'")).collect();
        let config = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
             scrape_configs: [{{job_name: bookinfo, static_configs: [{{targets: [{}]}}]}}]\n",
            targets.join(", ")
        );
        let file = folder.path().join("prometheus.yml");
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new(binary);
        command.arg(format!("--config.file={}", file.display()));
        command.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
        command.args([&format!("--web.listen-address={address}"), "--log.level=error"]).stdin(Stdio::null());
        let process = Process::spawn(&mut command);
        let prometheus = Self { address, probe: Probe::default(), _process: process, _folder: folder };
        let begun = Instant::now();
        while !prometheus.is_ready().await {
            assert!(begun.elapsed() < PATIENCE, "Prometheus does not come up");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        prometheus
    }

    async fn is_ready(&self) -> bool {
        let answer = self.probe.send(&Call::get(self.address, "/-/ready")).await;
        answer.is_ok_and(|answer| answer.status == 200)
    }

    /// The answer to a query, now.
    pub(crate) async fn ask(&self, query: &str) -> Vec<Sample> {
        let encoded = query.bytes().fold(String::new(), |mut encoded, byte| {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
            encoded
        });
        let call = Call::get(self.address, &format!("/api/v1/query?query={encoded}"));
        let answer: Answer = self.probe.send(&call).await.unwrap().json().unwrap();
        assert!(answer.error.is_empty(), "{query}: {}", answer.error);
        answer.data.result
    }

    /// The answer once it is as it has to be; else, after a while, what it is.
    pub(crate) async fn until(&self, query: &str, is_good: impl Fn(&[Sample]) -> bool) -> Result<Vec<Sample>, String> {
        let begun = Instant::now();
        loop {
            let answer = self.ask(query).await;
            if is_good(&answer) {
                return Ok(answer);
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("{query}\n    gives {answer:?}"));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}
