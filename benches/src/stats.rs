//! Rounds put together.

/// The middle of some figures, and how far they lie apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The middle one, or the mean of the middle two; NaN where there is no figure.
    pub median: f64,
    /// The smallest.
    pub lowest: f64,
    /// The largest.
    pub highest: f64,
}

impl FromIterator<f64> for Spread {
    fn from_iter<I: IntoIterator<Item = f64>>(figures: I) -> Self {
        let mut sorted: Vec<f64> = figures.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (Some(&lowest), Some(&highest)) = (sorted.first(), sorted.last()) else {
            return Self { median: f64::NAN, lowest: f64::NAN, highest: f64::NAN };
        };
        let (below, above) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
        Self { median: f64::midpoint(below, above), lowest, highest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_middle_two() {
        let odd: Spread = [3.0, 1.0, 9.0].into_iter().collect();
        assert_eq!(odd, Spread { median: 3.0, lowest: 1.0, highest: 9.0 });
        let even: Spread = [4.0, 1.0, 9.0, 2.0].into_iter().collect();
        assert_eq!(even.median, 3.0);
    }

    #[test]
    fn nothing_has_no_median() {
        assert!(Spread::from_iter([]).median.is_nan());
    }
}
