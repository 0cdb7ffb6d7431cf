//! `meshctl diff`: which requests would go elsewhere.

use std::fmt::Write;

use clap::Args;
use mesh_core::explain::{Difference, Outcome as Decided, Request, diff};

use super::explain::Format;
use super::output::{Outcome, print};
use super::world::{World, site};

/// Show which requests two configurations decide differently, with the rule that decides on either side.
///
/// Requests are derived from the conditions of both configurations. The exit status is 1 if anything differs.
#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// The configuration as it is: a file, directory or pattern
    old: String,

    /// The configuration as it is to be
    new: String,

    /// The client: its namespace, and its service account if that matters
    #[arg(long, value_name = "NAMESPACE[/ACCOUNT]", default_value = "default")]
    from: String,

    /// The client's labels
    #[arg(long, value_name = "KEY=VALUE,..", value_delimiter = ',', value_parser = super::world::label)]
    labels: Vec<(String, String)>,

    /// The form of the differences
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

impl Diff {
    pub(crate) fn run(&self) -> Result<Outcome, String> {
        let load = |config: &String| {
            World::load(std::slice::from_ref(config), site(&self.from, self.labels.iter().cloned().collect()))
        };
        let (old, new) = (load(&self.old)?, load(&self.new)?);
        let differences = diff(&old.explainer(), &new.explainer());
        print(&match self.output {
            Format::Text => text(&differences),
            Format::Json => serde_json::to_string_pretty(&differences).map_err(|error| error.to_string())? + "\n",
        })?;
        Ok(match (old.refused || new.refused, differences.is_empty()) {
            (true, _) => Outcome::CouldNotRun,
            (false, true) => Outcome::Clean,
            (false, false) => Outcome::Findings,
        })
    }
}

fn text(differences: &[Difference]) -> String {
    let mut out = String::new();
    for difference in differences {
        let request = &difference.request;
        let others =
            if difference.others > 0 { format!("   and {} more like it", difference.others) } else { String::new() };
        // The port that is dialled may not be the one that the authority names.
        let named = request.authority.rsplit(':').next().is_some_and(|end| end.parse::<u16>().is_ok());
        let port = if named { String::new() } else { format!(":{}", difference.port) };
        let Request { method, scheme, authority, path, .. } = request;
        let _ = writeln!(out, "{method} {scheme}://{authority}{port}{path}{others}");
        for (name, value) in &request.headers {
            out.push_str(&format!("    {name}: {value}\n"));
        }
        for what in &difference.what {
            let (old, new) = (of(&difference.old, what), of(&difference.new, what));
            out.push_str(&format!("  {what}\n"));
            let only = |these: &[String], those: &[String]| -> Vec<String> {
                these.iter().filter(|line| !those.contains(line)).cloned().collect()
            };
            only(&old, &new).iter().for_each(|line| out.push_str(&format!("    - {line}\n")));
            only(&new, &old).iter().for_each(|line| out.push_str(&format!("    + {line}\n")));
        }
        out.push_str(&format!("  by {}\n", rule(&difference.old)));
        out.push_str(&format!("  now {}\n\n", rule(&difference.new)));
    }
    out.push_str(&match differences.len() {
        0 => "no request is decided differently\n".to_owned(),
        1 => "1 difference\n".to_owned(),
        n => format!("{n} differences\n"),
    });
    out
}

fn rule(decided: &Decided) -> String {
    match (decided.rule.as_str(), decided.route.as_str()) {
        ("", _) => "no rule".to_owned(),
        (rule, "") => rule.to_owned(),
        (rule, route) => format!("route {route} of {rule}"),
    }
}

/// One aspect of an outcome, a line each.
fn of(decided: &Decided, what: &str) -> Vec<String> {
    let one = |value: Option<String>| vec![value.unwrap_or_else(|| "none".to_owned())];
    match what {
        "action" => one(Some(format!("{:?}", decided.action).to_lowercase())),
        "destination" => decided.destinations.clone(),
        "status" => one(decided.status.map(|status| status.to_string())),
        "location" => one(decided.location.clone()),
        "rewrite" => one(decided.sent_as.clone()),
        "headers" => decided.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect(),
        "timeout" => one(decided.timeout.clone()),
        "retries" => one(decided.retries.clone()),
        "mirrors" => decided.mirrors.clone(),
        "faults" => decided.faults.clone(),
        _ => decided.policy.clone(),
    }
}
