//! Which policies apply to a workload.

use std::fs;
use std::path::Path;

use mesh_config::api::{AuthorizationPolicy, RequestAuthentication};
use mesh_core::selection::{Attached, Selection};
use serde_json::Value;

use crate::world::{objects, read};
use crate::{differs, table};

/// The tables about policies that are judged by request; those about connections come with mutual TLS.
pub(crate) fn policies(folder: &Path, case: &Value) -> Option<String> {
    match table(case) {
        "PolicyMatcher" => chosen(case),
        "AuthorizationPolicies_ListAuthorizationPolicies" => listed(case),
        "GetPoliciesForWorkload" => authentications(folder, case),
        other => Some(format!("{other}: not measured")),
    }
}

/// Calls with the workload that a case describes.
fn with_selection<T>(given: &Value, root: &str, then: impl FnOnce(&Selection<'_>) -> T) -> T {
    let text = |name: &str| given[name].as_str();
    let namespace = text("WorkloadNamespace").or(text("workloadNamespace")).unwrap_or_default();
    let labels = ["WorkloadLabels", "workloadLabels"].into_iter().find(|name| given[name].is_object());
    let labels = labels.map(|name| read(&given[name])).unwrap_or_default();
    let mut services: Vec<Attached<'_>> = given["Services"].as_array().into_iter().flatten().map(attached).collect();
    services
        .extend(given["WithService"]["Attributes"].as_object().map(|_| attached(&given["WithService"]["Attributes"])));
    then(&Selection {
        namespace,
        labels: &labels,
        root_namespace: text("RootNamespace").unwrap_or(root),
        waypoint: given["IsWaypoint"] == true || given["isWaypoint"] == true,
        services: &services,
        selects_gateways: true,
    })
}

fn attached(service: &Value) -> Attached<'_> {
    let registry = service["Registry"].as_str().or(service["ServiceRegistry"].as_str());
    let text = |name: &str| service[name].as_str().unwrap_or_default();
    let kind = if registry == Some("External") { "ServiceEntry" } else { "Service" };
    Attached { kind, namespace: text("Namespace"), name: text("Name") }
}

fn chosen(case: &Value) -> Option<String> {
    let input = &case["input"];
    let policy: AuthorizationPolicy = read(&input["policy"]);
    let found = with_selection(&input["selection"], "istio-system", |selection| {
        let selects_gateways = input["enableSelectorPolicies"] == true;
        Selection { selects_gateways, ..selection.clone() }.chooses(selection.namespace, &policy)
    });
    differs(Some(found), case["expect"]["expected"].as_bool())
}

fn listed(case: &Value) -> Option<String> {
    let input = &case["input"];
    let all = objects::<AuthorizationPolicy>(&input["configs"]);
    let found = with_selection(&input["selectionOpts"], "istio-config", |selection| {
        let found = selection.of_policies(&all);
        ["ALLOW", "DENY", "AUDIT", "CUSTOM"].map(|action| {
            let of_action = found.iter().filter(|policy| policy.spec.action.as_str() == action);
            of_action.map(|policy| policy.meta.namespaced_name().to_string()).collect::<Vec<_>>()
        })
    });
    let expected = ["wantAllow", "wantDeny", "wantAudit", "wantCustom"].map(|name| {
        let policies = case["expect"][name].as_array().into_iter().flatten();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        policies.map(|policy| format!("{}/{}", text(&policy["Namespace"]), text(&policy["Name"]))).collect::<Vec<_>>()
    });
    differs(found, expected)
}

fn authentications(folder: &Path, case: &Value) -> Option<String> {
    let fixture = fs::read_to_string(folder.join(case["fixture"].as_str()?)).expect("the fixture");
    let fixture: Value = serde_json::from_str(&fixture).expect("a fixture");
    let of_kind = |kind: &str| {
        let policies = fixture["policies"].as_array().into_iter().flatten();
        Value::Array(policies.filter(|policy| policy["kind"] == kind).cloned().collect())
    };
    let all = objects::<RequestAuthentication>(&of_kind("RequestAuthentication"));
    let mut found = with_selection(&case["input"], fixture["root_namespace"].as_str()?, |selection| {
        let found = selection.of_policies(&all);
        found.iter().map(|policy| policy.meta.namespaced_name().to_string()).collect::<Vec<_>>()
    });
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let expected = case["expect"]["wantRequestAuthn"].as_array().into_iter().flatten();
    let mut expected: Vec<_> = expected
        .map(|policy| format!("{}/{}", text(&policy["metadata"]["namespace"]), text(&policy["metadata"]["name"])))
        .collect();
    found.sort();
    expected.sort();
    differs(found, expected)
}
