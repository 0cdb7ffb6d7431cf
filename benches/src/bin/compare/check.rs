//! Whether a window may be believed: every request answered once, by the version that had to.

use crate::callers::{CANARY_PERCENT, Caller};
use crate::counts::Counts;
use crate::load::Window;

/// A split that is drawn may be off by so many standard deviations: 1 in 1.7 million windows is further off.
const SIGMAS: f64 = 5.0;

/// What is wrong with a window, by what the servers saw; nothing when all is well.
pub(crate) fn complaints<C: Caller>(window: &Window, seen: &Counts) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut expect = |holds: bool, complaint: String| {
        if !holds {
            complaints.push(format!("{}: {complaint}", C::NAME));
        }
    };
    if let Some(error) = &window.first_error {
        expect(false, format!("{} of {} requests failed, the first with: {error}", window.errors, window.requests));
    }
    expect(
        seen.total() == window.requests,
        format!("{} requests were sent, {} reached the servers", window.requests, seen.total()),
    );
    expect(
        seen.v1.canary == 0 && seen.v2.canary == window.canaries,
        format!(
            "{} requests had the header; v1 saw {}, v2 saw {} of them",
            window.canaries, seen.v1.canary, seen.v2.canary
        ),
    );
    let plain = window.requests - window.canaries;
    // What a counter deals evenly is off by one at most.
    let tolerance = if C::IS_DRAWN { drawn_tolerance(plain) } else { 1.0 };
    let share = plain as f64 * CANARY_PERCENT as f64 / 100.0;
    expect(
        (seen.v2.plain as f64 - share).abs() <= tolerance,
        format!("of {plain} requests without the header v2 saw {}, not {share:.0} ± {tolerance:.0}", seen.v2.plain),
    );
    complaints
}

fn drawn_tolerance(requests: u64) -> f64 {
    let share = CANARY_PERCENT as f64 / 100.0;
    SIGMAS * (requests as f64 * share * (1.0 - share)).sqrt()
}
