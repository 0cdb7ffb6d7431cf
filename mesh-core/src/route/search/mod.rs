//! Finds the first route that matches without looking at every one.
//!
//! Rules are tried in written order, so the answer is the lowest index whose conditions hold. The
//! search only narrows down which routes have to be asked:
//!
//! * A tree over paths holds each route at its exact path, its prefix, or the text that its regular
//!   expression begins with. The way down the tree along a request's path passes every route whose
//!   path can match, and few others.
//! * Where many routes share a place in the tree, they are told apart by an exact value they ask of
//!   a header, a query parameter or the authority, or by a path segment that their regular
//!   expression spells out. What cannot be told apart so and is a regular expression is compared by
//!   a [`RegexSet`](regex::bytes::RegexSet), which is the one case in which finding allocates.
//!
//! Candidates are then asked in full, lowest first, so that a false candidate costs time but never
//! correctness. Ten thousand routes cost about what ten do.

mod bucket;
mod facet;
mod literal;
mod tree;

use http::Method;

use self::tree::Tree;
use super::Route;
use crate::RequestView;

/// The index over the routes of one virtual host.
#[derive(Debug, Default)]
pub struct RouteSearch {
    tree: Tree,
}

impl RouteSearch {
    /// Indexes routes that are in written order.
    pub fn build(routes: &[Route]) -> Self {
        Self { tree: Tree::build(routes) }
    }

    /// The index of the first route that takes the request. `routes` are those the index was built
    /// from.
    pub fn find(&self, routes: &[Route], req: &RequestView<'_>) -> Option<usize> {
        if req.method == Method::CONNECT {
            return None;
        }
        let mut first = First { routes, req, best: u32::MAX };
        self.tree.visit(&mut first);
        (first.best != u32::MAX).then_some(first.best as usize)
    }
}

/// The lowest matching route so far.
pub(crate) struct First<'a> {
    routes: &'a [Route],
    pub(crate) req: &'a RequestView<'a>,
    best: u32,
}

impl First<'_> {
    /// Asks candidates in ascending order, as long as they are lower than what was found.
    pub(crate) fn ask(&mut self, candidates: &[u32]) {
        for candidate in candidates {
            if *candidate >= self.best || self.ask_one(*candidate) {
                return;
            }
        }
    }

    /// Asks one candidate; true if it is the new best.
    pub(crate) fn ask_one(&mut self, candidate: u32) -> bool {
        #[cfg(test)]
        tests::COUNT.with(|count| count.set(count.get() + 1));
        let matches =
            candidate < self.best && self.routes.get(candidate as usize).is_some_and(|route| route.is_match(self.req));
        if matches {
            self.best = candidate;
        }
        matches
    }
}

#[cfg(test)]
mod tests;
