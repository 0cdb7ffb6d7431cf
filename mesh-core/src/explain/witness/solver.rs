//! Requests that fulfil some conditions and fail others.
//!
//! Conditions that look at different things do not bear on each other. So for each thing a value is chosen, among those
//! that the conditions about it hint at, for which each of them holds or fails as asked.

use std::collections::HashMap;
use std::rc::Rc;

use super::draft::{Draft, Place};
use super::sample::samples;
use crate::explain::Question;
use crate::route::condition::header::HeaderSource;
use crate::route::condition::{PathCondition, StringMatcher};
use crate::route::{Condition, Route};

/// What a condition looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject<'c> {
    Path,
    Method,
    Scheme,
    Authority,
    Query(&'c str),
    Header(&'c str),
    /// Something that no request has.
    Nothing,
}

/// A condition, and whether it is to hold.
type Literal<'c> = (&'c Condition, bool);

/// How many earlier routes are got out of the way of one.
const MOST_BLOCKERS: usize = 24;
/// A value that no rule asks for.
const OTHER: &str = "other~";
/// So many values that a condition accepts are also varied; of the others, one more is as good as the next.
const VARIED: usize = 6;

/// Finds requests for the routes of one virtual host.
#[derive(Debug)]
pub(super) struct Solver<'c> {
    routes: &'c [Route],
    host: &'c str,
    place: &'c Place,
    /// What conditions hint at, by condition: samples of expressions are dear.
    hints: HashMap<*const Condition, Rc<[String]>>,
}

impl<'c> Solver<'c> {
    pub(super) fn new(routes: &'c [Route], host: &'c str, place: &'c Place) -> Self {
        Self { routes, host, place, hints: HashMap::new() }
    }

    /// A request that fulfils a route's conditions, and those of another one if asked, and that no earlier route takes.
    pub(super) fn reach(
        &mut self,
        index: usize,
        other: Option<usize>,
        taken_by: &impl Fn(&Question) -> Option<usize>,
    ) -> Option<Draft> {
        let mut literals = self.conditions_of(index);
        literals.extend(other.map(|other| self.conditions_of(other)).into_iter().flatten());
        for _ in 0..MOST_BLOCKERS {
            let draft = self.solve(&literals)?;
            let blocker = taken_by(&draft.clone().ask(self.host, self.place)?)?;
            if blocker >= index {
                return (blocker == index).then_some(draft);
            }
            let routes = self.routes;
            let way_out = routes[blocker].conditions.iter().find(|condition| {
                literals.push((condition, false));
                let found = self.solve(&literals).is_some();
                literals.pop();
                found
            });
            literals.push((way_out?, false));
        }
        None
    }

    /// A request that fulfils a route's conditions, whichever route takes it.
    pub(super) fn alone(&mut self, index: usize) -> Option<Draft> {
        self.solve(&self.conditions_of(index))
    }

    fn conditions_of(&self, index: usize) -> Vec<Literal<'c>> {
        self.routes[index].conditions.iter().map(|condition| (condition, true)).collect()
    }

    /// The same request with other values of what a route's conditions look at, one at a time.
    pub(super) fn variations(&mut self, index: usize, draft: &Draft) -> Vec<Draft> {
        let mut found = Vec::new();
        for condition in &self.routes[index].conditions {
            let subject = Subject::of(condition);
            let hints = self.hints(condition);
            for value in hints.iter().map(|hint| Some(hint.as_str())).chain([None]) {
                let mut varied = draft.clone();
                varied.set(subject, value);
                found.push(varied);
            }
        }
        found
    }

    fn solve(&mut self, literals: &[Literal<'c>]) -> Option<Draft> {
        let mut draft = Draft::default();
        let mut done: Vec<Subject<'_>> = Vec::new();
        for (condition, _) in literals {
            let subject = Subject::of(condition);
            if done.contains(&subject) {
                continue;
            }
            done.push(subject);
            let about: Vec<_> = literals.iter().filter(|(other, _)| Subject::of(other) == subject).collect();
            let hints: Vec<_> = about.iter().map(|(condition, _)| self.hints(condition)).collect();
            let values = hints.iter().flat_map(|hints| hints.iter()).map(|hint| Some(hint.as_str()));
            let as_asked = |value: &Option<&str>| {
                about.iter().all(|(condition, wanted)| holds(condition, *value, self.host) == *wanted)
            };
            match std::iter::once(None).chain(values).find(as_asked) {
                Some(value) => draft.set(subject, value),
                None => {
                    let together = joined(&hints).into_iter().find(|value| as_asked(&Some(value.as_str())))?;
                    draft.set(subject, Some(&together));
                }
            }
        }
        Some(draft)
    }

    /// Values that a condition takes, the plainest first, and some that it may not take.
    fn hints(&mut self, condition: &'c Condition) -> Rc<[String]> {
        let host = self.host;
        let hints = self.hints.entry(std::ptr::from_ref(condition)).or_insert_with(|| hints(condition, host).into());
        Rc::clone(hints)
    }
}

/// What one condition hints at behind what another one does: a prefix, and something that ends as asked.
fn joined(hints: &[Rc<[String]>]) -> Vec<String> {
    let few = |index: usize| hints[index].iter().take(VARIED);
    let pairs = (0..hints.len()).flat_map(|one| (0..hints.len()).map(move |other| (one, other)));
    let joined = pairs.filter(|(one, other)| one != other);
    joined
        .flat_map(|(one, other)| few(one).flat_map(move |front| few(other).map(move |back| format!("{front}{back}"))))
        .collect()
}

impl<'c> Subject<'c> {
    pub(super) fn of(condition: &'c Condition) -> Self {
        match condition {
            Condition::Path(_) => Self::Path,
            Condition::Method(_) => Self::Method,
            Condition::Scheme(_) => Self::Scheme,
            Condition::Authority(_) => Self::Authority,
            Condition::Query(query) => Self::Query(&query.name),
            Condition::Header(header) => match &header.source {
                HeaderSource::Named(name) => Self::Header(name.as_str()),
                HeaderSource::Authority => Self::Authority,
                HeaderSource::Method => Self::Method,
                HeaderSource::Path => Self::Path,
                HeaderSource::Scheme => Self::Scheme,
                // A question brings no token.
                HeaderSource::Claim(_) | HeaderSource::Nowhere => Self::Nothing,
            },
        }
    }
}

/// Whether a condition holds for a value of what it looks at; `None` for none, or for what a plain request has.
fn holds(condition: &Condition, value: Option<&str>, host: &str) -> bool {
    let plain = match Subject::of(condition) {
        Subject::Path => Some("/"),
        Subject::Method => Some("GET"),
        Subject::Scheme => Some("http"),
        Subject::Authority => Some(host),
        Subject::Query(_) | Subject::Header(_) | Subject::Nothing => None,
    };
    let value = value.or(plain);
    let inverted = matches!(condition, Condition::Header(header) if header.inverted);
    match (condition, matcher(condition), value) {
        (Condition::Path(path), _, Some(value)) => path.is_match(value),
        (_, Some(matcher), Some(value)) => matcher.is_match(value.as_bytes()) != inverted,
        _ => inverted,
    }
}

fn hints(condition: &Condition, host: &str) -> Vec<String> {
    let mut hints = match condition {
        Condition::Path(path) => hints_of_path(path),
        other => matcher(other).map(values).unwrap_or_default(),
    };
    let accepted = hints.clone();
    if Subject::of(condition) == Subject::Authority {
        // What a wildcard host has behind its star.
        let behind = host.split_once("any").map_or(host, |(_, behind)| behind).trim_start_matches('.');
        hints.extend(accepted.iter().map(|value| format!("{}.{behind}", value.trim_end_matches('.'))));
    }
    let tails = if matches!(condition, Condition::Path(_)) { &["/", "/x", "x"][..] } else { &["x"][..] };
    for value in accepted.iter().take(VARIED) {
        // What lies below it and beside it, the one above, and other letters.
        hints.extend(tails.iter().map(|tail| format!("{value}{tail}")));
        hints.extend(value.strip_suffix('/').filter(|value| !value.is_empty()).map(str::to_owned));
        hints.push(value.to_ascii_uppercase());
        hints.push(value.to_ascii_lowercase());
    }
    hints.extend(match Subject::of(condition) {
        Subject::Path => vec![format!("/{OTHER}")],
        Subject::Method => ["POST", "PUT", "GET"].map(str::to_owned).to_vec(),
        Subject::Scheme => ["http", "https"].map(str::to_owned).to_vec(),
        _ => vec![OTHER.to_owned()],
    });
    let mut known = std::collections::HashSet::new();
    hints.retain(|hint| known.insert(hint.clone()));
    hints
}

fn hints_of_path(condition: &PathCondition) -> Vec<String> {
    match condition {
        PathCondition::Exact { path: text, .. } | PathCondition::Prefix { prefix: text, .. } => vec![text.to_string()],
        PathCondition::Regex { pattern, .. } => {
            // Every path begins with a slash, whether the expression says so or not.
            let forms = |text: String| [text.clone(), format!("/{text}"), format!("/x{text}"), format!("/x/{text}")];
            let paths = samples(pattern).into_iter().flat_map(forms);
            paths.filter(|path| path.starts_with('/') && condition.is_match(path)).collect()
        }
    }
}

fn matcher(condition: &Condition) -> Option<&StringMatcher> {
    match condition {
        Condition::Path(_) => None,
        Condition::Method(condition) => Some(&condition.0),
        Condition::Scheme(condition) => Some(&condition.0),
        Condition::Authority(condition) => Some(&condition.0),
        Condition::Query(condition) => Some(&condition.matcher),
        Condition::Header(condition) => Some(&condition.matcher),
    }
}

/// Values that a matcher takes.
fn values(matcher: &StringMatcher) -> Vec<String> {
    match matcher {
        StringMatcher::Present => vec!["x".to_owned(), String::new()],
        StringMatcher::Exact(text) | StringMatcher::Prefix(text) => vec![text.to_string()],
        StringMatcher::Regex(regex) => {
            samples(regex.as_str()).into_iter().filter(|text| regex.is_match(text.as_bytes())).collect()
        }
    }
}
