//! One finding for one fact: what the analysis of the documents says, compiling need not say again.

use mesh_config::{Code, Diagnostic, Report};

/// The findings of compiling without those about subsets that the analysis found empty, too. It says more about them: how
/// the labels differ. Of subsets whose endpoints stand in no document only compiling knows.
pub(super) fn without_what_analysis_says(compiling: Report, analysis: &Report) -> Report {
    let mut rest = Report::new();
    rest.extend(compiling.into_iter().filter(|finding| {
        finding.code != Code::SUBSET_WITHOUT_ENDPOINTS || !analysis.iter().any(|other| is_same_subset(finding, other))
    }));
    rest
}

/// `IST0173` is the same of Services and Pods.
fn is_same_subset(finding: &Diagnostic, other: &Diagnostic) -> bool {
    // spec, subsets, and the number.
    const SUBSET: usize = 3;
    let place = |finding: &Diagnostic| finding.path.segments().get(..SUBSET).map(<[_]>::to_vec);
    (other.code == Code::SUBSET_WITHOUT_ENDPOINTS || other.code.as_str() == "IST0173")
        && finding.resource == other.resource
        && place(finding) == place(other)
}

#[cfg(test)]
mod tests {
    use mesh_config::api::MeshConfig;
    use mesh_config::{ConfigSet, parse};
    use mesh_core::{Site, compile};

    use super::*;

    const YAML: &str = "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: r}
spec: {hosts: [r.com], http: [{route: [{destination: {host: r.com, subset: v2, port: {number: 80}}}]}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: r}
spec: {host: r.com, subsets: [{name: v2, labels: {version: v2}}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: r}
spec:
  hosts: [r.com]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints: [{address: 10.0.0.1, labels: {version: v1}}]
";

    #[test]
    fn an_empty_subset_is_told_once() {
        let (set, _) = ConfigSet::from_documents(parse("f", YAML).0);
        let analysis = set.analyze();
        let compiled = compile(&set, &MeshConfig::default(), &Site::default());
        let count = |report: &Report| report.iter().filter(|f| f.code == Code::SUBSET_WITHOUT_ENDPOINTS).count();
        assert_eq!((count(&analysis), count(&compiled.report)), (1, 1));
        assert_eq!(count(&without_what_analysis_says(compiled.report.clone(), &analysis)), 0);
        assert_eq!(count(&without_what_analysis_says(compiled.report, &Report::new())), 1);
    }
}
