//! Whether a match block of a delegate fits into one of the rule that names the delegate.

use std::collections::BTreeMap;

use mesh_config::api::virtual_service::HttpMatchRequest;
use mesh_config::value::{Labels, StringMatch};

/// Whether a block of a delegate asks for something that the root's block does not let through.
///
/// Decided by the text of the two blocks, as in Istio, so it is stricter than what requests could show: a regular
/// expression on either side conflicts with any other condition on the same thing, and a root that ignores the case of
/// paths wants a delegate that says so too, even if that one does not speak of paths.
pub fn conflicts(root: &HttpMatchRequest, leaf: &HttpMatchRequest) -> bool {
    let pairs = [
        (&root.uri, &leaf.uri),
        (&root.scheme, &leaf.scheme),
        (&root.method, &leaf.method),
        (&root.authority, &leaf.authority),
    ];
    pairs.into_iter().any(|(root, leaf)| differ(root.as_ref(), leaf.as_ref()))
        || any_differs(&root.headers, &leaf.headers)
        || any_differs(&root.without_headers, &leaf.without_headers)
        || any_differs(&root.query_params, &leaf.query_params)
        || root.ignore_uri_case != leaf.ignore_uri_case
        || (root.port != 0 && leaf.port != 0 && root.port != leaf.port)
        || (!root.source_namespace.is_empty() && root.source_namespace != leaf.source_namespace)
        || other_labels(&root.source_labels, &leaf.source_labels)
        || more_gateways(&root.gateways, &leaf.gateways)
}

fn differ(root: Option<&StringMatch>, leaf: Option<&StringMatch>) -> bool {
    let (Some(root), Some(leaf)) = (root, leaf) else { return false };
    let fits = match (root, leaf) {
        (StringMatch::Exact(root), StringMatch::Exact(leaf)) => !root.is_empty() && root == leaf,
        (StringMatch::Prefix(root), StringMatch::Exact(leaf) | StringMatch::Prefix(leaf)) => {
            !root.is_empty() && !leaf.is_empty() && leaf.starts_with(root.as_str())
        }
        _ => false,
    };
    !fits
}

fn any_differs(root: &BTreeMap<String, StringMatch>, leaf: &BTreeMap<String, StringMatch>) -> bool {
    leaf.iter().any(|(name, leaf)| differ(root.get(name), Some(leaf)))
}

fn other_labels(root: &Labels, leaf: &Labels) -> bool {
    leaf.iter().any(|(key, leaf)| root.get(key).is_some_and(|root| root != leaf))
}

fn more_gateways(root: &[String], leaf: &[String]) -> bool {
    !root.is_empty() && (leaf.len() > root.len() || leaf.iter().any(|gateway| !root.contains(gateway)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::testing::parse;

    fn check(rows: &[(serde_json::Value, serde_json::Value, bool)]) {
        for (root, leaf, expected) in rows {
            assert_eq!(conflicts(&parse(root.clone()), &parse(leaf.clone())), *expected, "{root} {leaf}");
        }
    }

    #[test]
    fn a_prefix_takes_what_begins_with_it() {
        use serde_json::json;
        check(&[
            (json!({"uri": {"prefix": "/a"}}), json!({"uri": {"prefix": "/a/b"}}), false),
            (json!({"uri": {"prefix": "/a"}}), json!({"uri": {"exact": "/ab"}}), false),
            (json!({"uri": {"prefix": "/a"}}), json!({"uri": {"prefix": "/"}}), true),
            (json!({"uri": {"prefix": "/a"}}), json!({"uri": {"exact": "/b"}}), true),
            (json!({"uri": {"prefix": ""}}), json!({"uri": {"prefix": "/a"}}), true),
            (json!({"uri": {"prefix": "/a"}}), json!({}), false),
            (json!({}), json!({"uri": {"prefix": "/a"}}), false),
        ]);
    }

    #[test]
    fn an_exact_value_takes_only_itself_and_a_regex_nothing() {
        use serde_json::json;
        check(&[
            (json!({"uri": {"exact": "/a"}}), json!({"uri": {"exact": "/a"}}), false),
            (json!({"uri": {"exact": "/a"}}), json!({"uri": {"prefix": "/a"}}), true),
            (json!({"uri": {"regex": "/a"}}), json!({"uri": {"regex": "/a"}}), true),
            (json!({"uri": {"prefix": "/a"}}), json!({"uri": {"regex": "/a.*"}}), true),
            (json!({"uri": {"regex": "/a"}}), json!({"method": {"exact": "GET"}}), false),
        ]);
    }

    #[test]
    fn maps_conflict_only_where_both_speak_of_one_name() {
        use serde_json::json;
        check(&[
            (json!({"headers": {"a": {"exact": "1"}}}), json!({"headers": {"b": {"exact": "2"}}}), false),
            (json!({"headers": {"a": {"exact": "1"}}}), json!({"headers": {"a": {"exact": "2"}}}), true),
            (json!({"headers": {"a": {}}}), json!({"headers": {"a": {"exact": "2"}}}), true),
            (json!({"withoutHeaders": {"a": {"prefix": "1"}}}), json!({"withoutHeaders": {"a": {"exact": "2"}}}), true),
            (json!({"queryParams": {"a": {"prefix": "1"}}}), json!({"queryParams": {"a": {"exact": "12"}}}), false),
        ]);
    }

    #[test]
    fn what_selects_the_caller_may_be_narrowed_but_not_changed() {
        use serde_json::json;
        check(&[
            (json!({"port": 1}), json!({}), false),
            (json!({"port": 1}), json!({"port": 2}), true),
            (json!({"sourceNamespace": "a"}), json!({}), true),
            (json!({}), json!({"sourceNamespace": "a"}), false),
            (json!({"sourceLabels": {"a": "1"}}), json!({"sourceLabels": {"b": "1"}}), false),
            (json!({"sourceLabels": {"a": "1"}}), json!({"sourceLabels": {"a": "2"}}), true),
            (json!({"gateways": ["a/b", "mesh"]}), json!({"gateways": ["mesh"]}), false),
            (json!({"gateways": ["a/b"]}), json!({"gateways": ["a/b", "mesh"]}), true),
            (json!({"gateways": ["a/b"]}), json!({}), false),
            (json!({"ignoreUriCase": true}), json!({}), true),
        ]);
    }
}
