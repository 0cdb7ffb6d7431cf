//! Small tables about the parts of a rule.

use std::collections::BTreeMap;
use std::path::Path;

use mesh_config::api::virtual_service::HttpRoute;
use mesh_config::value::Labels;
use mesh_core::cluster::ClusterId;
use mesh_core::route::condition::claim;
use mesh_core::route::selector::{self, MatchSite};
use mesh_core::route::{ClusterRef, RuleContext, RuleOrigin, lower_rule};
use serde_json::{Value, json};

use crate::differs;
use crate::world::read;

fn site<'a>(labels: &'a Labels, namespace: &'a str) -> MatchSite<'a> {
    MatchSite { labels, namespace, gateway: None, port: 80, virtual_service_namespace: "default" }
}

pub(crate) fn source_of_http(_: &Path, case: &Value) -> Option<String> {
    let args = &case["input"]["args"];
    let labels = labels(&args["proxyLabels"]);
    let namespace = args["proxyNamespace"].as_str().unwrap_or_default();
    let found = selector::applies(&read(&args["match"]), &site(&labels, namespace));
    differs(Some(found), case["expect"]["want"].as_bool())
}

/// What a block for connections says about their source means the same as in one for requests.
pub(crate) fn source_of_connection(_: &Path, case: &Value) -> Option<String> {
    let args = &case["input"]["args"];
    let namespace = args["namespace"].as_str().unwrap_or_default();
    let own = labels(&args["proxyLabels"]);
    let wanted = labels(&args["match"]["sourceLabels"]);
    let source = args["match"]["sourceNamespace"].as_str().unwrap_or_default();
    let found = selector::takes_source(&wanted, source, &site(&own, namespace));
    differs(Some(found), case["expect"]["want"].as_bool())
}

fn labels(value: &Value) -> Labels {
    if value.is_null() { BTreeMap::new() } else { read(value) }
}

pub(crate) fn mirror_percent(_: &Path, case: &Value) -> Option<String> {
    mirrors_of(case["input"]["route"].clone(), case)
}

pub(crate) fn mirrors_percent(_: &Path, case: &Value) -> Option<String> {
    mirrors_of(json!({"mirrors": [case["input"]["policy"]]}), case)
}

fn mirrors_of(mut rule: Value, case: &Value) -> Option<String> {
    rule["route"] = json!([{"destination": {"host": "a"}}]);
    let rule: HttpRoute = read(&rule);
    let labels = Labels::new();
    let mut context = RuleContext {
        site: site(&labels, "default"),
        resolve: &mut |destination| ClusterRef { name: destination.host.as_str().into(), id: Some(ClusterId(0)) },
        default_retry: None,
        hashes: &[],
        origin: RuleOrigin::virtual_service("default", "case", 0),
    };
    let routes = lower_rule(&rule, &mut context).expect("a rule");
    differs(routes[0].mirrors.is_empty(), case["expect"]["want"].is_null())
}

pub(crate) fn claim(_: &Path, case: &Value) -> Option<String> {
    let found = claim::path_of(case["input"]["name"].as_str()?);
    let expected: Option<Vec<&str>> =
        case["expect"]["want"]["jwt_claims"].as_array().map(|claims| claims.iter().filter_map(Value::as_str).collect());
    differs(found, expected)
}
