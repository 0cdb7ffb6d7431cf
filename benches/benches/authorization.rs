//! The decision about who may do what, without any I/O.
//!
//! `authorization/<what the rules are about>/<policies>`: each policy has one rule, and the request is one that only the last
//! of them is about, so a search in written order pays for all of them. `nobody`: none is about it.

#![allow(missing_docs, reason = "criterion's macro writes an undocumented function")]
#![allow(clippy::expect_used, reason = "a benchmark that cannot be set up says why and ends")]

use std::hint::black_box;

use benches::authorization::{Guarded, Subject};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

fn decision(criterion: &mut Criterion) {
    for subject in Subject::ALL {
        let mut group = criterion.benchmark_group(format!("authorization/{}", subject.name()));
        for policies in [10, 1_000] {
            for (who, last) in [("last", true), ("nobody", false)] {
                let guarded = Guarded::new(subject, policies, last).expect("the policies are good");
                group.bench_function(BenchmarkId::new(who, policies), |bencher| {
                    bencher.iter(|| black_box(black_box(&guarded).is_allowed()));
                });
            }
        }
        group.finish();
    }
}

criterion_group!(benches, decision);
criterion_main!(benches);
