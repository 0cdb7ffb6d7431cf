//! Measures this crate against cases taken from Istio's own tests, and against hostile and real files.
//!
//! The cases are not part of this repository. They are looked for in `$MESH_CASES`, and where that is not set in a
//! folder `shared` beside the repository; without them the test says so and passes. A gated suite fails the test if a
//! case of it fails that `known_gaps` does not name; the others are only measured.
//!
//! ```text
//! MESH_CASES=../shared cargo test -p mesh-config --test conformance -- --nocapture
//! ```

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod analyze;
mod crd;
mod field;
mod functions;
mod gaps;
mod hostile;
mod names;
mod validation;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use self::gaps::Gaps;

/// Every suite that is measured: its name, the list of its cases, how a case is measured, and whether it gates.
const SUITES: &[Suite] = &[
    Suite {
        name: "validation",
        list: "conformance/validation/expected.json",
        measure: validation::validation,
        gates: true,
    },
    Suite {
        name: "validation-fragments",
        list: "conformance/validation-fragments/expected.json",
        measure: validation::validation,
        gates: true,
    },
    Suite { name: "crd", list: "conformance/crd/expected.json", measure: crd::crd, gates: true },
    Suite { name: "samples", list: "conformance/samples/expected.json", measure: validation::sample, gates: true },
    Suite { name: "analyze", list: "conformance/analyze/expected.json", measure: analyze::analyze, gates: true },
    Suite { name: "hosts", list: "conformance/hosts/expected.json", measure: names::host_names, gates: true },
    Suite { name: "functions", list: "conformance/functions/expected.json", measure: functions::function, gates: true },
    Suite { name: "labels", list: "conformance/labels/expected.json", measure: names::label_sets, gates: true },
    Suite { name: "field", list: "field/recorded/expected.json", measure: field::verdicts, gates: true },
    Suite { name: "field/analyze", list: "field/recorded/expected.json", measure: field::findings, gates: true },
    Suite { name: "security/config", list: "security/config.json", measure: hostile::outcome, gates: true },
];

struct Suite {
    name: &'static str,
    list: &'static str,
    measure: Measure,
    gates: bool,
}

/// Says what is wrong with a case, whose files are in a folder; nothing if it passes.
type Measure = fn(&Path, &Value) -> Option<String>;

#[test]
fn suites_taken_from_istio() {
    let Some(cases) = folder() else { return };
    let gaps = Gaps::parse(include_str!("known_gaps"));
    let mut broken = Vec::new();
    for suite in SUITES {
        let result = run(&cases.join(suite.list), suite.measure);
        println!("suite {}: {}/{}", suite.name, result.total - result.failures.len(), result.total);
        for (id, why) in &result.failures {
            match gaps.reason(id) {
                Some(reason) => println!("  known gap {id}: {reason}"),
                None => {
                    println!("  FAILED {id}: {why}");
                    broken.extend(suite.gates.then(|| id.clone()));
                }
            }
        }
        for gap in gaps.stale(&result.passed) {
            println!("  passes, though known as a gap: {gap}");
        }
    }
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

/// The texts of a list.
fn strings(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

struct Outcome {
    total: usize,
    passed: Vec<String>,
    failures: Vec<(String, String)>,
}

fn run(list: &Path, measure: Measure) -> Outcome {
    let text = fs::read_to_string(list).expect("the list of cases");
    let folder = list.parent().expect("the folder of the cases");
    let mut cases: Value = serde_json::from_str(&text).expect("cases in JSON");
    if let Some(inner) = cases.get_mut("cases") {
        cases = inner.take();
    }
    let cases = cases.as_array().expect("a list of cases");
    let mut outcome = Outcome { total: 0, passed: Vec::new(), failures: Vec::new() };
    for case in cases.iter().filter(|case| case.get("scope").is_none()) {
        let id = case["id"].as_str().or_else(|| case["file"].as_str()).expect("an id").to_owned();
        outcome.total += 1;
        match measure(folder, case) {
            None => outcome.passed.push(id),
            Some(why) => outcome.failures.push((id, why)),
        }
    }
    outcome
}
