//! All scenarios with fewer requests: `cargo test -p bookinfo`.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

use std::fs;
use std::path::{Path, PathBuf};

use bookinfo::scenarios::{self, Outcome};
use bookinfo::stage::{Options, Stage};

/// Fewer than in the real run; the band of four sigma scales with them.
const REQUESTS: usize = 500;

#[tokio::test(flavor = "multi_thread")]
async fn what_the_files_ask_is_what_the_services_see() {
    let all: Vec<_> = scenarios::ALL.iter().map(|scenario| scenario.name).collect();
    let outcomes = play(Options::default().mesh_dir, &all).await;
    let differing: Vec<_> = outcomes.iter().filter(|outcome| !outcome.is_ok()).map(|outcome| outcome.name).collect();
    assert!(differing.is_empty(), "{differing:?}");
}

/// The scenarios would be worth nothing if they were content with anything.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_asks_for_something_else_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    for folder in ["base", "scenarios"] {
        copy(&Options::default().mesh_dir.join(folder), &dir.path().join(folder));
    }
    edit(dir.path(), "canary-90-10.yaml", "weight: 90", "weight: 30");
    edit(dir.path(), "mirror-25.yaml", "value: 25.0", "value: 50.0");
    edit(dir.path(), "header-routing.yaml", "exact: jason", "prefix: jason");
    edit(dir.path(), "breaker.yaml", "http1MaxPendingRequests: 10", "http1MaxPendingRequests: 12");
    edit(dir.path(), "answers.yaml", "status: 403", "status: 404");
    let edited = ["header-routing", "canary-90-10", "mirror-25", "breaker", "answers"];
    for outcome in play(dir.path().to_owned(), &edited).await {
        assert!(!outcome.is_ok(), "{outcome}");
    }
}

async fn play(mesh_dir: PathBuf, names: &[&str]) -> Vec<Outcome> {
    let stage = Stage::open(Options { mesh_dir, requests: REQUESTS, seed: None }).await.unwrap();
    let mut outcomes = Vec::new();
    for scenario in scenarios::ALL.iter().filter(|scenario| names.contains(&scenario.name)) {
        let outcome = scenario.play(&stage).await.unwrap();
        println!("{outcome}");
        outcomes.push(outcome);
    }
    stage.close().await;
    assert_eq!(outcomes.len(), names.len());
    outcomes
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

fn edit(mesh_dir: &Path, file: &str, from: &str, to: &str) {
    let path = mesh_dir.join("scenarios").join(file);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{file}");
    fs::write(&path, text.replace(from, to)).unwrap();
}
