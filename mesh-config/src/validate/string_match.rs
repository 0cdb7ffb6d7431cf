//! The texts of exact, prefix and regex matches.

use super::checker::{At, Checker};
use crate::value::{StringMatch, regex};

/// Where a match stands, which is part of Istio's message and of a few exceptions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Authority,
    CorsOrigins,
    Headers,
    Method,
    QueryParams,
    RegexRewrite,
    Scheme,
    Uri,
    WithoutHeaders,
}

impl Place {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Authority => "authority",
            Self::CorsOrigins => "corsPolicy.allowOrigins",
            Self::Headers => "headers",
            Self::Method => "method",
            Self::QueryParams => "queryParams",
            Self::RegexRewrite => "HTTPRewrite.UriRegexRewrite.Match",
            Self::Scheme => "scheme",
            Self::Uri => "uri",
            Self::WithoutHeaders => "withoutHeaders",
        }
    }
}

pub(super) fn check(cx: &mut Checker<'_>, at: &At<'_>, value: &StringMatch, place: Place) {
    match value {
        // The empty prefix of a path takes every path.
        StringMatch::Prefix(prefix) if prefix.is_empty() && place != Place::Uri => {
            cx.error(&at.field("prefix"), format!("{:?}: prefix string match should not be empty", place.as_str()));
        }
        // A lone star asks for the header to be absent.
        StringMatch::Regex(source) if source == "*" && place == Place::WithoutHeaders => {}
        StringMatch::Regex(source) => check_regex(cx, &at.field("regex"), source, place),
        _ => {}
    }
}

pub(super) fn check_regex(cx: &mut Checker<'_>, at: &At<'_>, source: &str, place: Place) {
    if let Err(problem) = regex::full_match(source) {
        cx.error(at, format!("{:?}: {problem}", place.as_str()));
    }
}
