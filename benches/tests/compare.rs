//! The comparison itself: short, so its figures say nothing, but every path of it is taken.

#![allow(clippy::unwrap_used, reason = "tests say what they expect")]

use std::process::Command;

use serde_json::Value;

fn compare(arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_compare"))
        .args(["--rounds", "2", "--seconds", "0.1", "--concurrency", "8"])
        .args(arguments)
        .output()
        .unwrap();
    (output.status.success(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn a_short_comparison_has_nothing_to_complain_about() {
    let (is_good, text) = compare(&["--json"]);
    assert!(is_good, "{text}");
    let result: Value = serde_json::from_str(&text).unwrap();
    let protocols = result["protocols"].as_array().unwrap();
    assert_eq!(protocols.iter().map(|p| p["protocol"].as_str().unwrap()).collect::<Vec<_>>(), ["HTTP/1.1", "HTTP/2"]);
    for protocol in protocols {
        assert_eq!(protocol["complaints"], Value::Array(Vec::new()));
        for figure in ["requests_per_second", "latency_p99_us", "cpu_us", "allocations"] {
            for side in ["bare", "mesh", "ratio"] {
                let median = protocol["figures"][figure][side]["median"].as_f64().unwrap();
                assert!(median > 0.0, "{figure} of {side} is {median}");
            }
        }
    }
}

#[test]
fn a_bound_that_cannot_be_held_fails_the_run() {
    let (is_good, text) = compare(&["--fail-under", "1000"]);
    assert!(!is_good, "{text}");
    assert!(text.contains("HTTP/1.1") && text.contains("allocations/request"), "{text}");
}

#[test]
fn one_caller_alone_sends_its_requests_and_prints_nothing() {
    for caller in ["bare", "mesh"] {
        for protocol in ["http1", "http2"] {
            let (is_good, text) =
                compare(&["--solo", "160", "--caller", caller, "--protocol", protocol, "--same-wire"]);
            assert!(is_good && text.is_empty(), "{caller}, {protocol}: {text}");
        }
    }
}
