//! `meshctl version`.

use clap::Args;

use super::output::{Outcome, print};

/// Print the version.
#[derive(Debug, Args)]
pub(crate) struct Version {}

impl Version {
    #[expect(clippy::unused_self, reason = "as the other commands")]
    pub(crate) fn run(&self) -> Result<Outcome, String> {
        print(concat!("meshctl ", env!("CARGO_PKG_VERSION"), "\n"))?;
        Ok(Outcome::Clean)
    }
}
