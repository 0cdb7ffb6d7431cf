//! Findings as SARIF 2.1.0, which code scanning tools read.

use serde_json::{Value, json};

use super::escape::escape_json;
use crate::diagnostic::{Code, Diagnostic, Report, Severity, Span};

/// A log of one run, its rules being the codes that occur.
#[must_use]
pub fn sarif(report: &Report, tool: &str, version: &str) -> String {
    let findings = report.sorted();
    let rules: Vec<Code> = Code::all().filter(|code| findings.iter().any(|finding| finding.code == *code)).collect();
    let results: Vec<_> = findings.iter().map(|finding| result(finding, &rules)).collect();
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": tool, "version": version, "rules": rules.into_iter().map(rule).collect::<Vec<_>>()}},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    escape_json(format!("{log:#}\n"))
}

fn rule(code: Code) -> Value {
    json!({
        "id": code.as_str(),
        "name": code.name(),
        "shortDescription": {"text": code.meaning()},
        "help": {"text": code.page(), "markdown": code.page()},
    })
}

fn result(finding: &Diagnostic, rules: &[Code]) -> Value {
    let mut result = json!({
        "ruleId": finding.code.as_str(),
        "ruleIndex": rules.iter().position(|code| *code == finding.code),
        "level": level(finding.severity),
        "message": {"text": message(finding)},
        "locations": [location(finding)],
    });
    if let Some(patch) = &finding.patch {
        result["fixes"] = json!([{
            "description": {"text": finding.help.as_deref().unwrap_or("replace it")},
            "artifactChanges": [{
                "artifactLocation": {"uri": uri(&finding.origin.file)},
                "replacements": [{
                    "deletedRegion": region(&patch.span),
                    "insertedContent": {"text": patch.replacement},
                }],
            }],
        }]);
    }
    result
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "note",
    }
}

fn message(finding: &Diagnostic) -> String {
    let effect = finding.effect.as_ref().map(|effect| format!("At run time: {effect}"));
    let help = finding.help.as_ref().map(|help| format!("Help: {help}"));
    [Some(finding.message.clone()), effect, help].into_iter().flatten().collect::<Vec<_>>().join("\n")
}

fn location(finding: &Diagnostic) -> Value {
    let mut physical = json!({"artifactLocation": {"uri": uri(&finding.origin.file)}});
    if let Some(span) = &finding.span {
        physical["region"] = region(span);
    } else if finding.origin.line > 0 {
        physical["region"] = json!({"startLine": finding.origin.line, "startColumn": finding.origin.column.max(1)});
    }
    let mut location = json!({"physicalLocation": physical});
    let resource = finding.resource.as_ref().map(ToString::to_string);
    let path = Some(finding.path.to_string()).filter(|path| !path.is_empty());
    let names: Vec<_> = [resource, path].into_iter().flatten().collect();
    if !names.is_empty() {
        location["logicalLocations"] = json!([{"fullyQualifiedName": names.join(" ")}]);
    }
    location
}

fn region(span: &Span) -> Value {
    json!({
        "startLine": span.line,
        "startColumn": span.column,
        "endLine": span.end_line,
        "endColumn": span.end_column,
    })
}

/// A path as a URI, relative if it is.
fn uri(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    if path.starts_with('/') {
        out.push_str("file://");
    }
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_has_a_rule_a_region_and_a_fix() {
        let text = "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: a}\nspec: {server: 1}\n";
        let (_, report) = crate::parse("a b.yaml", text);
        let log: Value = serde_json::from_str(&sarif(&report, "meshctl", "1")).unwrap();
        let run = &log["runs"][0];
        assert_eq!(log["version"], "2.1.0");
        assert_eq!(run["tool"]["driver"]["rules"][0]["id"], "MESH0001");
        let result = &run["results"][0];
        assert_eq!(
            (&result["ruleId"], &result["ruleIndex"], &result["level"]),
            (&json!("MESH0001"), &json!(0), &json!("error"))
        );
        let place = &result["locations"][0]["physicalLocation"];
        let region = json!({"startLine": 4, "startColumn": 8, "endLine": 4, "endColumn": 14});
        assert_eq!((&place["artifactLocation"]["uri"], &place["region"]), (&json!("a%20b.yaml"), &region));
        let change = &result["fixes"][0]["artifactChanges"][0]["replacements"][0];
        assert_eq!(*change, json!({"deletedRegion": region, "insertedContent": {"text": "servers"}}));
    }

    #[test]
    fn paths_become_uris() {
        assert_eq!(uri("/a/é%.yaml"), "file:///a/%C3%A9%25.yaml");
        assert_eq!(uri("a/b.yaml"), "a/b.yaml");
    }
}
