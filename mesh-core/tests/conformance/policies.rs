//! Which policies apply to a workload, and which connections it takes by them.

use std::fs;
use std::path::Path;

use mesh_config::Object;
use mesh_config::api::{AuthorizationPolicy, PeerAuthentication, RequestAuthentication};
use mesh_config::value::Labels;
use mesh_core::authn::{MtlsMode, PeerModes};
use mesh_core::selection::{Attached, Selection};
use serde_json::{Value, json};

use crate::world::{objects, read};
use crate::{differs, table};

pub(crate) fn policies(folder: &Path, case: &Value) -> Option<String> {
    match table(case) {
        "PolicyMatcher" => chosen(case),
        "AuthorizationPolicies_ListAuthorizationPolicies" => listed(case),
        "GetPoliciesForWorkload" => authentications(folder, case).or_else(|| selected_modes(folder, case)),
        "ComposePeerAuthentication" => composed(case),
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

/// The root namespace of a case's fixture, and its policies of a kind.
fn fixture(folder: &Path, case: &Value, kind: &str) -> Option<(String, Value)> {
    let fixture = fs::read_to_string(folder.join(case["fixture"].as_str()?)).expect("the fixture");
    let fixture: Value = serde_json::from_str(&fixture).expect("a fixture");
    let policies = fixture["policies"].as_array().into_iter().flatten();
    let of_kind = policies.filter(|policy| policy["kind"] == kind).cloned().collect();
    Some((fixture["root_namespace"].as_str()?.to_owned(), Value::Array(of_kind)))
}

fn authentications(folder: &Path, case: &Value) -> Option<String> {
    let (root, policies) = fixture(folder, case, "RequestAuthentication")?;
    let all = objects::<RequestAuthentication>(&policies);
    let mut found = with_selection(&case["input"], &root, |selection| {
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

/// Policies in Istio's order, the oldest first.
fn peer_authentications(list: &Value) -> Vec<Object<PeerAuthentication>> {
    let mut list = list.as_array().cloned().unwrap_or_default();
    let key = |policy: &Value| {
        let text = |name: &str| policy["metadata"][name].as_str().unwrap_or_default().to_owned();
        (text("creationTimestamp"), text("name"), text("namespace"))
    };
    list.sort_by_key(key);
    objects(&Value::Array(list))
}

/// A mode as the tables write it.
fn spelt(mode: MtlsMode) -> &'static str {
    match mode {
        MtlsMode::Disable => "MTLSDisable",
        MtlsMode::Permissive => "MTLSPermissive",
        MtlsMode::Strict => "MTLSStrict",
    }
}

/// The workload of the table is one that all of its selectors take.
fn composed(case: &Value) -> Option<String> {
    let policies = peer_authentications(&case["input"]["configs"]);
    let labels: Labels = [("app", "foo"), ("stage", "prod")].map(|(key, value)| (key.into(), value.into())).into();
    let modes = PeerModes::of(&policies, "root-namespace", "my-ns", &labels);
    let mut found = json!({"Mode": spelt(modes.mode)});
    for (port, mode) in &modes.ports {
        found["PerPort"][port.to_string()] = json!(spelt(*mode));
    }
    differs(&found, &case["expect"]["want"])
}

/// The policies that Istio selects make the same modes as all of them, and those of the namespace its mode.
fn selected_modes(folder: &Path, case: &Value) -> Option<String> {
    let (root, policies) = fixture(folder, case, "PeerAuthentication")?;
    let all = peer_authentications(&policies);
    let selected = peer_authentications(&case["expect"]["wantPeerAuthn"]);
    with_selection(&case["input"], &root, |selection| {
        let modes = |policies: &[Object<PeerAuthentication>], labels: &Labels| {
            PeerModes::of(policies, &root, selection.namespace, labels)
        };
        let of_namespace = spelt(modes(&all, &Labels::new()).mode);
        differs(modes(&all, selection.labels), modes(&selected, selection.labels))
            .or_else(|| differs(Some(of_namespace), case["expect"]["wantNamespaceMutualTLS"].as_str()))
    })
}
