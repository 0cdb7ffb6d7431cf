//! Tables about host names and labels.

use std::collections::BTreeMap;
use std::path::Path;

use mesh_config::value::{Labels, host, labels};
use serde_json::Value;

use super::strings;

fn differs(found: &Value, expected: &Value) -> Option<String> {
    (found != expected).then(|| format!("found {found}, expected {expected}"))
}

pub(crate) fn host_names(_: &Path, case: &Value) -> Option<String> {
    let (input, expect) = (&case["input"], &case["expect"]);
    let text = |name: &str| input[name].as_str().unwrap_or_default();
    let id = case["id"].as_str().unwrap_or_default();
    let table = id.split('/').nth(1).unwrap_or_default();
    let (found, expected) = match table {
        "NameMatches" => (Value::from(host::matches(text("a"), text("b"))), &expect["out"]),
        "NameSubsetOf" => (Value::from(host::subset_of(text("a"), text("b"))), &expect["out"]),
        "NamesIntersection" => {
            (Value::from(host::intersection(&strings(&input["a"]), &strings(&input["b"]))), &expect["intersection"])
        }
        "NamesForNamespace" => {
            (Value::from(host::for_namespace(&strings(&input["hosts"]), text("namespace"))), &expect["want"])
        }
        "NamesSortOrder" => {
            let mut hosts = strings(&input["in"]);
            hosts.sort_by(|a, b| host::by_specificity(a, b));
            (Value::from(hosts), &expect["want"])
        }
        "MoreSpecific" => {
            (Value::from(host::by_specificity(text("host1"), text("host2")).is_le()), &expect["expected"])
        }
        "MostSpecificHostMatch" => {
            let found = host::most_specific_match(text("needle"), strings(&input["in"]));
            (Value::from(found.unwrap_or_default()), &expect["want"])
        }
        "ResolveShortnameToFQDN" => {
            let meta = |name: &str| input["meta"][name].as_str().unwrap_or_default();
            (Value::from(host::resolve_short_name(text("name"), meta("Namespace"), meta("Domain"))), &expect["out"])
        }
        "ScopedFqdn_InScopeOf" => {
            let open = host::for_namespace(&[text("ScFqdn")], text("Namespace"));
            (Value::from(!open.is_empty()), &expect["Want"])
        }
        other => return Some(format!("unknown table {other}")),
    };
    differs(&found, expected)
}

pub(crate) fn label_sets(_: &Path, case: &Value) -> Option<String> {
    let (input, expect) = (&case["input"], &case["expect"]);
    let set = |name: &str| -> Labels {
        let entries = input[name].as_object().into_iter().flatten();
        entries.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
    };
    let id = case["id"].as_str().unwrap_or_default();
    match id.split('/').nth(1).unwrap_or_default() {
        "Instance" => {
            let (left, right) = (set("left"), set("right"));
            let found = BTreeMap::from([
                ("selected", labels::selects(&left, &right)),
                ("subsetOf", labels::subset_of(&left, &right)),
            ]);
            differs(&serde_json::to_value(found).expect("a map"), &expect["expected"])
        }
        "InstanceValidate" => differs(&Value::from(labels::check(&set("tags")).is_empty()), &expect["valid"]),
        "String" => differs(&Value::from(labels::to_line(&set("input"))), &expect["expected"]),
        "LabelsEquals" => differs(&Value::from(set("a") == set("b")), &expect["want"]),
        other => Some(format!("unknown table {other}")),
    }
}
