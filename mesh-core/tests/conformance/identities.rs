//! Identities: how they are read and made, and which stand for one another.

use std::path::Path;

use mesh_core::identity::{SpiffeId, TrustDomain, TrustDomains};
use serde_json::{Value, json};

use crate::{differs, table};

pub(crate) fn identities(_: &Path, case: &Value) -> Option<String> {
    match table(case) {
        "Identity" => read(case),
        "GenSpiffeURI" => made(case),
        "ExpandWithTrustDomains" => expanded(case),
        other => Some(format!("{other}: not measured")),
    }
}

fn read(case: &Value) -> Option<String> {
    let id = case["input"]["input"].as_str()?.parse::<SpiffeId>().ok();
    let parts = id.as_ref().and_then(|id| Some((id.trust_domain(), id.workload()?)));
    let found = parts.map(|(domain, (namespace, account))| {
        json!({"TrustDomain": domain, "Namespace": namespace, "ServiceAccount": account})
    });
    differs(found.unwrap_or_default(), case["expect"]["expected"].clone())
}

fn made(case: &Value) -> Option<String> {
    let text = |name: &str| case["input"][name].as_str().unwrap_or_default();
    let id = text("trustDomain").parse::<TrustDomain>().ok();
    let id =
        id.and_then(|domain| SpiffeId::of_service_account(&domain, text("namespace"), text("serviceAccount")).ok());
    let fails = case["expect"]["expectedError"].as_str().is_some_and(|error| !error.is_empty());
    let expected = case["expect"]["expectedURI"].as_str().filter(|_| !fails);
    differs(id.as_ref().map(SpiffeId::as_str), expected)
}

/// The table adds the names; a mesh asks about one that a certificate carries. It lists aliases only: the domain of the
/// ids is the mesh's own.
fn expanded(case: &Value) -> Option<String> {
    let texts = |name: &str| case["input"][name].as_array().into_iter().flatten().filter_map(Value::as_str);
    let domains = TrustDomains::new(std::iter::once("cluster.local").chain(texts("trustDomains")));
    let ids = || texts("spiffeURI");
    let is_expected = |name: &str| {
        let id = name.parse::<SpiffeId>();
        ids().any(|given| given == name || id.as_ref().is_ok_and(|id| domains.stands_for(id, given)))
    };
    let wanted: Vec<&String> = case["expect"]["want"].as_object().into_iter().flatten().map(|(name, _)| name).collect();
    let missing: Vec<_> = wanted.iter().filter(|name| !is_expected(name)).collect();
    let foreign = ids().map(|id| id.replace("cluster.local", "elsewhere")).filter(|id| !wanted.contains(&id));
    let too_many: Vec<_> = foreign.filter(|name| is_expected(name)).collect();
    (!missing.is_empty() || !too_many.is_empty()).then(|| format!("missing {missing:?}, too many {too_many:?}"))
}
