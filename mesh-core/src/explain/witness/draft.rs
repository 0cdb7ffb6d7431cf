//! A request in the making.

use super::super::Question;
use super::sample::samples;
use crate::route::condition::header::HeaderSource;
use crate::route::condition::{PathCondition, StringMatcher};
use crate::route::{Condition, Route};

/// What is known so far of a request that is to fulfil conditions.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    method: Option<String>,
    scheme: Option<String>,
    authority: Option<String>,
    path: Option<String>,
    query: Vec<String>,
    headers: Vec<(String, String)>,
}

/// A value that no rule asks for.
const OTHER: &str = "other~";

impl Draft {
    /// A request that fulfils all conditions of a route, and for each condition those that fulfil all others, and this
    /// one in another way or not at all.
    pub(super) fn all_for(route: &Route) -> Vec<Self> {
        let conditions = &route.conditions;
        let mut drafts = vec![Self::fulfilling(conditions.iter())];
        for (index, condition) in conditions.iter().enumerate() {
            let others = conditions.iter().enumerate().filter(|(other, _)| *other != index);
            let rest = Self::fulfilling(others.map(|(_, condition)| condition));
            for value in ways(condition) {
                let mut draft = rest.clone();
                draft.set(condition, value);
                drafts.push(draft);
            }
        }
        drafts
    }

    fn fulfilling<'c>(conditions: impl Iterator<Item = &'c Condition>) -> Self {
        let mut draft = Self::default();
        for condition in conditions {
            draft.set(condition, fulfilled(condition));
        }
        draft
    }

    /// Requests that two routes would both take; none if there seems to be none.
    pub(super) fn for_both(
        first: &Route,
        second: &Route,
        host: &str,
        port: u16,
        gateway: bool,
    ) -> impl Iterator<Item = Question> {
        let together = |first: &Route, second: &Route| {
            let mut draft = Self::fulfilling(first.conditions.iter());
            let path = draft.path.clone();
            for condition in &second.conditions {
                draft.add(condition);
            }
            draft.path = path;
            let question = draft.ask(host, port, gateway)?;
            let parts = question.parts();
            let view = question.view(&parts, question.scheme_seen().ok()?);
            (first.is_match(&view) && second.is_match(&view)).then_some(question)
        };
        // The path of the one may fit the other's condition, or the other way round.
        together(first, second).or_else(|| together(second, first)).into_iter()
    }

    /// As [`set`](Self::set), where nothing stands in the way.
    fn add(&mut self, condition: &Condition) {
        if let Condition::Header(header) = condition
            && let HeaderSource::Named(name) = &header.source
            && self.headers.iter().any(|(known, _)| known == name.as_str())
        {
            return;
        }
        self.set(condition, fulfilled(condition));
    }

    /// Gives what a condition looks at a value, or takes it away.
    fn set(&mut self, condition: &Condition, value: Option<String>) {
        match condition {
            Condition::Path(_) => self.path = value.or(self.path.take()),
            Condition::Method(_) => self.method = value.or(self.method.take()),
            Condition::Scheme(_) => self.scheme = value.or(self.scheme.take()),
            Condition::Authority(_) => self.authority = value.or(self.authority.take()),
            Condition::Query(query) => self.query.extend(value.map(|value| format!("{}={value}", query.name))),
            Condition::Header(condition) => match &condition.source {
                HeaderSource::Named(name) => self.headers.extend(value.map(|value| (name.to_string(), value))),
                HeaderSource::Authority => self.authority = value.or(self.authority.take()),
                HeaderSource::Method => self.method = value.or(self.method.take()),
                HeaderSource::Path => self.path = value.or(self.path.take()),
                HeaderSource::Scheme => self.scheme = value.or(self.scheme.take()),
                HeaderSource::Nowhere => {}
            },
        }
    }

    /// The request; none where what the conditions ask for is no request at all.
    pub(super) fn ask(self, host: &str, port: u16, gateway: bool) -> Option<Question> {
        let scheme = self.scheme.as_deref().unwrap_or("http");
        let path = self.path.as_deref().filter(|path| path.starts_with('/')).unwrap_or("/");
        let (path, own_query) = path.split_once('?').unwrap_or((path, ""));
        let query: Vec<_> =
            self.query.iter().map(String::as_str).chain([own_query]).filter(|q| !q.is_empty()).collect();
        let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
        let authority = self.authority.as_deref().unwrap_or(host);
        let url = format!("{scheme}://{authority}{path}{query}");
        let mut question = Question::new(self.method.as_deref().unwrap_or("GET"), &url).ok()?.on_port(port);
        for (name, value) in &self.headers {
            question = question.header(name, value).ok()?;
        }
        Some(if gateway { question.through_gateway() } else { question })
    }
}

/// A value by which a condition holds; none where it holds without.
fn fulfilled(condition: &Condition) -> Option<String> {
    match condition {
        Condition::Path(PathCondition::Exact { path: text, .. } | PathCondition::Prefix { prefix: text, .. }) => {
            Some(text.to_string())
        }
        Condition::Path(PathCondition::Regex { pattern, .. }) => samples(pattern).into_iter().next(),
        Condition::Header(condition) if condition.inverted => None,
        other => matcher(other).and_then(|matcher| values(matcher).into_iter().next()),
    }
}

/// Values by which a condition holds in other ways, or does not; `None` for no value.
fn ways(condition: &Condition) -> Vec<Option<String>> {
    let mut texts = match condition {
        Condition::Path(path) => return ways_of_path(path).into_iter().map(Some).collect(),
        other => matcher(other).map(values).unwrap_or_default(),
    };
    for text in texts.clone() {
        texts.push(format!("{text}x"));
        texts.push(text.to_ascii_uppercase());
    }
    texts.push(OTHER.to_owned());
    texts.into_iter().map(Some).chain([None]).collect()
}

fn ways_of_path(condition: &PathCondition) -> Vec<String> {
    let named = match condition {
        PathCondition::Exact { path: text, .. } | PathCondition::Prefix { prefix: text, .. } => vec![text.to_string()],
        PathCondition::Regex { pattern, .. } => samples(pattern),
    };
    let mut paths = vec![format!("/{OTHER}")];
    for path in named {
        // What lies below it and beside it, the one above, and other letters.
        paths.extend(["/", "/x", "x"].map(|tail| format!("{path}{tail}")));
        paths.extend(path.strip_suffix('/').filter(|path| !path.is_empty()).map(str::to_owned));
        paths.push(path.to_ascii_uppercase());
        paths.push(path);
    }
    paths
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
        StringMatcher::Regex(regex) => samples(regex.as_str()),
    }
}
