//! Plays requests that were recorded with a real Envoy, configured by Istio itself, and compares what becomes of them
//! here: over real sockets, with endpoints that do as the recording says.
//!
//! The recordings are not part of this repository. They are looked for in `$MESH_CASES`, and where that is not set in a
//! folder `shared` beside the repository; without them the test says so and passes. A suite in [`GATED`] fails the test
//! if a case of it fails that `known_gaps` does not name; the others are only measured.
//!
//! ```text
//! MESH_CASES=../shared cargo test -p mesh-tower --test conformance -- --nocapture
//! ```
//!
//! `MESH_CASES_ONLY=retry` plays only the scenarios with that text in their names.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]
#![allow(clippy::disallowed_methods, reason = "measures real time")]
#![allow(clippy::type_complexity, reason = "records are as nested as the files")]

#[path = "support/anybody.rs"]
mod anybody;
#[path = "conformance/caller.rs"]
mod caller;
#[path = "conformance/certificates.rs"]
mod certificates;
#[path = "conformance/compare.rs"]
mod compare;
#[path = "conformance/counts.rs"]
mod counts;
#[path = "../../mesh-config/tests/conformance/gaps.rs"]
mod gaps;
#[path = "conformance/inbound.rs"]
mod inbound;
#[path = "conformance/place.rs"]
mod place;
#[path = "conformance/record.rs"]
mod record;
#[path = "conformance/scenario.rs"]
mod scenario;
#[path = "conformance/script.rs"]
mod script;
#[path = "conformance/secure.rs"]
mod secure;
#[path = "conformance/token.rs"]
mod token;
#[path = "conformance/upstream/mod.rs"]
mod upstream;
#[path = "conformance/wire.rs"]
mod wire;

use std::fs;
use std::path::{Path, PathBuf};

use futures_util::StreamExt as _;
use tokio::runtime::Builder;

use self::gaps::Gaps;
use self::place::Claim;
use self::record::Scenario;

/// Suites whose failures fail the test.
const GATED: &[&str] = &[
    "oracle/match",
    "oracle/split",
    "oracle/hosts",
    "oracle/actions",
    "oracle/gateway",
    "oracle/field",
    "oracle/inbound",
    "oracle/resilience",
];

/// The groups of recordings, each with how many of its scenarios are played at once: those that are mostly waiting, many.
const GROUPS: &[(&str, usize)] = &[
    ("match", 4),
    ("split", 6),
    ("hosts", 4),
    ("actions", 12),
    ("resilience", 20),
    ("gateway", 4),
    ("field", 8),
    ("inbound", 4),
];

#[test]
fn requests_recorded_with_envoy() {
    let Some(recordings) = folder() else { return };
    let gaps = Gaps::parse(include_str!("known_gaps"));
    let runtime = Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    let mut broken = Vec::new();
    for (group, at_once) in GROUPS {
        let suite = format!("oracle/{group}");
        let playing = futures_util::stream::iter(scenarios(&recordings.join(group))).map(|(name, scenario)| {
            let playing = tokio::spawn(async {
                let claim = Claim::new();
                scenario::play(scenario, claim.place).await
            });
            async move { (name.clone(), playing.await.unwrap_or_else(|error| panic!("{name}: {error}"))) }
        });
        let mut results: Vec<_> = runtime.block_on(async { playing.buffer_unordered(*at_once).collect().await });
        results.sort();
        // What depends on how fast the machine is gets a second chance with the machine to itself.
        for (name, steps) in &mut results {
            let is_unknown = |step: &str| gaps.reason(&format!("{suite}/{name}/{step}")).is_none();
            if steps.iter().any(|(step, difference)| difference.is_some() && is_unknown(step)) {
                println!("  played again alone: {suite}/{name}");
                *steps = runtime.block_on(play_alone(&recordings.join(group), name));
            }
        }
        let (mut passed, mut failed) = (Vec::new(), Vec::new());
        for (name, steps) in results {
            for (step, difference) in steps {
                let id = format!("{suite}/{name}/{step}");
                match difference {
                    None => passed.push(id),
                    Some(difference) => failed.push((id, difference)),
                }
            }
        }
        println!("suite {suite}: {}/{}", passed.len(), passed.len() + failed.len());
        for (id, difference) in failed {
            match gaps.reason(&id) {
                Some(reason) => println!("  known gap {id}: {reason}"),
                None => {
                    println!("  FAILED {id}: {}", one_line(&difference));
                    broken.push((suite.clone(), id));
                }
            }
        }
        for gap in gaps.stale(&passed) {
            println!("  passes, though known as a gap: {gap}");
        }
    }
    broken.retain(|(suite, _)| GATED.contains(&suite.as_str()));
    assert!(broken.is_empty(), "cases of gated suites fail: {broken:?}");
}

#[test]
fn certificates_of_peers_in_real_handshakes() {
    let Some(recordings) = folder() else { return };
    let security = recordings.join("../../security");
    let gaps = Gaps::parse(include_str!("known_gaps"));
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let results = runtime.block_on(certificates::play(&security));
    let passed = results.iter().filter(|(_, wrong)| wrong.is_none()).count();
    println!("suite security/spiffe_certs: {passed}/{}", results.len());
    let mut broken = Vec::new();
    for (case, wrong) in results {
        let id = format!("security/spiffe_certs/{case}");
        match (wrong, gaps.reason(&id)) {
            (Some(_), Some(reason)) => println!("  known gap {id}: {reason}"),
            (Some(wrong), None) => {
                println!("  FAILED {id}: {wrong}");
                broken.push(id);
            }
            (None, Some(_)) => println!("  passes, though known as a gap: {id}"),
            (None, None) => {}
        }
    }
    assert!(broken.is_empty(), "cases fail: {broken:?}");
}

/// The steps of one scenario, while nothing else is played.
async fn play_alone(group: &Path, name: &str) -> Vec<(String, Option<String>)> {
    let scenario = read(&group.join(format!("{name}.json")));
    let claim = Claim::new();
    scenario::play(scenario, claim.place).await
}

fn one_line(text: &str) -> String {
    text.replace('\n', " | ").chars().take(400).collect()
}

/// The scenarios of a group with their names.
fn scenarios(group: &Path) -> Vec<(String, Scenario)> {
    let only = std::env::var("MESH_CASES_ONLY").unwrap_or_default();
    let mut files: Vec<PathBuf> = fs::read_dir(group).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let name = |file: &PathBuf| file.file_stem().unwrap().to_string_lossy().into_owned();
    files.retain(|file| name(file).contains(&only));
    files.iter().map(|file| (name(file), read(file))).collect()
}

fn read(file: &Path) -> Scenario {
    let text = fs::read_to_string(file).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Where the recordings are. Asking for a folder that is not there is an error, having none is not.
fn folder() -> Option<PathBuf> {
    let asked = std::env::var_os("MESH_CASES").map(PathBuf::from);
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let path = asked.clone().unwrap_or_else(default).join("oracle/recorded");
    if !path.is_dir() {
        assert!(asked.is_none(), "MESH_CASES has no recordings: {}", path.display());
        println!("skipped: no recordings at {}", path.display());
        return None;
    }
    if !cfg!(target_os = "linux") {
        println!("skipped: only Linux takes all of 127.0.0.0/8 for its own");
        return None;
    }
    Some(path)
}
