//! `meshctl status`: whether running meshes are well.

use clap::Args;
use serde_json::{Value, json};

use super::client::Address;
use super::facts::{columns, ejected, list, refused, word};
use super::processes::{Format, Processes};
use crate::output::Outcome;

/// Say whether a running mesh is well: configuration, certificate, findings, ejected endpoints, limits in the way.
///
/// The exit status is 1 if documents are refused, a source of the configuration is waited for, an endpoint is ejected or
/// the certificate has expired. Of several processes those are marked whose configuration is another than that of the first.
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// The form
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

/// What one process tells.
struct Told {
    config: Value,
    certs: Value,
    lint: Value,
    endpoints: Value,
    limits: Value,
}

impl Status {
    pub(crate) fn run(&self, processes: &Processes) -> Result<Outcome, String> {
        let told = processes.ask(Told::of)?;
        let text = match (self.output, &*told.told) {
            (Format::Json, _) => told.as_json(Told::json),
            (Format::Text, [(_, one)]) if !processes.several() => one.text(),
            (Format::Text, several) => {
                let hash = several.first().map(|(_, first)| first.config["hash"].clone()).unwrap_or_default();
                let titles = ["CONFIG", "HASH", "DOCUMENTS", "REFUSED", "ERRORS", "CERTIFICATE", "EJECTED", ""];
                told.table(&titles, |told| vec![told.row(&hash)])
            }
        };
        let is_well = told.told.iter().all(|(_, told)| told.is_well());
        told.print(&text, if is_well { Outcome::Clean } else { Outcome::Findings })
    }
}

impl Told {
    fn of(admin: &Address) -> Result<Self, String> {
        Ok(Self {
            config: admin.json("/mesh/config")?,
            certs: admin.json("/mesh/certs")?,
            lint: admin.json("/mesh/lint")?,
            endpoints: admin.json("/mesh/endpoints")?,
            limits: admin.json("/mesh/limits")?,
        })
    }

    fn is_complete(&self) -> bool {
        self.config["complete"] == true
    }

    fn is_well(&self) -> bool {
        let left = self.certs["seconds_left"].as_i64();
        let has_refused = !list(&self.config["refused"]).is_empty();
        self.is_complete() && !has_refused && ejected(&self.endpoints).is_empty() && left.is_none_or(|left| left > 0)
    }

    fn left(&self) -> String {
        match self.certs["seconds_left"].as_i64() {
            None => "none".to_owned(),
            Some(left) if left <= 0 => "has expired".to_owned(),
            Some(left) => format!("{} minutes left", left / 60),
        }
    }

    fn json(&self) -> Value {
        json!({
            "well": self.is_well(),
            "generation": self.config["generation"],
            "hash": self.config["hash"],
            "complete": self.config["complete"],
            "documents": list(&self.config["accepted"]).len(),
            "refused": self.config["refused"],
            "errors": self.lint["errors"],
            "warnings": self.lint["warnings"],
            "live": self.lint["live"],
            "certificate": { "id": self.certs["id"], "seconds_left": self.certs["seconds_left"] },
            "ejected": ejected(&self.endpoints),
            "limits_in_the_way": refused(&self.limits),
        })
    }

    fn row(&self, hash: &Value) -> Vec<String> {
        let told = &self.config;
        let short: String = word(&told["hash"]).chars().take(8).collect();
        let mut notes = Vec::new();
        if told["hash"] != *hash {
            notes.push("other configuration");
        }
        if !self.is_complete() {
            notes.push("waits for a source");
        }
        vec![
            format!("gen {}", word(&told["generation"])),
            short,
            list(&told["accepted"]).len().to_string(),
            list(&told["refused"]).len().to_string(),
            word(&self.lint["errors"]),
            self.left(),
            ejected(&self.endpoints).len().to_string(),
            notes.join(", "),
        ]
    }

    fn text(&self) -> String {
        let Self { config, certs, lint, endpoints, limits } = self;
        let (accepted, bad, out) = (list(&config["accepted"]).len(), list(&config["refused"]), ejected(endpoints));
        let certificate = match certs["seconds_left"].as_i64() {
            None => "none".to_owned(),
            Some(left) if left <= 0 => format!("{} has expired", word(&certs["id"])),
            Some(_) => format!("{}, {}", word(&certs["id"]), self.left()),
        };
        let waits = if self.is_complete() { "" } else { ", waits for a source" };
        let mut rows = vec![
            vec![
                "configuration".to_owned(),
                format!("generation {}, {accepted} documents{waits}", word(&config["generation"])),
            ],
            vec!["findings".to_owned(), format!("{} errors, {} warnings", lint["errors"], lint["warnings"])],
            vec!["certificate".to_owned(), certificate],
            vec!["ejected".to_owned(), format!("{} endpoints", out.len())],
        ];
        let refused_row = |document: &Value| {
            let place = format!("{}:{}", word(&document["file"]), word(&document["line"]));
            vec!["refused".to_owned(), format!("{} {place}", word(&document["resource"]))]
        };
        rows.extend(bad.iter().map(refused_row));
        [columns(&rows), columns(&out), columns(&refused(limits))].concat()
    }
}
