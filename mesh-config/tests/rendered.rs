//! Holds what a person reads: the rendered findings of the files in `tests/rendered`, word for word.
//!
//! Each `NAME.yaml` there is read, validated and analyzed, and what is printed about it is compared with `NAME.txt`.
//! After a change that is meant, `MESH_BLESS=1 cargo test -p mesh-config --test rendered` writes the texts anew; the
//! difference then belongs to what is reviewed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use mesh_config::diagnostic::render::{TextOptions, analysis_json, github, sarif, text};
use mesh_config::{ConfigSet, Report, parse};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rendered")
}

fn inputs() -> Vec<PathBuf> {
    let entries = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut inputs: Vec<_> = entries.filter(|path| path.extension().is_some_and(|end| end == "yaml")).collect();
    inputs.sort();
    inputs
}

fn findings(path: &Path) -> Report {
    let text = fs::read_to_string(path).unwrap();
    let (documents, mut report) = parse(path.file_name().unwrap().to_str().unwrap(), &text);
    let (set, duplicates) = ConfigSet::from_documents(documents);
    report.extend(duplicates);
    report.extend(set.validate());
    report.extend(set.analyze());
    report.locate();
    report
}

#[test]
fn findings_are_printed_as_they_were() {
    let bless = std::env::var_os("MESH_BLESS").is_some();
    let mut different = Vec::new();
    for input in inputs() {
        let rendered = text(&findings(&input), &TextOptions::default());
        let kept = input.with_extension("txt");
        if bless {
            fs::write(&kept, &rendered).unwrap();
        } else if fs::read_to_string(&kept).unwrap_or_default() != rendered {
            different.push(format!("{} should now be:\n{rendered}", kept.display()));
        }
    }
    assert!(different.is_empty(), "{}\nMESH_BLESS=1 accepts the change", different.join("\n"));
}

#[test]
fn at_least_twenty_five_different_findings_are_held() {
    let mut kinds = BTreeSet::new();
    for input in inputs() {
        // What differs in names and numbers only is one kind of finding.
        let words = |message: &str| message.split(['"', '`']).step_by(2).collect::<Vec<_>>().join(" ");
        kinds.extend(findings(&input).iter().map(|finding| (finding.code, words(&finding.message))));
    }
    assert!(kinds.len() >= 25, "only {}: {kinds:#?}", kinds.len());
}

#[test]
fn no_form_lets_a_control_character_through() {
    let report = findings(&folder().join("hostile.yaml"));
    let plain = TextOptions::default();
    for printed in [text(&report, &plain), analysis_json(&report), sarif(&report, "t", "1"), github(&report)] {
        let hostile = |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
        assert_eq!(printed.find(hostile), None, "{printed:?}");
    }
}

#[test]
fn nothing_of_a_secret_is_printed() {
    let report = findings(&folder().join("secret.yaml"));
    assert!(!report.is_empty());
    for printed in [text(&report, &TextOptions::default()), analysis_json(&report), sarif(&report, "t", "1")] {
        assert!(!printed.contains("hushhush"), "{printed}");
    }
}

#[test]
fn colours_change_nothing_but_the_colours() {
    for input in inputs() {
        let report = findings(&input);
        let colored = text(&report, &TextOptions::default().color(true));
        let mut plain = String::new();
        for (index, part) in colored.split("\u{1b}[").enumerate() {
            plain.push_str(if index == 0 { part } else { part.split_once('m').unwrap().1 });
        }
        let lines = |text: &str| text.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>();
        assert_eq!(lines(&plain), lines(&text(&report, &TextOptions::default())));
    }
}

/// Applies the patches of a file from its end to its beginning, so that places stay what they are.
fn patched(path: &Path) -> (String, usize) {
    let mut lines: Vec<String> = fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect();
    let report = findings(path);
    let mut patches: Vec<_> = report.iter().filter_map(|finding| finding.patch.clone()).collect();
    patches.sort_by_key(|patch| std::cmp::Reverse((patch.span.line, patch.span.column)));
    for patch in &patches {
        assert_eq!(patch.span.line, patch.span.end_line);
        let line = &mut lines[patch.span.line as usize - 1];
        let byte = |column: u32| line.char_indices().nth(column as usize - 1).map_or(line.len(), |(at, _)| at);
        let range = byte(patch.span.column)..byte(patch.span.end_column);
        line.replace_range(range, &patch.replacement);
    }
    (lines.join("\n") + "\n", patches.len())
}

#[test]
fn a_patch_takes_its_finding_away_and_brings_no_other() {
    let mut applied = 0;
    for input in inputs() {
        let (text, patches) = patched(&input);
        let before = findings(&input);
        let (_, after) = parse("patched", &text);
        let left: Vec<_> = after.iter().filter(|finding| finding.patch.is_some()).collect();
        assert!(left.is_empty(), "{}: {left:?}", input.display());
        assert!(after.errors().count() + patches <= before.errors().count() + before.len(), "{}", input.display());
        applied += patches;
    }
    assert!(applied >= 6, "only {applied} patches");
}
