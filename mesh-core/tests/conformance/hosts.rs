//! Virtual hosts: their domains and the clusters behind their routes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use mesh_config::api::MeshConfig;
use mesh_core::compile::host_names::ServiceNames;
use mesh_core::route::{Action, Route};
use mesh_core::{Compiled, Site};
use serde_json::{Value, json};

use crate::differs;
use crate::world::{compiled, documents, files, read, site};

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

pub(crate) fn domains(_: &Path, case: &Value) -> Option<String> {
    let (service, node) = (&case["input"]["service"], &case["input"]["node"]);
    let attributes = &service["Attributes"];
    let hosts = attributes["Aliases"].as_array().into_iter().flatten();
    let aliases: Vec<_> = hosts.map(|alias| text(&alias["Hostname"]).to_owned()).collect();
    let of_cluster = &service["ClusterVIPs"]["Addresses"][text(&node["Metadata"]["ClusterID"])];
    let names = ServiceNames {
        host: text(&service["Hostname"]),
        aliases: &aliases,
        headless: service["Resolution"] == "Passthrough" && attributes["ServiceRegistry"] == "Kubernetes",
        addresses: &texts(of_cluster),
    };
    let found = names.domains(text(&node["DNSDomain"])).into_iter().map(|domain| domain.name).collect::<Vec<_>>();
    differs(found, texts(&case["expect"]["want"]))
}

/// The virtual hosts of a mesh port with their domains; that for unknown hosts has the domain `*`.
fn virtual_hosts(compiled: &Compiled, port: u16) -> BTreeMap<String, BTreeSet<String>> {
    let snapshot = &compiled.snapshot;
    let table = snapshot.mesh_table(port).expect("a table for every port");
    let mut hosts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (domain, vhost) in snapshot.domains(table) {
        hosts.entry(snapshot.vhost(vhost).0.to_owned()).or_default().insert(domain);
    }
    if let Some(route) = snapshot.unknown_host(table) {
        hosts.insert(route.name.to_string(), BTreeSet::from(["*".to_owned()]));
    }
    hosts
}

/// The fixture's services are those of a registry. As ServiceEntries they have no names of single endpoints, which
/// only Services of Kubernetes have; those are asked for in the table about domains.
pub(crate) fn outbound(folder: &Path, case: &Value) -> Option<String> {
    let input = &case["input"];
    let Ok(port) = text(&input["routeName"]).parse::<u16>() else {
        return Some("a route table that is not one of a port".to_owned());
    };
    let fixture: Value =
        serde_json::from_str(&fs::read_to_string(folder.join(text(&case["fixture"]))).expect("the fixture"))
            .expect("a fixture");
    let mut all: Vec<String> =
        fixture["services"].as_array().into_iter().flatten().map(|service| entry(service).to_string()).collect();
    all.extend(documents(&input["virtualServiceConfigs"]));
    all.extend(documents(&json!([input["sidecarConfig"]])));
    let mode = if input["registryOnly"] == true { "REGISTRY_ONLY" } else { "ALLOW_ANY" };
    let mesh: MeshConfig = read(&json!({"outboundTrafficPolicy": {"mode": mode}}));
    let site = Site {
        namespace: text(&fixture["proxy"]["namespace"]).to_owned(),
        cluster_domain: String::new(),
        ..Site::default()
    };
    let mut expected: BTreeMap<String, BTreeMap<String, bool>> = read(&case["expect"]["expectedHosts"]);
    expected.values_mut().for_each(|domains| domains.retain(|domain, _| !domain.starts_with("*.")));
    let expected = expected.into_iter().map(|(name, domains)| (name, domains.into_keys().collect())).collect();
    differs(virtual_hosts(&compiled(&all, &mesh, &site), port), expected)
}

/// A ServiceEntry for a service of the fixture.
fn entry(service: &Value) -> Value {
    let attributes = &service["Attributes"];
    let address = text(&service["DefaultAddress"]);
    let addresses: Vec<&str> = [address].into_iter().filter(|address| !matches!(*address, "" | "0.0.0.0")).collect();
    let port = |port: &Value| json!({"number": port["Port"], "name": port["Name"], "protocol": port["Protocol"]});
    let ports: Vec<Value> = service["Ports"].as_array().into_iter().flatten().map(port).collect();
    let resolution = if service["Resolution"] == "DNSLB" { "DNS" } else { "NONE" };
    json!({
        "apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry",
        "metadata": {"name": service["Hostname"], "namespace": attributes["Namespace"]},
        "spec": {
            "hosts": [service["Hostname"]], "addresses": addresses, "ports": ports, "resolution": resolution,
            "exportTo": attributes["ExportTo"],
        },
    })
}

pub(crate) fn sidecar_routes(folder: &Path, case: &Value) -> Option<String> {
    let port = text(&case["expect"]["route_config"]).parse::<u16>().expect("a port");
    let compiled = compiled(&files(folder, case), &MeshConfig::default(), &site(case));
    let hosts = case["expect"]["virtual_hosts"].as_object().into_iter().flatten();
    hosts.into_iter().find_map(|(host, clusters)| {
        let expected = clusters.as_array().map(|_| texts(clusters));
        differs(clusters_of(&compiled, port, host), expected).map(|difference| format!("{host}: {difference}"))
    })
}

/// The clusters behind the routes of the virtual host that has exactly this domain.
fn clusters_of(compiled: &Compiled, port: u16, domain: &str) -> Option<Vec<String>> {
    let snapshot = &compiled.snapshot;
    let domains = snapshot.domains(snapshot.mesh_table(port)?);
    let (_, vhost) = domains.into_iter().find(|(known, _)| known == domain)?;
    let clusters = |route: &Route| match &route.action {
        Action::Forward(forward) => forward.split.iter().map(|to| to.cluster.name.to_string()).collect(),
        _ => Vec::new(),
    };
    Some(snapshot.vhost(vhost).1.iter().flat_map(clusters).collect())
}
