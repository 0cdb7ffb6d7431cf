//! Root and delegate VirtualServices.

use std::path::Path;

use mesh_config::api::MeshConfig;
use mesh_config::api::VirtualService;
use mesh_config::api::virtual_service::{HttpMatchRequest, HttpRoute};
use mesh_core::Site;
use mesh_core::compile::delegate;
use serde_json::{Value, json};

use crate::differs;
use crate::world::{documents, objects, read, set};

pub(crate) fn rules(_: &Path, case: &Value) -> Option<String> {
    let root: HttpRoute = read(&case["input"]["root"]);
    let leaves: Vec<HttpRoute> = read(&case["input"]["delegate"]);
    differs(delegate::merge_rules(&root, &leaves), read(&case["expect"]["expected"]))
}

pub(crate) fn matches(_: &Path, case: &Value) -> Option<String> {
    let root: Vec<HttpMatchRequest> = read(&case["input"]["root"]);
    let leaf: Vec<HttpMatchRequest> = read(&case["input"]["delegate"]);
    let expected = &case["expect"]["expected"];
    differs(delegate::merge_matches(&root, &leaf), (!expected.is_null()).then(|| read(expected)))
}

pub(crate) fn conflict(_: &Path, case: &Value) -> Option<String> {
    let found = delegate::conflicts(&read(&case["input"]["root"]), &read(&case["input"]["leaf"]));
    differs(Some(found), case["expect"]["expected"].as_bool())
}

/// The specs are compared: the expectations are written for whatever root the table has.
pub(crate) fn virtual_services(_: &Path, case: &Value) -> Option<String> {
    let set = set(&documents(&case["input"]["virtualServices"]));
    let mesh: MeshConfig = read(&json!({"defaultVirtualServiceExportTo": case["input"]["defaultExportTo"]}));
    let (merged, _) = delegate::expand(&set, &mesh, &Site::default());
    let specs = |objects: Vec<mesh_config::Object<VirtualService>>| -> Vec<VirtualService> {
        objects.into_iter().map(|object| object.spec).collect()
    };
    differs(specs(merged), specs(objects(&case["expect"]["expectedVirtualServices"])))
}
