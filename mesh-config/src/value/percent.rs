//! A percentage with four decimals.

use crate::value::proto::message;

message! {
    /// A percentage as faults and mirrors give it.
    ///
    /// Envoy counts in millionths, so the finest step is 0.0001 %. Which values a field allows differs from field to field
    /// and is checked by validation.
    #[derive(Copy)]
    pub struct Percent {
        /// The percentage, 0 to 100.
        pub value: f64,
    }
}

impl Percent {
    /// What [`Percent::numerator`] is a part of.
    pub const DENOMINATOR: u32 = 1_000_000;

    /// The percentage in millionths, cut off and not rounded; negative values give 0.
    ///
    /// ```
    /// use mesh_config::value::Percent;
    ///
    /// assert_eq!(Percent { value: 12.5 }.numerator(), 125_000);
    /// ```
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, which is what is wanted"
    )]
    pub fn numerator(self) -> u32 {
        (self.value * 10_000.0) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numerator_is_cut_to_millionths() {
        for (value, numerator) in [
            (0.0, 0),
            (100.0, 1_000_000),
            (0.0001, 1),
            (0.000_19, 1),
            (50.5, 505_000),
            (-1.0, 0),
            (f64::NAN, 0),
            (f64::INFINITY, u32::MAX),
        ] {
            assert_eq!(Percent { value }.numerator(), numerator, "{value}");
        }
    }

    #[test]
    fn a_percentage_is_an_object_with_a_value() {
        let percent: Percent = crate::document::from_str("value: 10").unwrap();
        assert_eq!(percent, Percent { value: 10.0 });
        assert!(crate::document::from_str::<Percent>("10").is_err());
    }
}
