//! `meshctl explain`: why a request goes where it goes.

use std::collections::BTreeSet;

use clap::{Args, ValueEnum};
use mesh_core::explain::{Explainer, Explanation, Question};

use super::batch;
use super::gateways::Gateways;
use super::output::{Outcome, complain, print};
use super::world::{Asker, World};

/// Say where a request goes and why: host, each route tried, the roll, endpoints and policy with file and line.
///
/// Decides with the code that decides in a process, by what the files say. What only a running mesh knows is not in it:
/// the health and load of endpoints, ejections, limits that are used up, answers of DNS, connections and certificates.
/// Of the receiving side it says what the policies of its workloads say, as far as they are among the files (the line
/// inbound), to a client with the account of --from. What a token would change, and its own Sidecar, is not in it.
///
/// The exit status is 1 if the mesh would answer by itself with an error, and 2 if a mesh refuses the configuration.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The method, such as GET
    #[arg(required_unless_present = "batch")]
    method: Option<String>,

    /// The URL that the client calls, such as http://reviews:9080/api; without a port, that of the scheme
    #[arg(required_unless_present = "batch")]
    url: Option<String>,

    /// A header line; host or :authority replaces the authority, and the port that is dialled stays that of the URL
    #[arg(short = 'H', long = "header", value_name = "NAME:VALUE")]
    headers: Vec<String>,

    #[command(flatten)]
    asker: Asker,

    /// The request's draw: a split of 100 parts reads it as N % 100
    #[arg(long, value_name = "N", default_value_t = 0)]
    roll: u64,

    /// Explain every destination of a split, not only the one that the roll draws
    #[arg(long, conflicts_with = "roll")]
    all: bool,

    /// Ask at a Gateway's server on the port of the URL instead of in the mesh
    ///
    /// Without a name, at the first Gateway that has a rule for the request. It is asked as a workload that it selects,
    /// and with TLS as if the handshake was done with the host as the server name.
    #[arg(long, value_name = "NAMESPACE/NAME", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    gateway: Option<String>,

    /// Answer the questions of a file, one of JSON a line (- for standard input), with one line each
    ///
    /// A line that cannot be answered gets {"error": ..}; an answer by a configuration that a mesh refuses has
    /// "refused": true. The exit status is 1 if there is one of either, else 0, whatever the answers are.
    #[arg(long, value_name = "FILE.jsonl", conflicts_with_all = ["method", "url", "headers", "roll", "all", "gateway"])]
    batch: Option<String>,

    /// The form of the explanation
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For a person
    Text,
    /// An object, or with --all an array
    Json,
}

impl Explain {
    pub(crate) fn run(&self) -> Result<Outcome, String> {
        if let Some(file) = &self.batch {
            return batch::run(file);
        }
        let question = self.question()?;
        let world = self.asker.load()?;
        let explanations = match &self.gateway {
            None => self.explanations(&world, &question),
            Some(name) => self.at_gateway(&mut Gateways::of(&world.set), name, question)?,
        };
        print(&self.format(&explanations)?)?;
        let fails = explanations
            .iter()
            .any(|found| found.status.is_some_and(|status| status >= 400) || !matches!(found.flags.as_str(), "" | "-"));
        Ok(match (world.refused, fails) {
            (true, _) => Outcome::CouldNotRun,
            (false, true) => Outcome::Findings,
            (false, false) => Outcome::Clean,
        })
    }

    fn explanations(&self, world: &World, question: &Question) -> Vec<Explanation> {
        let explainer = world.explainer();
        match self.all {
            true => every_destination(&explainer, question),
            false => vec![explainer.explain(question)],
        }
    }

    fn at_gateway(&self, gateways: &mut Gateways, name: &str, question: Question) -> Result<Vec<Explanation>, String> {
        let like = self.asker.like();
        let door = gateways.answering(name, &question, &like)?;
        if door.is_missing() {
            complain(&format!("Gateway {} is not among the files; one that takes every host is asked", door.gateway));
        }
        let answers = gateways.at(&door, question, &like).map(|(world, question)| self.explanations(world, &question));
        Ok(answers.unwrap_or_default())
    }

    fn question(&self) -> Result<Question, String> {
        let (method, url) = (self.method.as_deref().unwrap_or("GET"), self.url.as_deref().unwrap_or_default());
        let mut question = Question::new(method, url).map_err(|error| error.to_string())?;
        for line in &self.headers {
            // The name of a pseudo-header begins with a colon.
            let colon = line.char_indices().skip(1).find(|(_, letter)| *letter == ':');
            let (name, value) = colon
                .map(|(at, _)| (&line[..at], &line[at + 1..]))
                .ok_or_else(|| format!("the header `{line}` is not written name:value"))?;
            question = question.header(name.trim(), value.trim()).map_err(|error| error.to_string())?;
        }
        Ok(question.with_roll(self.roll))
    }

    fn format(&self, explanations: &[Explanation]) -> Result<String, String> {
        let json = match (self.output, explanations) {
            (Format::Text, several) => {
                return Ok(several.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
            }
            (Format::Json, [one]) if !self.all => serde_json::to_string_pretty(one),
            (Format::Json, several) => serde_json::to_string_pretty(several),
        };
        json.map(|json| json + "\n").map_err(|error| error.to_string())
    }
}

/// One explanation for each destination that some roll draws.
pub(crate) fn every_destination(explainer: &Explainer<'_>, question: &Question) -> Vec<Explanation> {
    let first = explainer.explain(&question.clone().with_roll(0));
    let rolls: BTreeSet<u64> = first.split.iter().skip(1).map(|entry| entry.rolls.0).collect();
    let others = rolls.into_iter().map(|roll| explainer.explain(&question.clone().with_roll(roll)));
    let others: Vec<_> = others.collect();
    std::iter::once(first).chain(others).collect()
}
