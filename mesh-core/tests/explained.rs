//! Explanations as a person reads them, held in files.
//!
//! `MESH_BLESS=1 cargo test -p mesh-core --test explained` accepts what has changed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use mesh_config::api::MeshConfig;
use mesh_config::{ConfigSet, parse};
use mesh_core::explain::{Explainer, Question};
use mesh_core::{Site, compile};

const MESH: &str = include_str!("explained/mesh.yaml");

fn questions() -> BTreeMap<&'static str, Question> {
    let get = |url: &str| Question::get(url).unwrap();
    BTreeMap::from([
        ("a_split", get("http://reviews:9080/1?a=b").with_roll(41)),
        ("the_other_part_of_a_split", get("http://reviews:9080/1").with_roll(97)),
        ("a_header", get("http://reviews:9080/1").header("end-user", "jason").unwrap()),
        ("a_query_parameter_in_the_short_name_of_a_namespace", get("http://reviews.default:9080/1?user=jason")),
        ("a_redirect", get("http://reviews.default.svc.cluster.local:9080/old/books?page=2")),
        ("a_direct_response", get("http://reviews:9080/teapot")),
        ("a_subset_without_endpoints", get("http://reviews:9080/next")),
        ("a_subset_that_does_not_exist", get("http://reviews:9080/lost")),
        ("a_service_without_rules", get("http://api.partner.example/orders")),
        ("a_host_that_nobody_knows", get("http://elsewhere.example/")),
        (
            "a_method_that_does_not_match",
            Question::new("POST", "http://reviews:9080/1").unwrap().header("end-user", "jason").unwrap(),
        ),
    ])
}

#[test]
fn explanations_read_as_they_did() {
    let (documents, report) = parse("mesh.yaml", MESH);
    assert!(!report.has_errors(), "{report}");
    let (set, _) = ConfigSet::from_documents(documents);
    let (mesh, site) = (MeshConfig::default(), Site::default());
    let snapshot = compile(&set, &mesh, &site).snapshot;
    let explainer = Explainer::new(&set, &mesh, &site, &snapshot);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/explained");
    let mut different = Vec::new();
    for (name, question) in questions() {
        let (file, text) = (folder.join(format!("{name}.txt")), explainer.explain(&question).to_string());
        if std::env::var_os("MESH_BLESS").is_some() {
            fs::write(&file, &text).unwrap();
        } else if fs::read_to_string(&file).unwrap_or_default() != text {
            different.push(format!("{name} is now:\n{text}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}
