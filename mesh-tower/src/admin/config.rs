//! What acts, where it comes from, and what is wrong with it.

use std::collections::BTreeSet;

use aws_lc_rs::digest::{Context, SHA256};
use mesh_config::diagnostic::render::analysis_json;
use mesh_config::{ConfigSet, Report, Severity};
use serde_json::{Value, json};

use super::certs::seconds;
use crate::config::{Keeper, SourceState};
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
        "hash": live.compiled().map(|compiled| hash(&compiled.set)),
        "complete": live.is_complete(),
        "sources": sources
            .iter()
            .map(|source| json!({
                "name": source.name,
                "documents": source.documents,
                "awaited": source.is_awaited,
                "errors": source.errors,
                "modified": modified(source),
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

pub(super) fn lint(report: &Report, facts: &[Value]) -> Value {
    let count = |severity| report.iter().filter(|finding| finding.severity == severity).count();
    json!({
        "errors": count(Severity::Error),
        "warnings": count(Severity::Warning),
        "findings": findings(report),
        "live": facts,
    })
}

/// The same for the same content, in whichever files it stands; of Secrets only the names are in it.
fn hash(set: &ConfigSet) -> String {
    let mut context = Context::new(&SHA256);
    for document in set.iter() {
        context.update(document.resource.content().as_bytes());
        context.update(b"\n");
    }
    context.finish().as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// So many files of a source are looked at.
const MOST_FILES: usize = 1_000;

/// When the youngest of the files was changed that the documents of a source stand in, in seconds since 1970; nothing for
/// what is no file.
fn modified(source: &SourceState) -> Option<i64> {
    let files = source.files.iter().take(MOST_FILES).map(|file| &**file).chain([&*source.name]);
    files.filter_map(|file| std::fs::metadata(file).ok()?.modified().ok()).max().map(seconds)
}
