//! Warm-up: a new endpoint gets less at first, so that it can fill caches and compile what it runs.
//!
//! Its weight is multiplied by `max(minimum, (age / window) ^ (1 / aggression))` until it is as old as
//! the window, as in Envoy's slow start; its age counts as one second at least. Only `ROUND_ROBIN` and
//! `LEAST_REQUEST` know it. Endpoints that were there from the start are new together, and so equal.

use std::time::{Duration, Instant};

use mesh_config::api::destination_rule::LoadBalancerSettings;

/// `warmup` of a traffic policy, with Istio's defaults filled in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WarmUp {
    /// How long an endpoint is new.
    pub window: Duration,
    /// Least share of its weight, 0 to 100 percent; 10 unless set.
    pub minimum_percent: f64,
    /// How the share grows: 1 is evenly and the default, with more it grows faster at first.
    pub aggression: f64,
}

/// An age below this counts as this.
const YOUNGEST: Duration = Duration::from_secs(1);

/// Steps in which a share grows.
const STEPS: u32 = 50;

/// Parts that a whole weight is cut into.
pub(super) const WHOLE: u64 = 1000;

impl WarmUp {
    /// From `warmup`, else from the deprecated `warmupDurationSecs`.
    pub(crate) fn lower(from: &LoadBalancerSettings) -> Option<Self> {
        let (window, minimum, aggression) = match &from.warmup {
            Some(warm_up) => (warm_up.duration, warm_up.minimum_percent, warm_up.aggression),
            None => (from.warmup_duration_secs, None, None),
        };
        let window = window.map(|window| window.to_std()).filter(|window| !window.is_zero())?;
        let aggression = aggression.filter(|aggression| *aggression > 0.0).unwrap_or(1.0);
        Some(Self { window, minimum_percent: minimum.unwrap_or(10.0).clamp(0.0, 100.0), aggression })
    }

    /// The part of its weight, of [`WHOLE`], that an endpoint of an age has; `None` once it is warm.
    pub(super) fn part(&self, age: Duration) -> Option<u64> {
        if age >= self.window {
            return None;
        }
        let time = age.max(YOUNGEST).as_secs_f64() / self.window.as_secs_f64();
        let part = time.min(1.0).powf(1.0 / self.aggression).max(self.minimum_percent / 100.0);
        Some(((part * WHOLE as f64).round() as u64).clamp(1, WHOLE))
    }

    /// When the parts of endpoints that are new now have changed enough to count.
    pub(super) fn next_step(&self, now: Instant) -> Instant {
        now + (self.window / STEPS).max(Duration::from_millis(10))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(json: serde_json::Value, ages: &[u64]) -> Vec<Option<u64>> {
        let settings: LoadBalancerSettings = serde_json::from_value(json).unwrap();
        let warm_up = WarmUp::lower(&settings).unwrap();
        ages.iter().map(|age| warm_up.part(Duration::from_secs(*age))).collect()
    }

    #[test]
    fn the_weight_grows_evenly_from_a_tenth() {
        let parts = parts(serde_json::json!({"warmup": {"duration": "100s"}}), &[0, 10, 20, 50, 99, 100]);
        assert_eq!(parts, [Some(100), Some(100), Some(200), Some(500), Some(990), None]);
    }

    #[test]
    fn more_aggression_is_faster_at_first() {
        let json = serde_json::json!({"warmup": {"duration": "100s", "minimumPercent": 0, "aggression": 2}});
        assert_eq!(parts(json, &[0, 25, 81]), [Some(100), Some(500), Some(900)]);
    }

    #[test]
    fn the_deprecated_form_is_the_time_alone() {
        assert_eq!(parts(serde_json::json!({"warmupDurationSecs": "10s"}), &[5, 10]), [Some(500), None]);
        let unset: LoadBalancerSettings = serde_json::from_value(serde_json::json!({"simple": "RANDOM"})).unwrap();
        assert_eq!(WarmUp::lower(&unset), None);
    }
}
