//! `cargo run --release -p benches --bin allocations`: what the decision allocates, which is nothing, what a request
//! does that is let into an application, and what a whole one does, out and in, with telemetry and without.
//!
//! Exits with 1 where the decision allocates after all, a request more than it did, or telemetry that samples nothing adds
//! some.

#![allow(clippy::print_stdout, reason = "a table is what this program is for")]

use std::alloc::System;
use std::error::Error;
use std::hint::black_box;
use std::process::ExitCode;

use benches::decision::{Decision, Shape};
use benches::guarded::{Algorithm, Before, Guarded, Signed};
use benches::whole::{Decided, Telemetry, Whole};
use mesh_core::SplitMix64;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const DECISIONS: usize = 1_000;

/// What stands in front of the application, and how many allocations a request may have with it. Some of them are the
/// request's own: its map of headers, its extensions, the caller's identity.
const GUARDED: [(&str, Before, usize); 4] = [
    ("form", Before::Nothing, 10),
    ("+ policy", Before::Policy, 10),
    ("+ ES256 token", Before::Token(Algorithm::Es256), 66),
    ("+ RS256 token", Before::Token(Algorithm::Rs256), 66),
];

/// How many allocations telemetry that samples nothing may add to a whole request. Where the decision is made here there is
/// a header more: its name is copied by who reads it, and that it is a trace's is remembered for the calls of the handler.
const ADDED: [(Decided, f64); 2] = [(Decided::Before, 0.05), (Decided::Here, 3.1)];

fn main() -> Result<ExitCode, Box<dyn Error + Send + Sync>> {
    let mut is_good = true;
    println!("{:<16}{:>8}{:>24}", "rules match", "rules", "allocations/decision");
    for shape in Shape::ALL {
        for rules in [10, 1_000, 10_000] {
            let allocations = of_decisions(&Decision::new(shape, rules)?);
            println!("{:<16}{rules:>8}{:>24.2}", shape.name(), allocations as f64 / DECISIONS as f64);
            is_good &= allocations == 0;
        }
    }
    println!("\n{:<16}{:>8}{:>24}", "request in", "most", "allocations/request");
    for (name, before, most) in GUARDED {
        let allocations = of_requests(before)?;
        println!("{name:<16}{most:>8}{:>24.2}", allocations as f64 / DECISIONS as f64);
        is_good &= allocations <= most * DECISIONS;
    }
    println!("\n{:<16}{:<20}{:<10}{:>8}{:>24}", "whole request", "telemetry", "decided", "more", "allocations/request");
    for (decided, most) in ADDED {
        let mut without = 0;
        for telemetry in Telemetry::ALL {
            let allocations = of_whole_requests(telemetry, decided)?;
            if telemetry == Telemetry::Off {
                without = allocations;
            }
            let per_request = allocations as f64 / DECISIONS as f64;
            println!("{:<16}{:<20}{:<10}{most:>8.2}{per_request:>24.2}", "", telemetry.name(), decided.name());
            is_good &= allocations as f64 <= without as f64 + most * DECISIONS as f64;
        }
    }
    Ok(ExitCode::from(u8::from(!is_good)))
}

/// Allocations of many whole requests, after some that fill caches.
fn of_whole_requests(telemetry: Telemetry, decided: Decided) -> Result<usize, Box<dyn Error + Send + Sync>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let whole = Whole::new(telemetry, decided).await?;
        for _ in 0..DECISIONS {
            black_box(whole.call().await?);
        }
        let region = Region::new(ALLOCATOR);
        for _ in 0..DECISIONS {
            black_box(whole.call().await?);
        }
        Ok(counted(&region))
    })
}

/// Allocations of many decisions, after one that may fill caches.
fn of_decisions(decision: &Decision) -> usize {
    let mut rng = SplitMix64::new(1);
    black_box(decision.decide(&mut rng));
    let region = Region::new(ALLOCATOR);
    for _ in 0..DECISIONS {
        black_box(black_box(decision).decide(&mut rng));
    }
    counted(&region)
}

/// Allocations of many requests of a caller of the mesh, from their making to the head of their answers.
fn of_requests(before: Before) -> Result<usize, Box<dyn Error + Send + Sync>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let token = match before {
        Before::Token(algorithm) => Some(Signed::new(algorithm).map_err(|error| error.to_string())?),
        _ => None,
    };
    let mut guarded = runtime.block_on(Guarded::new(before, token.as_ref()))?;
    Ok(runtime.block_on(async {
        let region = Region::new(ALLOCATOR);
        for _ in 0..DECISIONS {
            black_box(guarded.call().await.status());
        }
        counted(&region)
    }))
}

fn counted(region: &Region<'_, System>) -> usize {
    let change = region.change();
    change.allocations + change.reallocations
}
