//! `uri`: the path without its query.

use mesh_config::value::StringMatch;
use regex::bytes::Regex;

use super::string_match::compile;
use crate::route::lower::LowerError;

/// Asks for a path. The query is not looked at and nothing is decoded.
#[derive(Clone, Debug)]
pub enum PathCondition {
    /// The whole path. An empty one matches nothing, since no path is empty.
    Exact {
        /// The path.
        path: Box<str>,
        /// Whether ASCII letters are compared without regard to case.
        ignore_case: bool,
    },
    /// How the path begins, byte for byte: `/api` takes `/apix` too.
    Prefix {
        /// The prefix; empty for any path.
        prefix: Box<str>,
        /// Whether ASCII letters are compared without regard to case.
        ignore_case: bool,
    },
    /// A regular expression for the whole path. `ignoreUriCase` has no effect on it.
    Regex {
        /// The compiled expression.
        regex: Regex,
        /// The expression as it is written.
        pattern: Box<str>,
    },
}

impl PathCondition {
    /// What a rule without `uri` asks for.
    pub fn any() -> Self {
        Self::Prefix { prefix: "/".into(), ignore_case: false }
    }

    /// Whether the path is as asked for.
    pub fn is_match(&self, path: &str) -> bool {
        match self {
            Self::Exact { path: exact, ignore_case } => {
                !path.is_empty() && (path == &**exact || (*ignore_case && path.eq_ignore_ascii_case(exact)))
            }
            Self::Prefix { prefix, ignore_case } => {
                path.starts_with(&**prefix) || (*ignore_case && starts_with_ignoring_case(path, prefix))
            }
            Self::Regex { regex, .. } => regex.is_match(path.as_bytes()),
        }
    }

    /// How much of a path that matches is what the rule names: what a rewrite replaces.
    pub fn matched(&self) -> Matched {
        match self {
            Self::Prefix { prefix, .. } => Matched::Prefix(prefix.len()),
            Self::Exact { .. } | Self::Regex { .. } => Matched::Whole,
        }
    }

    /// Whether a gateway counts a route with this as its only condition as a catch-all.
    pub fn is_catch_all(&self) -> bool {
        match self {
            Self::Exact { .. } => false,
            Self::Prefix { prefix, .. } => &**prefix == "/",
            Self::Regex { pattern, .. } => &**pattern == ".*",
        }
    }

    /// From `match.uri` and `match.ignoreUriCase`.
    ///
    /// # Errors
    /// A regular expression that does not compile.
    pub fn lower(from: Option<&StringMatch>, ignore_case: bool) -> Result<Self, LowerError> {
        Ok(match from {
            None | Some(StringMatch::Presence) => Self::Prefix { prefix: "/".into(), ignore_case },
            Some(StringMatch::Exact(path)) => Self::Exact { path: path.as_str().into(), ignore_case },
            Some(StringMatch::Prefix(prefix)) => Self::Prefix { prefix: prefix.as_str().into(), ignore_case },
            Some(StringMatch::Regex(pattern)) => {
                Self::Regex { regex: compile(pattern, "uri")?, pattern: pattern.as_str().into() }
            }
        })
    }
}

/// The part of a path that a condition names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matched {
    /// So many bytes at its beginning.
    Prefix(usize),
    /// All of it.
    Whole,
}

impl Matched {
    /// What is left of a path behind it.
    pub fn rest(self, path: &str) -> &str {
        match self {
            Self::Prefix(length) => path.get(length..).unwrap_or_default(),
            Self::Whole => "",
        }
    }
}

fn starts_with_ignoring_case(path: &str, prefix: &str) -> bool {
    path.as_bytes().get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lowered(from: &StringMatch, ignore_case: bool) -> PathCondition {
        PathCondition::lower(Some(from), ignore_case).unwrap()
    }

    fn check(condition: &PathCondition, rows: &[(&str, bool)]) {
        for (path, expected) in rows {
            assert_eq!(condition.is_match(path), *expected, "{path} {condition:?}");
        }
    }

    #[test]
    fn a_prefix_matches_without_a_segment_boundary() {
        let prefix = lowered(&StringMatch::Prefix("/api".into()), false);
        check(&prefix, &[("/api", true), ("/apix", true), ("/api/x", true), ("/ap", false), ("/API", false)]);
    }

    #[test]
    fn an_exact_path_takes_no_slash_and_no_parameter() {
        let exact = lowered(&StringMatch::Exact("/p".into()), false);
        check(&exact, &[("/p", true), ("/p/", false), ("/p;a=1", false), ("/P", false)]);
    }

    #[test]
    fn an_empty_exact_matches_nothing_and_an_empty_prefix_everything() {
        check(&lowered(&StringMatch::Exact(String::new()), false), &[("/", false), ("", false), ("//", false)]);
        check(&lowered(&StringMatch::Prefix(String::new()), false), &[("/", true), ("/a", true)]);
    }

    #[test]
    fn case_is_ignored_where_asked_except_by_a_regex() {
        check(
            &lowered(&StringMatch::Prefix("/Mixed".into()), true),
            &[("/mixed", true), ("/MIXED/x", true), ("/mix", false)],
        );
        check(&lowered(&StringMatch::Exact("/Mixed".into()), true), &[("/mIxEd", true), ("/mixed/", false)]);
        check(&lowered(&StringMatch::Regex("/[a-z]+".into()), true), &[("/ab", true), ("/AB", false)]);
    }

    #[test]
    fn a_prefix_may_end_inside_a_character() {
        // Three bytes are asked for and the third is the first half of a character.
        check(&lowered(&StringMatch::Prefix("/aX".into()), true), &[("/aé", false), ("/ax", true)]);
    }

    #[test]
    fn what_a_gateway_moves_to_the_end_is_a_catch_all() {
        assert!(lowered(&StringMatch::Prefix("/".into()), false).is_catch_all());
        assert!(lowered(&StringMatch::Regex(".*".into()), false).is_catch_all());
        assert!(PathCondition::any().is_catch_all());
        assert!(!lowered(&StringMatch::Prefix(String::new()), false).is_catch_all());
        assert!(!lowered(&StringMatch::Regex("/.*".into()), false).is_catch_all());
        assert!(!lowered(&StringMatch::Exact("/".into()), false).is_catch_all());
    }
}
