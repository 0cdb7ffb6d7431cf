//! `cargo run --release -p benches --bin compare`: what the mesh costs a request.
//!
//! Two callers send the same requests to the same servers, one after the other, round by round,
//! the order alternating: our client under a full policy (a header match, a 90/10 split, a
//! timeout, two retries) and a bare pooled hyper-util client that deals its requests out by a
//! counter. What counts is the ratio within a round; a busy machine moves both sides.
//!
//! * Closed loop: a fixed number of requests is in flight, the next starts when one ends.
//! * The servers run in a process of their own, so that CPU per request is the caller's alone.
//! * Each window is checked: every request was answered and reached the version it had to. A run
//!   that fails this exits with 1.
//! * The counting allocator costs every allocation some 10 ns. That is charged to both sides, so
//!   the ratio is a little worse than without it.

#![allow(clippy::print_stdout, reason = "a table is what this program is for")]
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the real clock")]

mod callers;
mod check;
mod counts;
mod load;
mod options;
mod report;
mod upstream;
mod usage;

use std::alloc::System;
use std::process::ExitCode;

use clap::Parser;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::runtime::Runtime;

use crate::callers::{Bare, Caller, Meshed};
use crate::load::Window;
use crate::options::{Options, Protocol, Side};
use crate::report::{Comparison, Round};
use crate::upstream::Upstream;

/// What the callers and the servers may fail with.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() -> Result<ExitCode, BoxError> {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(options.threads).enable_all().build()?;
    if options.upstream {
        upstream::serve(&runtime, &options)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut upstream = Upstream::start(&options)?;
    if let Some((requests, side)) = options.solo.zip(options.caller) {
        solo(&runtime, &upstream, side, requests, &options)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut comparisons = Vec::new();
    for protocol in [Protocol::Http1, Protocol::Http2] {
        comparisons.push(compare(&runtime, &mut upstream, protocol, &options)?);
    }
    if options.json {
        println!("{}", report::json(&comparisons, &options));
    } else {
        print!("{}", report::table(&comparisons, &options));
    }
    Ok(ExitCode::from(u8::from(!is_good(&comparisons, &options))))
}

/// Sends a number of requests by one caller. Two runs of different lengths tell what a request costs.
fn solo(runtime: &Runtime, upstream: &Upstream, side: Side, requests: u64, options: &Options) -> Result<(), BoxError> {
    let addresses = upstream.addresses(options.protocol);
    match side {
        Side::Bare => {
            let bare = Bare::new(addresses, options.protocol, options.same_wire)?;
            runtime.block_on(load::send(&bare, options.concurrency, requests))
        }
        Side::Mesh => {
            let meshed = runtime.block_on(Meshed::new(addresses, options.protocol, options.retry_on.as_deref()))?;
            runtime.block_on(load::send(&meshed, options.concurrency, requests))
        }
    }
}

fn compare(
    runtime: &Runtime,
    upstream: &mut Upstream,
    protocol: Protocol,
    options: &Options,
) -> Result<Comparison, BoxError> {
    let addresses = upstream.addresses(protocol);
    let bare = Bare::new(addresses, protocol, options.same_wire)?;
    let meshed = runtime.block_on(Meshed::new(addresses, protocol, options.retry_on.as_deref()))?;
    let mut comparison = Comparison::new(protocol);
    // The first window of each opens connections and warms caches; its figures are dropped.
    measure(runtime, upstream, &bare, options, &mut comparison)?;
    measure(runtime, upstream, &meshed, options, &mut comparison)?;
    for number in 0..options.rounds {
        let bare_first = number % 2 == 0;
        let before = bare_first.then(|| measure(runtime, upstream, &bare, options, &mut comparison)).transpose()?;
        let mesh = measure(runtime, upstream, &meshed, options, &mut comparison)?;
        let bare = match before {
            Some(bare) => bare,
            None => measure(runtime, upstream, &bare, options, &mut comparison)?,
        };
        comparison.rounds.push(Round { bare, mesh });
    }
    Ok(comparison)
}

/// One window of load by one caller, with what the servers saw of it checked.
fn measure<C: Caller>(
    runtime: &Runtime,
    upstream: &mut Upstream,
    caller: &C,
    options: &Options,
    comparison: &mut Comparison,
) -> Result<Window, BoxError> {
    let before = upstream.counts()?;
    let mut window = runtime.block_on(load::run(caller, options))?;
    let seen = upstream.counts()? - before;
    window.upstream_cpu = seen.cpu;
    comparison.complaints.extend(check::complaints::<C>(&window, &seen));
    Ok(window)
}

fn is_good(comparisons: &[Comparison], options: &Options) -> bool {
    let is_fast = |comparison: &Comparison| match options.fail_under {
        Some(bound) => comparison.protocol != Protocol::Http1 || comparison.throughput_ratio() >= bound,
        None => true,
    };
    comparisons.iter().all(|comparison| comparison.complaints.is_empty() && is_fast(comparison))
}
