//! `scheme`: `http` or `https`.

use mesh_config::value::StringMatch;

use super::StringMatcher;
use crate::RequestView;
use crate::route::lower::LowerError;

/// Asks for a scheme, as Envoy sees it: see [`RequestView::scheme`].
#[derive(Clone, Debug)]
pub struct SchemeCondition(pub(crate) StringMatcher);

impl SchemeCondition {
    /// Whether the request's scheme is the one asked for.
    pub fn is_match(&self, req: &RequestView<'_>) -> bool {
        self.0.is_match(req.scheme.as_str().as_bytes())
    }

    /// From `match.scheme`.
    ///
    /// # Errors
    /// A regular expression that does not compile.
    pub fn lower(from: &StringMatch) -> Result<Self, LowerError> {
        StringMatcher::lower(from, "scheme").map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::testing::Request;

    #[test]
    fn a_scheme_is_lower_case_and_matched_whole() {
        for (from, expected) in [
            (StringMatch::Exact("http".into()), true),
            (StringMatch::Exact("HTTP".into()), false),
            (StringMatch::Exact("https".into()), false),
            (StringMatch::Prefix("ht".into()), true),
            (StringMatch::Regex("https?".into()), true),
            (StringMatch::Regex("htt".into()), false),
        ] {
            let condition = SchemeCondition::lower(&from).unwrap();
            assert_eq!(condition.is_match(&Request::get("/").view()), expected, "{from:?}");
        }
    }
}
