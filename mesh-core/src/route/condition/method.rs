//! `method`: the request method, with case.

use mesh_config::value::StringMatch;

use super::StringMatcher;
use crate::RequestView;
use crate::route::lower::LowerError;

/// Asks for a method. Methods have case: `get` is not `GET`.
#[derive(Clone, Debug)]
pub struct MethodCondition(pub(crate) StringMatcher);

impl MethodCondition {
    /// Whether the request's method is the one asked for.
    pub fn is_match(&self, req: &RequestView<'_>) -> bool {
        self.0.is_match(req.method.as_str().as_bytes())
    }

    /// From `match.method`.
    ///
    /// # Errors
    /// A regular expression that does not compile.
    pub fn lower(from: &StringMatch) -> Result<Self, LowerError> {
        StringMatcher::lower(from, "method").map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::testing::Request;

    #[test]
    fn a_method_is_compared_with_case() {
        let lower = MethodCondition::lower(&StringMatch::Exact("get".into())).unwrap();
        let upper = MethodCondition::lower(&StringMatch::Exact("GET".into())).unwrap();
        let regex = MethodCondition::lower(&StringMatch::Regex("GET|HEAD".into())).unwrap();
        let request = Request::get("/");
        assert!(!lower.is_match(&request.view()));
        assert!(upper.is_match(&request.view()) && regex.is_match(&request.view()));
    }
}
