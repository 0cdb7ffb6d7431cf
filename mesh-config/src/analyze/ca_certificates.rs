//! TLS towards a destination that does not say which certificates it trusts.

use super::{Analyzer, Context};
use crate::api::DestinationRule;
use crate::api::tls::{ClientTlsMode, ClientTlsSettings};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::resource::{Kind, Object};
use crate::validate::{At, Checker};

/// `IST0128` and `IST0129`. Policies of subsets are not looked at.
pub(super) struct CaCertificates;

impl Analyzer for CaCertificates {
    fn name(&self) -> &'static str {
        "destinationrule.CaCertificateAnalyzer"
    }

    fn codes(&self) -> &'static [Code] {
        &[Code::NO_CA_CERTIFICATES, Code::NO_CA_CERTIFICATES_OF_PORT]
    }

    fn analyze(&self, context: &Context<'_>, out: &mut Report) {
        let is_verified = context.mesh_config().is_none_or(|mesh| mesh.verify_certificate_at_client());
        for rule in context.set.destination_rules() {
            let Some(policy) = &rule.spec.traffic_policy else { continue };
            let cx = &mut Checker::new(Kind::DestinationRule, &rule.meta, &rule.origin, out);
            let at = At::top("spec");
            let at = at.field("trafficPolicy");
            if let Some(tls) = trusts_anything(rule, policy.tls.as_ref()) {
                let finding = Diagnostic::warning(Code::NO_CA_CERTIFICATES, message(rule, tls));
                cx.push(&at.field("tls"), explain(finding, tls, is_verified));
            }
            for (index, port) in policy.port_level_settings.iter().enumerate() {
                let Some(tls) = trusts_anything(rule, port.tls.as_ref()) else { continue };
                let number = port.port.as_ref().map_or(0, |port| port.number);
                let message = format!("{} at port {number}", message(rule, tls));
                let finding = Diagnostic::warning(Code::NO_CA_CERTIFICATES_OF_PORT, message);
                cx.push(&at.field("portLevelSettings").index(index).field("tls"), explain(finding, tls, is_verified));
            }
        }
    }
}

/// Settings without CA certificates. A secret may hold them, where the rule says which workloads read it.
fn trusts_anything<'t>(
    rule: &Object<DestinationRule>,
    tls: Option<&'t ClientTlsSettings>,
) -> Option<&'t ClientTlsSettings> {
    let is_in_secret =
        |tls: &ClientTlsSettings| !tls.credential_name.is_empty() && rule.spec.workload_selector.is_some();
    let has_none = |tls: &&ClientTlsSettings| {
        matches!(tls.mode, ClientTlsMode::Simple | ClientTlsMode::Mutual)
            && tls.ca_certificates.is_empty()
            && !is_in_secret(tls)
    };
    tls.filter(has_none)
}

fn message(rule: &Object<DestinationRule>, tls: &ClientTlsSettings) -> String {
    format!(
        "DestinationRule {} in namespace {} has TLS mode set to {} but no caCertificates are set to validate server identity \
         for host: {}",
        rule.meta.namespaced_name(),
        rule.meta.namespace,
        tls.mode,
        rule.spec.host
    )
}

fn explain(finding: Diagnostic, tls: &ClientTlsSettings, is_verified: bool) -> Diagnostic {
    let finding = match (tls.insecure_skip_verify.unwrap_or(false), is_verified) {
        (true, _) => finding.effect("any certificate of the server is accepted (`insecureSkipVerify`)"),
        (false, true) => finding.effect("a certificate by any CA of the operating system is accepted"),
        (false, false) => finding.effect("any certificate of the server is accepted"),
    };
    finding.help("caCertificates: /path/to/ca.pem, the CA that signs the certificates of the host")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::tests::found;

    fn rule(rest: &str) -> Vec<String> {
        let text = format!(
            "{{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {{name: r, namespace: a}}, \
             spec: {{host: r, {rest}}}}}"
        );
        found(&CaCertificates, &text)
    }

    #[test]
    fn tls_without_ca_certificates_is_reported_for_the_host_and_for_each_port() {
        assert_eq!(
            rule("trafficPolicy: {tls: {mode: SIMPLE}, portLevelSettings: [{port: {number: 1}, tls: {mode: MUTUAL}}]}"),
            [
                "IST0128 DestinationRule a/r spec.trafficPolicy.tls",
                "IST0129 DestinationRule a/r spec.trafficPolicy.portLevelSettings[0].tls"
            ]
        );
        assert_eq!(rule("trafficPolicy: {tls: {mode: SIMPLE, caCertificates: /ca.pem}}"), [""; 0]);
        assert_eq!(rule("trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}"), [""; 0]);
        assert_eq!(rule("subsets: [{name: s, trafficPolicy: {tls: {mode: SIMPLE}}}]"), [""; 0]);
    }

    #[test]
    fn a_secret_counts_where_the_rule_says_whose_it_is() {
        let tls = "trafficPolicy: {tls: {mode: SIMPLE, credentialName: c}}";
        assert_eq!(rule(tls), ["IST0128 DestinationRule a/r spec.trafficPolicy.tls"]);
        assert_eq!(rule(&format!("workloadSelector: {{matchLabels: {{app: c}}}}, {tls}")), [""; 0]);
    }
}
