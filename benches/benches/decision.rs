//! The decision about one request, without any I/O.
//!
//! `decision/<what the rules match on>/<rules>`: the request is one that only the last rule takes,
//! so a search in written order pays for all of them. `pick` is the choice of the endpoint alone,
//! `configuration` the way from text to a snapshot.

#![allow(missing_docs, reason = "criterion's macro writes an undocumented function")]
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the real clock")]
#![allow(clippy::expect_used, reason = "a benchmark that cannot be set up says why and ends")]

use std::hint::black_box;
use std::time::Instant;

use benches::decision::{Decision, Shape, compiled, documents, endpoints, parsed};
use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use mesh_core::SplitMix64;
use mesh_core::lb::{LbSpec, Pick};

const RULES: [usize; 3] = [10, 1_000, 10_000];

fn decision(criterion: &mut Criterion) {
    for shape in Shape::ALL {
        let mut group = criterion.benchmark_group(format!("decision/{}", shape.name()));
        for rules in RULES {
            let decision = Decision::new(shape, rules).expect("the configuration is good");
            let mut rng = SplitMix64::new(1);
            group.bench_function(BenchmarkId::from_parameter(rules), |bencher| {
                bencher.iter(|| black_box(black_box(&decision).decide(&mut rng)));
            });
        }
        group.finish();
    }
}

fn pick(criterion: &mut Criterion) {
    for lb in [LbSpec::RoundRobin, LbSpec::Random, LbSpec::LeastRequest, LbSpec::ring_hash(0), LbSpec::maglev(0)] {
        let mut group = criterion.benchmark_group(format!("pick/{lb:?}"));
        for count in [10, 1_000, 10_000] {
            let (hosts, pick) = (endpoints(lb, count), Pick::first(Instant::now()));
            let mut rng = SplitMix64::new(1);
            group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
                bencher.iter(|| black_box(black_box(&hosts).pick(&pick, &mut rng)));
            });
        }
        group.finish();
    }
}

fn configuration(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("configuration");
    group.sample_size(10);
    for shape in Shape::ALL {
        let text = documents(shape, 10_000);
        let set = parsed(&text).expect("the configuration is good");
        group.bench_function(BenchmarkId::new("parse", shape.name()), |bencher| {
            bencher.iter_batched(|| text.as_str(), parsed, BatchSize::PerIteration);
        });
        group.bench_function(BenchmarkId::new("compile", shape.name()), |bencher| {
            bencher.iter_batched(|| &set, compiled, BatchSize::PerIteration);
        });
    }
    group.finish();
}

criterion_group!(benches, decision, pick, configuration);
criterion_main!(benches);
