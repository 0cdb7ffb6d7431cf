//! The HTTP rules of one VirtualService at one place become routes.

use mesh_config::Object;
use mesh_config::api::MeshConfig;
use mesh_config::api::virtual_service::{HttpRetry, HttpRouteDestination, VirtualService};

use super::clusters::{Clusters, Place};
use super::delegate::Delegates;
use super::findings::{self, Findings};
use crate::Site;
use crate::retry::RetryPolicy;
use crate::route::selector::MatchSite;
use crate::route::{Route, RuleContext, lower_rule};

/// A VirtualService and where its rules are to act.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules<'a> {
    pub(crate) object: &'a Object<VirtualService>,
    pub(crate) delegates: &'a Delegates<'a>,
    pub(crate) place: Place<'a>,
    /// The gateway, as `namespace/name`; `None` in the mesh.
    pub(crate) gateway: Option<&'a str>,
    pub(crate) site: &'a Site,
    pub(crate) mesh: &'a MeshConfig,
}

/// The routes of those rules that apply, in written order; what follows a catch-all is dropped.
pub(crate) fn lower(rules: Rules<'_>, clusters: &mut Clusters<'_>, findings: &mut Findings) -> Vec<Route> {
    let Rules { object, place, .. } = rules;
    let mut routes = Vec::new();
    for rule in rules.delegates.rules_of(object).iter() {
        let hash = |route: &HttpRouteDestination| clusters.hash_of(route.destination.as_ref()?, place);
        let hashes: Vec<_> = rule.spec.route.iter().map(hash).collect();
        let mut context = RuleContext {
            site: MatchSite {
                labels: &rules.site.labels,
                namespace: &rules.site.namespace,
                gateway: rules.gateway,
                port: place.port,
                virtual_service_namespace: &object.meta.namespace,
            },
            resolve: &mut |destination| clusters.resolve(destination, place, &rule.origin, findings),
            default_retry: rules.mesh.default_http_retry_policy.as_ref(),
            hashes: &hashes,
            origin: rule.origin.clone(),
        };
        match lower_rule(&rule.spec, &mut context) {
            Ok(lowered) => routes.extend(lowered),
            Err(error) => findings.add(findings::rule_refused(rule.object, rule.index, &error)),
        }
        if routes.iter().any(Route::is_catch_all) {
            break;
        }
    }
    routes
}

/// The retry policy of requests that no rule speaks of.
pub(crate) fn default_retry(mesh: &MeshConfig) -> Option<RetryPolicy> {
    let configured: Option<&HttpRetry> = mesh.default_http_retry_policy.as_ref();
    RetryPolicy::lower(None, configured, false)
}
