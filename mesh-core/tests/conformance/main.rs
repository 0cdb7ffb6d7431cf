//! Measures this crate against tables and simulations taken from Istio's own tests: each case calls the functions that
//! a running mesh calls.
//!
//! The cases are not part of this repository. They are looked for in `$MESH_CASES`, and where that is not set in a
//! folder `shared` beside the repository; without them the test says so and passes. A gated suite fails the test if a
//! case of it fails that `known_gaps` does not name; the others are only measured.
//!
//! ```text
//! MESH_CASES=../shared cargo test -p mesh-core --test conformance -- --nocapture
//! ```

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod authorization;
mod calls;
mod delegates;
#[path = "../../../mesh-config/tests/conformance/gaps.rs"]
mod gaps;
mod gateways;
mod hosts;
mod identities;
mod paths;
mod policies;
mod retry;
mod sidecar_scope;
mod tables;
mod telemetry;
mod traffic_policy;
mod world;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use self::gaps::Gaps;

/// Every suite that is measured: its name, how a case is measured, and whether it gates.
const SUITES: &[Suite] = &[
    Suite { name: "routes", measure: routes, gates: true },
    Suite { name: "retry", measure: retry::retry, gates: true },
    Suite { name: "traffic-policy", measure: traffic_policy::traffic_policy, gates: true },
    Suite { name: "gateways", measure: gateways::gateways, gates: true },
    Suite { name: "sidecar-scope", measure: sidecar_scope::imported, gates: true },
    Suite { name: "authz", measure: authorization::parts, gates: true },
    Suite { name: "authz-requests", measure: authorization::requests, gates: true },
    Suite { name: "policies", measure: policies::policies, gates: true },
    Suite { name: "spiffe", measure: identities::identities, gates: true },
    Suite { name: "path-normalization", measure: paths::normal_form, gates: true },
    Suite { name: "telemetry", measure: telemetry::tracing, gates: true },
];

struct Suite {
    name: &'static str,
    measure: Measure,
    gates: bool,
}

/// Says what is wrong with a case, whose files are in a folder; nothing if it passes.
type Measure = fn(&Path, &Value) -> Option<String>;

/// The tables of the suite `routes`.
fn routes(folder: &Path, case: &Value) -> Option<String> {
    let measure: Measure = match table(case) {
        "MergeHttpRoutes" => delegates::rules,
        "MergeHTTPMatchRequests" => delegates::matches,
        "HasConflict" => delegates::conflict,
        "ControllerMergeVirtualServices" => delegates::virtual_services,
        "GenerateVirtualHostDomains" => hosts::domains,
        "SidecarOutboundHTTPRouteConfig" => hosts::outbound,
        "SidecarRoutes" => hosts::sidecar_routes,
        "SourceMatchHTTP" => tables::source_of_http,
        "MatchTLS" | "MatchTCP" => tables::source_of_connection,
        "MirrorPercent" => tables::mirror_percent,
        "MirrorPercentByPolicy" => tables::mirrors_percent,
        "TranslateMetadataMatch" => tables::claim,
        _ if case["expect"]["calls"].is_array() => calls::calls,
        _ => |_, _| Some("nothing in process has this".to_owned()),
    };
    measure(folder, case)
}

/// The second part of a case's id.
fn table(case: &Value) -> &str {
    case["id"].as_str().and_then(|id| id.split('/').nth(1)).unwrap_or_default()
}

/// Compares what was found with what is expected.
#[expect(clippy::needless_pass_by_value, reason = "cases compare what they have just made")]
fn differs<T: PartialEq + std::fmt::Debug>(found: T, expected: T) -> Option<String> {
    (found != expected).then(|| format!("found {found:?}, expected {expected:?}"))
}

#[test]
fn suites_taken_from_istio() {
    let Some(cases) = folder() else { return };
    let gaps = Gaps::parse(include_str!("known_gaps"));
    let mut broken = Vec::new();
    for suite in SUITES {
        let result = run(&cases.join("conformance").join(suite.name), suite.measure);
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

struct Outcome {
    total: usize,
    passed: Vec<String>,
    failures: Vec<(String, String)>,
}

fn run(folder: &Path, measure: Measure) -> Outcome {
    let text = fs::read_to_string(folder.join("expected.json")).expect("the list of cases");
    let cases: Vec<Value> = serde_json::from_str(&text).expect("a list of cases");
    let mut outcome = Outcome { total: 0, passed: Vec::new(), failures: Vec::new() };
    for case in cases.iter().filter(|case| case.get("scope").is_none()) {
        let id = case["id"].as_str().expect("an id").to_owned();
        outcome.total += 1;
        match measure(folder, case) {
            None => outcome.passed.push(id),
            Some(why) => outcome.failures.push((id, why)),
        }
    }
    outcome
}
