//! Hostile documents: each is read in a process of its own, so that its time and memory can be told, and so that a
//! crash or a hang is an outcome like any other.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mesh_config::{Code, ConfigSet, ParseOptions, Report, Severity};
use serde_json::{Value, json};

use super::strings;

/// Names the file to a process that is started for it.
const FILE: &str = "MESH_HOSTILE_FILE";

/// What a document may cost where the case does not say.
const MOST_MILLISECONDS: u64 = 1_000;
const MOST_MEBIBYTES: u64 = 64;

/// Unoptimized code may take longer.
const PATIENCE: u64 = if cfg!(debug_assertions) { 8 } else { 1 };

/// Whether a document is refused or taken as the case says, and within its limits.
pub(crate) fn outcome(suite: &Path, case: &Value) -> Option<String> {
    let file = suite.join(case["file"].as_str().expect("a file"));
    let found = match in_own_process(&file) {
        Ok(found) => found,
        Err(why) => return Some(why),
    };
    let expected = &case["expected"];
    let limit = |name: &str, default: u64| expected["limits"][name].as_u64().unwrap_or(default);
    let (took, most) = (&found["milliseconds"], limit("max_ms", MOST_MILLISECONDS) * PATIENCE);
    if took.as_u64().is_none_or(|took| took > most) {
        return Some(format!("took {took} ms, and may take {most}"));
    }
    let (used, most) = (&found["kibibytes"], limit("max_extra_rss_mib", MOST_MEBIBYTES) * 1024);
    if used.as_u64().is_some_and(|used| used > most) {
        return Some(format!("used {used} KiB, and may use {most}"));
    }
    if found["outcome"] != expected["outcome"] {
        return Some(format!("{} instead of {}: {}", found["outcome"], expected["outcome"], found["findings"]));
    }
    let codes = codes_of(expected["class"].as_str().unwrap_or_default());
    let has = |code: &Code| strings(&found["codes"]).contains(&code.as_str());
    (!codes.is_empty() && !codes.iter().any(has)).then(|| format!("found {}, expected {codes:?}", found["codes"]))
}

/// The codes of ours for a class, where it has codes of its own.
fn codes_of(class: &str) -> &'static [Code] {
    match class {
        // Many documents of nothing are remarked upon once.
        "yaml-limit" => &[Code::LIMIT, Code::EMPTY],
        "yaml-syntax" => &[Code::SYNTAX, Code::UNREADABLE],
        "duplicate-key" => &[Code::DUPLICATE_KEY],
        "unknown-field" => &[Code::UNKNOWN_FIELD],
        "unknown-version" => &[Code::UNKNOWN_VERSION],
        "type-mismatch" => &[Code::WRONG_TYPE, Code::NOT_AN_OBJECT, Code::SCHEMA_RULE],
        _ => &[],
    }
}

fn in_own_process(file: &Path) -> Result<Value, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let child = Command::new(program)
        .args(["--exact", "hostile::a_file_in_a_process_of_its_own", "--nocapture"])
        .env(FILE, file)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    let output = finish(child)?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let found = printed.lines().find_map(|line| serde_json::from_str(line.strip_prefix(MARK)?).ok());
    found.ok_or_else(|| format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr)))
}

/// Waits, but not for ever.
#[expect(clippy::disallowed_methods, reason = "another process keeps no virtual time")]
fn finish(mut child: Child) -> Result<std::process::Output, String> {
    let started = Instant::now();
    while child.try_wait().map_err(|error| error.to_string())?.is_none() {
        if started.elapsed() > Duration::from_secs(60) {
            child.kill().map_err(|error| error.to_string())?;
            return Err("hangs".to_owned());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    child.wait_with_output().map_err(|error| error.to_string())
}

/// Begins the line of what a process found; the test's own name stands before it.
const MARK: &str = "found ";

/// Reads the file that the environment names. Without one there is nothing to do.
#[test]
#[expect(clippy::disallowed_methods, reason = "how long it takes is what is asked")]
fn a_file_in_a_process_of_its_own() {
    let Some(file) = std::env::var_os(FILE) else { return };
    let before = reset_peak();
    let started = Instant::now();
    let (documents, mut report) = mesh_config::read_path(&file, &ParseOptions::default());
    let is_empty = documents.is_empty();
    let (set, duplicates) = ConfigSet::from_documents(documents);
    report.extend(duplicates);
    report.extend(set.validate());
    let is_refused = report.has_errors() || is_empty;
    report.extend(set.analyze());
    let milliseconds = started.elapsed().as_millis();
    let kibibytes = before.and_then(|before| Some(peak()?.saturating_sub(before)));
    let outcome = match (is_refused, is_noteworthy(&report)) {
        (true, _) => "reject",
        (false, true) => "accept-with-warning",
        (false, false) => "accept",
    };
    let codes: Vec<_> = report.iter().map(|finding| finding.code.as_str()).take(100).collect();
    let findings: Vec<_> = report.iter().map(ToString::to_string).take(3).collect();
    let found = json!({
        "outcome": outcome, "codes": codes, "findings": findings, "milliseconds": u64::try_from(milliseconds).unwrap(),
        "kibibytes": kibibytes
    });
    println!("\n{MARK}{found}");
}

/// Whether there is anything to warn about. What is read in full and only not acted on yet is left out.
fn is_noteworthy(report: &Report) -> bool {
    report.iter().any(|finding| finding.severity >= Severity::Warning)
}

/// Makes the most memory that was used be what is used now, in KiB. Only Linux can tell.
fn reset_peak() -> Option<u64> {
    fs::write("/proc/self/clear_refs", "5").ok()?;
    peak()
}

fn peak() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}
