//! `meshctl test`: a team's own expectations about its routing.

mod case;
mod check;
mod coverage;

use std::collections::HashMap;
use std::fmt::Write;

use clap::Args;
use mesh_config::{Kind, Report, Resource, ResourceId};
use mesh_core::explain::{Explanation, Place, Question};
use serde::Serialize;
use serde_json::Value;

use self::case::{Case, CaseFile};
use self::check::Failure;
use self::coverage::Coverage;
use super::explain::Format;
use super::input::files;
use super::output::{Outcome, complain, print};
use super::world::{Asker, World, site};

/// Check where requests go against files of cases.
///
/// The files have the form of istio-config-validator (`testCases`), with more to expect under `want`. Shares are exact:
/// they are computed, not sampled. The exit status is 1 if a case fails or too few rules are covered.
#[derive(Debug, Args)]
pub(crate) struct Test {
    /// Files with cases, directories or patterns
    #[arg(required = true, value_name = "CASES|DIR|GLOB")]
    cases: Vec<String>,

    #[command(flatten)]
    asker: Asker,

    /// Fail if less than this share of the rules took a request, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0)]
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
        let mut worlds = Worlds::new(&self.asker)?;
        let mut results = Results { coverage: Coverage::of(&worlds.default.set), ..Results::default() };
        for file in self.files()? {
            let text = std::fs::read_to_string(&file).map_err(|error| format!("{file}: {error}"))?;
            for case in &CaseFile::read(&file, &text)?.test_cases {
                let world = worlds.of(case);
                let result = run_case(&file, case, world, &mut results.coverage)?;
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
        Ok(match (results.failed > 0 || covered < self.fail_under, worlds.default.refused) {
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

/// The configuration as each client sees it.
struct Worlds {
    default: World,
    others: HashMap<String, World>,
}

impl Worlds {
    fn new(asker: &Asker) -> Result<Self, String> {
        Ok(Self { default: asker.load()?.with_missing_gateways(), others: HashMap::new() })
    }

    /// That of the client of a case.
    fn of(&mut self, case: &Case) -> &World {
        let (from, labels) = (&case.request.from, &case.request.labels);
        if from.is_none() && labels.is_none() {
            return &self.default;
        }
        let own = &self.default.site;
        let from = from.clone().unwrap_or_else(|| own.namespace.clone());
        let labels = labels.clone().unwrap_or_else(|| own.labels.clone());
        let set = &self.default.set;
        self.others.entry(format!("{from} {labels:?}")).or_insert_with(|| World::of(set.clone(), site(&from, labels)))
    }
}

fn run_case(file: &str, case: &Case, world: &World, coverage: &mut Coverage) -> Result<CaseResult, String> {
    let explainer = world.explainer();
    let questions = case.request.questions().map_err(|error| format!("{file}: {}: {error}", case.description))?;
    let mut failures = Vec::new();
    let requests = questions.len();
    for question in questions {
        let found = in_mesh_or_at_gateway(world, question, |question| explainer.explain(question));
        if let Some(rule) = &found.rule {
            coverage.hit(&rule.object, &rule.field);
        }
        let rule = found.rule.as_ref().and_then(|place| rule_as_written(world, place));
        failures.extend(check::failures(case, &found, rule.as_ref()));
    }
    Ok(CaseResult { file: file.to_owned(), description: case.description.clone(), requests, failures })
}

/// Rules may act in the mesh, at a gateway, or both; a case does not say where.
fn in_mesh_or_at_gateway(world: &World, question: Question, explain: impl Fn(&Question) -> Explanation) -> Explanation {
    let in_mesh = explain(&question);
    let by_a_rule =
        |found: &Explanation| found.rule.as_ref().is_some_and(|rule| rule.object.starts_with("VirtualService"));
    if by_a_rule(&in_mesh) || !world.has_gateway_on(question.port()) {
        return in_mesh;
    }
    let at_gateway = explain(&question.through_gateway());
    if by_a_rule(&at_gateway) { at_gateway } else { in_mesh }
}

/// A rule of a VirtualService, as it stands in its document.
fn rule_as_written(world: &World, place: &Place) -> Option<Value> {
    let (namespace, name) = place.object.strip_prefix("VirtualService ")?.split_once('/')?;
    let index: usize = place.field.strip_prefix("spec.http[")?.strip_suffix(']')?.parse().ok()?;
    match &world.set.get(&ResourceId::new(Kind::VirtualService, namespace, name))?.resource {
        Resource::VirtualService(service) => serde_json::to_value(service.spec.http.get(index)?).ok(),
        _ => None,
    }
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
