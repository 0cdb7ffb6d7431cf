//! `headers` and `withoutHeaders`: headers and what HTTP/2 calls pseudo headers.

use http::HeaderName;
use mesh_config::value::StringMatch;

use super::{StringMatcher, claim};
use crate::RequestView;
use crate::route::lower::LowerError;

/// Asks for a header, or for its absence.
///
/// Each line of a repeated header is compared for itself and one that matches is enough; lines are
/// never joined. The inverted form holds if no line matches, a missing header counting as an empty
/// one there; the inverted presence test holds if the header is missing.
#[derive(Clone, Debug)]
pub struct HeaderCondition {
    pub(crate) source: HeaderSource,
    pub(crate) matcher: StringMatcher,
    pub(crate) inverted: bool,
}

/// Where the values come from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum HeaderSource {
    /// `:authority` and `host`
    Authority,
    /// A claim of the caller's token, by the way to it: each element of a list is a value.
    Claim(Box<[Box<str>]>),
    /// `:method`
    Method,
    /// `:path`, with its query
    Path,
    /// `:scheme`
    Scheme,
    /// A pseudo header that no request has, such as `:status`.
    Nowhere,
    /// A header.
    Named(HeaderName),
}

impl HeaderCondition {
    /// Whether the request's header is as asked for.
    pub fn is_match(&self, req: &RequestView<'_>) -> bool {
        if !self.inverted {
            return self.any_value_matches(req) == Some(true);
        }
        match (&self.matcher, self.any_value_matches(req)) {
            (StringMatcher::Present, found) => found.is_none(),
            (_, Some(matched)) => !matched,
            (matcher, None) => !matcher.is_match(b""),
        }
    }

    /// `None` if there is no value.
    fn any_value_matches(&self, req: &RequestView<'_>) -> Option<bool> {
        Some(match &self.source {
            HeaderSource::Authority => self.matcher.is_match(req.authority.as_bytes()),
            HeaderSource::Claim(way) => {
                let claims = req.peer.claims?;
                claims.get(way)?;
                claims.has(way, |value| self.matcher.is_match(value.as_bytes()))
            }
            HeaderSource::Method => self.matcher.is_match(req.method.as_str().as_bytes()),
            HeaderSource::Path => self.path_matches(req.path, req.query),
            HeaderSource::Scheme => self.matcher.is_match(req.scheme.as_str().as_bytes()),
            HeaderSource::Nowhere => return None,
            HeaderSource::Named(name) => {
                let mut values = req.headers.get_all(name).iter();
                let first = values.next()?;
                self.matcher.is_match(first.as_bytes()) || values.any(|value| self.matcher.is_match(value.as_bytes()))
            }
        })
    }

    /// Compares path, `?` and query as one string without making one where it can be helped.
    fn path_matches(&self, path: &str, query: Option<&str>) -> bool {
        let Some(query) = query else {
            return self.matcher.is_match(path.as_bytes());
        };
        let whole = || path.bytes().chain([b'?']).chain(query.bytes());
        match &self.matcher {
            StringMatcher::Present => true,
            StringMatcher::Exact(exact) => whole().eq(exact.bytes()),
            StringMatcher::Prefix(prefix) => {
                prefix.len() <= path.len() + 1 + query.len()
                    && whole().zip(prefix.bytes()).all(|(have, want)| have == want)
            }
            StringMatcher::Regex(regex) => with_joined(path, query, |whole| regex.is_match(whole)),
        }
    }

    /// From an entry of `match.headers`.
    ///
    /// # Errors
    /// A name that is none, a regular expression that does not compile.
    pub fn lower(name: &str, from: &StringMatch) -> Result<Self, LowerError> {
        Self::lower_at("headers", name, from, false)
    }

    /// From an entry of `match.withoutHeaders`.
    ///
    /// # Errors
    /// A name that is none, a regular expression that does not compile.
    pub fn lower_without(name: &str, from: &StringMatch) -> Result<Self, LowerError> {
        Self::lower_at("withoutHeaders", name, from, true)
    }

    fn lower_at(field: &str, name: &str, from: &StringMatch, inverted: bool) -> Result<Self, LowerError> {
        let field = format!("{field}.{name}");
        let source = HeaderSource::lower(name).map_err(|message| LowerError::new(field.clone(), message))?;
        let matcher = match from {
            // Not an expression of RE2 but Istio's sign for "any value".
            StringMatch::Regex(pattern) if pattern == "*" => StringMatcher::Present,
            other => StringMatcher::lower(other, &field)?,
        };
        Ok(Self { source, matcher, inverted })
    }
}

impl HeaderSource {
    fn lower(name: &str) -> Result<Self, String> {
        if let Some(way) = claim::path_of(name) {
            return Ok(Self::Claim(way.into_iter().map(Into::into).collect()));
        }
        Ok(match name.to_ascii_lowercase().as_str() {
            ":authority" | "host" => Self::Authority,
            ":method" => Self::Method,
            ":path" => Self::Path,
            ":scheme" => Self::Scheme,
            pseudo if pseudo.starts_with(':') => Self::Nowhere,
            other => Self::Named(other.parse().map_err(|_| format!("header name {name} is not a valid header name"))?),
        })
    }
}

/// Joins the two parts of a request target, on the stack unless they are long.
fn with_joined(path: &str, query: &str, compare: impl FnOnce(&[u8]) -> bool) -> bool {
    let mut short = [0; 512];
    let length = path.len() + 1 + query.len();
    let mut long;
    let buffer = match short.get_mut(..length) {
        Some(buffer) => buffer,
        None => {
            long = vec![0; length];
            long.as_mut_slice()
        }
    };
    let (head, tail) = buffer.split_at_mut(path.len());
    head.copy_from_slice(path.as_bytes());
    tail[0] = b'?';
    tail[1..].copy_from_slice(query.as_bytes());
    compare(buffer)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::route::testing::Request;

    fn exact(value: &str) -> StringMatch {
        StringMatch::Exact(value.into())
    }

    fn request(values: &[&str]) -> Request {
        values.iter().fold(Request::get("/"), |request, value| request.header("x-a", value))
    }

    #[test]
    fn each_line_is_compared_for_itself() {
        let condition = HeaderCondition::lower("X-A", &exact("a")).unwrap();
        for (values, expected) in [
            (&[][..], false),
            (&["a"], true),
            (&["b"], false),
            (&["a", "b"], true),
            (&["b", "a"], true),
            (&["a,b"], false),
            (&[""], false),
        ] {
            assert_eq!(condition.is_match(&request(values).view()), expected, "{values:?}");
        }
    }

    #[test]
    fn an_empty_value_is_asked_for_only_of_a_header_that_is_there() {
        let condition = HeaderCondition::lower("x-a", &exact("")).unwrap();
        assert!(!condition.is_match(&request(&[]).view()));
        assert!(condition.is_match(&request(&[""]).view()));
    }

    #[test]
    fn an_inverted_value_takes_a_missing_header() {
        let condition = HeaderCondition::lower_without("x-a", &exact("a")).unwrap();
        for (values, expected) in [
            (&[][..], true),
            (&["a"], false),
            (&["b"], true),
            (&["b", "a"], false),
            (&["b", "c"], true),
            (&["a,b"], true),
        ] {
            assert_eq!(condition.is_match(&request(values).view()), expected, "{values:?}");
        }
        let empty = HeaderCondition::lower_without("x-a", &exact("")).unwrap();
        assert!(!empty.is_match(&request(&[]).view()));
    }

    #[test]
    fn an_inverted_presence_test_asks_for_absence() {
        for form in [StringMatch::Presence, StringMatch::Regex("*".into())] {
            let condition = HeaderCondition::lower_without("x-a", &form).unwrap();
            assert!(condition.is_match(&request(&[]).view()));
            assert!(!condition.is_match(&request(&[""]).view()));
        }
    }

    #[test]
    fn pseudo_headers_and_host_are_what_the_request_says() {
        let request = Request::get("/a?b=c").authority("Reviews:9080").header("method", "PUT");
        for (name, value) in [
            (":authority", "Reviews:9080"),
            ("host", "Reviews:9080"),
            ("Host", "Reviews:9080"),
            (":method", "GET"),
            (":path", "/a?b=c"),
            (":scheme", "http"),
            ("method", "PUT"),
        ] {
            let condition = HeaderCondition::lower(name, &exact(value)).unwrap();
            assert!(condition.is_match(&request.view()), "{name}");
        }
        let status = HeaderCondition::lower(":status", &StringMatch::Presence).unwrap();
        assert!(!status.is_match(&request.view()));
    }

    #[test]
    fn a_claim_is_asked_for_like_a_header() {
        let serde_json::Value::Object(claims) =
            serde_json::json!({"group": ["a", "b"], "realm": {"role": "x"}, "n": 1})
        else {
            panic!("an object")
        };
        let claims = crate::jwt::Claims::new(claims);
        let request = Request::get("/");
        let is = |name: &str, value: &str, known: bool| {
            let mut view = request.view();
            view.peer.claims = known.then_some(&claims);
            let asked = HeaderCondition::lower(name, &exact(value)).unwrap();
            let without = HeaderCondition::lower_without(name, &exact(value)).unwrap();
            assert_ne!(asked.is_match(&view), without.is_match(&view), "{name}");
            asked.is_match(&view)
        };
        assert!(is("@request.auth.claims.group", "b", true) && is("@request.auth.claims[realm][role]", "x", true));
        assert!(!is("@request.auth.claims.group", "c", true) && !is("@request.auth.claims.n", "1", true));
        assert!(!is("@request.auth.claims.group", "b", false));
    }

    #[test]
    fn a_name_that_no_header_can_have_is_an_error() {
        for name in ["", "a b", "a\n", "@request.auth.claims"] {
            let error = HeaderCondition::lower(name, &exact("a")).unwrap_err();
            assert_eq!(error.path, format!("headers.{name}"));
        }
    }

    proptest! {
        #[test]
        fn the_path_with_its_query_is_one_string(path in "/[ab]{0,3}", query in "[ab?]{0,3}", want in "/?[ab?]{0,7}") {
            let request = Request::get(&format!("{path}?{query}"));
            let whole = format!("{path}?{query}");
            let matches = |from: StringMatch| HeaderCondition::lower(":path", &from).unwrap().is_match(&request.view());
            prop_assert_eq!(matches(StringMatch::Exact(want.clone())), whole == want);
            prop_assert_eq!(matches(StringMatch::Prefix(want.clone())), whole.starts_with(&want));
            let pattern = want.replace('?', "[?]");
            prop_assert_eq!(matches(StringMatch::Regex(format!("{pattern}.*"))), whole.starts_with(&want));
        }

        #[test]
        fn a_long_target_is_compared_whole(length in 500_usize..530) {
            let query = "q".repeat(length);
            let request = Request::get(&format!("/a?{query}"));
            let condition = HeaderCondition::lower(":path", &StringMatch::Regex("/a[?]q*".into())).unwrap();
            prop_assert!(condition.is_match(&request.view()));
        }

        #[test]
        fn inverting_a_value_is_not_matching_it(values in prop::collection::vec("[ab]{0,1}", 1..4)) {
            let values: Vec<_> = values.iter().map(String::as_str).collect();
            let request = request(&values);
            let plain = HeaderCondition::lower("x-a", &exact("a")).unwrap();
            let inverted = HeaderCondition::lower_without("x-a", &exact("a")).unwrap();
            prop_assert_ne!(plain.is_match(&request.view()), inverted.is_match(&request.view()));
        }
    }
}
