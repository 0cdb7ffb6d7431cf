//! `meshctl log`: sets how much running meshes log.

use std::path::PathBuf;

use clap::Args;

use super::client::encoded;
use super::facts::columns;
use super::processes::Processes;
use crate::output::Outcome;

/// Holds the token where no file does: what stands on a command line is seen by everybody on the machine.
const VARIABLE: &str = "MESH_ADMIN_TOKEN";

/// Set the level of the log of a running mesh, such as mesh=debug. Needs its token, in MESH_ADMIN_TOKEN or a file.
#[derive(Debug, Args)]
pub(crate) struct Log {
    /// The directive, as the application's log understands it
    level: String,

    /// Read the token from this file instead of MESH_ADMIN_TOKEN
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

impl Log {
    pub(crate) fn run(&self, processes: &Processes) -> Result<Outcome, String> {
        let token = self.token()?;
        let path = format!("/mesh/log?level={}", encoded(&self.level));
        let told = processes.ask(|address| address.post(&path, &token))?;
        let rows: Vec<_> = told
            .told
            .iter()
            .map(|(name, said)| {
                let name = Some(name.clone()).filter(|name| !name.is_empty());
                name.into_iter().chain([said.clone()]).collect()
            })
            .collect();
        told.print(&columns(&rows), Outcome::Clean)
    }

    fn token(&self) -> Result<String, String> {
        let token = match &self.token_file {
            Some(file) => std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?,
            None => std::env::var(VARIABLE)
                .map_err(|_| format!("the token is missing: set {VARIABLE} or give --token-file"))?,
        };
        let token = token.trim();
        match token.bytes().all(|byte| byte.is_ascii_graphic()) {
            true => Ok(token.to_owned()),
            false => Err("the token has characters that no header may have".to_owned()),
        }
    }
}
