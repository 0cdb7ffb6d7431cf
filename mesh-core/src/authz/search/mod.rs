//! Finds the first rule that matches without looking at every one.
//!
//! Each rule is put where one of the keys is that it asks for: the caller's identity, a path, the value of a header. Which of
//! its attributes that is, is the one that it shares with the fewest others. A rule that names nothing to be equal is asked
//! always. Candidates are then asked in full, lowest first, so that a false candidate costs time but never correctness.

mod key;

use std::collections::HashMap;
use std::hash::Hash;

use foldhash::fast::RandomState;
use http::HeaderName;
use serde_json::Value;

use self::key::{Key, LONGEST_HOST, parts, rarest};
use super::access::Access;
use super::decision::RuleName;
use super::identity::without_scheme;
use super::rule::Rule;
use crate::RequestView;
use crate::jwt::Claims;

/// The rules of a set by what they ask for. Rules are named by their places, ascending in every list.
#[derive(Clone, Debug, Default)]
pub(super) struct Search {
    accounts: Map<Box<str>, Map<Box<str>, Vec<u32>>>,
    claims: Vec<(Box<[Box<str>]>, Texts)>,
    headers: Vec<(HeaderName, Header)>,
    hosts: Texts,
    namespaces: Map<Box<str>, Vec<u32>>,
    paths: Texts,
    path_starts: Starts,
    principals: Texts,
    subjects: Texts,
    /// Those that any access may match.
    rest: Vec<u32>,
}

type Map<K, V> = HashMap<K, V, RandomState>;
type Texts = Map<Box<[u8]>, Vec<u32>>;

/// Rules by the value of one header.
#[derive(Clone, Debug, Default)]
struct Header {
    exact: Texts,
    /// All of them, since several lines may match joined.
    all: Vec<u32>,
}

/// Rules by the beginning of the path.
#[derive(Clone, Debug, Default)]
struct Starts {
    by_start: Texts,
    /// The lengths that there are, ascending.
    lengths: Vec<usize>,
}

impl Search {
    /// Sorts rules in; `None` if they are so few that they may as well be asked one after the other.
    pub(super) fn build(rules: &[(RuleName, Rule)]) -> Option<Self> {
        if rules.len() <= FEW {
            return None;
        }
        let asked: Vec<_> = rules.iter().map(|(_, rule)| parts(rule)).collect();
        let mut sharing: HashMap<&Key, usize> = HashMap::new();
        for key in asked.iter().flatten().flatten().flatten().flatten() {
            *sharing.entry(key).or_default() += 1;
        }
        let mut search = Self::default();
        for (index, parts) in (0..).zip(&asked) {
            match rarest(parts, |key| sharing.get(key).copied().unwrap_or_default()) {
                Some(keys) => keys.into_iter().for_each(|key| search.put(key, index)),
                None => search.rest.push(index),
            }
        }
        Some(search)
    }

    fn put(&mut self, key: &Key, index: u32) {
        match key.clone() {
            Key::Account(namespace, account) => {
                push(self.accounts.entry(namespace).or_default().entry(account).or_default(), index);
            }
            Key::Claim(way, text) => push(named(&mut self.claims, way).entry(text).or_default(), index),
            Key::Header(name, value) => {
                let header = named(&mut self.headers, name);
                push(header.exact.entry(value).or_default(), index);
                push(&mut header.all, index);
            }
            Key::Host(host) => push(self.hosts.entry(host).or_default(), index),
            Key::Namespace(namespace) => push(self.namespaces.entry(namespace).or_default(), index),
            Key::Path(path) => push(self.paths.entry(path).or_default(), index),
            Key::PathStart(start) => {
                if let Err(place) = self.path_starts.lengths.binary_search(&start.len()) {
                    self.path_starts.lengths.insert(place, start.len());
                }
                push(self.path_starts.by_start.entry(start).or_default(), index);
            }
            Key::Principal(principal) => push(self.principals.entry(principal).or_default(), index),
            Key::Subject(subject) => push(self.subjects.entry(subject).or_default(), index),
        }
    }

    /// The place of the first rule that matches. `rules` are those that the search was built from.
    pub(super) fn first_match(&self, rules: &[(RuleName, Rule)], access: &Access<'_>) -> Option<usize> {
        let mut first = First { rules, access, best: u32::MAX };
        first.ask(&self.rest);
        if let Some(identity) = access.peer.principal {
            self.visit_caller(identity, &mut first);
        }
        if let Some(request) = access.request {
            self.visit_request(request, &mut first);
        }
        if let Some(claims) = access.peer.claims {
            self.visit_token(claims, &mut first);
        }
        (first.best != u32::MAX).then_some(first.best as usize)
    }

    fn visit_caller(&self, identity: &str, first: &mut First<'_>) {
        if !self.principals.is_empty()
            && let Some(principal) = without_scheme(identity)
        {
            first.ask_those(&self.principals, principal.as_bytes());
        }
        if self.namespaces.is_empty() && self.accounts.is_empty() {
            return;
        }
        for (namespace, is_last) in segments_behind(identity, "/ns/") {
            if !is_last {
                first.ask_those(&self.namespaces, namespace);
            }
            if let Some(accounts) = self.accounts.get(namespace) {
                for (account, _) in segments_behind(identity, "/sa/") {
                    first.ask_those(accounts, account);
                }
            }
        }
    }

    fn visit_request(&self, request: &RequestView<'_>, first: &mut First<'_>) {
        let path = request.path.as_bytes();
        if !self.paths.is_empty() {
            first.ask_those(&self.paths, path);
        }
        for start in self.path_starts.lengths.iter().map_while(|length| path.get(..*length)) {
            first.ask_those(&self.path_starts.by_start, start);
        }
        if !self.hosts.is_empty()
            && let Some(lowered) = [0; LONGEST_HOST].get_mut(..request.authority.len())
        {
            lowered.copy_from_slice(request.authority.as_bytes());
            lowered.make_ascii_lowercase();
            first.ask_those(&self.hosts, &*lowered);
        }
        for (name, header) in &self.headers {
            let mut lines = request.headers.get_all(name).iter();
            match (lines.next(), lines.next()) {
                (Some(line), None) => {
                    let (whole, trimmed) = (line.as_bytes(), line.as_bytes().trim_ascii());
                    first.ask_those(&header.exact, whole);
                    if trimmed.len() < whole.len() {
                        first.ask_those(&header.exact, trimmed);
                    }
                }
                (Some(_), Some(_)) => first.ask(&header.all),
                (None, _) => {}
            }
        }
    }

    fn visit_token(&self, claims: &Claims, first: &mut First<'_>) {
        if !self.subjects.is_empty()
            && let Some(subject) = claims.text("sub")
        {
            first.ask_those(&self.subjects, subject.as_bytes());
        }
        for (way, texts) in &self.claims {
            match claims.get(way) {
                Some(Value::String(text)) => first.ask_those(texts, text.as_bytes()),
                Some(Value::Array(list)) => {
                    list.iter().filter_map(Value::as_str).for_each(|text| first.ask_those(texts, text.as_bytes()));
                }
                _ => {}
            }
        }
    }
}

/// A rule that asks for one thing twice stands there once.
fn push(list: &mut Vec<u32>, index: u32) {
    if list.last() != Some(&index) {
        list.push(index);
    }
}

/// What belongs to a name, which is there from now on.
fn named<N: PartialEq, T: Default>(list: &mut Vec<(N, T)>, name: N) -> &mut T {
    let place = list.iter().position(|(known, _)| *known == name).unwrap_or_else(|| {
        list.push((name, T::default()));
        list.len() - 1
    });
    &mut list[place].1
}

/// What stands between each place of `/ns/`, say, and the next slash, or the end; and whether it is the end.
fn segments_behind<'a>(identity: &'a str, mark: &'static str) -> impl Iterator<Item = (&'a str, bool)> {
    identity.match_indices('/').filter_map(move |(at, _)| {
        let rest = identity[at..].strip_prefix(mark)?;
        Some(rest.split_once('/').map_or((rest, true), |(segment, _)| (segment, false)))
    })
}

/// The lowest rule that matches, so far.
struct First<'a> {
    rules: &'a [(RuleName, Rule)],
    access: &'a Access<'a>,
    best: u32,
}

impl First<'_> {
    /// Asks candidates in ascending order, as long as they are lower than what was found.
    fn ask(&mut self, candidates: &[u32]) {
        let lower = candidates.iter().copied().take_while(|candidate| *candidate < self.best);
        let matches =
            |candidate: &u32| self.rules.get(*candidate as usize).is_some_and(|(_, rule)| rule.matches(self.access));
        if let Some(found) = lower.into_iter().find(matches) {
            self.best = found;
        }
    }

    fn ask_those<K, Q>(&mut self, map: &Map<K, Vec<u32>>, key: &Q)
    where
        K: Hash + Eq + std::borrow::Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        if let Some(candidates) = map.get(key) {
            self.ask(candidates);
        }
    }
}

/// So many rules are not worth telling apart.
const FEW: usize = 8;

#[cfg(test)]
mod tests;
