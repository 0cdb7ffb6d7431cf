//! `authority`: the authority as the caller wrote it.

use mesh_config::value::StringMatch;

use super::StringMatcher;
use crate::RequestView;
use crate::route::lower::LowerError;

/// Asks for an authority.
///
/// Port and case count, although the choice of the virtual host ignores both: `exact: reviews`
/// does not take a request for `reviews:9080`.
#[derive(Clone, Debug)]
pub struct AuthorityCondition(pub(crate) StringMatcher);

impl AuthorityCondition {
    /// Whether the request's authority is the one asked for.
    pub fn is_match(&self, req: &RequestView<'_>) -> bool {
        self.0.is_match(req.authority.as_bytes())
    }

    /// From `match.authority`.
    ///
    /// # Errors
    /// A regular expression that does not compile.
    pub fn lower(from: &StringMatch) -> Result<Self, LowerError> {
        StringMatcher::lower(from, "authority").map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::testing::Request;

    #[test]
    fn port_and_case_count() {
        let condition = AuthorityCondition::lower(&StringMatch::Exact("test.local".into())).unwrap();
        assert!(condition.is_match(&Request::get("/").authority("test.local").view()));
        assert!(!condition.is_match(&Request::get("/").authority("test.local:18080").view()));
        assert!(!condition.is_match(&Request::get("/").authority("TEST.LOCAL").view()));
    }
}
