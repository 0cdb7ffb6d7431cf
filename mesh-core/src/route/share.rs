//! Shares of the requests.

use mesh_config::value::Percent;

/// A share of the requests, in millionths: none of them up to all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share(u32);

impl Share {
    /// Every request.
    pub const ALL: Self = Self(Percent::DENOMINATOR);
    /// No request.
    pub const NONE: Self = Self(0);

    /// From a percentage, 0 to 100; what lies outside counts as the nearest of the two, and what is
    /// no number as 0.
    ///
    /// ```
    /// use mesh_core::route::Share;
    ///
    /// assert!(Share::percent(25.0).is_hit(249_999) && !Share::percent(25.0).is_hit(250_000));
    /// assert_eq!(Share::percent(250.0), Share::ALL);
    /// ```
    pub fn percent(percent: f64) -> Self {
        Percent { value: percent }.into()
    }

    /// From millionths.
    pub fn of_millionths(numerator: u32) -> Self {
        Self(numerator.min(Percent::DENOMINATOR))
    }

    /// In percent.
    pub fn as_percent(self) -> f64 {
        f64::from(self.millionths()) / 10_000.0
    }

    /// In millionths.
    pub fn millionths(self) -> u32 {
        self.0
    }

    /// Whether no request is meant.
    pub fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Whether a request with this draw, which is uniform over all of `u64`, is one of them.
    pub fn is_hit(self, draw: u64) -> bool {
        u64::from(self.0) > draw % u64::from(Percent::DENOMINATOR)
    }
}

impl From<Percent> for Share {
    fn from(percent: Percent) -> Self {
        Self::of_millionths(percent.numerator())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_percentage_counts_as_the_nearest() {
        for (percent, share) in [(-1.0, Share::NONE), (f64::NAN, Share::NONE), (f64::INFINITY, Share::ALL)] {
            assert_eq!(Share::percent(percent), share, "{percent}");
        }
        assert_eq!(Share::percent(0.0001).millionths(), 1);
    }

    proptest! {
        #[test]
        fn none_is_never_hit_and_all_always(draw in any::<u64>()) {
            prop_assert!(Share::ALL.is_hit(draw) && !Share::NONE.is_hit(draw));
        }

        #[test]
        fn a_larger_share_hits_what_a_smaller_one_hits(a in 0_u32..=1_000_000, b in 0_u32..=1_000_000, draw in any::<u64>()) {
            let (less, more) = (Share::of_millionths(a.min(b)), Share::of_millionths(a.max(b)));
            prop_assert!(!less.is_hit(draw) || more.is_hit(draw));
        }
    }
}
