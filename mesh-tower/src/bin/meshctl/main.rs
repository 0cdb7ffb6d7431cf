//! `meshctl`: checks the configuration of a mesh before a process reads it.
//!
//! Works on files alone, without a cluster:
//!
//! ```sh
//! meshctl validate mesh/                   # each document by itself, as Istio's webhook does
//! meshctl analyze mesh/ gateway.yaml       # all together, as `istioctl analyze` does
//! helm template . | meshctl analyze -      # standard input
//! meshctl analyze -o github 'mesh/**/*.yaml'
//! meshctl codes MESH0001                   # what a finding means, and how to mend it
//! meshctl explain GET http://reviews:9080/ # where a request goes, and why
//! meshctl authz check --as cluster.local/ns/web/sa/front GET / --on books/reviews  # who may do what
//! meshctl test tests/                      # a team's own expectations about its routing
//! meshctl diff mesh/ mesh-new/             # which requests would go elsewhere
//! meshctl certs dev-ca --out certs default/reviews   # certificates for a laptop
//! ```
//!
//! And asks a running mesh that has an admin server (feature `admin`):
//!
//! ```sh
//! meshctl status                           # is it well?
//! meshctl --admin http://127.0.0.1:15001 get endpoints
//! meshctl --admin http://127.0.0.1:15001 why UH    # a response flag, and what may be its cause
//! meshctl tap --status 5xx                 # requests as they end
//! meshctl top reviews --window 5m          # rules by how many requests they take
//! meshctl graph                            # who calls whom, and where in plaintext
//! meshctl describe reviews                 # what counts for a host, and which line says so
//! MESH_ADMIN_TOKEN=... meshctl log mesh=debug
//! meshctl --admin http://127.0.0.1:15000 --admin http://127.0.0.1:15001 status   # several processes
//! ```
//!
//! The exit status is 0 if nothing was found at or over the level of `--fail-on`, 1 if something was, and 2 if the
//! command could not run.
//!
//! There is no `fmt`: no YAML library writes a document back with its comments where they were, and a formatter that
//! loses comments is worse than none.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod admin;
mod analyze;
mod authz;
mod batch;
mod certs;
mod codes;
mod completion;
mod diff;
mod explain;
mod gateways;
mod input;
mod lines;
mod output;
mod progress;
mod test;
mod validate;
mod version;
mod world;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::output::Outcome;

/// Checks the configuration of a mesh.
#[derive(Debug, Parser)]
#[command(name = "meshctl", version, after_help = EXIT_STATUS, max_term_width = 100)]
struct Cli {
    /// The admin server of a running mesh, http://127.0.0.1:15000 unless given; several times for several processes
    #[arg(long, global = true, value_name = "URL")]
    admin: Vec<admin::Address>,

    #[command(subcommand)]
    command: Command,
}

const EXIT_STATUS: &str =
    "Exit status: 0 nothing found, 1 findings at or over the level of --fail-on, 2 could not run.";

#[derive(Debug, Subcommand)]
enum Command {
    Validate(validate::Validate),
    Analyze(analyze::Analyze),
    Explain(explain::Explain),
    Authz(authz::Authz),
    Test(test::Test),
    Diff(diff::Diff),
    Certs(certs::Certs),
    Status(admin::Status),
    Get(admin::Get),
    Why(admin::Why),
    Tap(admin::Tap),
    Top(admin::Top),
    Graph(admin::Graph),
    Describe(admin::Describe),
    Log(admin::Log),
    Codes(codes::Codes),
    Version(version::Version),
    Completion(completion::Completion),
}

fn main() -> ExitCode {
    let Cli { admin, command } = Cli::parse();
    let outcome = match command {
        Command::Validate(validate) => validate.run(),
        Command::Analyze(analyze) => analyze.run(),
        Command::Explain(explain) => explain.run(),
        Command::Authz(authz) => authz.run(),
        Command::Test(test) => test.run(),
        Command::Diff(diff) => diff.run(),
        Command::Certs(certs) => certs.run(),
        Command::Status(status) => status.run(&admin.into()),
        Command::Get(get) => get.run(&admin.into()),
        Command::Why(why) => why.run((!admin.is_empty()).then(|| admin.into()).as_ref()),
        Command::Tap(tap) => tap.run(&admin.into()),
        Command::Top(top) => top.run(&admin.into()),
        Command::Graph(graph) => graph.run(&admin.into()),
        Command::Describe(describe) => describe.run(&admin.into()),
        Command::Log(log) => log.run(&admin.into()),
        Command::Codes(codes) => codes.run(),
        Command::Version(version) => version.run(),
        Command::Completion(completion) => completion.run(),
    };
    let outcome = outcome.unwrap_or_else(|problem| {
        output::complain(&problem);
        Outcome::CouldNotRun
    });
    outcome.into()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
