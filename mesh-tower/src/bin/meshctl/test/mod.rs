//! `meshctl test`: a team's own expectations about its routing.

mod case;
mod check;
mod coverage;
mod decide;

use std::fmt::Write;

use clap::Args;
use mesh_config::Report;
use serde::Serialize;

use self::case::{Case, CaseFile};
use self::check::Failure;
use self::coverage::Coverage;
use self::decide::Places;
use super::explain::Format;
use super::input::files;
use super::output::{Outcome, complain, print};
use super::world::Asker;

/// Check where requests go against files of cases.
///
/// The files have the form of istio-config-validator (`testCases`), with more to expect under `want`. Shares are exact:
/// they are computed, not sampled. What only a running mesh knows, such as the health of endpoints, is not looked at.
///
/// A request is asked in the mesh and, where no VirtualService takes it there, at the servers of the Gateways; one that
/// names neither `scheme` nor `port` at those of any. `gateway: namespace/name` (or `mesh`) under `request` asks there
/// only. A Gateway is asked as a workload that its selector takes; one that nobody defines takes every host.
///
/// The exit status is 1 if a case fails or too few rules are covered, and 2 if the configuration is one that a mesh
/// refuses.
#[derive(Debug, Args)]
pub(crate) struct Test {
    /// Files with cases, directories or patterns
    #[arg(required = true, value_name = "CASES|DIR|GLOB")]
    cases: Vec<String>,

    #[command(flatten)]
    asker: Asker,

    /// Fail if less than this share of the rules took a request, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0, value_parser = percent, allow_negative_numbers = true)]
    fail_under: f64,

    /// The form of the results
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

/// What came of everything.
#[derive(Debug, Default, Serialize)]
struct Results {
    cases: Vec<CaseResult>,
    coverage: Coverage,
    passed: usize,
    failed: usize,
}

/// What came of one case.
#[derive(Debug, Serialize)]
struct CaseResult {
    file: String,
    description: String,
    requests: usize,
    failures: Vec<Failure>,
}

impl Test {
    pub(crate) fn run(&self) -> Result<Outcome, String> {
        let mut places = Places::new(&self.asker)?;
        let mut results = Results { coverage: Coverage::of(&places.set), ..Results::default() };
        for file in self.files()? {
            let text = std::fs::read_to_string(&file).map_err(|error| format!("{file}: {error}"))?;
            for case in &CaseFile::read(&file, &text)?.test_cases {
                let result = run_case(&file, case, &mut places, &mut results.coverage)?;
                results.cases.push(result);
            }
        }
        if results.cases.is_empty() {
            return Err("the files hold no `testCases`".to_owned());
        }
        results.finish();
        print(&match self.output {
            Format::Text => results.text(),
            Format::Json => serde_json::to_string_pretty(&results).map_err(|error| error.to_string())? + "\n",
        })?;
        let covered = results.coverage.percent();
        if covered < self.fail_under {
            complain(&format!("{covered:.1} % of the rules are covered, less than {} %", self.fail_under));
        }
        Ok(match (results.failed > 0 || covered < self.fail_under, places.refused) {
            (true, _) => Outcome::Findings,
            (false, true) => Outcome::CouldNotRun,
            (false, false) => Outcome::Clean,
        })
    }

    fn files(&self) -> Result<Vec<String>, String> {
        let mut found = Vec::new();
        for name in &self.cases {
            let mut report = Report::new();
            let these = files(name, &mut report).map_err(|problem| format!("{name}: {problem}"))?;
            found.extend(these.iter().map(|path| path.to_string_lossy().into_owned()));
        }
        Ok(found)
    }
}

fn run_case(file: &str, case: &Case, places: &mut Places, coverage: &mut Coverage) -> Result<CaseResult, String> {
    let wrong = |error| format!("{file}: {}: {error}", case.description);
    let asked = case.request.each().map_err(wrong)?;
    let mut failures = Vec::new();
    for asked in &asked {
        let found = places.decide(&case.request, asked).map_err(wrong)?;
        if let Some(rule) = &found.explanation.rule {
            coverage.hit(&rule.object, &rule.field);
        }
        // A rule that delegates takes what the delegate's rule takes.
        if let Some(root) = &found.root {
            coverage.hit(&root.object, &root.field);
        }
        failures.extend(check::failures(case, &found));
    }
    Ok(CaseResult { file: file.to_owned(), description: case.description.clone(), requests: asked.len(), failures })
}

/// A share in percent. Text such as `nan` is a number to Rust, and one that nothing is less than.
fn percent(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| (0.0..=100.0).contains(number));
    number.ok_or_else(|| "it is no number from 0 to 100".to_owned())
}

impl Results {
    fn finish(&mut self) {
        self.failed = self.cases.iter().filter(|case| !case.failures.is_empty()).count();
        self.passed = self.cases.len() - self.failed;
        self.coverage.finish();
    }

    fn text(&self) -> String {
        let mut out = String::new();
        let mut file = "";
        for case in &self.cases {
            if case.file != file {
                file = &case.file;
                out.push_str(&format!("{file}\n"));
            }
            let sign = if case.failures.is_empty() { '✓' } else { '✗' };
            let requests =
                if case.requests == 1 { "1 request".to_owned() } else { format!("{} requests", case.requests) };
            // A string takes everything that is written to it.
            let _ = writeln!(out, "  {sign} {:<60} {requests}", case.description);
            for failure in &case.failures {
                let Failure { request, what, wanted, got, because } = failure;
                let _ = writeln!(out, "      request   {request}");
                let _ = writeln!(out, "      wanted    {what} {wanted}");
                let _ = writeln!(out, "      got       {got}");
                let _ = writeln!(out, "      because   {because}");
            }
        }
        out.push_str(&self.coverage.text());
        out.push_str(&format!("{} passed, {} failed\n", self.passed, self.failed));
        out
    }
}
