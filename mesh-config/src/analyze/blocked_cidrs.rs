//! A control plane that fetches keys from anywhere.

use super::{Analyzer, Context, some_of};
use crate::api::kubernetes::Deployment;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::resource::{Kind, Object};
use crate::validate::{At, Checker};

/// `IST0175`.
pub(super) struct BlockedCidrs;

impl Analyzer for BlockedCidrs {
    fn name(&self) -> &'static str {
        "authn.BlockedCIDRsAnalyzer"
    }

    fn codes(&self) -> &'static [Code] {
        &[Code::JWKS_FETCH_UNRESTRICTED]
    }

    fn needs_cluster(&self) -> bool {
        true
    }

    fn analyze(&self, context: &Context<'_>, out: &mut Report) {
        let policies = context.set.request_authentications();
        let policies: Vec<String> = policies.map(|policy| policy.meta.namespaced_name().to_string()).collect();
        if policies.is_empty() {
            return;
        }
        for deployment in context.set.deployments().filter(|deployment| is_unrestricted(deployment)) {
            let message = format!(
                "BLOCKED_CIDRS_IN_JWKS_URIS is not configured but {} RequestAuthentication resource(s) exist ({}). Consider \
                 configuring it to restrict JWKS URI fetches to trusted networks.",
                policies.len(),
                some_of(&policies)
            );
            let finding = Diagnostic::warning(Code::JWKS_FETCH_UNRESTRICTED, message)
                .effect("whoever may write a RequestAuthentication makes the control plane fetch from any address it reaches")
                .help("env: [{name: BLOCKED_CIDRS_IN_JWKS_URIS, value: 169.254.0.0/16 and the like}]");
            let cx = &mut Checker::new(Kind::Deployment, &deployment.meta, &deployment.origin, out);
            cx.push(&At::top("spec").field("template").field("spec").field("containers"), finding);
        }
    }
}

fn is_unrestricted(deployment: &Object<Deployment>) -> bool {
    let variables = deployment.spec.template.spec.containers.iter().flat_map(|container| &container.env);
    let mut set = variables.filter(|variable| variable.name == "BLOCKED_CIDRS_IN_JWKS_URIS");
    deployment.meta.labels.get("app").is_some_and(|app| app == "istiod")
        && !set.any(|variable| !variable.value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::tests::found;

    #[test]
    fn a_control_plane_that_fetches_keys_should_not_fetch_from_everywhere() {
        let deployment = |labels: &str, value: &str| {
            format!(
                "---\n{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: d, namespace: a, labels: {{{labels}}}}}, \
                 spec: {{template: {{spec: {{containers: [{{name: c, env: [{{name: BLOCKED_CIDRS_IN_JWKS_URIS{value}}}]}}]}}}}}}}}\n"
            )
        };
        let policy =
            "---\n{apiVersion: security.istio.io/v1, kind: RequestAuthentication, metadata: {name: r, namespace: a}}\n";
        let of = |text: &str| found(&BlockedCidrs, text);
        let open = deployment("app: istiod", "");
        assert_eq!(of(&format!("{open}{policy}")), ["IST0175 Deployment a/d spec.template.spec.containers"]);
        assert_eq!(of(&open), [""; 0]);
        assert_eq!(of(&format!("{}{policy}", deployment("app: istiod", ", value: 10.0.0.0/8"))), [""; 0]);
        assert_eq!(of(&format!("{}{policy}", deployment("app: other", ""))), [""; 0]);
    }
}
