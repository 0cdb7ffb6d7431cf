//! `meshctl graph`: who calls whom.

use clap::Args;
use serde_json::Value;

use super::client::encoded;
use super::facts::{figure, flag, list, percent, word};
use super::processes::{Format, Processes};
use super::window::Window;
use crate::output::Outcome;

/// Show who calls a running mesh and whom it calls, with rates, failures and where there is no encryption.
#[derive(Debug, Args)]
pub(crate) struct Graph {
    /// Only clusters whose names have this text
    #[arg(value_name = "HOST", default_value = "")]
    host: String,

    /// How far back to look
    #[arg(long, value_enum, default_value_t = Window::One)]
    window: Window,

    /// The form
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

impl Graph {
    pub(crate) fn run(&self, processes: &Processes) -> Result<Outcome, String> {
        let told = processes.json(&format!("/mesh/graph?window={}&host={}", self.window, encoded(&self.host)))?;
        let titles = ["FROM", "TO", "ENDPOINT", "RPS", "SHARE", "P95", "ERRORS", "SECURED", "HEALTH", "LAST FLAG"];
        let text = match self.output {
            Format::Json => told.as_json(Value::clone),
            Format::Text => told.table(&titles, rows),
        };
        told.print(&text, Outcome::Clean)
    }
}

fn rows(graph: &Value) -> Vec<Vec<String>> {
    let account = match &graph["self"]["account"] {
        Value::Null => "default".to_owned(),
        account => word(account),
    };
    let own = format!("{}/{account}", word(&graph["self"]["namespace"]));
    let callers = list(&graph["callers"]).iter().map(|caller| {
        let between = [word(&caller["caller"]), own.clone(), "-".to_owned()];
        row(&between, caller, "-")
    });
    let edges = list(&graph["edges"]).iter().map(|edge| {
        let between = [own.clone(), word(&edge["cluster"]), word(&edge["endpoint"])];
        let health = if edge["endpoint"].is_null() { "none there" } else { edge["health"].as_str().unwrap_or("-") };
        row(&between, edge, health)
    });
    let others = Some(&graph["callers_left_out"]).filter(|others| !others.is_null());
    let others =
        others.map(|others| row(&["(others, not told apart)".to_owned(), own.clone(), "-".to_owned()], others, "-"));
    callers.chain(others).chain(edges).collect()
}

fn row(between: &[String; 3], of: &Value, health: &str) -> Vec<String> {
    let secured = match of["tls"].as_bool() {
        Some(true) => "TLS",
        Some(false) => "plaintext",
        None => "-",
    };
    let figures = [figure(&of["rps"]), percent(&of["share"]), figure(&of["p95_ms"]), percent(&of["error_share"])];
    let rest = [secured.to_owned(), health.to_owned(), flag(&of["last_flag"])];
    [between.as_slice(), figures.as_slice(), rest.as_slice()].concat()
}
