//! Nobody's mistake makes reading, validation or analysis panic or take long.
//!
//! Documents of every kind are changed line by line and read. `MESH_MUTATIONS` says how often (3,000 by default, with the
//! same changes each time), `MESH_MUTATION_SEED` which changes; with `MESH_CASES` the files there are changed, too.
//!
//! ```text
//! MESH_MUTATIONS=100000 cargo test --release -p mesh-config --test mutations
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use mesh_config::{ConfigSet, ParseOptions, parse_with};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// One change of a text.
#[derive(Clone, Debug)]
enum Mutation {
    Delete(Index),
    Duplicate(Index),
    Swap(Index, Index),
    /// Ends the text within a line.
    Truncate(Index, Index),
    /// Moves a line in or out.
    Indent(Index, i8),
    /// Puts a value after the colon of a line, or all of it behind the dash.
    Value(Index, String),
    /// Renames the key of a line.
    Key(Index, String),
    /// Puts a text into a line.
    Insert(Index, Index, String),
    /// Takes a line of another file.
    Borrow(Index, Index, Index),
}

/// What stands for trouble: other types, odd numbers, odd letters, marks of YAML.
const VALUES: &[&str] = &[
    "",
    "~",
    "[]",
    "{}",
    "[[]]",
    "[{}]",
    "{a: b}",
    "{a}",
    "null",
    "true",
    "no",
    "y",
    "0",
    "-1",
    "1",
    "1.5",
    ".nan",
    "-.inf",
    "1e999",
    "2147483648",
    "4294967296",
    "9223372036854775808",
    "-9223372036854775809",
    "0x",
    "0777",
    "1:30",
    "99999999999999999999999999999999999999999",
    "0s",
    "-1s",
    "1ns",
    "315576000001s",
    "9999999999999999999h",
    "1h1",
    "*",
    "**",
    "*.*",
    "*.a",
    "a.*",
    ".",
    "..",
    "/",
    "//",
    "./*",
    "*/*",
    "a/b/c",
    "mesh",
    "'",
    "\"",
    "\"\\ud83d\"",
    "é",
    "💥",
    "\u{feff}",
    "\u{0}",
    "\u{202e}x",
    "%",
    "%REQ(",
    "%%",
    "%REQ(x)%",
    "(",
    "[a-",
    "(a*)*b",
    "\\1",
    "(?=a)",
    ".{1,1000}",
    "${X}",
    "{{ .x }}",
    "<X>",
    "&a [*a]",
    "*a",
    "&a",
    "<<",
    "!!binary aGk=",
    "!!int x",
    "|",
    ">-",
    "- - - -",
    "? a",
    "# c",
    "10.0.0.0/33",
    "::1",
    "256.1.1.1",
    "spiffe://",
    "a@b",
    "http://",
    "UNKNOWN",
    "STRICT",
    "DNS",
    "7",
];

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = any::<Index>;
    let value = || {
        prop_oneof![
            8 => select(VALUES).prop_map(str::to_owned),
            1 => "\\PC{0,12}",
            1 => (1..5_000_usize).prop_map(|length| "a".repeat(length)),
            1 => (1..300_usize).prop_map(|depth| "[".repeat(depth)),
        ]
    };
    prop_oneof![
        2 => at().prop_map(Mutation::Delete),
        2 => at().prop_map(Mutation::Duplicate),
        2 => (at(), at()).prop_map(|(one, other)| Mutation::Swap(one, other)),
        1 => (at(), at()).prop_map(|(line, letter)| Mutation::Truncate(line, letter)),
        2 => (at(), -6..7_i8).prop_map(|(line, by)| Mutation::Indent(line, by)),
        6 => (at(), value()).prop_map(|(line, value)| Mutation::Value(line, value)),
        2 => (at(), value()).prop_map(|(line, key)| Mutation::Key(line, key)),
        2 => (at(), at(), value()).prop_map(|(line, letter, text)| Mutation::Insert(line, letter, text)),
        2 => (at(), at(), at()).prop_map(|(line, file, other)| Mutation::Borrow(line, file, other)),
    ]
}

fn mutate(text: &str, mutations: &[Mutation], corpus: &[String]) -> String {
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    for mutation in mutations {
        if lines.is_empty() {
            break;
        }
        let count = lines.len();
        match mutation {
            Mutation::Delete(at) => drop(lines.remove(at.index(count))),
            Mutation::Duplicate(at) => lines.insert(at.index(count), lines[at.index(count)].clone()),
            Mutation::Swap(one, other) => lines.swap(one.index(count), other.index(count)),
            Mutation::Truncate(at, letter) => {
                lines.truncate(at.index(count) + 1);
                if let Some(last) = lines.last_mut() {
                    *last = split(last, letter).0.to_owned();
                }
            }
            Mutation::Indent(at, by) => {
                let line = &mut lines[at.index(count)];
                *line = match usize::try_from(*by) {
                    Ok(more) => format!("{}{line}", " ".repeat(more)),
                    Err(_) => line.trim_start_matches(' ').to_owned(),
                };
            }
            Mutation::Value(at, value) => replace(&mut lines[at.index(count)], |key, _| format!("{key} {value}\n")),
            Mutation::Key(at, key) => replace(&mut lines[at.index(count)], |_, value| format!("{key}:{value}")),
            Mutation::Insert(at, letter, text) => {
                let line = &mut lines[at.index(count)];
                let (before, after) = split(line, letter);
                *line = format!("{before}{text}{after}");
            }
            Mutation::Borrow(at, file, other) => {
                let from: Vec<_> = file.get(corpus).split_inclusive('\n').collect();
                if !from.is_empty() {
                    lines.insert(at.index(count), (*other.get(&from)).to_owned());
                }
            }
        }
    }
    lines.concat()
}

/// Cuts a line at a letter.
fn split<'l>(line: &'l str, letter: &Index) -> (&'l str, &'l str) {
    let places: Vec<_> = line.char_indices().map(|(place, _)| place).collect();
    if places.is_empty() { (line, "") } else { line.split_at(*letter.get(&places)) }
}

/// Gives a line's part up to its colon or dash, and the rest.
fn replace(line: &mut String, with: impl Fn(&str, &str) -> String) {
    let end = line.find(": ").map(|at| at + 1).or_else(|| line.find("- ").map(|at| at + 1));
    let end = end.unwrap_or_else(|| line.trim_end().len());
    let (key, value) = line.split_at(end);
    *line = with(key, value);
}

/// The files of a folder, and of those below it. Large ones take long and show nothing that small ones do not.
fn add(folder: &Path, corpus: &mut Vec<String>) {
    let mut entries: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            add(&path, corpus);
        } else if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            corpus.extend(fs::read_to_string(&path).ok().filter(|text| !text.is_empty() && text.len() < 20_000));
        }
    }
}

fn number(name: &str, default: u32) -> u32 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

#[expect(clippy::disallowed_methods, reason = "how long it takes is what is tested")]
fn read(text: &str) -> Result<(), TestCaseError> {
    let started = Instant::now();
    for options in [ParseOptions::default(), ParseOptions::default().lenient()] {
        let (documents, mut report) = parse_with("f", text, &options);
        let (set, duplicates) = ConfigSet::from_documents(documents);
        report.extend(duplicates);
        report.extend(set.validate());
        report.extend(set.analyze());
        report.locate();
        let lines = u32::try_from(text.lines().count().max(1)).unwrap();
        for finding in &report {
            // A finding at the end of a text may point behind the last line.
            prop_assert!(finding.origin.line <= lines + 1, "line {} of {lines}: {finding}", finding.origin.line);
        }
        prop_assert!(report.to_string().len() < 8 << 20);
    }
    prop_assert!(started.elapsed() < Duration::from_secs(10), "took {:?}", started.elapsed());
    Ok(())
}

#[test]
fn no_change_of_a_document_makes_it_panic_or_hang() {
    let mut corpus = Vec::new();
    add(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus"), &mut corpus);
    assert!(corpus.len() > 10);
    if let Some(cases) = std::env::var_os("MESH_CASES") {
        for folder in ["conformance", "field", "security/config"] {
            add(&Path::new(&cases).join(folder), &mut corpus);
        }
    }
    let config = Config { cases: number("MESH_MUTATIONS", 3_000), failure_persistence: None, ..Config::default() };
    let mut seed = [0; 32];
    seed[..4].copy_from_slice(&number("MESH_MUTATION_SEED", 1).to_le_bytes());
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    let strategy = (any::<Index>(), proptest::collection::vec(mutation(), 1..8));
    let outcome = runner.run(&strategy, |(file, mutations)| {
        let text: &String = file.get(&corpus);
        read(&mutate(text, &mutations, &corpus))
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

/// The files that are changed are good themselves, or most changes would be of no account.
#[test]
fn the_files_that_are_changed_are_read() {
    let mut corpus = Vec::new();
    add(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus"), &mut corpus);
    let mut kinds = std::collections::BTreeSet::new();
    for text in &corpus {
        let (documents, report) = parse_with("f", text, &ParseOptions::default());
        let errors: Vec<_> = report.errors().map(ToString::to_string).collect();
        assert!(errors.is_empty(), "{errors:?}\n{text}");
        kinds.extend(documents.iter().map(|document| document.resource.kind()));
    }
    let missing: Vec<_> = mesh_config::Kind::ALL.iter().filter(|kind| !kinds.contains(kind)).collect();
    assert!(missing.is_empty(), "no file has {missing:?}");
}
