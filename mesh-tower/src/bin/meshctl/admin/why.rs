//! `meshctl why`: what a response flag means, and what in a running mesh may be its cause.

use clap::Args;
use mesh_config::diagnostic::render::escape;
use mesh_core::ResponseFlags;
use serde_json::{Value, json};

use super::client::Address;
use super::facts::{columns, ejected, list, refused, word};
use super::processes::{Format, Processes};
use crate::output::{Outcome, print};

/// Say what a response flag means, and with --admin what in the running mesh may be its cause.
#[derive(Debug, Args)]
pub(crate) struct Why {
    /// The letters, such as UH; several as the log has them: URX,UF
    flags: String,

    /// The form
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

/// A flag with what may be its cause, by process; nothing where nobody was asked.
struct Explained {
    letters: &'static str,
    meaning: &'static str,
    causes: Option<Vec<Vec<String>>>,
}

impl Why {
    pub(crate) fn run(&self, processes: Option<&Processes>) -> Result<Outcome, String> {
        let (mut missed, mut explained) = (false, Vec::new());
        for asked in self.flags.split(',') {
            let known = ResponseFlags::TABLE.iter().find(|(_, letters, _)| letters.eq_ignore_ascii_case(asked));
            let Some((_, letters, meaning)) = known else {
                let all: Vec<_> = ResponseFlags::TABLE.iter().map(|(_, letters, _)| *letters).collect();
                return Err(format!("there is no flag {}; these are: {}", escape(asked), all.join(" ")));
            };
            let causes = processes.map(|processes| of_all(processes, letters)).transpose()?;
            let causes = causes.map(|(causes, one_missed)| {
                missed |= one_missed;
                causes
            });
            explained.push(Explained { letters, meaning, causes });
        }
        print(&match self.output {
            Format::Text => explained.iter().map(Explained::text).collect::<String>(),
            Format::Json => format!("{:#}\n", Value::from_iter(explained.iter().map(Explained::json))),
        })?;
        Ok(if missed { Outcome::CouldNotRun } else { Outcome::Clean })
    }
}

impl Explained {
    fn text(&self) -> String {
        let causes = match &self.causes {
            None => String::new(),
            Some(rows) if rows.is_empty() => NOTHING.to_owned(),
            Some(rows) => columns(rows),
        };
        format!("{}: {}\n{causes}", self.letters, self.meaning)
    }

    fn json(&self) -> Value {
        json!({ "flag": self.letters, "means": self.meaning, "causes": self.causes })
    }
}

/// The causes of all processes, with their names where there are several; and whether one did not answer.
fn of_all(processes: &Processes, letters: &str) -> Result<(Vec<Vec<String>>, bool), String> {
    let told = processes.ask(|admin| causes(admin, letters))?;
    let named = |(name, rows): (String, Vec<Vec<String>>)| {
        let name = Some(name).filter(|name| !name.is_empty());
        rows.into_iter().map(move |row| name.clone().into_iter().chain(row).collect())
    };
    Ok((told.told.into_iter().flat_map(named).collect(), told.missed))
}

const NOTHING: &str = "nothing in the mesh at this moment points to a cause\n";

fn causes(admin: &Address, letters: &str) -> Result<Vec<Vec<String>>, String> {
    Ok(match letters {
        "UH" => {
            let endpoints = admin.json("/mesh/endpoints")?;
            [ejected(&endpoints), empty(&endpoints)].concat()
        }
        "UF" | "UC" | "UR" | "URX" => ejected(&admin.json("/mesh/endpoints")?),
        "UO" => refused(&admin.json("/mesh/limits")?),
        "NC" => unknown(&admin.json("/mesh/routes")?),
        "NR" => hosts(&admin.json("/mesh/routes")?),
        "UT" => timeouts(&admin.json("/mesh/routes")?),
        "DI" | "FI" => faults(&admin.json("/mesh/routes")?),
        _ => Vec::new(),
    })
}

fn empty(clusters: &Value) -> Vec<Vec<String>> {
    let is_empty = |cluster: &&Value| {
        list(&cluster["endpoints"]).is_empty() && cluster["cluster"].as_str().is_some_and(|name| name.contains('|'))
    };
    let row = |cluster: &Value| vec![word(&cluster["cluster"]), "no endpoint".to_owned()];
    list(clusters).iter().filter(is_empty).map(row).collect()
}

/// The routes of all hosts, each with what is said of it.
fn of_routes(hosts: &Value, say: impl Fn(&Value) -> Option<String>) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for host in list(hosts) {
        for route in list(&host["routes"]) {
            if let Some(said) = say(route) {
                rows.push(vec![word(&host["listener"]), word(&host["host"]), word(&route["rule"]), said]);
            }
        }
    }
    rows
}

fn unknown(hosts: &Value) -> Vec<Vec<String>> {
    of_routes(hosts, |route| {
        let to = list(&route["to"]).iter().find(|to| to["known"] == false)?;
        Some(format!("{} does not exist", word(&to["cluster"])))
    })
}

fn timeouts(hosts: &Value) -> Vec<Vec<String>> {
    of_routes(hosts, |route| Some(format!("timeout {} ms", route["timeout_ms"].as_u64()?)))
}

fn faults(hosts: &Value) -> Vec<Vec<String>> {
    of_routes(hosts, |route| (route["fault"] == true).then(|| "injects faults".to_owned()))
}

fn hosts(hosts: &Value) -> Vec<Vec<String>> {
    let row = |host: &Value| vec![word(&host["listener"]), word(&host["host"]), "is known".to_owned()];
    list(hosts).iter().map(row).collect()
}
