//! Runs one analyzer over a text.

use super::{Analyzer, Context, Inventory, Options};
use crate::diagnostic::{Diagnostic, Report};
use crate::document::parse;
use crate::set::ConfigSet;

/// The findings of one analyzer. The text has to be valid.
pub(super) fn run(analyzer: &dyn Analyzer, yaml: &str) -> Vec<Diagnostic> {
    let (documents, report) = parse("f.yaml", yaml);
    assert!(!report.has_errors(), "{report}");
    let (set, _) = ConfigSet::from_documents(documents);
    assert!(!set.validate().has_errors(), "{}", set.validate());
    let mut report = Report::new();
    let inventory = if analyzer.needs_cluster() { Inventory::Cluster } else { Inventory::Configuration };
    let options = Options::default().inventory(inventory);
    analyzer.analyze(&Context::new(&set, &options), &mut report);
    assert!(report.iter().all(|finding| analyzer.codes().contains(&finding.code)), "{report}");
    assert!(report.iter().all(|finding| finding.effect.is_some() && finding.help.is_some()), "{report}");
    report.into_iter().collect()
}

/// The findings as `CODE severity path`.
pub(super) fn places(analyzer: &dyn Analyzer, yaml: &str) -> Vec<String> {
    let print = |finding: &Diagnostic| format!("{} {} {}", finding.code, finding.severity, finding.path);
    run(analyzer, yaml).iter().map(print).collect()
}

/// The only finding.
pub(super) fn only(analyzer: &dyn Analyzer, yaml: &str) -> Diagnostic {
    let mut found = run(analyzer, yaml);
    assert_eq!(found.len(), 1, "{found:#?}");
    found.remove(0)
}

/// An object in namespace `a`.
pub(super) fn object(kind: &str, name: &str, spec: &str) -> String {
    let group = match kind {
        "AuthorizationPolicy" | "PeerAuthentication" => "security.istio.io/v1",
        "Service" => "v1",
        _ => "networking.istio.io/v1",
    };
    format!("---\napiVersion: {group}\nkind: {kind}\nmetadata: {{namespace: a, name: {name}}}\nspec: {spec}\n")
}

/// A VirtualService for host `r` with these rules.
pub(super) fn rules(http: &str) -> String {
    object("VirtualService", "r", &format!("{{hosts: [r], http: [{http}]}}"))
}

/// A VirtualService whose only rule goes to `r` and has further fields.
pub(super) fn rule(fields: &str) -> String {
    rules(&format!("{{route: [{{destination: {{host: r}}}}], {fields}}}"))
}
