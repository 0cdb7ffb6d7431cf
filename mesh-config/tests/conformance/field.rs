//! Real files, and what Istio's own tool says about each of their documents.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use mesh_config::{Code, ConfigSet, Diagnostic, Document, ParseOptions, Report, Severity};
use serde_json::Value;

use super::strings;

/// Whether each document of a file is taken or refused as Istio does.
pub(crate) fn verdicts(suite: &Path, case: &Value) -> Option<String> {
    let text = text_of(suite, case);
    let lines = text.lines().count();
    let (documents, parsed) = mesh_config::parse("file", &text);
    let read: Vec<_> = documents.iter().map(|document| document.origin.doc_index).collect();
    let mut report = parsed;
    // Each by itself: that two have one name is no matter of validation.
    for document in documents {
        report.extend(ConfigSet::from_documents([document]).0.validate());
    }
    let placed = |finding: &&Diagnostic| finding.origin.line == 0 || finding.origin.line as usize > lines;
    if let Some(finding) = report.iter().find(placed) {
        return Some(format!("the place is not in the file: {finding}"));
    }
    entries(case, "validate").iter().find_map(|entry| {
        let index = entry["doc_index"].as_u64().expect("a number");
        let of_this = |finding: &&Diagnostic| u64::from(finding.origin.doc_index) == index;
        let findings: Vec<_> = report.iter().filter(of_this).collect();
        let was_read = read.iter().any(|read| u64::from(*read) == index);
        verdict(entry, &findings, was_read).map(|why| format!("document {index}: {why}"))
    })
}

fn verdict(entry: &Value, findings: &[&Diagnostic], was_read: bool) -> Option<String> {
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
    let errors: Vec<_> = errors.map(ToString::to_string).collect();
    let valid = entry["valid"].as_bool().expect("a verdict");
    // Only the schema of a cluster objects, which Istio's tool does not look at: either is right.
    let is_free = valid && !strings(&entry["crd_errors"]).is_empty();
    if valid != errors.is_empty() && !is_free {
        return Some(format!("expected {:?}, found {errors:?}", strings(&entry["errors"])));
    }
    let passed_over = findings.iter().any(|finding| matches!(finding.code, Code::FOREIGN_KIND | Code::SKIPPED_KIND));
    if valid && !is_free && !passed_over && !was_read {
        return Some("valid, and yet not read".to_owned());
    }
    let warned = findings.iter().any(|finding| {
        finding.severity < Severity::Error
            && (finding.code.as_str().starts_with("IST") || finding.code == Code::SKIPPED_KIND)
    });
    (valid && !strings(&entry["warnings"]).is_empty() && !warned)
        .then(|| format!("no warning like {:?}", strings(&entry["warnings"])))
}

/// Whether a file by itself has the findings of `istioctl analyze`.
pub(crate) fn findings(suite: &Path, case: &Value) -> Option<String> {
    let free = strings(&case["analyze_free"]);
    if free.contains(&"*") {
        return None;
    }
    // Istio's analysis drops fields that do not exist, and judges the rest.
    let lenient = ParseOptions::default().lenient();
    let (documents, mut report) = mesh_config::parse_with("file", &text_of(suite, case), &lenient);
    report.extend(all_findings(documents));
    let mut found = Counts::default();
    for finding in &report {
        let resource = finding.resource.as_ref().map(ToString::to_string).unwrap_or_default();
        found.add(finding.code.as_str(), &resource, &free, 1);
    }
    let mut expected = Counts::default();
    let mut optional = Counts::default();
    for entry in entries(case, "analyze") {
        let (code, resource) =
            (entry["code"].as_str().unwrap_or_default(), entry["resource"].as_str().unwrap_or_default());
        let counts = if entry["optional"] == true { &mut optional } else { &mut expected };
        counts.add(code, resource, &free, 1);
    }
    let keys = found.0.keys().chain(expected.0.keys());
    let wrong = keys.filter(|key| {
        let least = expected.get(key);
        !(least..=least + optional.get(key)).contains(&found.get(key))
    });
    let wrong: Vec<_> = wrong.map(|key| format!("{key:?}: {} for {}", found.get(key), expected.get(key))).collect();
    (!wrong.is_empty()).then(|| wrong.join("; "))
}

fn all_findings(documents: Vec<Document>) -> Report {
    let (set, mut report) = ConfigSet::from_documents(documents);
    report.extend(set.validate());
    report.extend(set.analyze());
    report
}

/// How often each code was found for each resource.
#[derive(Default)]
struct Counts(BTreeMap<(String, String), usize>);

impl Counts {
    fn add(&mut self, code: &str, resource: &str, free: &[&str], count: usize) {
        let is_text_of_validation = matches!(code, "IST0106" | "IST0133");
        let is_left_out = !code.starts_with("IST")
            || NEED_A_CLUSTER.contains(&code)
            || resource.starts_with("EnvoyFilter ")
            || (is_text_of_validation && free.contains(&resource));
        if is_left_out {
            return;
        }
        let so_far = self.0.entry((code.to_owned(), resource.to_owned())).or_default();
        *so_far = if is_text_of_validation { 1 } else { *so_far + count };
    }

    fn get(&self, key: &(String, String)) -> usize {
        self.0.get(key).copied().unwrap_or(0)
    }
}

/// What Istio's tool only reports about the objects of a cluster, and we about those of the file.
const NEED_A_CLUSTER: &[&str] = &[
    "IST0102", "IST0103", "IST0107", "IST0108", "IST0110", "IST0111", "IST0116", "IST0118", "IST0123", "IST0125",
    "IST0127", "IST0135", "IST0137", "IST0139", "IST0144", "IST0145", "IST0146", "IST0147", "IST0148", "IST0149",
    "IST0158", "IST0161", "IST0162", "IST0166", "IST0167",
];

fn entries<'c>(case: &'c Value, name: &str) -> &'c [Value] {
    case[name].as_array().map_or(&[], Vec::as_slice)
}

fn text_of(suite: &Path, case: &Value) -> String {
    let file = suite.join("configs").join(case["file"].as_str().expect("a file"));
    fs::read_to_string(file).expect("the file of the case")
}
