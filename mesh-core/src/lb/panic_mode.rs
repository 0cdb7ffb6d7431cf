//! Panic: with too few healthy endpoints, better spread over all than crush the rest.

/// How much more than its share the healthy part may be given, in percent.
const OVERPROVISIONING: usize = 140;

/// Whether requests go to all endpoints, ejected ones too.
///
/// That is so below the threshold, unless the healthy ones, over-provisioned by 140 %, still make up
/// the whole: from 71.4 % healthy there is no panic, however high the threshold.
pub(super) fn is_on(healthy: usize, total: usize, threshold: u32) -> bool {
    if total == 0 || healthy == total {
        return false;
    }
    healthy * 100 < threshold as usize * total && OVERPROVISIONING * healthy / total < 100
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panic_starts_below_the_threshold() {
        assert!(is_on(1, 4, 50));
        assert!(!is_on(2, 4, 50));
        assert!(!is_on(0, 4, 0));
        assert!(is_on(0, 4, 1));
    }

    #[test]
    fn a_threshold_over_71_percent_acts_like_71() {
        assert!(!is_on(3, 4, 100));
        assert!(is_on(7, 10, 100));
        assert!(!is_on(0, 0, 100));
    }
}
