//! `cargo run --release -p benches --bin allocations`: what the decision allocates, which is nothing.
//!
//! Exits with 1 where it allocates after all.

#![allow(clippy::print_stdout, reason = "a table is what this program is for")]

use std::alloc::System;
use std::hint::black_box;
use std::process::ExitCode;

use benches::decision::{Decision, Shape};
use mesh_core::SplitMix64;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const DECISIONS: usize = 1_000;

fn main() -> Result<ExitCode, String> {
    let mut total = 0;
    println!("{:<12}{:>8}{:>24}", "rules match", "rules", "allocations/decision");
    for shape in Shape::ALL {
        for rules in [10, 1_000, 10_000] {
            let allocations = allocations(&Decision::new(shape, rules)?);
            println!("{:<12}{rules:>8}{:>24.2}", shape.name(), allocations as f64 / DECISIONS as f64);
            total += allocations;
        }
    }
    Ok(ExitCode::from(u8::from(total > 0)))
}

/// Allocations of many decisions, after one that may fill caches.
fn allocations(decision: &Decision) -> usize {
    let mut rng = SplitMix64::new(1);
    black_box(decision.decide(&mut rng));
    let region = Region::new(ALLOCATOR);
    for _ in 0..DECISIONS {
        black_box(black_box(decision).decide(&mut rng));
    }
    let change = region.change();
    change.allocations + change.reallocations
}
