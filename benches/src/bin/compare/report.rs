//! What is printed.

use std::fmt::Write;

use benches::stats::Spread;
use serde_json::{Value, json};

use crate::load::Window;
use crate::options::{Options, Protocol};

/// The paired windows of one protocol.
#[derive(Debug)]
pub(crate) struct Comparison {
    pub(crate) protocol: Protocol,
    pub(crate) rounds: Vec<Round>,
    /// Why the figures may not be believed.
    pub(crate) complaints: Vec<String>,
}

/// One window of each caller, one right after the other.
#[derive(Debug)]
pub(crate) struct Round {
    pub(crate) bare: Window,
    pub(crate) mesh: Window,
}

/// A figure of a window.
struct Figure {
    name: &'static str,
    key: &'static str,
    decimals: usize,
    of: fn(&Window) -> f64,
}

const FIGURES: &[Figure] = &[
    Figure { name: "requests/s", key: "requests_per_second", decimals: 0, of: throughput },
    Figure { name: "latency p50, µs", key: "latency_p50_us", decimals: 0, of: |w| latency(w, 0.5) },
    Figure { name: "latency p90, µs", key: "latency_p90_us", decimals: 0, of: |w| latency(w, 0.9) },
    Figure { name: "latency p99, µs", key: "latency_p99_us", decimals: 0, of: |w| latency(w, 0.99) },
    Figure { name: "latency p99.9, µs", key: "latency_p999_us", decimals: 0, of: |w| latency(w, 0.999) },
    Figure { name: "CPU/request, µs", key: "cpu_us", decimals: 2, of: |w| per_request(w, w.cpu.as_secs_f64() * 1e6) },
    Figure {
        name: "CPU/request of the servers, µs",
        key: "upstream_cpu_us",
        decimals: 2,
        of: |w| per_request(w, w.upstream_cpu.as_secs_f64() * 1e6),
    },
    Figure {
        name: "allocations/request",
        key: "allocations",
        decimals: 2,
        of: |w| per_request(w, w.allocations as f64),
    },
    Figure {
        name: "allocated bytes/request",
        key: "allocated_bytes",
        decimals: 0,
        of: |w| per_request(w, w.allocated_bytes as f64),
    },
];

fn throughput(window: &Window) -> f64 {
    window.requests as f64 / window.elapsed.as_secs_f64()
}

fn latency(window: &Window, quantile: f64) -> f64 {
    window.latency.value_at_quantile(quantile) as f64 / 1e3
}

fn per_request(window: &Window, sum: f64) -> f64 {
    sum / window.requests.max(1) as f64
}

impl Comparison {
    pub(crate) const fn new(protocol: Protocol) -> Self {
        Self { protocol, rounds: Vec::new(), complaints: Vec::new() }
    }

    /// Requests per second through the mesh as a share of those without; median of the rounds.
    pub(crate) fn throughput_ratio(&self) -> f64 {
        self.ratio(throughput).median
    }

    fn bare(&self, figure: fn(&Window) -> f64) -> Spread {
        self.rounds.iter().map(|round| figure(&round.bare)).collect()
    }

    fn mesh(&self, figure: fn(&Window) -> f64) -> Spread {
        self.rounds.iter().map(|round| figure(&round.mesh)).collect()
    }

    /// Paired: a round's two windows saw the same machine.
    fn ratio(&self, figure: fn(&Window) -> f64) -> Spread {
        self.rounds.iter().map(|round| figure(&round.mesh) / figure(&round.bare)).collect()
    }

    /// The share of the machine that others used.
    fn others(&self) -> Option<f64> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from) as f64;
        let share = |window: &Window| {
            let others = window.machine_cpu?.saturating_sub(window.cpu + window.upstream_cpu);
            Some(others.as_secs_f64() / window.elapsed.as_secs_f64() / cores)
        };
        let windows = self.rounds.iter().flat_map(|round| [&round.bare, &round.mesh]);
        Some(windows.map(share).collect::<Option<Spread>>()?.median)
    }
}

/// The figures for people.
pub(crate) fn table(comparisons: &[Comparison], options: &Options) -> String {
    let mut text = String::new();
    for comparison in comparisons {
        // Writing to a string cannot fail.
        let _ = write_comparison(&mut text, comparison, options);
    }
    text
}

fn write_comparison(text: &mut String, comparison: &Comparison, options: &Options) -> std::fmt::Result {
    let Options { rounds, seconds, concurrency, threads, .. } = options;
    let protocol = comparison.protocol;
    let wire = if options.same_wire { ", bare with the headers of the mesh" } else { "" };
    writeln!(
        text,
        "{protocol}: {concurrency} in flight, {threads} thread(s), {rounds} rounds of 2 x {seconds} s{wire}"
    )?;
    writeln!(text, "{:<32}{:>10}{:>10}   mesh/bare (lowest to highest round)", "median", "bare", "mesh")?;
    for Figure { name, decimals, of, .. } in FIGURES {
        let (bare, mesh, ratio) = (comparison.bare(*of), comparison.mesh(*of), comparison.ratio(*of));
        writeln!(
            text,
            "{name:<32}{:>10.decimals$}{:>10.decimals$}   {:.2} ({:.2} to {:.2})",
            bare.median, mesh.median, ratio.median, ratio.lowest, ratio.highest
        )?;
    }
    if let Some(others) = comparison.others() {
        writeln!(text, "other processes used {:.0} % of the machine", others * 100.0)?;
    }
    for complaint in &comparison.complaints {
        writeln!(text, "WRONG: {complaint}")?;
    }
    if comparison.complaints.is_empty() {
        writeln!(text, "every request reached the version it had to")?;
    }
    writeln!(text)
}

/// Every window, and the same medians.
pub(crate) fn json(comparisons: &[Comparison], options: &Options) -> Value {
    let Options { rounds, seconds, concurrency, threads, .. } = options;
    let protocols: Vec<Value> = comparisons.iter().map(comparison_json).collect();
    json!({
        "rounds": rounds, "seconds": seconds, "concurrency": concurrency, "threads": threads,
        "protocols": protocols,
    })
}

fn comparison_json(comparison: &Comparison) -> Value {
    let spread = |Spread { median, lowest, highest }| json!({ "median": median, "lowest": lowest, "highest": highest });
    let figures = FIGURES.iter().map(|Figure { key, of, .. }| {
        let rounds = comparison.rounds.iter().map(|round| json!([of(&round.bare), of(&round.mesh)]));
        let value = json!({
            "bare": spread(comparison.bare(*of)),
            "mesh": spread(comparison.mesh(*of)),
            "ratio": spread(comparison.ratio(*of)),
            "rounds": rounds.collect::<Vec<_>>(),
        });
        ((*key).to_owned(), value)
    });
    json!({
        "protocol": comparison.protocol.to_string(),
        "figures": figures.collect::<serde_json::Map<_, _>>(),
        "others_share_of_machine": comparison.others(),
        "complaints": comparison.complaints,
    })
}
