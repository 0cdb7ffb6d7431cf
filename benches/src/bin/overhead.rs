//! `cargo run --release -p benches --bin overhead`: instructions of a whole request with metrics, and with tracing that
//! samples nothing, as ratios to the same request without either. Needs valgrind.
//!
//! Counted is what this process executes for a request in user space, both sides of it: the client's layers, hyper, tokio,
//! the server's layers, and the application, which answers ten bytes. Callgrind counts a short run and a longer one, and
//! the difference is divided by the requests between them, so that starting up does not count. The kernel's part is left
//! out; it would make the ratios smaller.
//!
//! Exits with 1 where a request with metrics, and tracing that samples nothing, takes more than 1.04 times as many, or 1.14
//! times where it has to tell that nothing is sampled.

#![allow(clippy::print_stdout, reason = "a table is what this program is for")]

use std::error::Error;
use std::process::ExitCode;

use benches::instructions;
use benches::whole::{Decided, Telemetry, Whole};
use clap::Parser;

type BoxError = Box<dyn Error + Send + Sync>;

/// So many times the instructions there may be. Where it is decided here that nothing is sampled there is a header more to be
/// made, written, read and kept, most of it by hyper.
const MOST: [(Decided, f64); 2] = [(Decided::Before, 1.04), (Decided::Here, 1.14)];

/// Instructions of a whole request, with and without telemetry.
#[derive(Debug, Parser)]
struct Options {
    /// Sends so many requests and nothing else.
    #[arg(long, requires = "telemetry", requires = "decided")]
    solo: Option<u64>,
    /// `off`, `metrics` or `metrics-and-traces`.
    #[arg(long)]
    telemetry: Option<String>,
    /// Where it is decided that nothing is sampled: `before` or `here`.
    #[arg(long)]
    decided: Option<String>,
}

fn main() -> Result<ExitCode, BoxError> {
    let options = Options::parse();
    if let Some(requests) = options.solo {
        let telemetry = Telemetry::ALL.into_iter().find(|one| Some(one.name()) == options.telemetry.as_deref());
        let decided = Decided::ALL.into_iter().find(|one| Some(one.name()) == options.decided.as_deref());
        solo(telemetry.ok_or("no such telemetry")?, decided.ok_or("no such decision")?, requests)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut is_good = true;
    println!("{:<20}{:<10}{:>22}{:>8}", "telemetry", "decided", "instructions/request", "ratio");
    for (decided, most) in MOST {
        let mut without = f64::NAN;
        for telemetry in Telemetry::ALL {
            let instructions = per_request(telemetry, decided)?;
            if telemetry == Telemetry::Off {
                without = instructions;
            }
            let ratio = instructions / without;
            println!("{:<20}{:<10}{instructions:>22.0}{ratio:>8.3}", telemetry.name(), decided.name());
            is_good &= ratio <= most;
        }
    }
    Ok(ExitCode::from(u8::from(!is_good)))
}

fn solo(telemetry: Telemetry, decided: Decided, requests: u64) -> Result<(), BoxError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let whole = Whole::new(telemetry, decided).await?;
        for _ in 0..requests {
            whole.call().await?;
        }
        Ok(())
    })
}

fn per_request(telemetry: Telemetry, decided: Decided) -> Result<f64, BoxError> {
    instructions::per_step(&["--telemetry", telemetry.name(), "--decided", decided.name(), "--solo"])
}
