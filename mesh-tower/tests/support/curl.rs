//! Asking with `curl`, which knows nothing of the mesh.

use std::net::SocketAddr;
use std::process::Stdio;

/// A command line.
#[derive(Clone, Debug)]
pub(crate) struct Curl {
    address: SocketAddr,
    path: String,
    arguments: Vec<String>,
}

/// What curl printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Printed {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Printed {
    /// A header's value, empty without it.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }

    /// The name of the upstream that answered; empty if none did.
    pub(crate) fn by(&self) -> String {
        let echo: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_default();
        echo["name"].as_str().unwrap_or_default().to_owned()
    }
}

impl Curl {
    pub(crate) fn at(address: SocketAddr, path: &str) -> Self {
        Self { address, path: path.to_owned(), arguments: Vec::new() }
    }

    pub(crate) fn header(self, line: &str) -> Self {
        self.with(&["-H", line])
    }

    pub(crate) fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|&argument| argument.to_owned()));
        self
    }

    /// Runs it once.
    pub(crate) async fn run(self) -> Printed {
        let text = self.with(&["-i"]).output().await;
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("not a response: {text}"));
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
        let header = |line: &str| line.split_once(':').map(|(name, value)| (name.into(), value.trim().into()));
        let headers = lines.filter_map(header).collect();
        Printed { status: status.unwrap_or_else(|| panic!("no status: {head}")), headers, body: body.to_owned() }
    }

    /// Asks this often over one connection, and gives the statuses.
    pub(crate) async fn run_many(mut self, times: usize) -> Vec<u16> {
        self.path = format!("{}?[1-{times}]", self.path);
        let text = self.with(&["-o", "/dev/null", "-w", "%{http_code}\n"]).output().await;
        text.lines().map(|line| line.parse().unwrap()).collect()
    }

    async fn output(&self) -> String {
        let output = tokio::process::Command::new("curl")
            .args(["-sS", "--max-time", "20"])
            .args(&self.arguments)
            .arg(format!("http://{}{}", self.address, self.path))
            .stdin(Stdio::null())
            .output()
            .await
            .expect("curl is installed");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "curl {:?}: {errors}", self.arguments);
        String::from_utf8(output.stdout).unwrap()
    }
}
