//! How findings are printed, and what they mean for the exit status.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use mesh_config::diagnostic::render::{TextOptions, analysis_json, escape, github, sarif, text, validation_json};
use mesh_config::{Code, Report, Severity};

use super::input::Loaded;

/// How to print, and when to fail.
#[derive(Debug, Args)]
pub(crate) struct Output {
    /// The form of the findings
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,

    /// The lowest level of a finding that makes the exit status 1
    #[arg(long, value_enum, default_value_t = Level::Error, value_name = "LEVEL")]
    fail_on: Level,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// For a person
    Text,
    /// An array
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// Annotations of GitHub Actions
    Github,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Level {
    Error,
    Warning,
    Info,
}

/// What the array of JSON is one of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    Documents,
    Findings,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Clean,
    Findings,
    CouldNotRun,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Clean => Self::SUCCESS,
            Outcome::Findings => Self::from(1),
            Outcome::CouldNotRun => Self::from(2),
        }
    }
}

impl Level {
    const fn severity(self) -> Severity {
        match self {
            Self::Error => Severity::Error,
            Self::Warning => Severity::Warning,
            Self::Info => Severity::Info,
        }
    }
}

impl Output {
    /// Whether the documents are listed, too.
    pub(crate) fn lists_documents(&self) -> bool {
        matches!(self.output, Format::Json)
    }

    pub(crate) fn print(&self, loaded: &Loaded, shape: Shape) -> Result<Outcome, String> {
        let report = &loaded.report;
        let printed = match (self.output, shape) {
            (Format::Text, _) => for_a_person(loaded),
            (Format::Json, Shape::Documents) => validation_json(&loaded.outlines, report),
            (Format::Json, Shape::Findings) => analysis_json(report),
            (Format::Sarif, _) => sarif(report, "meshctl", env!("CARGO_PKG_VERSION")),
            (Format::Github, _) => github(report),
        };
        print(&printed)?;
        for problem in &loaded.problems {
            complain(problem);
        }
        let fails = report.iter().any(|finding| finding.severity >= self.fail_on.severity());
        Ok(match (loaded.problems.is_empty(), fails) {
            (false, _) => Outcome::CouldNotRun,
            (true, true) => Outcome::Findings,
            (true, false) => Outcome::Clean,
        })
    }
}

/// The findings, how to learn more, and a summary. Of documents that are none of Istio's only the number is told.
fn for_a_person(loaded: &Loaded) -> String {
    let is_foreign = |code: Code, severity| code == Code::FOREIGN_KIND && severity == Severity::Info;
    let mut shown = Report::new();
    shown.extend(loaded.report.iter().filter(|finding| !is_foreign(finding.code, finding.severity)).cloned());
    let mut out = text(&shown, &TextOptions::default().color(shows_color()));
    if !out.is_empty() {
        out.push('\n');
    }
    out.push_str(&summary(loaded, &shown));
    if let Some(finding) = shown.sorted().first() {
        out.push_str(&format!("What a code means, and how to mend it: meshctl codes {}\n", finding.code));
    }
    out
}

fn summary(loaded: &Loaded, shown: &Report) -> String {
    let files = count(loaded.files, "file");
    let documents = count(loaded.count, "document");
    let counts = [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Info, "note")];
    let counts = counts.map(|(severity, name)| (shown.count(severity), name));
    let found: Vec<_> = counts.iter().filter(|(n, _)| *n > 0).map(|(n, name)| count(*n, name)).collect();
    let found = if found.is_empty() { "nothing found".to_owned() } else { found.join(", ") };
    let foreign = loaded.report.len() - shown.len();
    let passed = if foreign > 0 { format!("; {foreign} of other kinds passed over") } else { String::new() };
    format!("{documents} in {files}: {found}{passed}\n")
}

fn count(n: usize, name: &str) -> String {
    format!("{n} {name}{}", if n == 1 { "" } else { "s" })
}

/// Whether the reader sees colours and wants them.
fn shows_color() -> bool {
    let unset = |name: &str| env::var_os(name).is_none_or(|value| value.is_empty());
    io::stdout().is_terminal() && unset("NO_COLOR") && env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Prints to standard output. A reader that has seen enough is no error.
pub(crate) fn print(text: &str) -> Result<(), String> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(format!("cannot print: {error}")),
        _ => Ok(()),
    }
}

/// Says on standard error what is in the way.
pub(crate) fn complain(problem: &str) {
    let mut out = io::stderr().lock();
    for line in problem.lines() {
        // If nobody listens, there is nobody to tell.
        let _ = writeln!(out, "meshctl: {}", escape(line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_counts_in_words() {
        let mut loaded = Loaded { files: 1, ..Loaded::default() };
        assert_eq!(summary(&loaded, &Report::new()), "0 documents in 1 file: nothing found\n");
        loaded.report.push(mesh_config::Diagnostic::info(Code::FOREIGN_KIND, "a"));
        let mut shown = Report::new();
        shown.push(mesh_config::Diagnostic::error(Code::SYNTAX, "b"));
        loaded.report.push(mesh_config::Diagnostic::error(Code::SYNTAX, "b"));
        assert_eq!(summary(&loaded, &shown), "0 documents in 1 file: 1 error; 1 of other kinds passed over\n");
    }
}
