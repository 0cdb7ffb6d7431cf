//! `cargo run --release -p benches --bin handshakes`: mutual TLS of the mesh, against rustls with the same cryptography and
//! keys, both ends verifying.
//!
//! Each request makes a connection of its own over loopback; both ends are in this process. In each round every pair of
//! ends is measured with TLS and in plaintext, one after the other, the order turning. What TLS costs a pair is the
//! difference in CPU time for one connection, so that what its ends do besides (routes, policies, limits) does not count;
//! and what counts is the ratio to the bare pair in the same round. Time of the CPU, since other processes have their share
//! of the other.
//!
//! Full handshakes come about where a bare end keeps no sessions, so the ends of the mesh are compared with it one by one:
//! a server that gives sessions out to a client that takes none up, and a client with a server that gives none.
//!
//! `--instructions` has callgrind count what both ends execute for a connection instead, one after the other.

#![allow(clippy::print_stdout, reason = "a table is what this program is for")]
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the real clock")]

mod certificates;
mod counted;
mod sides;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use benches::stats::Spread;
use clap::Parser;
use mesh_tower::Mesh;
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Runtime;

use crate::certificates::{Authority, Sessions};
use crate::sides::{Client, Resumed};

/// What servers and clients may fail with.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Compares mutual TLS of the mesh with bare rustls on loopback.
#[derive(Debug, Parser)]
struct Options {
    /// Length of one measurement
    #[arg(long, default_value_t = 0.2)]
    seconds: f64,
    /// Rounds, each with two measurements a pair
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Connections under way
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    concurrency: u32,
    /// Worker threads of both ends together
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Measure sessions that are taken up again by this pair alone, for instruments that look at the whole process
    #[arg(long, value_name = "PAIR")]
    only: Option<String>,
    /// Exit with 1 when the median ratio of what TLS costs is below this for a pair
    #[arg(long, value_name = "RATIO")]
    fail_under: Option<f64>,
    /// Count instructions instead of time; needs valgrind
    #[arg(long)]
    instructions: bool,
    /// Makes so many connections of the pair and nothing else
    #[arg(long, requires = "only", requires = "sessions")]
    solo: Option<u64>,
    /// What becomes of sessions in a run by itself
    #[arg(long, value_enum)]
    sessions: Option<Sessions>,
    /// A run by itself without TLS
    #[arg(long)]
    plain: bool,
}

/// What is compared, by what becomes of sessions: the bare pair and others.
const COMPARED: [(&str, Sessions, &[&str]); 3] = [
    ("full handshakes, the client takes no session up", Sessions::NotTakenUp, &["bare to mesh"]),
    ("full handshakes, the server gives no session out", Sessions::NotGiven, &["mesh to bare"]),
    ("sessions taken up again", Sessions::Kept, &["bare to mesh", "mesh to bare", "mesh to mesh"]),
];

/// Two ends, with TLS and without.
struct Pair {
    name: &'static str,
    secure: Client,
    plain: Client,
    /// Where the server is the one that tells.
    resumed: Option<Resumed>,
    rounds: Vec<Round>,
    calls: u64,
    _servers: Vec<Mesh>,
}

/// Connections a second of a round, and CPU time of one in microseconds, with TLS and without.
#[derive(Clone, Copy)]
struct Round {
    rate: f64,
    secure: f64,
    plain: f64,
}

impl Round {
    fn tls(self) -> f64 {
        self.secure - self.plain
    }
}

fn main() -> Result<ExitCode, BoxError> {
    let options = Options::parse();
    if let (Some(connections), Some(name), Some(sessions)) = (options.solo, &options.only, options.sessions) {
        counted::solo(name, sessions, options.plain, connections)?;
        return Ok(ExitCode::SUCCESS);
    }
    if options.instructions {
        return counted::report(options.fail_under);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(options.threads).enable_all().build()?;
    let mut is_good = true;
    for (title, sessions, ends) in COMPARED {
        if options.only.is_some() && sessions != Sessions::Kept {
            continue;
        }
        let mut pairs = runtime.block_on(pairs(sessions, ends))?;
        pairs.retain(|pair| options.only.as_ref().is_none_or(|only| only == pair.name));
        println!("{title}");
        println!("{:<16}{:>14}{:>10}{:>32}{:>10}", "", "connections/s", "TLS, us", "ratio to bare (spread)", "resumed");
        for pair in &mut pairs {
            measure(&runtime, pair, &options)?;
            pair.rounds.clear();
        }
        for round in 0..options.rounds as usize {
            for turn in 0..pairs.len() {
                let at = (round + turn) % pairs.len();
                measure(&runtime, &mut pairs[at], &options)?;
            }
        }
        is_good &= report(&pairs, &options);
        println!();
    }
    Ok(ExitCode::from(u8::from(!is_good)))
}

/// The bare pair, and others.
async fn pairs(sessions: Sessions, ends: &[&'static str]) -> Result<Vec<Pair>, BoxError> {
    let authority = Authority::new()?;
    let mut pairs = Vec::new();
    for name in ["bare to bare"].iter().chain(ends) {
        pairs.push(pair(&authority, sessions, name).await?);
    }
    Ok(pairs)
}

/// Two ends by their names.
async fn pair(authority: &Authority, sessions: Sessions, name: &'static str) -> Result<Pair, BoxError> {
    let (mut servers, mut resumed) = (Vec::new(), None);
    let mut addresses = Vec::new();
    for authority in [Some(authority), None] {
        addresses.push(if name.ends_with("mesh") {
            let (address, mesh) = sides::mesh_server(authority).await?;
            servers.push(mesh);
            address
        } else {
            let (address, counted) = sides::bare_server(authority, sessions).await?;
            resumed.get_or_insert(counted);
            address
        });
    }
    let (secure, plain) = if name.starts_with("mesh") {
        (Client::mesh(Some(authority), addresses[0]).await?, Client::mesh(None, addresses[1]).await?)
    } else {
        (Client::bare(Some(authority), addresses[0], sessions)?, Client::bare(None, addresses[1], sessions)?)
    };
    Ok(Pair { name, secure, plain, resumed, rounds: Vec::new(), calls: 0, _servers: servers })
}

/// One round of a pair.
fn measure(runtime: &Runtime, pair: &mut Pair, options: &Options) -> Result<(), BoxError> {
    let (calls, rate, secure) = window(runtime, &pair.secure, options)?;
    let (_, _, plain) = window(runtime, &pair.plain, options)?;
    pair.calls += calls;
    pair.rounds.push(Round { rate, secure, plain });
    Ok(())
}

/// One window of load: connections, their rate, and the CPU time of one.
fn window(runtime: &Runtime, client: &Client, options: &Options) -> Result<(u64, f64, f64), BoxError> {
    let length = Duration::from_secs_f64(options.seconds);
    let (begin, cpu) = (Instant::now(), process_cpu());
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
    let (took, cpu) = (begin.elapsed().as_secs_f64(), process_cpu().saturating_sub(cpu).as_secs_f64());
    Ok((calls, calls as f64 / took, cpu * 1e6 / calls as f64))
}

/// User and system time of this process.
fn process_cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

fn report(pairs: &[Pair], options: &Options) -> bool {
    let Some(bare) = pairs.first() else { return false };
    let mut is_good = true;
    for pair in pairs {
        let spread = |figure: fn(&Round) -> f64| pair.rounds.iter().map(figure).collect::<Spread>();
        let both = pair.rounds.iter().zip(&bare.rounds);
        let ratio: Spread = both.map(|(round, bare)| bare.tls() / round.tls()).collect();
        let counted = pair.resumed.as_ref().map_or(pair.secure.resumed(), Resumed::count);
        println!(
            "{:<16}{:>14.0}{:>10.0}{:>12.3} [{:.3} .. {:.3}]{:>8.0} %",
            pair.name,
            spread(|round| round.rate).median,
            spread(|round| round.tls()).median,
            ratio.median,
            ratio.lowest,
            ratio.highest,
            100.0 * counted as f64 / pair.calls as f64,
        );
        is_good &= options.fail_under.is_none_or(|bound| ratio.median >= bound);
    }
    is_good
}
