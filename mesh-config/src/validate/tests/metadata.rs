//! Annotations of any kind.

use super::{lines, report};

fn annotated(kind: &str, annotation: &str, spec: &str) -> String {
    lines(&report(kind, &format!("{{name: x, namespace: ns, annotations: {{{annotation}}}}}"), spec)).join("\n")
}

#[test]
fn only_policies_that_allow_or_deny_can_be_tried_out() {
    let dry_run = "istio.io/dry-run: 'true'";
    let at = "error metadata.annotations[istio.io/dry-run]: ";
    let unsupported = format!("{at}ns/x has unsupported annotation istio.io/dry-run, please remove the annotation");
    for (kind, spec) in [
        ("VirtualService", "{hosts: [a], http: [{route: [{destination: {host: a}}]}]}"),
        ("DestinationRule", "{host: a}"),
        ("PeerAuthentication", "{}"),
        ("RequestAuthentication", "{}"),
        ("Telemetry", "{}"),
    ] {
        assert_eq!(annotated(kind, dry_run, spec), unsupported, "{kind}");
    }
    let policy = |annotation: &str, spec: &str| annotated("AuthorizationPolicy", annotation, spec);
    assert_eq!(policy(dry_run, "{action: DENY, rules: [{}]}"), "");
    assert_eq!(
        policy(dry_run, "{action: AUDIT, rules: [{}]}"),
        format!(
            "{at}the annotation istio.io/dry-run currently only supports action ALLOW/DENY, found action AUDIT in ns/x"
        )
    );
    assert_eq!(
        policy("istio.io/dry-run: 'yes'", "{}"),
        format!(
            "{at}ns/x has annotation istio.io/dry-run with invalid value (yes): strconv.ParseBool: parsing \"yes\": invalid syntax"
        )
    );
}

#[test]
fn what_istio_notes_for_itself_cannot_be_set() {
    for (annotation, message) in [
        ("internal.istio.io/parents", "annotation found, this may not be set by users"),
        ("internal.istio.io/parent-namespace", "annotation found, this may not be set by users"),
        ("internal.istio.io/webhook-always-reject", "annotation found, rejecting"),
    ] {
        assert_eq!(
            annotated("Telemetry", &format!("{annotation}: a"), "{}"),
            format!("error metadata.annotations[{annotation}]: \"{annotation}\" {message}")
        );
    }
}
