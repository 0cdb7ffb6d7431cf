//! Instructions of this program, as callgrind counts them: the same on a busy machine as on a quiet one.

use std::error::Error;
use std::process::Command;

/// A short run, and how many steps more the longer one has.
const SHORT: u64 = 200;
const MORE: u64 = 1_000;

/// Instructions of one step, of a program that with these arguments and a number does so many of them and nothing else: what
/// it executes in user space in a longer run, less a shorter one, so that starting up does not count.
///
/// # Errors
/// If there is no valgrind, or the program fails under it.
pub fn per_step(arguments: &[&str]) -> Result<f64, Box<dyn Error + Send + Sync>> {
    let (short, long) = (whole(arguments, SHORT)?, whole(arguments, SHORT + MORE)?);
    Ok(long.saturating_sub(short) as f64 / MORE as f64)
}

fn whole(arguments: &[&str], steps: u64) -> Result<u64, Box<dyn Error + Send + Sync>> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(std::env::current_exe()?);
    let output =
        valgrind.args(arguments).arg(steps.to_string()).output().map_err(|error| format!("valgrind: {error}"))?;
    let told = String::from_utf8_lossy(&output.stderr);
    let collected = told.lines().find_map(|line| line.split_once("Collected :"));
    let counted = collected.and_then(|(_, counted)| counted.trim().parse().ok());
    counted.filter(|_| output.status.success()).ok_or_else(|| format!("valgrind counted nothing:\n{told}").into())
}
