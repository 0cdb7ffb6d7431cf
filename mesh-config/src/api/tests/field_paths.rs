//! Holds the structs against the list of all field paths of Istio's CRDs, where that list is at hand.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::{
    AuthorizationPolicy, DestinationRule, Gateway, PeerAuthentication, ProxyConfig, RequestAuthentication,
    ServiceEntry, Sidecar, Telemetry, VirtualService, WorkloadEntry, WorkloadGroup,
};

#[test]
fn every_field_path_of_the_crds_is_known() {
    // The list is not part of the repository.
    let Ok(directory) = std::env::var("MESH_CASES") else { return };
    let text = std::fs::read_to_string(format!("{directory}/conformance/reference/field-paths.json")).unwrap();
    let entries: Vec<Value> = serde_json::from_str(&text).unwrap();
    let mut unknown = Vec::new();
    let mut known = 0;
    for entry in &entries {
        let text = |key: &str| entry[key].as_str().unwrap();
        let (kind, path) = (text("kind"), text("path"));
        let Some(path) = path.strip_prefix("spec.") else {
            continue;
        };
        if candidates(text("type")).into_iter().any(|leaf| is_kept(kind, &document(path, leaf))) {
            known += 1;
        } else {
            unknown.push(format!("{kind} {path}"));
        }
    }
    assert_eq!(unknown, [""; 0]);
    assert!(known > 1000);
}

/// Values that a leaf of this type may take; which one fits depends on the field.
fn candidates(kind: &str) -> Vec<Value> {
    match kind {
        "integer" => vec![json!(1)],
        "number" => vec![json!(1.5)],
        "boolean" => vec![json!(true)],
        "array" => vec![json!(["a"]), json!([{}]), json!([1])],
        "object" => vec![json!({}), json!({"1": "a"}), json!({"1": {}}), json!({"1": 1})],
        // The number of an enum value is as good as its name.
        _ => vec![json!("a"), json!("1s"), json!(1), json!("YQ==")],
    }
}

/// A document that holds nothing but the leaf: `a[].b{}.c`.
fn document(path: &str, leaf: Value) -> Value {
    let (step, inner) = match path.split_once('.') {
        Some((step, rest)) => (step, document(rest, leaf)),
        None => (path, leaf),
    };
    let name = step.trim_end_matches("[]").trim_end_matches("{}");
    let mut value = inner;
    if step.ends_with("[]") {
        value = json!([value]);
    } else if step.ends_with("{}") {
        value = json!({"1": value});
    }
    Value::Object(Map::from_iter([(name.to_owned(), value)]))
}

fn is_kept(kind: &str, document: &Value) -> bool {
    match kind {
        "AuthorizationPolicy" => keeps::<AuthorizationPolicy>(document),
        "DestinationRule" => keeps::<DestinationRule>(document),
        "Gateway" => keeps::<Gateway>(document),
        "PeerAuthentication" => keeps::<PeerAuthentication>(document),
        "ProxyConfig" => keeps::<ProxyConfig>(document),
        "RequestAuthentication" => keeps::<RequestAuthentication>(document),
        "ServiceEntry" => keeps::<ServiceEntry>(document),
        "Sidecar" => keeps::<Sidecar>(document),
        "Telemetry" => keeps::<Telemetry>(document),
        "VirtualService" => keeps::<VirtualService>(document),
        "WorkloadEntry" => keeps::<WorkloadEntry>(document),
        "WorkloadGroup" => keeps::<WorkloadGroup>(document),
        _ => false,
    }
}

/// Whether the document is read without a rest and something of it is written again.
fn keeps<T: DeserializeOwned + Serialize>(document: &Value) -> bool {
    let Ok((value, unknown)) = crate::document::from_str_noting::<T>(&document.to_string()) else {
        return false;
    };
    let written = serde_json::to_value(&value).unwrap();
    let empty_leaf = document.to_string().ends_with(":{}}");
    unknown.is_empty() && (empty_leaf || written != json!({}))
}
