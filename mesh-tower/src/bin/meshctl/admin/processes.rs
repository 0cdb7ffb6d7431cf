//! The processes that are asked, one or several.

use clap::ValueEnum;
use serde_json::{Map, Value};

use super::client::Address;
use super::facts::{columns, word};
use crate::output::{Outcome, complain, print};

/// Where the processes are that are asked.
#[derive(Debug)]
pub(crate) struct Processes(Vec<Address>);

/// What they told, each by its name.
pub(super) struct Asked<T> {
    pub(super) told: Vec<(String, T)>,
    /// Whether the names matter.
    several: bool,
    /// Whether somebody did not answer.
    pub(super) missed: bool,
}

/// The form of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For a person
    #[default]
    Text,
    /// As the mesh tells it; of several processes an object by their names
    Json,
}

impl From<Vec<Address>> for Processes {
    /// Where Envoy has its own, unless others are named.
    fn from(addresses: Vec<Address>) -> Self {
        Self(if addresses.is_empty() { vec![Address::default()] } else { addresses })
    }
}

impl Processes {
    pub(super) fn several(&self) -> bool {
        self.0.len() > 1
    }

    /// Each with its name.
    pub(super) fn named(&self) -> impl Iterator<Item = (String, &Address)> {
        self.0.iter().map(|address| (if self.several() { name(address) } else { String::new() }, address))
    }

    /// What all of them say at a path.
    pub(super) fn json(&self, path: &str) -> Result<Asked<Value>, String> {
        self.ask(|address| address.json(path))
    }

    /// Asks all of them. Of several, who does not answer is complained about, unless nobody does.
    pub(super) fn ask<T>(&self, ask: impl Fn(&Address) -> Result<T, String>) -> Result<Asked<T>, String> {
        let mut asked = Asked { told: Vec::new(), several: self.several(), missed: false };
        let mut problems = Vec::new();
        for (name, address) in self.named() {
            match ask(address) {
                Ok(told) => asked.told.push((name, told)),
                Err(problem) => problems.push(problem),
            }
        }
        match problems.split_last() {
            Some((last, others)) if asked.told.is_empty() => {
                others.iter().for_each(|problem| complain(problem));
                Err(last.clone())
            }
            _ => {
                asked.missed = !problems.is_empty();
                problems.iter().for_each(|problem| complain(problem));
                Ok(asked)
            }
        }
    }
}

/// Namespace and account, and the address: there may be several of one workload.
fn name(address: &Address) -> String {
    let process = address.json("/mesh/version").ok().map(|version| word(&version["process"]));
    format!("{}@{address}", process.as_deref().unwrap_or("?"))
}

impl<T> Asked<T> {
    /// The rows of all under one row of titles, with a column for the process where there are several.
    pub(super) fn table(&self, titles: &[&str], rows: impl Fn(&T) -> Vec<Vec<String>>) -> String {
        let process = self.several.then(|| "PROCESS".to_owned());
        let title = process.into_iter().chain(titles.iter().map(|title| (*title).to_owned())).collect();
        let mut all: Vec<Vec<String>> = vec![title];
        for (name, told) in &self.told {
            let named = |row: Vec<String>| self.several.then(|| name.clone()).into_iter().chain(row).collect();
            all.extend(rows(told).into_iter().map(named));
        }
        columns(&all)
    }

    /// As JSON: what one process told, or an object by name.
    pub(super) fn as_json(&self, value: impl Fn(&T) -> Value) -> String {
        let told = match &*self.told {
            [(_, told)] if !self.several => value(told),
            several => several.iter().map(|(name, told)| (name.clone(), value(told))).collect::<Map<_, _>>().into(),
        };
        format!("{told:#}\n")
    }

    /// Prints it, and says whether all of them answered.
    pub(super) fn print(&self, text: &str, outcome: Outcome) -> Result<Outcome, String> {
        print(text)?;
        Ok(if self.missed { Outcome::CouldNotRun } else { outcome })
    }
}
