//! `cargo run --release -p benches --bin watched`: what it costs a request that somebody watches: an admin server that keeps
//! what requests came to of late, and a tap, read or not. As ratios to the same request that nobody watches.
//!
//! Told is the throughput, with its share of the unwatched one, and the time of the processor that this process takes for a
//! request, both sides of it: the client's layers, the server's, the kernel's part, and where somebody reads the tap he, too.
//! Rounds of the kinds take turns, so that a machine that grows slower does so for all; told is the middle of the ratios of
//! rounds that stand next to each other. The tap hears of every request with all its headers, at `--rps` of them a second
//! (2,000 unless said otherwise), or without a pause with `--rps 0`.
//!
//! Exits with 1 where a kind has less than 0.97 of the throughput (`--least`), where a request is not answered, or where a tap
//! that nobody reads misses nothing: then it kept more than it should.

#![allow(clippy::print_stdout, reason = "a table is what this program is for")]

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use benches::stats::Spread;
use benches::whole::{Decided, Telemetry, Watched, Whole};
use clap::Parser;
use mesh_tower::telemetry::Tap;
use rustix::time::{ClockId, clock_gettime};
use tokio::time::{Instant, MissedTickBehavior, interval};

type BoxError = Box<dyn Error + Send + Sync>;

/// The time that a request takes of the processor, by who watches.
#[derive(Debug, Parser)]
struct Options {
    /// Rounds of each kind.
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// Requests of a round.
    #[arg(long, default_value_t = 2_000)]
    requests: u64,
    /// Requests a second; 0 for as many as there can be.
    #[arg(long, default_value_t = 2_000)]
    rps: u64,
    /// The least share of the throughput there may be.
    #[arg(long, default_value_t = 0.97)]
    least: f64,
}

/// Who watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Nobody; there is no admin server.
    Nobody,
    /// An admin server that counts, and nobody who asks it.
    Counted,
    /// The same, and a tap of each side that is read.
    Read,
    /// The same with taps that nobody reads.
    Unread,
}

const KINDS: [Kind; 4] = [Kind::Nobody, Kind::Counted, Kind::Read, Kind::Unread];

fn main() -> Result<ExitCode, BoxError> {
    let options = Options::parse();
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run(&options))
}

async fn run(options: &Options) -> Result<ExitCode, BoxError> {
    let unwatched = Whole::watched(Telemetry::Metrics, Decided::Before, Watched::Nobody).await?;
    let watched = Whole::watched(Telemetry::Metrics, Decided::Before, Watched::Admin).await?;
    let mut rounds: Vec<[Round; KINDS.len()]> = Vec::new();
    let mut missed = 0;
    // The first round warms up and counts for nothing.
    for round in 0..=options.rounds {
        let mut of_round = [Round::default(); KINDS.len()];
        for place in 0..KINDS.len() {
            // Another kind begins each time.
            let kind = KINDS[(place + round) % KINDS.len()];
            let whole = if kind == Kind::Nobody { &unwatched } else { &watched };
            let taps = if matches!(kind, Kind::Read | Kind::Unread) { whole.taps() } else { Vec::new() };
            let (unread, reading) = match kind {
                Kind::Unread => (taps, Vec::new()),
                _ => (Vec::new(), taps.into_iter().map(|tap| tokio::spawn(read(tap))).collect()),
            };
            of_round[kind as usize] = round_of(whole, options).await?;
            reading.iter().for_each(tokio::task::JoinHandle::abort);
            for mut tap in unread {
                // Noticed by whoever looks.
                tap.next().await;
                missed += tap.missed();
            }
        }
        if round > 0 {
            rounds.push(of_round);
        }
    }
    tell(options, &rounds, missed)
}

fn tell(options: &Options, rounds: &[[Round; KINDS.len()]], missed: u64) -> Result<ExitCode, BoxError> {
    println!(
        "{:<10}{:>8}{:>8}{:>14}{:>8}{:>8}{:>8}",
        "watched", "rps", "share", "us/request", "ratio", "lowest", "highest"
    );
    let mut is_good = missed > 0;
    for kind in KINDS {
        let figure = |figure: fn(&Round) -> f64| rounds.iter().map(|of| figure(&of[kind as usize])).collect::<Spread>();
        let ratio = |figure: fn(&Round) -> f64| {
            rounds.iter().map(|of| figure(&of[kind as usize]) / figure(&of[0])).collect::<Spread>()
        };
        let (rps, share) = (figure(|round| round.rps).median, ratio(|round| round.rps).median);
        let (time, times) = (figure(|round| round.microseconds).median, ratio(|round| round.microseconds));
        let name = format!("{kind:?}").to_lowercase();
        print!("{name:<10}{rps:>8.0}{share:>8.3}{time:>14.2}");
        println!("{:>8.3}{:>8.3}{:>8.3}", times.median, times.lowest, times.highest);
        is_good &= share >= options.least;
    }
    println!("taps that nobody read missed {missed} requests, and every request was answered");
    Ok(ExitCode::from(u8::from(!is_good)))
}

/// What a round came to.
#[derive(Clone, Copy, Debug, Default)]
struct Round {
    rps: f64,
    /// Of the processor, a request.
    microseconds: f64,
}

async fn round_of(whole: &Whole, options: &Options) -> Result<Round, BoxError> {
    let mut pace =
        (options.rps > 0).then(|| interval(Duration::from_secs(1) / u32::try_from(options.rps).unwrap_or(u32::MAX)));
    if let Some(pace) = &mut pace {
        pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    }
    let (before, began) = (processor(), Instant::now());
    for _ in 0..options.requests {
        if let Some(pace) = &mut pace {
            pace.tick().await;
        }
        let status = whole.call().await?;
        if !status.is_success() {
            return Err(format!("answered {status}").into());
        }
    }
    let requests = options.requests as f64;
    let microseconds = (processor() - before).as_secs_f64() * 1e6 / requests;
    Ok(Round { rps: requests / began.elapsed().as_secs_f64(), microseconds })
}

async fn read(mut tap: Tap) {
    while let Some(record) = tap.next().await {
        std::hint::black_box(record.status);
    }
}

/// What this process took of the processor so far.
fn processor() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}
