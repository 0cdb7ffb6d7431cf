//! `meshctl status`: whether a running mesh is well.

use clap::Args;

use super::client::Address;
use super::facts::{columns, ejected, list, refused, word};
use crate::output::{Outcome, print};

/// Say whether a running mesh is well: configuration, certificate, findings, ejected endpoints, limits in the way.
///
/// The exit status is 1 if documents are refused, a source of the configuration is waited for, an endpoint is ejected or
/// the certificate has expired.
#[derive(Debug, Args)]
pub(crate) struct Status {}

impl Status {
    #[expect(clippy::unused_self, reason = "as the other commands")]
    pub(crate) fn run(&self, admin: &Address) -> Result<Outcome, String> {
        let config = admin.json("/mesh/config")?;
        let (certs, lint) = (admin.json("/mesh/certs")?, admin.json("/mesh/lint")?);
        let (endpoints, limits) = (admin.json("/mesh/endpoints")?, admin.json("/mesh/limits")?);
        let (accepted, bad) = (list(&config["accepted"]).len(), list(&config["refused"]));
        let out = ejected(&endpoints);
        let left = certs["seconds_left"].as_i64();
        let certificate = match left {
            None => "none".to_owned(),
            Some(left) if left <= 0 => format!("{} has expired", word(&certs["id"])),
            Some(left) => format!("{}, {} minutes left", word(&certs["id"]), left / 60),
        };
        let is_complete = config["complete"] == true;
        let waits = if is_complete { "" } else { ", waits for a source" };
        let mut rows = vec![
            vec![
                "configuration".to_owned(),
                format!("generation {}, {accepted} documents{waits}", word(&config["generation"])),
            ],
            vec!["findings".to_owned(), format!("{} errors, {} warnings", lint["errors"], lint["warnings"])],
            vec!["certificate".to_owned(), certificate],
            vec!["ejected".to_owned(), format!("{} endpoints", out.len())],
        ];
        let refused_row = |document: &serde_json::Value| {
            let place = format!("{}:{}", word(&document["file"]), word(&document["line"]));
            vec!["refused".to_owned(), format!("{} {place}", word(&document["resource"]))]
        };
        rows.extend(bad.iter().map(refused_row));
        let text = [columns(&rows), columns(&out), columns(&refused(&limits))].concat();
        print(&text)?;
        let is_well = is_complete && bad.is_empty() && out.is_empty() && left.is_none_or(|left| left > 0);
        Ok(if is_well { Outcome::Clean } else { Outcome::Findings })
    }
}
