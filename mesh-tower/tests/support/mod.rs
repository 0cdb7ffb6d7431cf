//! A small world around a mesh: upstreams that count what reaches them, callers of both kinds (its own client, and
//! `curl`), and the documents that tell it where the upstreams are.

pub(crate) mod ask;
pub(crate) mod cases;
pub(crate) mod curl;
pub(crate) mod documents;
pub(crate) mod raw;
pub(crate) mod refusing;
pub(crate) mod upstream;

use std::time::Duration;

/// Whether a count lies within four standard deviations of a binomial draw.
pub(crate) fn lies_in_band(count: usize, of: usize, percent: f64) -> bool {
    let (count, n, p) = (count as f64, of as f64, percent / 100.0);
    (count - n * p).abs() <= 4.0 * (n * p * (1.0 - p)).sqrt()
}

/// Waits until something is so, and fails the test if that takes longer than ten seconds.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waiting)
        .await
        .unwrap_or_else(|_| panic!("{what}: not in ten seconds"));
}

#[test]
fn the_band_takes_what_chance_does_and_nothing_else() {
    assert!(lies_in_band(1_000, 2_000, 50.0) && lies_in_band(911, 2_000, 50.0) && lies_in_band(1_089, 2_000, 50.0));
    assert!(!lies_in_band(910, 2_000, 50.0) && !lies_in_band(1_090, 2_000, 50.0));
    assert!(!lies_in_band(1_800, 2_000, 95.0) && !lies_in_band(0, 2_000, 5.0));
}
