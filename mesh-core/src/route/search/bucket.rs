//! The routes at one place of the tree.

use regex::bytes::{RegexSet, RegexSetBuilder};

use super::First;
use super::facet::Facets;
use crate::route::Route;
use crate::route::condition::{Condition, PathCondition};

/// Routes that share a place in the tree. Few are simply asked one after the other.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    plain: Box<[u32]>,
    crowd: Option<Box<Crowd>>,
}

/// Routes of a place that are told apart.
#[derive(Debug)]
struct Crowd {
    facets: Facets,
    patterns: Option<Patterns>,
}

/// Regular expressions that are compared at once.
#[derive(Debug)]
struct Patterns {
    set: RegexSet,
    /// The route of each pattern, ascending.
    routes: Box<[u32]>,
}

impl Bucket {
    /// From the ascending indexes of routes.
    pub(super) fn build(routes: &[Route], indexes: Vec<u32>) -> Self {
        if indexes.len() <= FEW {
            return Self { plain: indexes.into(), crowd: None };
        }
        let (facets, left) = Facets::build(routes, indexes);
        let (patterns, plain) = Patterns::build(routes, left);
        Self { plain: plain.into(), crowd: Some(Box::new(Crowd { facets, patterns })) }
    }

    /// Shows the routes to `first` that can match.
    pub(super) fn visit(&self, first: &mut First<'_>) {
        first.ask(&self.plain);
        if let Some(crowd) = &self.crowd {
            crowd.facets.visit(first);
            if let Some(patterns) = &crowd.patterns {
                patterns.visit(first);
            }
        }
    }
}

impl Patterns {
    /// Puts the routes with a regular expression into a set, if they are many; gives back the others.
    fn build(routes: &[Route], indexes: Vec<u32>) -> (Option<Self>, Vec<u32>) {
        let sources: Vec<_> =
            indexes.iter().filter_map(|index| Some((*index, source(routes.get(*index as usize)?)?))).collect();
        if sources.len() <= FEW_PATTERNS {
            return (None, indexes);
        }
        let set = RegexSetBuilder::new(sources.iter().map(|(_, source)| source))
            .size_limit(MAX_SET)
            .dfa_size_limit(MAX_SET)
            .build();
        // Each is within its limit, but together they can be too large: then each is asked by itself.
        let Ok(set) = set else {
            return (None, indexes);
        };
        let inside: Box<[u32]> = sources.into_iter().map(|(index, _)| index).collect();
        let left = indexes.into_iter().filter(|index| inside.binary_search(index).is_err()).collect();
        (Some(Self { set, routes: inside }), left)
    }

    fn visit(&self, first: &mut First<'_>) {
        for pattern in &self.set.matches(first.req.path.as_bytes()) {
            if first.ask_one(self.routes[pattern]) {
                return;
            }
        }
    }
}

/// The expression of a route's path, in the dialect it was compiled from.
fn source(route: &Route) -> Option<&str> {
    route.conditions.iter().find_map(|condition| match condition {
        Condition::Path(PathCondition::Regex { regex, .. }) => Some(regex.as_str()),
        _ => None,
    })
}

/// So many routes are not worth telling apart.
const FEW: usize = 8;
/// So many regular expressions are not worth an allocation.
const FEW_PATTERNS: usize = 24;
/// Bytes that a set may take.
const MAX_SET: usize = 64 << 20;
