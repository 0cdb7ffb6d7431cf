//! `meshctl describe`: everything that counts for a host.

use clap::Args;
use serde_json::Value;

use super::client::encoded;
use super::facts::{columns, list, word};
use super::processes::{Format, Processes};
use crate::output::Outcome;

/// Say what counts for a host in a running mesh: rules, policies and endpoints, each with the file and line that says so.
#[derive(Debug, Args)]
pub(crate) struct Describe {
    /// The host, in full or short as in the namespace of the workload
    host: String,

    /// The form
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

impl Describe {
    pub(crate) fn run(&self, processes: &Processes) -> Result<Outcome, String> {
        let told = processes.json(&format!("/mesh/effective/{}", encoded(&self.host)))?;
        let text = match self.output {
            Format::Json => told.as_json(Value::clone),
            Format::Text => {
                let of = |(name, host): &(String, Value)| {
                    let title = if name.is_empty() { String::new() } else { format!("{name}\n") };
                    title + &text(host)
                };
                told.told.iter().map(of).collect::<Vec<_>>().join("\n")
            }
        };
        told.print(&text, Outcome::Clean)
    }
}

fn text(host: &Value) -> String {
    let mut out = format!("host {}\n\nrules\n", word(&host["host"]));
    let rule = |rule: &Value| {
        let timeout =
            rule["timeout_ms"].as_u64().map_or("no timeout".to_owned(), |limit| format!("timeout {limit} ms"));
        let fault = if rule["fault"] == true { ", injects faults" } else { "" };
        let says = format!("{timeout}, {} tries{fault}", word(&rule["tries"]));
        vec!["  ".to_owned() + &word(&rule["rule"]), word(&rule["name"]), says, word(&rule["at"])]
    };
    out += &columns(&list(&host["rules"]).iter().map(rule).collect::<Vec<_>>());
    for cluster in list(&host["clusters"]) {
        out += &format!("\ncluster {}\n", word(&cluster["cluster"]));
        let line = |line: &Value| {
            let place = &line["place"];
            let by = [&place["object"], &place["field"], &place["at"]]
                .map(|part| part.as_str().map_or(String::new(), |_| word(part)));
            vec!["  ".to_owned() + &word(&line["name"]), word(&line["value"]), by.join(" ").trim().to_owned()]
        };
        out += &columns(&list(&cluster["policy"]).iter().map(line).collect::<Vec<_>>());
        let endpoint = |endpoint: &Value| {
            let health = endpoint["unusable"].as_str().map_or("ok".to_owned(), |_| word(&endpoint["unusable"]));
            vec!["  endpoint".to_owned(), word(&endpoint["address"]), health]
        };
        out += &columns(&list(&cluster["endpoints"]).iter().map(endpoint).collect::<Vec<_>>());
    }
    out
}
