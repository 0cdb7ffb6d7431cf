//! Why a route does not take a request: the first condition that fails, and what the request has instead.

use std::fmt;

use http::Method;

use super::Mismatch;
use crate::RequestView;
use crate::route::condition::header::HeaderSource;
use crate::route::condition::{HeaderCondition, PathCondition, QueryCondition, StringMatcher, query};
use crate::route::{Condition, Route};

/// The first condition of a route that the request fails; `None` if it takes the request.
pub(super) fn first(route: &Route, request: &RequestView<'_>) -> Option<Mismatch> {
    if request.method == Method::CONNECT {
        let wanted = "any method but CONNECT".to_owned();
        return Some(Mismatch { subject: "method".into(), wanted, found: "\"CONNECT\"".into() });
    }
    let failed = route.conditions.iter().find(|condition| !condition.is_match(request))?;
    Some(of(failed, request))
}

fn of(condition: &Condition, request: &RequestView<'_>) -> Mismatch {
    let (subject, wanted, found) = match condition {
        Condition::Authority(condition) => ("authority".into(), condition.0.to_string(), quoted(request.authority)),
        Condition::Method(condition) => ("method".into(), condition.0.to_string(), quoted(request.method.as_str())),
        Condition::Scheme(condition) => ("scheme".into(), condition.0.to_string(), quoted(request.scheme.as_str())),
        Condition::Path(condition) => ("path".into(), condition.to_string(), quoted(request.path)),
        Condition::Query(QueryCondition { name, matcher }) => {
            let found = query::first_value(request.query, name).map_or_else(missing, quoted);
            (format!("query parameter {name}"), matcher.to_string(), found)
        }
        Condition::Header(condition) => of_header(condition, request),
    };
    Mismatch { subject, wanted, found }
}

fn of_header(condition: &HeaderCondition, request: &RequestView<'_>) -> (String, String, String) {
    let whole = || match request.query {
        Some(query) => quoted(&format!("{}?{query}", request.path)),
        None => quoted(request.path),
    };
    let claim;
    let (name, found) = match &condition.source {
        HeaderSource::Claim(way) => {
            claim = format!("@request.auth.claims[{}]", way.join("]["));
            // What a token says is not printed.
            let known = request.peer.claims.is_some_and(|claims| claims.get(way).is_some());
            (claim.as_str(), if known { "another value".to_owned() } else { missing() })
        }
        HeaderSource::Authority => (":authority", quoted(request.authority)),
        HeaderSource::Method => (":method", quoted(request.method.as_str())),
        HeaderSource::Path => (":path", whole()),
        HeaderSource::Scheme => (":scheme", quoted(request.scheme.as_str())),
        HeaderSource::Nowhere => ("pseudo header", "which no request has".to_owned()),
        HeaderSource::Named(name) => {
            let values: Vec<_> = request
                .headers
                .get_all(name)
                .iter()
                .map(|value| quoted(&String::from_utf8_lossy(value.as_bytes())))
                .collect();
            (name.as_str(), if values.is_empty() { missing() } else { values.join(", ") })
        }
    };
    let wanted = match (&condition.matcher, condition.inverted) {
        (StringMatcher::Present, true) => "it to be absent".to_owned(),
        (matcher, true) => format!("not {matcher}"),
        (matcher, false) => matcher.to_string(),
    };
    (format!("header {name}"), wanted, found)
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}

fn missing() -> String {
    "missing".to_owned()
}

/// What a rule asks for, in its own words: `exact "v2"`.
impl fmt::Display for StringMatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Present => f.write_str("any value"),
            Self::Exact(exact) => write!(f, "exact {exact:?}"),
            Self::Prefix(prefix) => write!(f, "prefix {prefix:?}"),
            Self::Regex(regex) => write!(f, "regex {:?}", as_written(regex.as_str())),
        }
    }
}

/// What a rule asks of the path: `prefix "/api"`.
impl fmt::Display for PathCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let case = |ignore: bool| if ignore { " in any case" } else { "" };
        match self {
            Self::Exact { path, ignore_case } => write!(f, "exact {path:?}{}", case(*ignore_case)),
            Self::Prefix { prefix, ignore_case } => write!(f, "prefix {prefix:?}{}", case(*ignore_case)),
            Self::Regex { pattern, .. } => write!(f, "regex {pattern:?}"),
        }
    }
}

/// An expression without what makes it match the whole value.
fn as_written(pattern: &str) -> &str {
    let inner = pattern.strip_prefix("^(?:").and_then(|rest| rest.strip_suffix(")$"));
    inner.unwrap_or(pattern)
}
