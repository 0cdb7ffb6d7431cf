use mesh_config::{Code, parse};

use super::*;

const SHOP: &str = "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, namespace: web}
spec:
  hosts: [shop.example.com]
  gateways: [gw]
  http:
  - match: [{uri: {prefix: /cart}, gateways: [gw]}]
    mirror: {host: shadow}
    delegate: {name: cart, namespace: team}
  - route: [{destination: {host: shop}}]
";

fn cart(spec: &str) -> String {
    format!(
        "{SHOP}---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: cart, namespace: team}}
spec: {spec}
"
    )
}

fn expanded(text: &str, mesh: &MeshConfig) -> (VirtualService, Vec<(Code, String)>) {
    let (documents, report) = parse("test.yaml", text);
    assert!(!report.has_errors(), "{report}");
    let (set, _) = ConfigSet::from_documents(documents);
    let (mut acting, report) = expand(&set, mesh, &Site::default());
    assert_eq!(acting.len(), 1);
    (acting.remove(0).spec, report.iter().map(|finding| (finding.code, finding.path.to_string())).collect())
}

fn rules_and_findings(text: &str) -> (usize, Vec<(Code, String)>) {
    let (service, findings) = expanded(text, &MeshConfig::default());
    (service.http.len(), findings)
}

#[test]
fn the_rules_of_a_delegate_stand_where_it_is_named_and_mean_what_they_mean_at_home() {
    let text = cart(
        "{http: [{match: [{uri: {prefix: /cart/a}}], route: [{destination: {host: a}}]}, {route: [{destination: {host: b}}]}]}",
    );
    let (service, findings) = expanded(&text, &MeshConfig::default());
    assert!(findings.is_empty(), "{findings:?}");
    let hosts: Vec<_> =
        service.http.iter().map(|rule| rule.route[0].destination.as_ref().unwrap().host.as_str()).collect();
    assert_eq!(hosts, ["a.team.svc.cluster.local", "b.team.svc.cluster.local", "shop"]);
    assert_eq!(service.http[1].mirror.as_ref().unwrap().host, "shadow.web.svc.cluster.local");
    assert_eq!(service.http[0].matches[0].gateways, ["web/gw"]);
}

#[test]
fn a_delegate_that_is_not_there_drops_only_the_rule_that_names_it() {
    let missing = (1, vec![(Code::DELEGATE_MISSING, "spec.http[0].delegate".to_owned())]);
    assert_eq!(rules_and_findings(SHOP), missing);
    let with_hosts = cart("{hosts: [cart], http: [{route: [{destination: {host: a}}]}]}");
    let (documents, _) = parse("test.yaml", &with_hosts);
    let (set, _) = ConfigSet::from_documents(documents);
    let (acting, report) = expand(&set, &MeshConfig::default(), &Site::default());
    assert_eq!(acting.iter().map(|object| object.spec.http.len()).collect::<Vec<_>>(), [1, 1]);
    assert!(report.iter().any(|finding| finding.message.contains("has hosts")), "{report}");
}

#[test]
fn a_delegate_has_to_be_exported_to_the_namespace_of_the_root() {
    let missing = (1, vec![(Code::DELEGATE_MISSING, "spec.http[0].delegate".to_owned())]);
    let with = |export: &str| {
        rules_and_findings(&cart(&format!("{{{export} http: [{{route: [{{destination: {{host: a}}}}]}}]}}")))
    };
    for (export, expected) in [("", 2), ("exportTo: [web],", 2), ("exportTo: ['*'],", 2)] {
        assert_eq!(with(export), (expected, vec![]), "{export}");
    }
    assert_eq!(with("exportTo: ['.'],"), missing);
    let private = MeshConfig { default_virtual_service_export_to: vec![".".into()], ..MeshConfig::default() };
    let (service, _) = expanded(&cart("{http: [{route: [{destination: {host: a}}]}]}"), &private);
    assert_eq!(service.http.len(), 1);
}

#[test]
fn what_does_not_fit_and_what_delegates_again_is_left_out() {
    let (rules, findings) = rules_and_findings(&cart(
        "{http: [{match: [{uri: {prefix: /other}}], route: [{destination: {host: a}}]}, {delegate: {name: more}}]}",
    ));
    assert_eq!(rules, 1);
    assert_eq!(
        findings,
        [
            (Code::DELEGATE_CONFLICT, "spec.http[0].match".to_owned()),
            (Code::DELEGATE_MISSING, "spec.http[1].delegate".to_owned())
        ]
    );
}
