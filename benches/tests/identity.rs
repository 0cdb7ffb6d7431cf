//! The measurements of identity: short, so their figures say nothing, but every path of them is taken.

#![allow(clippy::unwrap_used, reason = "tests say what they expect")]

use std::process::Command;

fn run(program: &str, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(program).args(arguments).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.success(), text)
}

#[test]
fn every_pair_of_ends_shakes_hands_and_takes_sessions_up_again() {
    let (is_good, text) = run(env!("CARGO_BIN_EXE_handshakes"), &["--rounds", "2", "--seconds", "0.1"]);
    assert!(is_good, "{text}");
    let (full, resumed) = text.split_once("sessions taken up again").unwrap();
    // The last pair has no end that could tell.
    let shares = |text: &str| -> Vec<u32> {
        let lines = text.lines().filter(|line| line.contains(" to ") && line.ends_with('%'));
        lines.map(|line| line.split_whitespace().rev().nth(1).unwrap().parse().unwrap()).collect()
    };
    assert_eq!(shares(full), [0; 4], "{text}");
    let shares = shares(resumed);
    assert!(shares.len() == 4 && shares[..3].iter().all(|share| *share > 50), "{text}");
}

#[test]
fn a_bound_that_cannot_be_held_fails_the_run() {
    let (is_good, text) =
        run(env!("CARGO_BIN_EXE_tokens"), &["--rounds", "2", "--tokens", "5", "--fail-under", "1000"]);
    assert!(!is_good && text.contains("ES256") && text.contains("RS256"), "{text}");
}
