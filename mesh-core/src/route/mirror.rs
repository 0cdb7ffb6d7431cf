//! Mirrors: where copies of a request go.

use mesh_config::api::virtual_service::HttpRoute;
use mesh_config::value::Percent;

use super::lower::{LowerError, RuleContext};
use super::{ClusterRef, Share};

/// A destination that gets copies of some requests. What becomes of a copy changes nothing for the
/// caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// Where the copies go; no copy is sent to a cluster that does not exist.
    pub cluster: ClusterRef,
    /// Which share of the requests is copied.
    pub share: Share,
}

impl Mirror {
    /// Whether a request with this draw is copied.
    ///
    /// The draw is the one of the request that the split has read: two mirrors of 50 % get the same
    /// requests.
    pub fn is_hit(&self, draw: u64) -> bool {
        self.share.is_hit(draw)
    }

    /// From `mirror` with its percentage, or from `mirrors`. Mirrors of 0 % are left out.
    ///
    /// # Errors
    /// A mirror without destination.
    pub(crate) fn lower_all(rule: &HttpRoute, ctx: &mut RuleContext<'_>) -> Result<Box<[Self]>, LowerError> {
        let mut mirrors = Vec::new();
        if let Some(destination) = &rule.mirror {
            let share = match (rule.mirror_percentage, rule.mirror_percent) {
                (Some(percentage), _) => percentage.into(),
                (None, Some(percent)) => Share::of_millionths(percent.saturating_mul(ONE_PERCENT)),
                (None, None) => Share::ALL,
            };
            if !share.is_none() {
                mirrors.push(Self { cluster: (ctx.resolve)(destination), share });
            }
        }
        for (index, mirror) in rule.mirrors.iter().enumerate() {
            let field = format!("mirrors[{index}].destination");
            let destination = mirror
                .destination
                .as_ref()
                .ok_or_else(|| LowerError::new(field, "destination is required for mirrors"))?;
            let share = mirror.percentage.map_or(Share::ALL, Share::from);
            if !share.is_none() {
                mirrors.push(Self { cluster: (ctx.resolve)(destination), share });
            }
        }
        Ok(mirrors.into())
    }
}

const ONE_PERCENT: u32 = Percent::DENOMINATOR / 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::testing::{lower, lower_error};

    fn shares(mut rule: serde_json::Value) -> Vec<u32> {
        rule["route"] = serde_json::json!([{"destination": {"host": "a"}}]);
        lower(rule).mirrors.iter().map(|mirror| mirror.share.millionths()).collect()
    }

    #[test]
    fn the_newer_percentage_counts_and_none_means_all() {
        use serde_json::json;
        for (rule, expected) in [
            (json!({"mirror": {"host": "b"}}), &[1_000_000][..]),
            (json!({"mirror": {"host": "b"}, "mirrorPercentage": {"value": 12.5}}), &[125_000]),
            (json!({"mirror": {"host": "b"}, "mirrorPercentage": {"value": 20}, "mirrorPercent": 100}), &[200_000]),
            (json!({"mirror": {"host": "b"}, "mirrorPercent": 50}), &[500_000]),
            (json!({"mirror": {"host": "b"}, "mirrorPercent": 0}), &[]),
            (json!({"mirror": {"host": "b"}, "mirrorPercentage": {}}), &[]),
            (json!({"mirrorPercentage": {"value": 50}}), &[]),
        ] {
            assert_eq!(shares(rule.clone()), expected, "{rule}");
        }
    }

    #[test]
    fn mirrors_of_a_list_have_percentages_of_their_own() {
        let rule = serde_json::json!({"mirrorPercentage": {"value": 1}, "mirrors": [
            {"destination": {"host": "b"}}, {"destination": {"host": "c"}, "percentage": {"value": 25}},
            {"destination": {"host": "d"}, "percentage": {"value": 0}},
        ]});
        assert_eq!(shares(rule), [1_000_000, 250_000]);
        let rule = serde_json::json!({"route": [{"destination": {"host": "a"}}], "mirrors": [{}]});
        assert_eq!(lower_error(rule).path, "mirrors[0].destination");
    }

    #[test]
    fn one_draw_decides_for_all_mirrors() {
        let mirror = |millionths| Mirror {
            cluster: ClusterRef { name: "b".into(), id: None },
            share: Share::of_millionths(millionths),
        };
        let (quarter, most, all) = (mirror(250_000), mirror(750_000), mirror(1_000_000));
        for draw in (0..3_000_000).step_by(1_000) {
            assert!(all.is_hit(draw));
            assert!(most.is_hit(draw) || !quarter.is_hit(draw));
            assert_eq!(quarter.is_hit(draw), draw % 1_000_000 < 250_000);
        }
    }
}
