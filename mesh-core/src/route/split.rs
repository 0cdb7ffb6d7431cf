//! Weighted destinations: which one a request goes to.

use http::uri::Authority;
use mesh_config::api::virtual_service::HttpRouteDestination;

use super::ClusterRef;
use super::header_ops::{HeaderLevel, HeaderOps};
use super::lower::{LowerError, RuleContext};

/// One destination of a rule.
#[derive(Clone, Debug)]
pub struct WeightedDestination {
    /// Its share among the destinations of the rule; means nothing for a single one.
    pub weight: u32,
    /// Where its requests go.
    pub cluster: ClusterRef,
    /// The authority it gives to its requests, before the rule's own changes.
    pub authority: Option<Authority>,
    /// Changes to request headers, before the rule's own. Empty where the rule names this
    /// destination alone: then they are part of the rule's.
    pub request_headers: HeaderOps,
    /// Changes to response headers, before the rule's own.
    pub response_headers: HeaderOps,
}

/// The destinations of a rule and their shares. There is at least one.
///
/// A draw is reduced to `draw % total` and the destinations cover `0..total` in listed order. A
/// single destination takes everything, whatever its weight; among several, weight 0 takes nothing
/// and weights need not add up to 100.
#[derive(Clone, Debug)]
pub struct Split {
    destinations: Box<[WeightedDestination]>,
    /// Where each destination's part of `0..total` ends.
    ends: Box<[u64]>,
}

impl Split {
    /// Everything to one cluster.
    pub fn single(cluster: ClusterRef) -> Self {
        let destination = WeightedDestination {
            weight: 1,
            cluster,
            authority: None,
            request_headers: HeaderOps::default(),
            response_headers: HeaderOps::default(),
        };
        Self { destinations: Box::new([destination]), ends: Box::new([1]) }
    }

    /// The index of the destination that a draw stands for.
    pub fn pick(&self, draw: u64) -> u16 {
        let [_, .., total] = &*self.ends else {
            return 0;
        };
        let point = draw % total;
        self.ends.partition_point(|end| *end <= point) as u16
    }

    /// The destination at an index that [`pick`](Self::pick) gave.
    ///
    /// # Panics
    /// With the index of another split.
    pub fn get(&self, index: u16) -> &WeightedDestination {
        &self.destinations[usize::from(index)]
    }

    /// The destinations that get requests, in listed order.
    pub fn iter(&self) -> std::slice::Iter<'_, WeightedDestination> {
        self.destinations.iter()
    }

    /// Sends what goes to one cluster to another one.
    pub(crate) fn replace(&mut self, from: &str, to: &ClusterRef) {
        for destination in self.destinations.iter_mut().filter(|destination| *destination.cluster.name == *from) {
            destination.cluster = to.clone();
        }
    }

    /// The sum of the weights.
    pub fn total(&self) -> u64 {
        self.ends.last().copied().unwrap_or(1)
    }

    /// From `route`.
    ///
    /// # Errors
    /// No destination, a negative weight, weights that add up to nothing or to more than 32 bits,
    /// and what is wrong with a destination's headers.
    pub(crate) fn lower(routes: &[HttpRouteDestination], ctx: &mut RuleContext<'_>) -> Result<Self, LowerError> {
        if let [only] = routes {
            return Ok(Self::single(resolve(only, 0, ctx)?));
        }
        let mut destinations = Vec::with_capacity(routes.len());
        for (index, route) in routes.iter().enumerate() {
            let field = format!("route[{index}]");
            let weight = u32::try_from(route.weight)
                .map_err(|_| LowerError::new(format!("{field}.weight"), format!("weight {} < 0", route.weight)))?;
            // As in Istio there is a cluster also where nobody is sent: what it knows is not lost while a weight is 0.
            let cluster = resolve(route, index, ctx)?;
            if weight == 0 {
                continue;
            }
            let headers = match &route.headers {
                Some(headers) => HeaderLevel::of_destination(headers, index)?,
                None => HeaderLevel::default(),
            };
            destinations.push(WeightedDestination {
                weight,
                cluster,
                authority: headers.authority,
                request_headers: headers.request,
                response_headers: headers.response,
            });
        }
        Self::of(destinations)
    }

    fn of(destinations: Vec<WeightedDestination>) -> Result<Self, LowerError> {
        let mut total = 0;
        let mut ends = Vec::with_capacity(destinations.len());
        for destination in &destinations {
            total += u64::from(destination.weight);
            ends.push(total);
        }
        if total == 0 {
            return Err(LowerError::new("route", "total destination weight = 0"));
        }
        if total > u64::from(u32::MAX) || destinations.len() > usize::from(u16::MAX) {
            return Err(LowerError::new("route", "the weights add up to more than 4294967295"));
        }
        Ok(Self { destinations: destinations.into(), ends: ends.into() })
    }
}

impl<'a> IntoIterator for &'a Split {
    type Item = &'a WeightedDestination;
    type IntoIter = std::slice::Iter<'a, WeightedDestination>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

fn resolve(route: &HttpRouteDestination, index: usize, ctx: &mut RuleContext<'_>) -> Result<ClusterRef, LowerError> {
    let destination = route
        .destination
        .as_ref()
        .ok_or_else(|| LowerError::new(format!("route[{index}].destination"), "destination is required"))?;
    Ok((ctx.resolve)(destination))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::route::testing::{lower, lower_error};

    fn split(weights: &[u32]) -> Split {
        let destinations = weights
            .iter()
            .map(|weight| WeightedDestination {
                weight: *weight,
                ..Split::single(ClusterRef { name: "a".into(), id: None }).destinations[0].clone()
            })
            .collect();
        Split::of(destinations).unwrap()
    }

    #[test]
    fn a_draw_walks_the_destinations_in_listed_order() {
        let split = split(&[90, 10]);
        let picks: Vec<_> = [0, 89, 90, 99, 100, 190].map(|draw| split.pick(draw)).into();
        assert_eq!(picks, [0, 0, 1, 1, 0, 1]);
        assert_eq!(split.total(), 100);
    }

    #[test]
    fn a_single_destination_takes_everything() {
        let route = lower(serde_json::json!({"route": [{"destination": {"host": "a"}, "weight": 0}]}));
        let split = route.split();
        assert!([0, 1, 99, u64::MAX].iter().all(|draw| split.pick(*draw) == 0));
        assert_eq!(&*split.get(0).cluster.name, "a");
    }

    #[test]
    fn weight_zero_takes_nothing_among_several() {
        let route = lower(serde_json::json!({"route": [
            {"destination": {"host": "a"}}, json_destination("b", 5), json_destination("c", 0),
        ]}));
        let names: Vec<_> = route.split().iter().map(|destination| &*destination.cluster.name).collect();
        assert_eq!(names, ["b"]);
        assert_eq!(route.split().pick(u64::MAX), 0);
    }

    fn json_destination(host: &str, weight: i64) -> serde_json::Value {
        serde_json::json!({"destination": {"host": host}, "weight": weight})
    }

    #[test]
    fn weights_that_make_no_split_are_refused() {
        let several = |first: i64, second: i64| {
            let (first, second) = (json_destination("a", first), json_destination("b", second));
            serde_json::json!({"route": [first, second]})
        };
        assert_eq!(lower_error(several(0, 0)).message, "total destination weight = 0");
        assert_eq!(lower_error(several(-1, 1)).path, "route[0].weight");
        let huge = json_destination("a", 2_147_483_647);
        assert_eq!(lower_error(serde_json::json!({"route": [huge, huge, huge]})).path, "route");
        assert_eq!(lower_error(serde_json::json!({"route": [{}]})).path, "route[0].destination");
    }

    proptest! {
        #[test]
        fn shares_are_exact_over_all_draws(weights in prop::collection::vec(1_u32..40, 1..6), turn in 0_u64..1_000) {
            let split = split(&weights);
            let total = split.total();
            let mut counts = vec![0; weights.len()];
            for draw in 0..total {
                counts[usize::from(split.pick(turn * total + draw))] += 1;
            }
            if weights.len() > 1 {
                prop_assert_eq!(counts, weights);
            } else {
                prop_assert_eq!(counts, [u32::try_from(total).unwrap()]);
            }
        }

        #[test]
        fn every_draw_has_a_destination(weights in prop::collection::vec(1_u32..1_000, 1..6), draw in any::<u64>()) {
            let split = split(&weights);
            prop_assert!(usize::from(split.pick(draw)) < weights.len());
        }
    }
}
