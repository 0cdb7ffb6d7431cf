//! Rules by the claims of tokens that nobody checks.

use std::collections::HashMap;

use super::workloads::Workload;
use super::{Analyzer, Context, MESH};
use crate::api::VirtualService;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::resource::{Kind, Resource, ResourceId};
use crate::validate::{At, Checker};
use crate::value::Labels;
use crate::value::host::resolve_gateway_name;
use crate::value::labels::subset_of;

/// `IST0149`: a rule at a gateway matches claims, and no RequestAuthentication is for the pods of the gateway.
pub(super) struct ClaimRoutes;

impl Analyzer for ClaimRoutes {
    fn name(&self) -> &'static str {
        "virtualservice.JWTClaimRouteAnalyzer"
    }

    fn codes(&self) -> &'static [Code] {
        &[Code::CLAIMS_WITHOUT_AUTHENTICATION]
    }

    fn needs_cluster(&self) -> bool {
        true
    }

    fn analyze(&self, context: &Context<'_>, out: &mut Report) {
        let none = Labels::new();
        let mut selectors: Selectors<'_> = HashMap::new();
        for policy in context.set.request_authentications() {
            let selector = policy.spec.selector.as_ref().map_or(&none, |selector| &selector.match_labels);
            selectors.entry(&policy.meta.namespace).or_default().push(selector);
        }
        for service in context.set.virtual_services() {
            let Some(claim) = first_claim(&service.spec) else { continue };
            let cx = &mut Checker::new(Kind::VirtualService, &service.meta, &service.origin, out);
            for name in service.spec.gateways.iter().filter(|name| *name != MESH) {
                let full = resolve_gateway_name(name, &service.meta.namespace);
                check_gateway(cx, context, &selectors, &claim, &full);
            }
        }
    }
}

/// What the RequestAuthentications of a namespace select.
type Selectors<'a> = HashMap<&'a str, Vec<&'a Labels>>;

/// A condition on a claim, and where it stands.
struct Claim<'a> {
    rule: usize,
    condition: usize,
    field: &'static str,
    key: &'a str,
}

const CLAIM: &str = "@request.auth.claims";

fn first_claim(service: &VirtualService) -> Option<Claim<'_>> {
    let conditions = service.http.iter().enumerate().flat_map(|(rule, route)| {
        route.matches.iter().enumerate().map(move |(condition, matches)| (rule, condition, matches))
    });
    conditions.into_iter().find_map(|(rule, condition, matches)| {
        let fields = [("headers", &matches.headers), ("withoutHeaders", &matches.without_headers)];
        fields.into_iter().find_map(|(field, headers)| {
            let key = headers.keys().find(|key| key.starts_with(CLAIM))?;
            Some(Claim { rule, condition, field, key })
        })
    })
}

/// How many pods of a gateway have a finding.
const MOST_PODS: usize = 20;

fn check_gateway(
    cx: &mut Checker<'_>,
    context: &Context<'_>,
    selectors: &Selectors<'_>,
    claim: &Claim<'_>,
    gateway: &str,
) {
    let (namespace, name) = gateway.split_once('/').unwrap_or(("", gateway));
    let found = context.set.get(&ResourceId::new(Kind::Gateway, namespace, name)).map(|found| &found.resource);
    let Some(Resource::Gateway(found)) = found else { return };
    let is_open = |pod: &&Workload<'_>| {
        let in_scope = [context.root_namespace(), pod.namespace].into_iter().filter_map(|scope| selectors.get(scope));
        !in_scope.flatten().any(|selector| subset_of(selector, pod.labels))
    };
    for pod in context.workloads().selected(&found.spec.selector).filter(is_open).take(MOST_PODS) {
        let message = format!(
            "The virtual service uses the JWT claim based routing (key: {}) but found no request authentication for the \
             gateway ({}) pod ({}). The request authentication must first be applied for the gateway pods to validate the JWT \
             token and make the claims available for routing.",
            claim.key,
            gateway.trim_start_matches('/'),
            pod.name
        );
        let finding = Diagnostic::error(Code::CLAIMS_WITHOUT_AUTHENTICATION, message)
            .effect("no request has the claim, so that the rule never matches there")
            .help(format!("add a RequestAuthentication that selects the pods, in the namespace `{}`", pod.namespace));
        let spec = At::top("spec");
        let rule = spec.field("http");
        let rule = rule.index(claim.rule);
        cx.push(&rule.field("match").index(claim.condition).field(claim.field).key(claim.key), finding);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::tests::found;

    const CLUSTER: &str = "
---
{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: edge, namespace: a}, spec: {selector: {app: edge}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: b, labels: {app: edge}}}
";

    fn rules(condition: &str, policy: Option<(&str, &str)>) -> Vec<String> {
        let mut text = format!(
            "{{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {{name: r, namespace: a}}, \
             spec: {{hosts: [r], gateways: [edge, mesh], http: [{{match: [{{{condition}}}]}}]}}}}\n{CLUSTER}"
        );
        if let Some((namespace, selector)) = policy {
            text += &format!(
                "---\n{{apiVersion: security.istio.io/v1, kind: RequestAuthentication, \
                 metadata: {{name: r, namespace: {namespace}}}, spec: {{selector: {{matchLabels: {{{selector}}}}}}}}}\n"
            );
        }
        found(&ClaimRoutes, &text)
    }

    #[test]
    fn claims_at_a_gateway_need_a_request_authentication_for_its_pods() {
        let claim = "headers: {'@request.auth.claims.group': {exact: dev}}";
        let missing = ["IST0149 VirtualService a/r spec.http[0].match[0].headers[@request.auth.claims.group]"];
        assert_eq!(rules(claim, None), missing);
        assert_eq!(rules(claim, Some(("b", "app: edge"))), [""; 0]);
        assert_eq!(rules(claim, Some(("istio-system", ""))), [""; 0]);
        assert_eq!(rules(claim, Some(("a", ""))), missing);
        assert_eq!(rules(claim, Some(("b", "app: other"))), missing);
        assert_eq!(rules("withoutHeaders: {'@request.auth.claims.x': {}}", None).len(), 1);
        assert_eq!(rules("headers: {x-group: {exact: dev}}", None), [""; 0]);
    }
}
