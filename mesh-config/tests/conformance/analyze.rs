//! `istioctl analyze`: files in, and the multiset of codes and resources out.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::SystemTime;

use mesh_config::analyze::{ANALYZERS, Inventory, Options};
use mesh_config::{ConfigSet, ParseOptions, Report, parse_with};
use serde_json::Value;

/// What Istio's tests call an analyzer, where the tool calls it something else.
const TOOL_NAMES: &[(&str, &str)] = &[
    ("authz.AuthorizationPoliciesAnalyzer", "auth.AuthorizationPoliciesAnalyzer"),
    ("deprecation.FieldAnalyzer", "deprecation.DeprecationAnalyzer"),
    ("destinationrule.PodNotSelectedAnalyzer", "destinationrule.SubsetSelectPodAnalyzer"),
    ("serviceentry.ProtocolAddressesAnalyzer", "serviceentry.Analyzer"),
];

/// Files of a whole cluster, one analyzer, and its findings.
#[expect(clippy::disallowed_methods, reason = "the certificates of the cases are judged by today")]
pub(crate) fn analyze(suite: &Path, case: &Value) -> Option<String> {
    let name = case["analyzer"].as_str().expect("an analyzer");
    let set = read(suite, case);
    let report = match kind_of_validation(name) {
        Some(kind) => of_kind(&set.validate(), kind),
        None => {
            let tool_name = TOOL_NAMES.iter().find(|(test, _)| *test == name).map_or(name, |(_, tool)| *tool);
            if ANALYZERS.iter().all(|analyzer| analyzer.name() != tool_name) {
                return Some(format!("no analyzer {tool_name}"));
            }
            let options = Options::default().inventory(Inventory::Cluster).only([tool_name]).now(SystemTime::now());
            set.analyze_with(&options)
        }
    };
    let found = counted(report.iter().map(|finding| {
        let resource = finding.resource.as_ref().map(ToString::to_string).unwrap_or_default();
        (finding.code.as_str().to_owned(), resource, finding.severity.to_string())
    }));
    let text = |message: &Value, key: &str| message[key].as_str().unwrap_or_default().to_owned();
    let expected = case["expect"]["messages"].as_array().into_iter().flatten();
    let expected = counted(
        expected
            .map(|message| (text(message, "code"), text(message, "resource"), text(message, "level").to_lowercase())),
    );
    (found != expected).then(|| format!("found {found:?}, expected {expected:?}\n{report}"))
}

/// The objects of a case. Of one that names no namespace none is known, as in Istio's tests.
fn read(suite: &Path, case: &Value) -> ConfigSet {
    let options = ParseOptions::default().lenient().default_namespace("");
    let files = case["files"].as_array().into_iter().flatten().chain(case.get("mesh_config_file"));
    let texts = files.map(|file| fs::read_to_string(suite.join(file.as_str().expect("a file"))).expect("the file"));
    let documents = texts.flat_map(|text| parse_with("case", &text, &options).0);
    ConfigSet::from_documents(documents).0
}

/// The kind that Istio's analyzer for the rules within one object looks at.
fn kind_of_validation(analyzer: &str) -> Option<&str> {
    let (_, collection) = analyzer.strip_prefix("schema.")?.split_once('(')?;
    collection.strip_prefix("collections.")?.strip_suffix(')')
}

fn of_kind(report: &Report, kind: &str) -> Report {
    let mut kept = Report::new();
    let is_of_kind = |finding: &&mesh_config::Diagnostic| {
        finding.resource.as_ref().is_some_and(|resource| resource.kind.as_str() == kind)
            && finding.code.as_str().starts_with("IST")
    };
    kept.extend(report.iter().filter(is_of_kind).cloned());
    kept
}

fn counted<T: Ord>(items: impl Iterator<Item = T>) -> BTreeMap<T, usize> {
    let mut counts = BTreeMap::new();
    items.for_each(|item| *counts.entry(item).or_default() += 1);
    counts
}
