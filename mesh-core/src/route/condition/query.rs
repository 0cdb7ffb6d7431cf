//! `queryParams`: query parameters, undecoded.

use mesh_config::value::StringMatch;

use super::StringMatcher;
use crate::RequestView;
use crate::route::lower::LowerError;

/// Asks for a query parameter.
///
/// Only the first parameter of the name counts. Name and value are compared as they stand in the
/// URI, percent signs and case included. A parameter without `=` has an empty value.
#[derive(Clone, Debug)]
pub struct QueryCondition {
    pub(crate) name: Box<str>,
    pub(crate) matcher: StringMatcher,
}

impl QueryCondition {
    /// Whether the request has the parameter with a value as asked for.
    pub fn is_match(&self, req: &RequestView<'_>) -> bool {
        first_value(req.query, &self.name).is_some_and(|value| self.matcher.is_match(value.as_bytes()))
    }

    /// From an entry of `match.queryParams`.
    ///
    /// # Errors
    /// A regular expression that does not compile.
    pub fn lower(name: &str, from: &StringMatch) -> Result<Self, LowerError> {
        let matcher = StringMatcher::lower(from, &format!("queryParams.{name}"))?;
        Ok(Self { name: name.into(), matcher })
    }
}

/// The value of the first parameter of that name.
pub(crate) fn first_value<'q>(query: Option<&'q str>, name: &str) -> Option<&'q str> {
    query?.split('&').find_map(|parameter| {
        let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        (key == name).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::testing::Request;

    fn matches(from: &StringMatch, path: &str) -> bool {
        QueryCondition::lower("k", from).unwrap().is_match(&Request::get(path).view())
    }

    #[test]
    fn only_the_first_value_counts() {
        let one = || StringMatch::Exact("1".into());
        assert!(matches(&one(), "/?k=1&k=2"));
        assert!(!matches(&one(), "/?k=2&k=1"));
        assert!(matches(&one(), "/?a=k=1&k=1"));
    }

    #[test]
    fn nothing_is_decoded_and_case_counts() {
        let value = || StringMatch::Exact("v%20v".into());
        assert!(matches(&value(), "/?k=v%20v"));
        assert!(!matches(&value(), "/?k=v+v"));
        assert!(!matches(&StringMatch::Exact("1".into()), "/?K=1"));
        assert!(!matches(&StringMatch::Prefix("beta".into()), "/?k=Beta"));
    }

    #[test]
    fn a_parameter_without_value_is_present() {
        assert!(matches(&StringMatch::Presence, "/?k"));
        assert!(matches(&StringMatch::Presence, "/?k="));
        assert!(matches(&StringMatch::Regex(".*".into()), "/?k"));
        assert!(!matches(&StringMatch::Presence, "/?kk=k"));
        assert!(!matches(&StringMatch::Regex(".*".into()), "/"));
    }
}
