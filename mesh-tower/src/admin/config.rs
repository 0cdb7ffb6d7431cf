//! What acts, where it comes from, and what is wrong with it.

use std::collections::BTreeSet;

use mesh_config::diagnostic::render::analysis_json;
use mesh_config::{Report, Severity};
use serde_json::{Value, json};

use crate::config::Keeper;
use crate::live::Live;

pub(super) fn config(live: &Live, keeper: &Keeper) -> Value {
    let report = keeper.report();
    let sources = keeper.sources();
    let refused: BTreeSet<_> = report
        .errors()
        .map(|error| {
            let what = error.resource.as_ref().map(ToString::to_string);
            (what, error.origin.file.to_string(), error.origin.line)
        })
        .collect();
    let accepted: Vec<_> = live.compiled().map_or_else(Vec::new, |compiled| {
        let document = |document: &mesh_config::Document| {
            json!({
                "resource": document.resource.id().to_string(),
                "file": document.origin.file,
                "line": document.origin.line,
            })
        };
        compiled.set.iter().map(document).collect()
    });
    json!({
        "generation": live.version(),
        "complete": live.is_complete(),
        "sources": sources
            .iter()
            .map(|source| json!({
                "name": source.name,
                "documents": source.documents,
                "awaited": source.is_awaited,
                "errors": source.errors,
            }))
            .collect::<Vec<_>>(),
        "accepted": accepted,
        "refused": refused
            .iter()
            .map(|(resource, file, line)| json!({ "resource": resource, "file": file, "line": line }))
            .collect::<Vec<_>>(),
        "findings": findings(&report),
    })
}

/// As `meshctl analyze -o json` prints them.
pub(super) fn findings(report: &Report) -> Value {
    serde_json::from_str(&analysis_json(report)).unwrap_or_default()
}

pub(super) fn lint(report: &Report) -> Value {
    let count = |severity| report.iter().filter(|finding| finding.severity == severity).count();
    json!({
        "errors": count(Severity::Error),
        "warnings": count(Severity::Warning),
        "findings": findings(report),
    })
}
