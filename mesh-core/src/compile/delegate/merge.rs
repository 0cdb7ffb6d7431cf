//! A rule that delegates and a rule of its delegate become one.

use std::collections::BTreeMap;

use mesh_config::api::virtual_service::{HttpMatchRequest, HttpRoute};

use super::conflict::conflicts;

/// The rules that a rule with a delegate stands for, in the order of the delegate's. Those that conflict with it are
/// missing.
pub fn merge_rules(root: &HttpRoute, leaves: &[HttpRoute]) -> Vec<HttpRoute> {
    leaves.iter().filter_map(|leaf| merge_rule(root, leaf)).collect()
}

/// The rule of a delegate as the root lets it act; `None` if their match blocks conflict.
///
/// A field that the delegate's rule has counts whole; what it lacks comes from the root.
pub fn merge_rule(root: &HttpRoute, leaf: &HttpRoute) -> Option<HttpRoute> {
    let matches = merge_matches(&root.matches, &leaf.matches)?;
    Some(HttpRoute {
        name: merge_names(&root.name, &leaf.name),
        matches,
        route: leaf.route.clone(),
        redirect: leaf.redirect.clone(),
        delegate: leaf.delegate.clone(),
        direct_response: either(&leaf.direct_response, &root.direct_response),
        rewrite: either(&leaf.rewrite, &root.rewrite),
        timeout: leaf.timeout.or(root.timeout),
        retries: either(&leaf.retries, &root.retries),
        fault: either(&leaf.fault, &root.fault),
        mirror: either(&leaf.mirror, &root.mirror),
        mirrors: if leaf.mirrors.is_empty() { root.mirrors.clone() } else { leaf.mirrors.clone() },
        mirror_percent: leaf.mirror_percent.or(root.mirror_percent),
        mirror_percentage: leaf.mirror_percentage.or(root.mirror_percentage),
        cors_policy: either(&leaf.cors_policy, &root.cors_policy),
        headers: either(&leaf.headers, &root.headers),
    })
}

/// Every block of the delegate with every block of the root that it fits into; `None` if one fits into none.
pub fn merge_matches(root: &[HttpMatchRequest], leaf: &[HttpMatchRequest]) -> Option<Vec<HttpMatchRequest>> {
    if root.is_empty() || leaf.is_empty() {
        return Some(if root.is_empty() { leaf.to_vec() } else { root.to_vec() });
    }
    let mut merged = Vec::new();
    for leaf in leaf {
        let before = merged.len();
        merged.extend(root.iter().filter(|root| !conflicts(root, leaf)).map(|root| merge_match(root, leaf)));
        if merged.len() == before {
            return None;
        }
    }
    Some(merged)
}

fn merge_match(root: &HttpMatchRequest, leaf: &HttpMatchRequest) -> HttpMatchRequest {
    HttpMatchRequest {
        name: merge_names(&root.name, &leaf.name),
        uri: either(&leaf.uri, &root.uri),
        scheme: either(&leaf.scheme, &root.scheme),
        method: either(&leaf.method, &root.method),
        authority: either(&leaf.authority, &root.authority),
        headers: union(&root.headers, &leaf.headers),
        port: if leaf.port == 0 { root.port } else { leaf.port },
        source_labels: union(&root.source_labels, &leaf.source_labels),
        gateways: if leaf.gateways.is_empty() { root.gateways.clone() } else { leaf.gateways.clone() },
        query_params: union(&root.query_params, &leaf.query_params),
        ignore_uri_case: leaf.ignore_uri_case,
        without_headers: union(&root.without_headers, &leaf.without_headers),
        source_namespace: first(&leaf.source_namespace, &root.source_namespace),
        stat_prefix: first(&leaf.stat_prefix, &root.stat_prefix),
    }
}

fn merge_names(root: &str, leaf: &str) -> String {
    match (root, leaf) {
        ("", name) | (name, "") => name.to_owned(),
        (root, leaf) => format!("{root}-{leaf}"),
    }
}

fn either<T: Clone>(leaf: &Option<T>, root: &Option<T>) -> Option<T> {
    leaf.as_ref().or(root.as_ref()).cloned()
}

fn first(leaf: &str, root: &str) -> String {
    if leaf.is_empty() { root.to_owned() } else { leaf.to_owned() }
}

fn union<V: Clone>(root: &BTreeMap<String, V>, leaf: &BTreeMap<String, V>) -> BTreeMap<String, V> {
    let mut union = root.clone();
    union.extend(leaf.clone());
    union
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::testing::parse;
    use serde_json::{Value, json};

    fn merged(root: Value, leaf: Value) -> Value {
        let merged = merge_rule(&parse(root), &parse(leaf));
        merged.map_or(Value::Null, |rule| serde_json::to_value(rule).unwrap())
    }

    #[test]
    fn every_pair_of_blocks_that_fit_becomes_a_block() {
        let root = json!({"match": [{"uri": {"prefix": "/a"}}, {"method": {"exact": "GET"}}]});
        let leaf = json!({"match": [{"uri": {"prefix": "/b"}}, {"uri": {"exact": "/a/x"}}], "directResponse": {"status": 200}});
        assert_eq!(
            merged(root, leaf)["match"],
            json!([
                {"uri": {"prefix": "/b"}, "method": {"exact": "GET"}},
                {"uri": {"exact": "/a/x"}},
                {"uri": {"exact": "/a/x"}, "method": {"exact": "GET"}},
            ])
        );
    }

    #[test]
    fn a_block_that_fits_nowhere_drops_the_rule_with_all_its_blocks() {
        let root = json!({"match": [{"uri": {"prefix": "/a"}}]});
        assert_eq!(
            merged(root, json!({"match": [{"uri": {"prefix": "/a/x"}}, {"uri": {"prefix": "/b"}}]})),
            Value::Null
        );
    }

    #[test]
    fn names_are_joined_where_both_have_one() {
        for (root, leaf, expected) in [("a", "b", json!("a-b")), ("a", "", json!("a")), ("", "b", json!("b"))] {
            let (root, leaf) = (json!({"name": root}), json!({"name": leaf}));
            assert_eq!(merged(root, leaf)["name"], expected);
        }
        let block = |name: &str| json!({"match": [{"name": name}]});
        assert_eq!(merged(block("a"), block("b"))["match"][0]["name"], json!("a-b"));
    }

    #[test]
    fn a_field_counts_whole() {
        let root = json!({"timeout": "1s", "headers": {"request": {"set": {"x": "1"}}}, "mirror": {"host": "m"}});
        let leaf = json!({"headers": {"response": {"set": {"y": "1"}}}, "mirrorPercentage": {"value": 5.0}});
        let merged = merged(root, leaf);
        assert_eq!(merged["headers"], json!({"response": {"set": {"y": "1"}}}));
        assert_eq!(merged["timeout"], json!("1s"));
        assert_eq!(merged["mirror"], json!({"host": "m"}));
        assert_eq!(merged["mirrorPercentage"], json!({"value": 5.0}));
    }
}
