//! All scenarios with fewer requests: `cargo test -p bookinfo`.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

use bookinfo::scenarios;
use bookinfo::stage::{Options, Stage};

#[tokio::test(flavor = "multi_thread")]
async fn what_the_files_ask_is_what_the_services_see() {
    // The band of four sigma scales with the number of requests.
    let stage = Stage::open(Options { requests: 500, ..Options::default() }).await.unwrap();
    let mut differing = Vec::new();
    for scenario in scenarios::ALL {
        let outcome = scenario.play(&stage).await.unwrap();
        println!("{outcome}");
        if !outcome.is_ok() {
            differing.push(outcome.name);
        }
    }
    stage.close().await;
    assert!(differing.is_empty(), "{differing:?}");
}
