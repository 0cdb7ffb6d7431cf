//! Facets: exact values by which routes at one place of the tree are told apart.

use std::collections::{BTreeSet, HashMap};

use http::HeaderName;

use super::First;
use super::literal;
use crate::route::Route;
use crate::route::condition::header::HeaderSource;
use crate::route::condition::query::first_value;
use crate::route::condition::{Condition, PathCondition, StringMatcher};

/// What a route asks for a value of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Facet {
    Authority,
    Header(HeaderName),
    Query(Box<str>),
    /// A segment of the path, wherever it is.
    Segment,
}

/// The routes of a place by the values they ask for.
#[derive(Debug, Default)]
pub(super) struct Facets {
    authority: Values,
    headers: HashMap<HeaderName, Values>,
    query: Vec<(Box<str>, Values)>,
    segments: Values,
}

/// Routes by one value.
#[derive(Debug, Default)]
struct Values {
    exact: HashMap<Box<[u8]>, Vec<u32>>,
    /// Routes that ask for the facet to be there, and not for one exact value.
    other: Vec<u32>,
}

impl Facets {
    /// Sorts routes into facets; gives back those that ask for nothing of the kind.
    pub(super) fn build(routes: &[Route], indexes: Vec<u32>) -> (Self, Vec<u32>) {
        let asked: Vec<_> = indexes.iter().map(|index| asked_of(routes, *index)).collect();
        let mut distinct: HashMap<&Facet, BTreeSet<&[u8]>> = HashMap::new();
        for (facet, value) in asked.iter().flatten() {
            distinct.entry(facet).or_default().extend(value.as_deref());
        }
        let mut facets = Self::default();
        let mut left = Vec::new();
        for (index, asked) in indexes.into_iter().zip(&asked) {
            // The facet that tells most routes apart.
            let best = asked.iter().max_by_key(|(facet, value)| (value.is_some(), distinct[facet].len()));
            match best {
                Some((facet, value)) => facets.values(facet).push(value.as_deref(), index),
                None => left.push(index),
            }
        }
        (facets, left)
    }

    fn values(&mut self, facet: &Facet) -> &mut Values {
        match facet {
            Facet::Authority => &mut self.authority,
            Facet::Segment => &mut self.segments,
            Facet::Header(name) => self.headers.entry(name.clone()).or_default(),
            Facet::Query(name) => {
                let place = self.query.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
                    self.query.push((name.clone(), Values::default()));
                    self.query.len() - 1
                });
                &mut self.query[place].1
            }
        }
    }

    /// Shows the routes to `first` whose value the request has.
    pub(super) fn visit(&self, first: &mut First<'_>) {
        let req = first.req;
        self.authority.visit(req.authority.as_bytes(), first);
        if self.headers.len() <= FEW {
            for (name, values) in &self.headers {
                for value in req.headers.get_all(name) {
                    values.visit(value.as_bytes(), first);
                }
            }
        } else {
            for (name, value) in req.headers {
                if let Some(values) = self.headers.get(name) {
                    values.visit(value.as_bytes(), first);
                }
            }
        }
        if req.query.is_some() {
            for (name, values) in &self.query {
                if let Some(value) = first_value(req.query, name) {
                    values.visit(value.as_bytes(), first);
                }
            }
        }
        if !self.segments.is_empty() {
            for segment in req.path.split('/') {
                self.segments.visit(segment.as_bytes(), first);
            }
        }
    }
}

impl Values {
    fn push(&mut self, value: Option<&[u8]>, index: u32) {
        match value {
            Some(value) => self.exact.entry(value.into()).or_default().push(index),
            None => self.other.push(index),
        }
    }

    fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.other.is_empty()
    }

    fn visit(&self, value: &[u8], first: &mut First<'_>) {
        if !self.exact.is_empty()
            && let Some(candidates) = self.exact.get(value)
        {
            first.ask(candidates);
        }
        first.ask(&self.other);
    }
}

/// The facets that a route has to find in a request, with the exact value where there is one.
fn asked_of(routes: &[Route], index: u32) -> Vec<(Facet, Option<Box<[u8]>>)> {
    let conditions = routes.get(index as usize).map_or(&[][..], |route| &route.conditions);
    let mut asked = Vec::new();
    for condition in conditions {
        match condition {
            Condition::Authority(authority) => {
                if let Some(value) = exact(&authority.0) {
                    asked.push((Facet::Authority, Some(value)));
                }
            }
            Condition::Header(header) if !header.inverted => match &header.source {
                HeaderSource::Named(name) => asked.push((Facet::Header(name.clone()), exact(&header.matcher))),
                HeaderSource::Authority => {
                    if let Some(value) = exact(&header.matcher) {
                        asked.push((Facet::Authority, Some(value)));
                    }
                }
                _ => {}
            },
            Condition::Query(query) => asked.push((Facet::Query(query.name.clone()), exact(&query.matcher))),
            Condition::Path(PathCondition::Regex { pattern, .. }) => {
                let segments = literal::segments(pattern).into_iter();
                asked.extend(segments.map(|segment| (Facet::Segment, Some(segment.into_bytes().into()))));
            }
            _ => {}
        }
    }
    asked
}

fn exact(matcher: &StringMatcher) -> Option<Box<[u8]>> {
    match matcher {
        StringMatcher::Exact(value) => Some(value.as_bytes().into()),
        _ => None,
    }
}

/// Up to so many header names it is quicker to look each up in the request.
const FEW: usize = 4;
