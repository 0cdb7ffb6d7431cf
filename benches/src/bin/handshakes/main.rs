//! `cargo run --release -p benches --bin handshakes`: mutual TLS of the mesh, against rustls with the same cryptography and
//! keys, both ends verifying.
//!
//! Each request makes a connection of its own over loopback; both ends are in this process. The pairs are measured one
//! after the other, round by round, the order turning: bare to bare is what the others are compared with. What counts is
//! the ratio within a round. On the side of the mesh it includes all else that the mesh does for a connection and its
//! request.
//!
//! With full handshakes it is always a bare end that keeps no sessions, so that the two ends of the mesh are compared one
//! by one. Sessions are taken up again in all pairs of the second table; where a bare end tells, it is counted.

#![allow(clippy::print_stdout, reason = "a table is what this program is for")]
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the real clock")]

mod certificates;
mod sides;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use benches::stats::Spread;
use clap::Parser;
use mesh_tower::Mesh;
use tokio::runtime::Runtime;

use crate::certificates::Authority;
use crate::sides::{Client, Resumed};

/// What servers and clients may fail with.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Compares mutual TLS of the mesh with bare rustls on loopback.
#[derive(Debug, Parser)]
struct Options {
    /// Length of one measurement
    #[arg(long, default_value_t = 0.2)]
    seconds: f64,
    /// Rounds, each with one measurement a pair
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Handshakes under way
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    concurrency: u32,
    /// Worker threads of both ends together
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Exit with 1 when the median ratio of a pair is below this
    #[arg(long, value_name = "RATIO")]
    fail_under: Option<f64>,
}

/// A client and the server that it calls.
struct Pair {
    name: &'static str,
    client: Client,
    /// Where the server is the one that tells.
    resumed: Option<Resumed>,
    rates: Vec<f64>,
    calls: u64,
    _server: Option<Mesh>,
}

fn main() -> Result<ExitCode, BoxError> {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(options.threads).enable_all().build()?;
    let mut is_good = true;
    for resumes in [false, true] {
        let mut pairs = runtime.block_on(pairs(resumes))?;
        println!("{}", if resumes { "\nsessions taken up again" } else { "full handshakes" });
        println!("{:<18}{:>14}{:>34}{:>10}", "client to server", "handshakes/s", "ratio to bare (spread)", "resumed");
        for pair in &mut pairs {
            measure(&runtime, pair, &options)?;
            pair.rates.clear();
        }
        for round in 0..options.rounds as usize {
            for turn in 0..pairs.len() {
                let at = (round + turn) % pairs.len();
                measure(&runtime, &mut pairs[at], &options)?;
            }
        }
        is_good &= report(&pairs, &options);
    }
    Ok(ExitCode::from(u8::from(!is_good)))
}

async fn pairs(resumes: bool) -> Result<Vec<Pair>, BoxError> {
    let authority = Authority::new()?;
    let (bare, resumed) = sides::bare_server(&authority, resumes).await?;
    let (mesh, server) = sides::mesh_server(&authority).await?;
    let pair = |name, client, resumed| Pair { name, client, resumed, rates: Vec::new(), calls: 0, _server: None };
    let mut pairs = vec![pair("bare to bare", Client::bare(&authority, bare, resumes)?, None)];
    let mut to_mesh = pair("bare to mesh", Client::bare(&authority, mesh, resumes)?, None);
    to_mesh._server = Some(server.clone());
    pairs.push(to_mesh);
    let (of_mesh, counted) = sides::bare_server(&authority, resumes).await?;
    pairs.push(pair("mesh to bare", Client::mesh(&authority, of_mesh).await?, Some(counted)));
    if resumes {
        pairs.push(pair("mesh to mesh", Client::mesh(&authority, mesh).await?, None));
    }
    drop(resumed);
    Ok(pairs)
}

/// One window of load by one pair.
fn measure(runtime: &Runtime, pair: &mut Pair, options: &Options) -> Result<(), BoxError> {
    let length = Duration::from_secs_f64(options.seconds);
    let client = &pair.client;
    let begin = Instant::now();
    let calls = runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..options.concurrency {
            let client = client.clone();
            tasks.spawn(async move {
                let mut calls = 0_u64;
                while begin.elapsed() < length {
                    client.call().await?;
                    calls += 1;
                }
                Ok::<_, BoxError>(calls)
            });
        }
        let mut calls = 0;
        while let Some(ended) = tasks.join_next().await {
            calls += ended??;
        }
        Ok::<_, BoxError>(calls)
    })?;
    pair.calls += calls;
    pair.rates.push(calls as f64 / begin.elapsed().as_secs_f64());
    Ok(())
}

fn report(pairs: &[Pair], options: &Options) -> bool {
    let Some(bare) = pairs.first() else { return false };
    let mut is_good = true;
    for pair in pairs {
        let rates: Spread = pair.rates.iter().copied().collect();
        let ratio: Spread = pair.rates.iter().zip(&bare.rates).map(|(rate, bare)| rate / bare).collect();
        let counted = pair.resumed.as_ref().map_or(pair.client.resumed(), Resumed::count);
        println!(
            "{:<18}{:>14.0}{:>12.3} [{:.3} .. {:.3}]{:>12.0} %",
            pair.name,
            rates.median,
            ratio.median,
            ratio.lowest,
            ratio.highest,
            100.0 * counted as f64 / pair.calls as f64,
        );
        is_good &= options.fail_under.is_none_or(|bound| ratio.median >= bound);
    }
    is_good
}
