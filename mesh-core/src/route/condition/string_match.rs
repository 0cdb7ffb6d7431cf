//! A `StringMatch` in the form it is compared in.

use mesh_config::value::{StringMatch, regex as re2};
use regex::bytes::Regex;

use crate::route::lower::LowerError;

/// One way to compare a value, byte for byte.
#[derive(Clone, Debug)]
pub enum StringMatcher {
    /// Any value, the empty one included.
    Present,
    /// The whole value.
    Exact(Box<str>),
    /// How the value begins.
    Prefix(Box<str>),
    /// A regular expression for the whole value.
    Regex(Regex),
}

impl StringMatcher {
    /// Whether a value that is there is the one asked for.
    pub fn is_match(&self, value: &[u8]) -> bool {
        match self {
            Self::Present => true,
            Self::Exact(exact) => value == exact.as_bytes(),
            Self::Prefix(prefix) => value.starts_with(prefix.as_bytes()),
            Self::Regex(regex) => regex.is_match(value),
        }
    }

    /// Compiles a `StringMatch` found at `field`.
    ///
    /// # Errors
    /// A regular expression that RE2 does not know, at `field.regex`.
    pub fn lower(from: &StringMatch, field: &str) -> Result<Self, LowerError> {
        Ok(match from {
            StringMatch::Presence => Self::Present,
            StringMatch::Exact(exact) => Self::Exact(exact.as_str().into()),
            StringMatch::Prefix(prefix) => Self::Prefix(prefix.as_str().into()),
            StringMatch::Regex(pattern) => Self::Regex(compile(pattern, field)?),
        })
    }
}

/// Compiles an RE2 pattern that has to match the whole value.
pub(crate) fn compile(pattern: &str, field: &str) -> Result<Regex, LowerError> {
    re2::full_match(pattern).map_err(|error| LowerError::new(format!("{field}.regex"), error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lowered(from: &StringMatch) -> StringMatcher {
        StringMatcher::lower(from, "uri").unwrap()
    }

    #[test]
    fn each_form_compares_as_envoy_does() {
        let exact = lowered(&StringMatch::Exact("a".into()));
        assert!(exact.is_match(b"a") && !exact.is_match(b"A") && !exact.is_match(b"ab") && !exact.is_match(b""));
        let empty = lowered(&StringMatch::Exact(String::new()));
        assert!(empty.is_match(b"") && !empty.is_match(b"a"));
        let prefix = lowered(&StringMatch::Prefix("ab".into()));
        assert!(prefix.is_match(b"abc") && !prefix.is_match(b"a") && !prefix.is_match(b"xab"));
        assert!(lowered(&StringMatch::Presence).is_match(b""));
    }

    #[test]
    fn a_regex_has_to_match_the_whole_value() {
        let regex = lowered(&StringMatch::Regex("a.c".into()));
        assert!(regex.is_match(b"abc"));
        assert!(!regex.is_match(b"xabc") && !regex.is_match(b"abcx"));
        let alternatives = lowered(&StringMatch::Regex("/x|/y".into()));
        assert!(alternatives.is_match(b"/x") && alternatives.is_match(b"/y"));
        assert!(!alternatives.is_match(b"/xy") && !alternatives.is_match(b"/x/"));
    }

    #[test]
    fn a_value_need_not_be_utf8() {
        assert!(lowered(&StringMatch::Prefix("a".into())).is_match(b"a\xff"));
        assert!(!lowered(&StringMatch::Regex("a".into())).is_match(b"a\xff"));
    }

    #[test]
    fn a_broken_regex_names_its_field() {
        let error = StringMatcher::lower(&StringMatch::Regex("(".into()), "uri").unwrap_err();
        assert_eq!(error.path, "uri.regex");
    }
}
