//! `cargo run --release -p benches --bin tokens`: what it costs to let in a request with a token, against the check of its
//! signature alone.
//!
//! One thread, no socket. In each round the same number of signatures is checked by the library, then of requests let in
//! with a token and without. What counts is the ratio within a round.

#![allow(clippy::print_stdout, reason = "a table is what this program is for")]
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the real clock")]

use std::error::Error;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use benches::guarded::{Algorithm, Before, Guarded, Signed};
use benches::stats::Spread;
use clap::Parser;
use tokio::runtime::Runtime;

/// Compares verified tokens with checked signatures.
#[derive(Debug, Parser)]
struct Options {
    /// Rounds of each algorithm
    #[arg(long, default_value_t = 30)]
    rounds: u32,
    /// Tokens in a round
    #[arg(long, default_value_t = 500)]
    tokens: u32,
    /// Exit with 1 when the signature alone takes less than this part of the time of a request
    #[arg(long, value_name = "RATIO")]
    fail_under: Option<f64>,
}

/// Microseconds of one round, each for one token.
struct Round {
    signature: f64,
    guarded: f64,
    without: f64,
}

fn main() -> Result<ExitCode, Box<dyn Error + Send + Sync>> {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut is_good = true;
    println!(
        "{:<8}{:>16}{:>16}{:>14}{:>28}",
        "", "signature, us", "with token, us", "without, us", "signature/with (spread)"
    );
    for algorithm in [Algorithm::Es256, Algorithm::Rs256] {
        let token = Signed::new(algorithm).map_err(|error| error.to_string())?;
        let mut guarded = runtime.block_on(Guarded::new(Before::Token(algorithm), Some(&token)))?;
        let mut without = runtime.block_on(Guarded::new(Before::Policy, None))?;
        let rounds: Vec<Round> =
            (0..options.rounds).map(|_| round(&runtime, &token, &mut guarded, &mut without, options.tokens)).collect();
        let spread = |figure: fn(&Round) -> f64| rounds.iter().map(figure).collect::<Spread>();
        let ratio = spread(|round| round.signature / round.guarded);
        println!(
            "{:<8}{:>16.1}{:>16.1}{:>14.1}{:>12.3} [{:.3} .. {:.3}]  {:.0} tokens/s",
            algorithm.name(),
            spread(|round| round.signature).median,
            spread(|round| round.guarded).median,
            spread(|round| round.without).median,
            ratio.median,
            ratio.lowest,
            ratio.highest,
            1e6 / spread(|round| round.guarded).median,
        );
        is_good &= options.fail_under.is_none_or(|bound| ratio.median >= bound);
    }
    Ok(ExitCode::from(u8::from(!is_good)))
}

fn round(runtime: &Runtime, token: &Signed, guarded: &mut Guarded, without: &mut Guarded, tokens: u32) -> Round {
    let begin = Instant::now();
    for _ in 0..tokens {
        black_box(black_box(token).verify());
    }
    let signature = per_token(begin, tokens);
    let begin = Instant::now();
    runtime.block_on(call(guarded, tokens));
    let with = per_token(begin, tokens);
    let begin = Instant::now();
    runtime.block_on(call(without, tokens));
    Round { signature, guarded: with, without: per_token(begin, tokens) }
}

async fn call(guarded: &mut Guarded, times: u32) {
    for _ in 0..times {
        black_box(guarded.call().await.status());
    }
}

fn per_token(begin: Instant, tokens: u32) -> f64 {
    begin.elapsed().as_secs_f64() * 1e6 / f64::from(tokens)
}
