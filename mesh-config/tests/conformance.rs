//! Measures this crate against cases taken from Istio's own tests.
//!
//! The cases are not part of this repository. They are looked for in `$MESH_CASES`, and where that is not set in a
//! folder `shared` beside the repository; without them the test says so and passes. A suite in [`GATED`] fails the test
//! if a case of it fails that `known_gaps` does not name; the others are only measured.
//!
//! ```text
//! MESH_CASES=../shared cargo test -p mesh-config --test conformance -- --nocapture
//! ```

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use mesh_config::value::{Labels, host, labels};
use mesh_config::{ConfigSet, ParseOptions, Report, Severity, parse_with};
use serde_json::Value;

/// Suites whose failures fail the test.
const GATED: &[&str] = &[];

/// Every suite that is measured.
const SUITES: &[(&str, Measure)] = &[
    ("validation", validation),
    ("validation-fragments", validation),
    ("samples", sample),
    ("hosts", host_names),
    ("labels", label_sets),
];

/// Says what is wrong with a case; nothing if it passes.
type Measure = fn(&Path, &Value) -> Option<String>;

#[test]
fn suites_taken_from_istio() {
    let Some(cases) = folder() else { return };
    let gaps = Gaps::parse(include_str!("known_gaps"));
    let mut broken = Vec::new();
    for (suite, measure) in SUITES {
        let result = run(&cases.join("conformance").join(suite), *measure);
        println!("suite {suite}: {}/{}", result.total - result.failures.len(), result.total);
        for (id, why) in &result.failures {
            match gaps.reason(id) {
                Some(reason) => println!("  known gap {id}: {reason}"),
                None => {
                    println!("  FAILED {id}: {why}");
                    broken.push((*suite, id.clone()));
                }
            }
        }
        for gap in gaps.stale(&result.passed) {
            println!("  passes, though known as a gap: {gap}");
        }
    }
    broken.retain(|(suite, _)| GATED.contains(suite));
    assert!(broken.is_empty(), "cases of gated suites fail: {broken:?}");
}

/// Where the cases are. Asking for a folder that is not there is an error, having none is not.
fn folder() -> Option<PathBuf> {
    if let Some(asked) = std::env::var_os("MESH_CASES") {
        let path = PathBuf::from(asked);
        assert!(path.join("conformance").is_dir(), "MESH_CASES has no folder `conformance`: {}", path.display());
        return Some(path);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    if path.join("conformance").is_dir() {
        return Some(path);
    }
    println!("skipped: no cases at {}", path.display());
    None
}

struct Outcome {
    total: usize,
    passed: Vec<String>,
    failures: Vec<(String, String)>,
}

fn run(suite: &Path, measure: Measure) -> Outcome {
    let text = fs::read_to_string(suite.join("expected.json")).expect("the list of cases");
    let cases: Vec<Value> = serde_json::from_str(&text).expect("a list of cases");
    let mut outcome = Outcome { total: 0, passed: Vec::new(), failures: Vec::new() };
    for case in cases.iter().filter(|case| case.get("scope").is_none()) {
        let id = case["id"].as_str().expect("an id").to_owned();
        outcome.total += 1;
        match measure(suite, case) {
            None => outcome.passed.push(id),
            Some(why) => outcome.failures.push((id, why)),
        }
    }
    outcome
}

/// One resource, and whether Istio's webhook takes it.
fn validation(suite: &Path, case: &Value) -> Option<String> {
    let report = check(&text_of(suite, case), &ParseOptions::default(), 1);
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
fn sample(suite: &Path, case: &Value) -> Option<String> {
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

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn differs(found: &Value, expected: &Value) -> Option<String> {
    (found != expected).then(|| format!("found {found}, expected {expected}"))
}

fn host_names(_: &Path, case: &Value) -> Option<String> {
    let (input, expect) = (&case["input"], &case["expect"]);
    let text = |name: &str| input[name].as_str().unwrap_or_default();
    let id = case["id"].as_str().unwrap_or_default();
    let table = id.split('/').nth(1).unwrap_or_default();
    let (found, expected) = match table {
        "NameMatches" => (Value::from(host::matches(text("a"), text("b"))), &expect["out"]),
        "NameSubsetOf" => (Value::from(host::subset_of(text("a"), text("b"))), &expect["out"]),
        "NamesIntersection" => {
            (Value::from(host::intersection(&strings(&input["a"]), &strings(&input["b"]))), &expect["intersection"])
        }
        "NamesForNamespace" => {
            (Value::from(host::for_namespace(&strings(&input["hosts"]), text("namespace"))), &expect["want"])
        }
        "NamesSortOrder" => {
            let mut hosts = strings(&input["in"]);
            hosts.sort_by(|a, b| host::by_specificity(a, b));
            (Value::from(hosts), &expect["want"])
        }
        "MoreSpecific" => {
            (Value::from(host::by_specificity(text("host1"), text("host2")).is_le()), &expect["expected"])
        }
        "MostSpecificHostMatch" => {
            let found = host::most_specific_match(text("needle"), strings(&input["in"]));
            (Value::from(found.unwrap_or_default()), &expect["want"])
        }
        "ResolveShortnameToFQDN" => {
            let meta = |name: &str| input["meta"][name].as_str().unwrap_or_default();
            (Value::from(host::resolve_short_name(text("name"), meta("Namespace"), meta("Domain"))), &expect["out"])
        }
        "ScopedFqdn_InScopeOf" => {
            let open = host::for_namespace(&[text("ScFqdn")], text("Namespace"));
            (Value::from(!open.is_empty()), &expect["Want"])
        }
        other => return Some(format!("unknown table {other}")),
    };
    differs(&found, expected)
}

fn label_sets(_: &Path, case: &Value) -> Option<String> {
    let (input, expect) = (&case["input"], &case["expect"]);
    let set = |name: &str| -> Labels {
        let entries = input[name].as_object().into_iter().flatten();
        entries.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
    };
    let id = case["id"].as_str().unwrap_or_default();
    match id.split('/').nth(1).unwrap_or_default() {
        "Instance" => {
            let (left, right) = (set("left"), set("right"));
            let found = BTreeMap::from([
                ("selected", labels::selects(&left, &right)),
                ("subsetOf", labels::subset_of(&left, &right)),
            ]);
            differs(&serde_json::to_value(found).expect("a map"), &expect["expected"])
        }
        "InstanceValidate" => differs(&Value::from(labels::check(&set("tags")).is_empty()), &expect["valid"]),
        "String" => differs(&Value::from(labels::to_line(&set("input"))), &expect["expected"]),
        "LabelsEquals" => differs(&Value::from(set("a") == set("b")), &expect["want"]),
        other => Some(format!("unknown table {other}")),
    }
}

/// Cases that are known to fail, with the reason.
struct Gaps<'t>(Vec<(&'t str, &'t str)>);

impl<'t> Gaps<'t> {
    /// One `pattern  reason` a line; empty lines and comments do not count.
    fn parse(text: &'t str) -> Self {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let split =
            |line: &'t str| line.split_once(char::is_whitespace).map_or((line, ""), |(id, why)| (id, why.trim()));
        Self(lines.map(split).collect())
    }

    fn reason(&self, id: &str) -> Option<&'t str> {
        self.0.iter().find(|(pattern, _)| is_match(pattern, id)).map(|(_, reason)| *reason)
    }

    /// Patterns that name a case that passes, and no pattern may name one for nothing.
    fn stale(&self, passed: &[String]) -> Vec<&'t str> {
        let names_passed = |pattern: &&str| passed.iter().any(|id| is_match(pattern, id));
        self.0.iter().map(|(pattern, _)| *pattern).filter(names_passed).collect()
    }
}

/// Whether a text matches a pattern in which a star stands for any text.
fn is_match(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut last = None;
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
        last = Some(part);
    }
    match last {
        // The last part has to stand at the end, not only somewhere.
        Some(part) => text.ends_with(part),
        None => rest.is_empty(),
    }
}

#[test]
fn gaps_are_read_with_their_reasons() {
    let gaps = Gaps::parse("# comment\n\na/b  why not\n  c/*\tthe rest\nbare\n");
    assert_eq!(gaps.reason("a/b"), Some("why not"));
    assert_eq!(gaps.reason("c/d/e"), Some("the rest"));
    assert_eq!(gaps.reason("bare"), Some(""));
    assert_eq!(gaps.reason("a/bc"), None);
    assert_eq!(gaps.stale(&["a/b".to_owned(), "x".to_owned()]), ["a/b"]);
}

#[test]
fn a_star_stands_for_any_text() {
    for (pattern, text, expected) in [
        ("a", "a", true),
        ("a", "ab", false),
        ("a*", "ab", true),
        ("*b", "ab", true),
        ("*b", "abc", false),
        ("a*c*e", "abcde", true),
        ("a*c*e", "abde", false),
        ("*", "", true),
    ] {
        assert_eq!(is_match(pattern, text), expected, "{pattern} {text}");
    }
}

#[test]
fn documents_are_cut_at_the_lines_that_istio_cuts_at() {
    assert_eq!(document("a\n---\nb\n--- # c\nc\n", 1), "b\n");
    assert_eq!(document("---\na\n", 0), "");
}
