//! Istio's webhook: one resource, and its verdict.

use std::fs;
use std::path::Path;

use mesh_config::{ConfigSet, ParseOptions, Report, Severity, parse_with};
use serde_json::Value;

/// One resource, and whether Istio's webhook takes it.
pub(crate) fn validation(suite: &Path, case: &Value) -> Option<String> {
    let report = check(&text_of(suite, case), &ParseOptions::default().crd_rules(false), 1);
    let expect = &case["expect"];
    let errors: Vec<_> = report.errors().map(|finding| finding.message.as_str()).collect();
    if expect["valid"].as_bool() != Some(errors.is_empty()) {
        return Some(format!("errors {errors:?}"));
    }
    if let Some(part) =
        expect["error_contains"].as_str().filter(|part| !errors.iter().any(|error| error.contains(part)))
    {
        return Some(format!("no error has {part:?}: {errors:?}"));
    }
    let warnings: Vec<_> = warnings(&report).collect();
    if expect["warning"].as_bool().is_some_and(|expected| expected == warnings.is_empty()) {
        return Some(format!("warnings {warnings:?}"));
    }
    let part = expect["warning_contains"].as_str().unwrap_or_default();
    (!part.is_empty() && !warnings.iter().any(|warning| warning.contains(part)))
        .then(|| format!("no warning has {part:?}: {warnings:?}"))
}

/// What Istio's webhook warns about; findings of our own are not among it.
fn warnings(report: &Report) -> impl Iterator<Item = &str> {
    report
        .iter()
        .filter(|finding| finding.severity < Severity::Error && finding.code.as_str().starts_with("IST"))
        .map(|finding| finding.message.as_str())
}

/// The text of a case, with its long parts put in.
fn text_of(suite: &Path, case: &Value) -> String {
    let file = suite.join(case["file"].as_str().expect("a file"));
    let text = fs::read_to_string(file).expect("the file of the case");
    let expand = &case["expand"];
    let Some(token) = expand["token"].as_str() else { return text };
    let count = usize::try_from(expand["raw_count"].as_u64().expect("a count")).expect("a small count");
    let long = match expand["base64"].as_bool() {
        // Three letters `a` are four letters in base64.
        Some(true) => format!("{}{}", "YWFh".repeat(count / 3), ["", "YQ==", "YWE="][count % 3]),
        _ => "a".repeat(count),
    };
    text.replace(token, &long)
}

/// Reads and validates a text that should hold so many documents.
fn check(text: &str, options: &ParseOptions, documents: usize) -> Report {
    let (read, mut report) = parse_with("case", text, options);
    if !report.has_errors() {
        assert_eq!(read.len(), documents, "{report}");
    }
    let (set, duplicates) = ConfigSet::from_documents(read);
    report.extend(duplicates);
    report.extend(set.validate());
    report
}

/// A document of a file that is used as it is.
pub(crate) fn sample(suite: &Path, case: &Value) -> Option<String> {
    let text = text_of(suite, case);
    let index = usize::try_from(case["doc_index"].as_u64().unwrap_or(0)).expect("a small number");
    let document = document(&text, index);
    let options = match case["expect"].get("unknown_fields") {
        Some(_) => ParseOptions::default().lenient(),
        None => ParseOptions::default(),
    };
    let report = check(&document, &options, 1);
    report.has_errors().then(|| report.to_string())
}

/// The text between two lines that begin with `---`.
fn document(text: &str, index: usize) -> String {
    let mut at = 0;
    let mut found = String::new();
    for line in text.split_inclusive('\n') {
        if line.starts_with("---") {
            at += 1;
        } else if at == index {
            found.push_str(line);
        }
    }
    found
}

#[test]
fn documents_are_cut_at_the_lines_that_istio_cuts_at() {
    assert_eq!(document("a\n---\nb\n--- # c\nc\n", 1), "b\n");
    assert_eq!(document("---\na\n", 0), "");
}
