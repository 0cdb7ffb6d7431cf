//! Match conditions: what a rule may ask of a request. All conditions of a route have to hold.
//!
//! One file per condition holds the type, how it is compared, how it is lowered from the
//! VirtualService, and its tests. Comparing allocates nothing.

pub mod authority;
pub mod claim;
pub mod header;
pub mod method;
pub mod path;
pub mod query;
pub mod scheme;
pub mod string_match;

use mesh_config::api::virtual_service::HttpMatchRequest;

use super::lower::LowerError;
use crate::RequestView;

pub use authority::AuthorityCondition;
pub use header::HeaderCondition;
pub use method::MethodCondition;
pub use path::PathCondition;
pub use query::QueryCondition;
pub use scheme::SchemeCondition;
pub use string_match::StringMatcher;

/// One thing that a rule asks of a request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Condition {
    /// `authority`
    Authority(AuthorityCondition),
    /// An entry of `headers` or `withoutHeaders`.
    Header(HeaderCondition),
    /// `method`
    Method(MethodCondition),
    /// `uri`
    Path(PathCondition),
    /// An entry of `queryParams`.
    Query(QueryCondition),
    /// `scheme`
    Scheme(SchemeCondition),
}

impl Condition {
    /// What a rule without `uri` asks of the path: that there is one.
    pub fn any_path() -> Self {
        Self::Path(PathCondition::any())
    }

    /// Whether the request is what the condition asks for.
    pub fn is_match(&self, req: &RequestView<'_>) -> bool {
        match self {
            Self::Authority(condition) => condition.is_match(req),
            Self::Header(condition) => condition.is_match(req),
            Self::Method(condition) => condition.is_match(req),
            Self::Path(condition) => condition.is_match(req.path),
            Self::Query(condition) => condition.is_match(req),
            Self::Scheme(condition) => condition.is_match(req),
        }
    }

    /// The conditions of a match block, the cheap ones first. The path always is one of them.
    ///
    /// `port`, `gateways`, `sourceLabels` and `sourceNamespace` are not among them: see
    /// [`selector`](super::selector).
    ///
    /// # Errors
    /// A regular expression that does not compile, a header name that is none.
    pub fn lower_all(block: &HttpMatchRequest) -> Result<Box<[Self]>, LowerError> {
        let mut conditions = vec![Self::Path(PathCondition::lower(block.uri.as_ref(), block.ignore_uri_case)?)];
        if let Some(method) = &block.method {
            conditions.push(Self::Method(MethodCondition::lower(method)?));
        }
        if let Some(scheme) = &block.scheme {
            conditions.push(Self::Scheme(SchemeCondition::lower(scheme)?));
        }
        if let Some(authority) = &block.authority {
            conditions.push(Self::Authority(AuthorityCondition::lower(authority)?));
        }
        for (name, value) in &block.query_params {
            conditions.push(Self::Query(QueryCondition::lower(name, value)?));
        }
        for (name, value) in &block.headers {
            conditions.push(Self::Header(HeaderCondition::lower(name, value)?));
        }
        for (name, value) in &block.without_headers {
            conditions.push(Self::Header(HeaderCondition::lower_without(name, value)?));
        }
        Ok(conditions.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::testing::{Request, parse};

    #[test]
    fn every_condition_of_a_block_becomes_one() {
        let block: HttpMatchRequest = parse(serde_json::json!({
            "uri": {"prefix": "/a"}, "method": {"exact": "GET"}, "scheme": {"exact": "http"},
            "authority": {"exact": "a"}, "queryParams": {"q": {"exact": "1"}},
            "headers": {"X-A": {"exact": "1"}, "x-a": {"prefix": "1"}}, "withoutHeaders": {"x-b": {}},
        }));
        let conditions = Condition::lower_all(&block).unwrap();
        assert_eq!(conditions.len(), 8);
        let request = Request::get("/a?q=1").authority("a").header("x-a", "1");
        assert!(conditions.iter().all(|condition| condition.is_match(&request.view())));
        for other in [
            Request::get("/b?q=1").authority("a").header("x-a", "1"),
            Request::get("/a?q=2").authority("a").header("x-a", "1"),
            Request::get("/a?q=1").authority("b").header("x-a", "1"),
            Request::get("/a?q=1").authority("a").header("x-a", "1").header("x-b", ""),
            Request::get("/a?q=1").authority("a").header("x-a", "12"),
            Request::get("/a?q=1").authority("a").header("x-a", "1").method("POST"),
        ] {
            assert!(!conditions.iter().all(|condition| condition.is_match(&other.view())), "{other:?}");
        }
    }

    #[test]
    fn a_block_without_uri_still_asks_for_a_path() {
        let conditions = Condition::lower_all(&HttpMatchRequest::default()).unwrap();
        assert!(matches!(&*conditions, [Condition::Path(_)]));
        assert!(conditions[0].is_match(&Request::get("/any").view()));
        assert!(!conditions[0].is_match(&Request::get("*").view()));
    }

    #[test]
    fn an_error_names_the_field() {
        let block: HttpMatchRequest = parse(serde_json::json!({"headers": {"x-a": {"regex": "("}}}));
        assert_eq!(Condition::lower_all(&block).unwrap_err().path, "headers.x-a.regex");
        let block: HttpMatchRequest = parse(serde_json::json!({"uri": {"regex": "("}}));
        assert_eq!(Condition::lower_all(&block).unwrap_err().path, "uri.regex");
    }
}
