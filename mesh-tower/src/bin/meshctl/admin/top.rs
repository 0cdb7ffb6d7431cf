//! `meshctl top`: which rules take how many requests, and what comes of it.

use clap::Args;
use serde_json::Value;

use super::client::encoded;
use super::facts::{figure, flag, list, word};
use super::processes::{Format, Processes};
use super::window::Window;
use crate::output::Outcome;

/// Show the rules of a running mesh by how many requests they take, the busiest first.
#[derive(Debug, Args)]
pub(crate) struct Top {
    /// Only hosts whose names have this text
    #[arg(value_name = "HOST", default_value = "")]
    host: String,

    /// How far back to look
    #[arg(long, value_enum, default_value_t = Window::One)]
    window: Window,

    /// Rules without requests, too
    #[arg(long)]
    all: bool,

    /// The form
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

impl Top {
    pub(crate) fn run(&self, processes: &Processes) -> Result<Outcome, String> {
        let told = processes.json(&format!("/mesh/routes?window={}&host={}", self.window, encoded(&self.host)))?;
        let titles = ["HOST", "ROUTE", "RPS", "OK%", "P50", "P95", "P99", "TRIES", "LAST FLAG", "VIRTUAL SERVICE"];
        let text = match self.output {
            Format::Json => told.as_json(Value::clone),
            Format::Text => told.table(&titles, |hosts| self.rows(hosts)),
        };
        told.print(&text, Outcome::Clean)
    }

    fn rows(&self, hosts: &Value) -> Vec<Vec<String>> {
        let mut found: Vec<(f64, Vec<String>)> = Vec::new();
        for host in list(hosts) {
            for route in list(&host["routes"]) {
                let rates = &route["rates"];
                if !self.all && rates["requests"] == 0 {
                    continue;
                }
                let figures = ["rps", "ok_percent", "p50_ms", "p95_ms", "p99_ms", "tries_per_request"];
                let figures = figures.map(|name| figure(&rates[name]));
                let name = [word(&host["host"]), word(&route["name"])];
                let row =
                    [name.to_vec(), figures.to_vec(), vec![flag(&rates["last_flag"]), word(&route["rule"])]].concat();
                // Several listeners have one virtual host.
                if !found.iter().any(|(_, known)| *known == row) {
                    found.push((rates["rps"].as_f64().unwrap_or_default(), row));
                }
            }
        }
        found.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        found.into_iter().map(|(_, row)| row).collect()
    }
}
