//! One figure that a scenario looks at: what the YAML makes us expect, and what was observed.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

/// An expectation beside its observation.
#[derive(Clone, Debug)]
pub struct Check {
    what: String,
    expected: String,
    observed: String,
    ok: bool,
}

impl Check {
    /// Exactly this many.
    #[must_use]
    pub fn count(what: impl Into<String>, expected: usize, observed: u64) -> Self {
        let ok = expected as u64 == observed;
        Self { what: what.into(), expected: expected.to_string(), observed: observed.to_string(), ok }
    }

    /// A number within bounds, both included.
    #[must_use]
    pub fn between(what: impl Into<String>, expected: RangeInclusive<u64>, observed: u64) -> Self {
        let ok = expected.contains(&observed);
        let expected = format!("{}..{}", expected.start(), expected.end());
        Self { what: what.into(), expected, observed: observed.to_string(), ok }
    }

    /// At least this many.
    #[must_use]
    pub fn at_least(what: impl Into<String>, expected: u64, observed: u64) -> Self {
        let ok = observed >= expected;
        Self { what: what.into(), expected: format!("{expected} or more"), observed: observed.to_string(), ok }
    }

    /// A share of `of` independent choices: observed within four standard deviations of the binomial distribution.
    #[must_use]
    pub fn share(what: impl Into<String>, percent: f64, of: usize, observed: u64) -> Self {
        let band = four_sigma(percent / 100.0, of);
        let ok = band.contains(&observed);
        let expected = format!("{}..{} ({percent} % of {of}, 4 sigma)", band.start(), band.end());
        Self { what: what.into(), expected, observed: observed.to_string(), ok }
    }

    /// A time within bounds.
    #[must_use]
    pub fn took(what: impl Into<String>, expected: RangeInclusive<Duration>, observed: Duration) -> Self {
        let ok = expected.contains(&observed);
        let expected = format!("{:.1}..{:.1} s", expected.start().as_secs_f64(), expected.end().as_secs_f64());
        Self { what: what.into(), expected, observed: format!("{:.2} s", observed.as_secs_f64()), ok }
    }

    /// Exactly this text.
    #[must_use]
    pub fn says(what: impl Into<String>, expected: impl Into<String>, observed: impl Into<String>) -> Self {
        let (expected, observed) = (expected.into(), observed.into());
        Self { what: what.into(), ok: expected == observed, expected, observed }
    }

    /// Whether the observation is as expected.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.ok
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.ok { "ok" } else { "DIFFERS" };
        write!(f, "{verdict:<9} {:<58} expected {:<32} observed {}", self.what, self.expected, self.observed)
    }
}

/// The whole numbers within four standard deviations of the mean of a binomial distribution.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small numbers"
)]
fn four_sigma(share: f64, of: usize) -> RangeInclusive<u64> {
    let of = of as f64;
    let (mean, sigma) = (of * share, (of * share * (1.0 - share)).sqrt());
    let low = (mean - 4.0 * sigma).ceil().max(0.0);
    let high = (mean + 4.0 * sigma).floor().min(of);
    low as u64..=high as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_of_two_thousand_is_between_147_and_253() {
        assert_eq!(four_sigma(0.1, 2000), 147..=253);
    }

    #[test]
    fn a_share_of_nothing_or_all_has_no_band() {
        assert_eq!(four_sigma(0.0, 100), 0..=0);
        assert_eq!(four_sigma(1.0, 100), 100..=100);
    }

    #[test]
    fn what_lies_outside_differs() {
        assert!(Check::share("x", 5.0, 2000, 100).is_ok());
        assert!(!Check::share("x", 5.0, 2000, 140).is_ok());
        assert!(!Check::count("x", 1, 2).is_ok());
        assert!(!Check::says("x", "a", "b").is_ok());
    }
}
