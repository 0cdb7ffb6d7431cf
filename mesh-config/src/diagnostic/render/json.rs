//! Findings as JSON, in the shapes that `meshctl` prints.

use std::collections::BTreeMap;

use serde::Serialize;

use super::escape::escape_json;
use crate::diagnostic::{Diagnostic, Report, Severity};
use crate::document::Outline;

/// What validation says: an array with an object for each document, in the order of the files.
///
/// Notes have no influence on the verdict and are left out. A file that could not be read counts as a document.
#[must_use]
pub fn validation_json(outlines: &[Outline], report: &Report) -> String {
    let mut documents: BTreeMap<(&str, u32), Verdict<'_>> = BTreeMap::new();
    for outline in outlines {
        documents.insert((&outline.file, outline.doc_index), Verdict::of(outline));
    }
    for finding in report.sorted() {
        let key = (&*finding.origin.file, finding.origin.doc_index);
        let verdict = documents.entry(key).or_insert_with(|| Verdict::without_outline(finding));
        verdict.add(finding);
    }
    print(&documents.into_values().collect::<Vec<_>>())
}

/// What analysis says: an array with an object for each finding.
#[must_use]
pub fn analysis_json(report: &Report) -> String {
    let findings: Vec<_> = report.sorted().into_iter().map(Analyzed::of).collect();
    print(&findings)
}

fn print(value: &impl Serialize) -> String {
    let mut json = serde_json::to_string_pretty(value).unwrap_or_default();
    json.push('\n');
    escape_json(json)
}

#[derive(Serialize)]
struct Verdict<'a> {
    file: &'a str,
    doc_index: u32,
    kind: &'a str,
    namespace: &'a str,
    name: &'a str,
    valid: bool,
    errors: Vec<Found<'a>>,
    warnings: Vec<Found<'a>>,
    #[serde(skip)]
    outline: Option<&'a Outline>,
}

#[derive(Serialize)]
struct Found<'a> {
    code: &'static str,
    message: &'a str,
    line: u32,
    column: u32,
    path: String,
}

impl<'a> Verdict<'a> {
    fn of(outline: &'a Outline) -> Self {
        Self {
            file: &outline.file,
            doc_index: outline.doc_index,
            kind: &outline.kind,
            namespace: &outline.namespace,
            name: &outline.name,
            valid: true,
            errors: Vec::new(),
            warnings: Vec::new(),
            outline: Some(outline),
        }
    }

    fn without_outline(finding: &'a Diagnostic) -> Self {
        Self {
            file: &finding.origin.file,
            doc_index: finding.origin.doc_index,
            kind: "",
            namespace: "",
            name: "",
            valid: true,
            errors: Vec::new(),
            warnings: Vec::new(),
            outline: None,
        }
    }

    fn add(&mut self, finding: &'a Diagnostic) {
        let list = match finding.severity {
            Severity::Error => &mut self.errors,
            Severity::Warning => &mut self.warnings,
            // What Istio's webhook says without refusing the object is a warning there.
            Severity::Info if finding.code.is_istio() => &mut self.warnings,
            Severity::Info => return,
        };
        let path = match self.outline {
            Some(outline) => outline.path_in_document(&finding.origin, &finding.path),
            None => finding.path.clone(),
        };
        list.push(Found {
            code: finding.code.as_str(),
            message: &finding.message,
            line: finding.origin.line,
            column: finding.origin.column,
            path: path.to_string(),
        });
        self.valid &= finding.severity != Severity::Error;
    }
}

#[derive(Serialize)]
struct Analyzed<'a> {
    code: &'static str,
    level: &'static str,
    resource: String,
    message: &'a str,
    file: &'a str,
    line: u32,
    column: u32,
    help: &'a str,
}

impl<'a> Analyzed<'a> {
    fn of(finding: &'a Diagnostic) -> Self {
        Self {
            code: finding.code.as_str(),
            // As istioctl writes it.
            level: match finding.severity {
                Severity::Error => "Error",
                Severity::Warning => "Warning",
                Severity::Info => "Info",
            },
            resource: finding.resource.as_ref().map(ToString::to_string).unwrap_or_default(),
            message: &finding.message,
            file: &finding.origin.file,
            line: finding.origin.line,
            column: finding.origin.column,
            help: finding.help.as_deref().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::document::{ParseOptions, outline};

    const TEXT: &str = "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: a, namespace: shop}\nspec: {x: 1}\n---\n\
                        apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\n---\na: [\n";

    #[test]
    fn validation_has_an_object_for_every_document() {
        let (_, report) = crate::parse("f", TEXT);
        let json: Value =
            serde_json::from_str(&validation_json(&outline("f", TEXT, &ParseOptions::default()), &report)).unwrap();
        let found =
            json!({"code": "MESH0001", "message": "unknown field \"x\"", "line": 4, "column": 8, "path": "spec.x"});
        assert_eq!(
            json[0],
            json!({"file": "f", "doc_index": 0, "kind": "Gateway", "namespace": "shop", "name": "a", "valid": false,
                   "errors": [found], "warnings": []})
        );
        assert_eq!(
            json[1],
            json!({"file": "f", "doc_index": 1, "kind": "Deployment", "namespace": "", "name": "d", "valid": true,
                   "errors": [], "warnings": []})
        );
        assert_eq!((&json[2]["valid"], &json[2]["errors"][0]["code"]), (&json!(false), &json!("MESH0004")));
        assert_eq!(json.as_array().map(Vec::len), Some(3));
    }

    #[test]
    fn analysis_has_an_object_for_every_finding() {
        let (_, report) = crate::parse("f", TEXT);
        let json: Value = serde_json::from_str(&analysis_json(&report)).unwrap();
        assert_eq!(
            json[0],
            json!({"code": "MESH0001", "level": "Error", "resource": "Gateway shop/a", "message": "unknown field \"x\"",
                   "file": "f", "line": 4, "column": 8, "help": ""})
        );
    }
}
