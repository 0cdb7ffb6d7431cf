//! A compiled set of documents, to ask.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use http::{HeaderMap, Method};
use mesh_config::api::MeshConfig;
use mesh_config::{ConfigSet, Object, Typed, parse};
use mesh_core::snapshot::TableId;
use mesh_core::{Compiled, PeerView, RequestView, Scheme, Site, compile};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// A configuration struct from its JSON; null is the empty one.
pub(crate) fn read<T: DeserializeOwned>(json: &Value) -> T {
    let mut json = if json.is_null() { json!({}) } else { json.clone() };
    whole_numbers(&mut json);
    serde_json::from_value(json).expect("a configuration struct")
}

/// The tables write some whole numbers as `0.0`, which in proto JSON is the same.
fn whole_numbers(json: &mut Value) {
    match json {
        Value::Number(number) => {
            if let Some(whole) = number.as_f64().filter(|number| number.fract() == 0.0 && number.abs() < 1e9) {
                *json = json!(whole as i64);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(whole_numbers),
        Value::Object(map) => map.values_mut().for_each(whole_numbers),
        _ => {}
    }
}

/// The documents of a text that can be read; the others are none of this mesh's.
pub(crate) fn set(texts: &[String]) -> ConfigSet {
    let (documents, _) = parse("case", &texts.join("\n---\n"));
    ConfigSet::from_documents(documents).0
}

/// Documents from JSON, which is YAML too.
pub(crate) fn documents(objects: &Value) -> Vec<String> {
    objects.as_array().into_iter().flatten().map(Value::to_string).collect()
}

/// Objects that are not in any set.
pub(crate) fn objects<T: Typed + DeserializeOwned>(list: &Value) -> Vec<Object<T>> {
    let object = |json: &Value| {
        let text = |name: &str| json["metadata"][name].as_str().unwrap_or_default().to_owned();
        Object::new(mesh_config::ObjectMeta::new(text("namespace"), text("name")), read(&json["spec"]))
    };
    list.as_array().into_iter().flatten().map(object).collect()
}

/// The files of a case.
pub(crate) fn files(folder: &Path, case: &Value) -> Vec<String> {
    let names = ["kube_file", "file"].into_iter().filter_map(|key| case[key].as_str());
    names.map(|name| fs::read_to_string(folder.join(name)).expect("a file of the case")).collect()
}

/// The workload that a case is about. Without Kubernetes the simulations have no cluster domain.
pub(crate) fn site(case: &Value) -> Site {
    let proxy = &case["proxy"];
    let labels: Option<BTreeMap<String, String>> = proxy["labels"].as_object().map(|_| read(&proxy["labels"]));
    Site {
        namespace: proxy["namespace"].as_str().unwrap_or("default").to_owned(),
        labels: labels.unwrap_or_default(),
        cluster_domain: if case["kube_file"].is_null() { String::new() } else { "cluster.local".to_owned() },
        ..Site::default()
    }
}

pub(crate) fn compiled(texts: &[String], mesh: &MeshConfig, site: &Site) -> Compiled {
    compile(&set(texts), mesh, site)
}

/// What a listener does with a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// There is no listener.
    NoListener,
    /// No virtual host, or no route of it, takes the request.
    NoRoute,
    Cluster(String),
    RedirectToHttps,
    Other(String),
}

pub(crate) fn ask(compiled: &Compiled, table: Option<TableId>, port: u16, authority: &str, path: &str) -> Answer {
    use mesh_core::route::{Action, Redirect};
    let Some(table) = table else { return Answer::NoListener };
    let headers = HeaderMap::new();
    let view = RequestView {
        method: &Method::GET,
        scheme: Scheme::Http,
        authority,
        path,
        query: None,
        headers: &headers,
        peer: PeerView::default(),
        port,
    };
    let snapshot = &compiled.snapshot;
    let Ok(routed) = snapshot.route_in(table, &view, &mut mesh_core::SplitMix64::new(1)) else {
        return Answer::NoRoute;
    };
    match &snapshot.rule(routed.route).action {
        Action::Forward(_) => {
            Answer::Cluster(snapshot.destination(routed).expect("a destination").cluster.name.to_string())
        }
        Action::Passthrough(_) => Answer::Cluster("PassthroughCluster".to_owned()),
        Action::Redirect(redirect) if *redirect == Redirect::to_https() => Answer::RedirectToHttps,
        other => Answer::Other(format!("{other:?}")),
    }
}
