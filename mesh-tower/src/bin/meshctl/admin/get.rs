//! `meshctl get`: what a running mesh has.

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::client::{Address, encoded};
use super::facts::{columns, list, word};
use crate::output::{Outcome, print};

/// List what a running mesh has.
#[derive(Debug, Args)]
pub(crate) struct Get {
    /// What to list
    #[arg(value_enum)]
    what: What,

    /// Only hosts or clusters whose names have this text
    #[arg(long, value_name = "TEXT", default_value = "")]
    host: String,

    /// The form
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    /// Rules in the order in which they are tried
    Routes,
    /// Clusters with their limits
    Clusters,
    /// Endpoints with their health
    Endpoints,
    /// Documents that act and that are refused
    Config,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// For a person
    Text,
    /// As the mesh tells it
    Json,
}

impl Get {
    pub(crate) fn run(&self, admin: &Address) -> Result<Outcome, String> {
        let path = match self.what {
            What::Routes => "/mesh/routes",
            What::Clusters => "/mesh/limits",
            What::Endpoints => "/mesh/endpoints",
            What::Config => "/mesh/config",
        };
        let told = admin.json(&format!("{path}?host={}", encoded(&self.host)))?;
        print(&match (self.output, self.what) {
            (Format::Json, _) => format!("{told:#}\n"),
            (Format::Text, What::Routes) => columns(&routes(&told)),
            (Format::Text, What::Clusters) => columns(&clusters(&told)),
            (Format::Text, What::Endpoints) => columns(&endpoints(&told)),
            (Format::Text, What::Config) => columns(&config(&told)),
        })?;
        Ok(Outcome::Clean)
    }
}

fn titled(titles: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Vec<Vec<String>> {
    std::iter::once(titles.iter().map(|title| (*title).to_owned()).collect()).chain(rows).collect()
}

fn routes(hosts: &Value) -> Vec<Vec<String>> {
    let of = |host: &Value| {
        let row = |(index, route): (usize, &Value)| {
            let target = |to: &Value| format!("{} {}", word(&to["cluster"]), word(&to["weight"]));
            let to = match &route["to"] {
                Value::Array(several) => several.iter().map(target).collect::<Vec<_>>().join(", "),
                other => word(other),
            };
            let (listener, name) = (word(&host["listener"]), word(&host["host"]));
            vec![listener, name, index.to_string(), word(&route["name"]), to, word(&route["rule"])]
        };
        list(&host["routes"]).iter().enumerate().map(row).collect::<Vec<_>>()
    };
    titled(&["LISTENER", "HOST", "#", "NAME", "TO", "RULE"], list(hosts).iter().flat_map(of))
}

fn clusters(limits: &Value) -> Vec<Vec<String>> {
    let row = |of: &Value| {
        let figure = |name: &str| format!("{}/{}", word(&of[name]["used"]), word(&of[name]["most"]));
        let figures = ["connections", "pending_requests", "requests", "retries"].map(figure);
        [vec![word(&of["cluster"])], figures.to_vec()].concat()
    };
    titled(&["CLUSTER", "CONNECTIONS", "WAITING", "REQUESTS", "RETRIES"], list(limits).iter().map(row))
}

fn endpoints(clusters: &Value) -> Vec<Vec<String>> {
    let of = |cluster: &Value| {
        let row = |endpoint: &Value| {
            let health = match &endpoint["ejected_for_seconds"] {
                Value::Null => word(&endpoint["health"]),
                left => format!("ejected {} s", word(left)),
            };
            let tls = if endpoint["tls"] == true { "TLS" } else { "plaintext" };
            let (name, address) = (word(&cluster["cluster"]), word(&endpoint["address"]));
            vec![name, address, health, word(&endpoint["active"]), tls.to_owned()]
        };
        list(&cluster["endpoints"]).iter().map(row).collect::<Vec<_>>()
    };
    titled(&["CLUSTER", "ADDRESS", "HEALTH", "ACTIVE", "ENCRYPTION"], list(clusters).iter().flat_map(of))
}

fn config(config: &Value) -> Vec<Vec<String>> {
    let row = |state: &'static str| {
        move |document: &Value| {
            let place = format!("{}:{}", word(&document["file"]), word(&document["line"]));
            vec![state.to_owned(), word(&document["resource"]), place]
        }
    };
    let accepted = list(&config["accepted"]).iter().map(row("acts"));
    titled(&["STATE", "RESOURCE", "PLACE"], accepted.chain(list(&config["refused"]).iter().map(row("refused"))))
}
