//! `meshctl get`: what running meshes have.

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::client::encoded;
use super::facts::{date, list, parts, word};
use super::processes::{Asked, Format, Processes};
use crate::output::Outcome;

/// List what a running mesh has, in the columns of `istioctl proxy-config` and some more.
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
    /// Ports whose requests are routed
    Listeners,
    /// Rules in the order in which they are tried
    Routes,
    /// Clusters with their limits
    Clusters,
    /// Endpoints with their health
    Endpoints,
    /// Certificates that are shown to others
    Secrets,
    /// Documents that act and that are refused
    Config,
    /// The level of the log
    Log,
}

impl What {
    const fn path(self) -> &'static str {
        match self {
            Self::Listeners | Self::Routes => "/mesh/routes",
            Self::Clusters => "/mesh/limits",
            Self::Endpoints => "/mesh/endpoints",
            Self::Secrets => "/mesh/certs",
            Self::Config => "/mesh/config",
            Self::Log => "/mesh/log",
        }
    }
}

impl Get {
    pub(crate) fn run(&self, processes: &Processes) -> Result<Outcome, String> {
        let told = processes.json(&format!("{}?host={}", self.what.path(), encoded(&self.host)))?;
        let text = match self.output {
            Format::Json => told.as_json(Value::clone),
            Format::Text => self.text(&told),
        };
        told.print(&text, Outcome::Clean)
    }

    fn text(&self, told: &Asked<Value>) -> String {
        match self.what {
            What::Listeners => told.table(&["ADDRESSES", "PORT", "HOSTS", "ROUTES"], listeners),
            What::Routes => told
                .table(&["NAME", "VHOST NAME", "DOMAINS", "MATCH", "VIRTUAL SERVICE", "#", "RULE NAME", "TO"], routes),
            What::Clusters => {
                let titles =
                    ["SERVICE FQDN", "PORT", "SUBSET", "DIRECTION", "CONNECTIONS", "WAITING", "REQUESTS", "RETRIES"];
                told.table(&titles, clusters)
            }
            What::Endpoints => {
                told.table(&["ENDPOINT", "STATUS", "OUTLIER CHECK", "CLUSTER", "ACTIVE", "ENCRYPTION"], endpoints)
            }
            What::Secrets => {
                told.table(&["RESOURCE NAME", "TYPE", "STATUS", "VALID CERT", "NOT AFTER", "NOT BEFORE", "ID"], secrets)
            }
            What::Config => told.table(&["STATE", "RESOURCE", "PLACE"], config),
            What::Log => {
                told.table(&["CAN BE SET", "SET TO"], |log| vec![vec![word(&log["can_be_set"]), word(&log["set_to"])]])
            }
        }
    }
}

fn listeners(hosts: &Value) -> Vec<Vec<String>> {
    let mut found: Vec<(String, usize, usize)> = Vec::new();
    for host in list(hosts) {
        let (listener, routes) = (word(&host["listener"]), list(&host["routes"]).len());
        match found.iter_mut().find(|(known, ..)| *known == listener) {
            Some(known) => (known.1, known.2) = (known.1 + 1, known.2 + routes),
            None => found.push((listener, 1, routes)),
        }
    }
    let row = |(listener, hosts, routes): (String, usize, usize)| {
        let (address, port) = listener.split_once(':').unwrap_or((&listener, "-"));
        vec![address.to_owned(), port.to_owned(), hosts.to_string(), routes.to_string()]
    };
    found.into_iter().map(row).collect()
}

fn routes(hosts: &Value) -> Vec<Vec<String>> {
    let of = |host: &Value| {
        let row = |(index, route): (usize, &Value)| {
            let target = |to: &Value| format!("{} {}", word(&to["cluster"]), word(&to["weight"]));
            let to = match &route["to"] {
                Value::Array(several) => several.iter().map(target).collect::<Vec<_>>().join(", "),
                other => word(other),
            };
            let domains = list(&host["domains"]);
            let more = match domains.len() {
                0 | 1 => String::new(),
                count => format!(" + {} more", count - 1),
            };
            let domains = format!("{}{more}", domains.first().map_or("-".to_owned(), word));
            let matches = if route["match"].is_null() { "*".to_owned() } else { word(&route["match"]) };
            let (listener, name) = (word(&host["listener"]), word(&host["host"]));
            vec![listener, name, domains, matches, word(&route["rule"]), index.to_string(), word(&route["name"]), to]
        };
        list(&host["routes"]).iter().enumerate().map(row).collect::<Vec<_>>()
    };
    list(hosts).iter().flat_map(of).collect()
}

fn clusters(limits: &Value) -> Vec<Vec<String>> {
    let row = |of: &Value| {
        let figure = |name: &str| format!("{}/{}", word(&of[name]["used"]), word(&of[name]["most"]));
        let figures = ["connections", "pending_requests", "requests", "retries"].map(figure);
        let name = word(&of["cluster"]);
        let (direction, port, subset, host) = parts(&name);
        let parts = [host, port, subset, direction].map(ToOwned::to_owned);
        [parts, figures].concat()
    };
    list(limits).iter().map(row).collect()
}

fn endpoints(clusters: &Value) -> Vec<Vec<String>> {
    let of = |cluster: &Value| {
        let row = |endpoint: &Value| {
            let (status, check) = match &endpoint["ejected_for_seconds"] {
                Value::Null if endpoint["health"] == "ok" => ("HEALTHY", "OK".to_owned()),
                Value::Null => ("UNHEALTHY", "FAILED".to_owned()),
                left => ("UNHEALTHY", format!("FAILED, {} s more", word(left))),
            };
            let tls = if endpoint["tls"] == true { "TLS" } else { "plaintext" };
            let (name, address) = (word(&cluster["cluster"]), word(&endpoint["address"]));
            vec![address, status.to_owned(), check, name, word(&endpoint["active"]), tls.to_owned()]
        };
        list(&cluster["endpoints"]).iter().map(row).collect::<Vec<_>>()
    };
    list(clusters).iter().flat_map(of).collect()
}

fn secrets(certs: &Value) -> Vec<Vec<String>> {
    let is_valid = certs["seconds_left"].as_i64().is_some_and(|left| left > 0);
    let row = |(place, certificate): (usize, &Value)| {
        let kind = if certificate["is_authority"] == true { "CA" } else { "Cert Chain" };
        let id = list(&certificate["uris"]).first().map_or_else(|| word(&certificate["subject"]), word);
        let valid = if place == 0 { is_valid.to_string() } else { "-".to_owned() };
        let dates = [date(&certificate["not_after"]), date(&certificate["not_before"])];
        let [after, before] = dates;
        vec!["default".to_owned(), kind.to_owned(), "ACTIVE".to_owned(), valid, after, before, id]
    };
    list(&certs["chain"]).iter().enumerate().map(row).collect()
}

fn config(config: &Value) -> Vec<Vec<String>> {
    let row = |state: &'static str| {
        move |document: &Value| {
            let place = format!("{}:{}", word(&document["file"]), word(&document["line"]));
            vec![state.to_owned(), word(&document["resource"]), place]
        }
    };
    let accepted = list(&config["accepted"]).iter().map(row("acts"));
    accepted.chain(list(&config["refused"]).iter().map(row("refused"))).collect()
}
