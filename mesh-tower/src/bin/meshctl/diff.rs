//! `meshctl diff`: which requests would go elsewhere.

use std::collections::BTreeSet;
use std::fmt::Write;

use clap::Args;
use mesh_core::explain::{Difference, Differences, Outcome as Decided, Request, diff, diff_at_gateways};

use super::explain::Format;
use super::gateways::{Gateways, Like};
use super::output::{Outcome, print};
use super::world::{World, site};

/// Show which requests two configurations decide differently, with the rule that decides on either side.
///
/// Requests are derived from the conditions of both configurations: for each route those that it takes and those that
/// just fail it, for two routes those that both would take, and unknown hosts and ports. Gateways are compared as the
/// workloads that they select, servers with TLS by a handshake for the host. Rules for clients with other labels than --labels
/// are not compared. Nor are: `tcp` and `tls` routes, client TLS, policies of servers (mTLS, authorization), telemetry,
/// and requests that no condition hints at, such as those that fit a regular expression in an unusual way.
/// The exit status is 1 if anything differs.
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
        let site = site(&self.from, self.labels.iter().cloned().collect());
        let load = |config: &String| World::load(std::slice::from_ref(config), site.clone());
        let (old, new) = (load(&self.old)?, load(&self.new)?);
        let mut found = diff(&old.explainer(), &new.explainer());
        at_gateways(&old, &new, &mut found);
        print(&match self.output {
            Format::Text => text(&found),
            Format::Json => serde_json::to_string_pretty(&found).map_err(|error| error.to_string())? + "\n",
        })?;
        Ok(match (old.refused || new.refused, found.differences.is_empty()) {
            (true, _) => Outcome::CouldNotRun,
            (false, true) => Outcome::Clean,
            (false, false) => Outcome::Findings,
        })
    }
}

/// Compares what the gateways of both configurations do, each as the workload that it selects: this client is none.
fn at_gateways(old: &World, new: &World, found: &mut Differences) {
    let (mut before, mut after) = (Gateways::of(&old.set), Gateways::of(&new.set));
    let doors: Vec<_> = before.doors().iter().chain(after.doors()).cloned().collect();
    let (mut done, like) = (BTreeSet::new(), Like::default());
    for door in doors.iter().filter(|door| done.insert(door.workload())) {
        // A server stands for all of its workload.
        let (old, new) = (before.world(door, &like), after.world(door, &like));
        found.extend(diff_at_gateways(&old.explainer(), &new.explainer()));
    }
}

fn text(found: &Differences) -> String {
    let mut out = String::new();
    for difference in &found.differences {
        write_request(&mut out, difference);
        for what in &difference.what {
            let (old, new) = (difference.old.lines(what), difference.new.lines(what));
            let _ = writeln!(out, "  {what}");
            write_only(&mut out, '-', old, new);
            write_only(&mut out, '+', new, old);
        }
        let _ = writeln!(out, "  by {}\n  now {}\n", rule(&difference.old), rule(&difference.new));
    }
    for route in &found.not_reached {
        let _ = writeln!(out, "not compared: no request was found that reaches {route}");
    }
    let differences = match found.differences.len() {
        0 => "no difference found".to_owned(),
        1 => "1 difference".to_owned(),
        n => format!("{n} differences"),
    };
    let _ = writeln!(out, "{differences} in {} requests for {} routes", found.requests, found.routes);
    out
}

fn write_request(out: &mut String, difference: &Difference) {
    let Difference { request, port, gateway, others, .. } = difference;
    // The port that is dialled may not be the one that the authority names.
    let named = request.authority.rsplit(':').next().is_some_and(|end| end.parse::<u16>().is_ok());
    let port = if named { String::new() } else { format!(":{port}") };
    let gateway = if *gateway { "   at a gateway" } else { "" };
    let others = if *others > 0 { format!("   and {others} more like it") } else { String::new() };
    let Request { method, scheme, authority, path, .. } = request;
    let _ = writeln!(out, "{method} {scheme}://{authority}{port}{path}{gateway}{others}");
    for (name, value) in &request.headers {
        let _ = writeln!(out, "    {name}: {value}");
    }
}

/// The lines that one side has and the other has not; `none`, where it has no lines at all. Where both have the same
/// ones, it is their order that differs.
fn write_only(out: &mut String, sign: char, these: &[String], those: &[String]) {
    let mut only: Vec<&str> = these.iter().filter(|line| !those.contains(line)).map(String::as_str).collect();
    if these.is_empty() {
        only.push("none");
    } else if only.is_empty() && these.len() == those.len() {
        only.extend(these.iter().map(String::as_str));
    }
    for line in only {
        let _ = writeln!(out, "    {sign} {line}");
    }
}

fn rule(decided: &Decided) -> String {
    match (decided.rule.as_str(), decided.route.as_str()) {
        ("", _) => "no rule".to_owned(),
        (rule, "") => rule.to_owned(),
        (rule, route) => format!("route {route} of {rule}"),
    }
}
