//! Istio's CRDs: one document, and the verdict of the API server.

use std::fs;
use std::path::Path;

use mesh_config::{Code, ConfigSet, Diagnostic, ParseOptions, Report, Severity, parse_with};
use serde_json::Value;

/// One document, whether the API server takes it, and whether Istio's webhook says the same.
pub(crate) fn crd(suite: &Path, case: &Value) -> Option<String> {
    let text = fs::read_to_string(suite.join(case["file"].as_str().expect("a file"))).expect("the file of the case");
    let expect = &case["expect"];
    let valid = expect["valid"].as_bool();
    let (_, report) = parse_with("case", &text, &ParseOptions::default());
    // Of a wrong type the API server's text stands below our own.
    let refused = |finding: &&Diagnostic| finding.severity == Severity::Error || finding.code == Code::SCHEMA_RULE;
    let errors: Vec<_> = report.iter().filter(refused).map(ToString::to_string).collect();
    if valid != Some(errors.is_empty()) {
        return Some(format!("errors {errors:?}"));
    }
    if let Some(part) =
        expect["error_contains"].as_str().filter(|part| !errors.iter().any(|error| error.contains(part)))
    {
        return Some(format!("no error has {part:?}: {errors:?}"));
    }
    let webhook = by_webhook(&text);
    let same = expect["webhook"] != "same verdict" || valid == Some(!webhook.has_errors());
    (!same).then(|| format!("the webhook says otherwise: {webhook}"))
}

fn by_webhook(text: &str) -> Report {
    let (documents, mut report) = parse_with("case", text, &ParseOptions::default().crd_rules(false));
    report.extend(ConfigSet::from_documents(documents).0.validate());
    report
}
