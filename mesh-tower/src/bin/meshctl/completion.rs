//! `meshctl completion`: scripts for shells.

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use super::Cli;
use super::output::{Outcome, print};

/// Print a script that completes commands and flags, for the shell to read.
#[derive(Debug, Args)]
pub(crate) struct Completion {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completion {
    pub(crate) fn run(&self) -> Result<Outcome, String> {
        let mut script = Vec::new();
        generate(self.shell, &mut Cli::command(), "meshctl", &mut script);
        print(&String::from_utf8_lossy(&script))?;
        Ok(Outcome::Clean)
    }
}
