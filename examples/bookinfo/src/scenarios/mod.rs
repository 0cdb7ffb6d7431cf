//! The scenarios: each puts a YAML file on, sends real requests, and compares what the file asks with what the services
//! counted and the client outside the mesh saw.

mod answers;
mod breaker;
mod fault;
mod grpc;
mod live;
mod mirror;
mod resilience;
mod routing;
mod split;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::Instant;

use crate::Result;
use crate::check::Check;
use crate::stage::Stage;

/// Requests under way at a time where a scenario sends many.
const AT_ONCE: usize = 16;

type Playing<'a> = Pin<Box<dyn Future<Output = Result<Vec<Check>>> + Send + 'a>>;

/// A scenario: a name, the file it puts on first, and what it does then.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// Name on the command line.
    pub name: &'static str,
    file: &'static str,
    play: for<'a> fn(&'a Stage) -> Playing<'a>,
}

/// All scenarios in the order in which they are played.
pub const ALL: &[Scenario] = &[
    Scenario { name: "all-versions", file: "all-versions.yaml", play: |s| Box::pin(routing::all_versions(s)) },
    Scenario { name: "header-routing", file: "header-routing.yaml", play: |s| Box::pin(routing::by_header(s)) },
    Scenario { name: "canary-90-10", file: "canary-90-10.yaml", play: |s| Box::pin(split::at_the_gateway(s)) },
    Scenario { name: "canary-95-5", file: "canary-95-5.yaml", play: |s| Box::pin(split::between_services(s)) },
    Scenario { name: "mirror-100", file: "mirror-100.yaml", play: |s| Box::pin(mirror::all(s)) },
    Scenario { name: "mirror-25", file: "mirror-25.yaml", play: |s| Box::pin(mirror::a_quarter(s)) },
    Scenario { name: "resilience", file: "resilience.yaml", play: |s| Box::pin(resilience::play(s)) },
    Scenario { name: "fault-delay", file: "fault-delay.yaml", play: |s| Box::pin(fault::delay(s)) },
    Scenario { name: "fault-abort", file: "fault-abort.yaml", play: |s| Box::pin(fault::abort(s)) },
    Scenario { name: "breaker", file: "breaker.yaml", play: |s| Box::pin(breaker::play(s)) },
    Scenario { name: "recovery", file: "recovery.yaml", play: |s| Box::pin(breaker::recovery(s)) },
    Scenario { name: "answers", file: "answers.yaml", play: |s| Box::pin(answers::play(s)) },
    Scenario { name: "grpc-split", file: "grpc-split.yaml", play: |s| Box::pin(grpc::play(s)) },
    Scenario { name: "live-weights", file: live::FIRST, play: |s| Box::pin(live::play(s)) },
];

impl fmt::Debug for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scenario").field("name", &self.name).field("file", &self.file).finish_non_exhaustive()
    }
}

/// What a scenario asked and what came of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The scenario's name.
    pub name: &'static str,
    /// Its file.
    pub file: &'static str,
    /// What the file asks, in one line.
    pub question: String,
    /// The figures.
    pub checks: Vec<Check>,
    /// How long it took.
    pub took: Duration,
}

impl Scenario {
    /// Puts the file on and plays. An error says that playing was not possible, not that a figure differs.
    pub async fn play(&self, stage: &Stage) -> Result<Outcome> {
        let start = Instant::now();
        let question = stage.question(self.file)?;
        stage.put_on(self.file).await?;
        let checks = (self.play)(stage).await?;
        Ok(Outcome { name: self.name, file: self.file, question, checks, took: start.elapsed() })
    }
}

impl Outcome {
    /// Whether every figure is as expected.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        !self.checks.is_empty() && self.checks.iter().all(Check::is_ok)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.is_ok() { "ok" } else { "DIFFERS" };
        writeln!(f, "{} ({}, {:.1} s): {verdict}", self.name, self.file, self.took.as_secs_f64())?;
        writeln!(f, "  asks: {}", self.question)?;
        for check in &self.checks {
            writeln!(f, "  {check}")?;
        }
        Ok(())
    }
}
