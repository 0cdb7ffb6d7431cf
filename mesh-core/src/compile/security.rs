//! What the set holds about identity and access: the policies that select this workload.

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_config::api::MeshConfig;
use mesh_config::api::port::PortSelector;
use mesh_config::api::virtual_service::Destination;
use mesh_config::{Code, ConfigSet, Diagnostic, Object, Typed};

use super::clusters::{Clusters, Place};
use super::findings::Findings;
use crate::Site;
use crate::authz::{Authorization, Protocol, Provider, Setting, service_of};
use crate::identity::TrustDomains;
use crate::jwt::Authentication;
use crate::route::RuleOrigin;
use crate::selection::Selection;

/// Refuses a workload that the selector of a policy around it could never find.
pub(crate) fn check(set: &ConfigSet, mesh: &MeshConfig, site: &Site, findings: &mut Findings) {
    let mut scope = Scope { root: mesh.root_namespace(), site, findings };
    for policy in set.peer_authentications() {
        scope.selectable(policy, policy.spec.selector.as_ref().map(|s| &s.match_labels));
    }
    for policy in set.request_authentications() {
        scope.selectable(policy, policy.spec.selector.as_ref().map(|s| &s.match_labels));
    }
    for policy in set.authorization_policies() {
        scope.selectable(policy, policy.spec.selector.as_ref().map(|s| &s.match_labels));
    }
}

/// Whose tokens are accepted at this workload.
pub(crate) fn authentication(set: &ConfigSet, mesh: &MeshConfig, site: &Site) -> Authentication {
    Authentication::new(Selection::of(site, mesh).of_policies(set.request_authentications()))
}

/// Who may do what at this workload.
pub(crate) fn authorization(set: &ConfigSet, mesh: &MeshConfig, site: &Site) -> Authorization {
    let policies = Selection::of(site, mesh).of_policies(set.authorization_policies());
    let trust_domains = &TrustDomains::of(mesh);
    Authorization::new(policies, Setting { trust_domains, protocol: Protocol::Http, profile: site.profile })
}

/// The services that policies of this workload have asked.
pub(crate) fn providers(
    authorization: &Authorization,
    mesh: &MeshConfig,
    site: &Site,
    clusters: &mut Clusters<'_>,
    findings: &mut Findings,
) -> Vec<Arc<Provider>> {
    let named = authorization.providers();
    let known = named.filter_map(|name| mesh.extension_providers.iter().find(|provider| provider.name == name));
    let found = known.filter_map(|provider| {
        let (service, number) = service_of(provider)?;
        let (namespace, host) = service.split_once('/').unwrap_or((site.namespace.as_str(), service));
        let port = Some(PortSelector { number });
        let destination = Destination { host: host.to_owned(), port, ..Destination::default() };
        let place = Place { namespace, port: u16::try_from(number).unwrap_or_default(), gateway: false };
        let origin = RuleOrigin::built_in(&format!("extensionProviders[{}]", provider.name));
        let cluster = clusters.resolve(&destination, place, &origin, findings);
        Provider::of(provider, cluster).map(Arc::new)
    });
    found.collect()
}

struct Scope<'a> {
    root: &'a str,
    site: &'a Site,
    findings: &'a mut Findings,
}

impl Scope<'_> {
    /// Of a policy that acts: whether it could.
    fn selectable<T: Typed>(&mut self, policy: &Object<T>, selector: Option<&BTreeMap<String, String>>) {
        let concerns = policy.meta.namespace == self.site.namespace || policy.meta.namespace == self.root;
        if concerns && self.site.labels.is_empty() && selector.is_some_and(|labels| !labels.is_empty()) {
            self.findings.add(unselectable(policy));
        }
    }
}

/// A policy that silently does not apply is an open door: a workload has to say which labels it has.
fn unselectable<T: Typed>(policy: &Object<T>) -> Diagnostic {
    Diagnostic::error(
        Code::WORKLOAD_WITHOUT_LABELS,
        format!("{} selects workloads by label, but this workload was given none", policy.id()),
    )
    .at(&policy.origin)
    .resource(policy.id())
    .path("spec.selector")
    .effect("the policy could never apply to this workload, without anybody being told")
    .help("give the workload its labels, such as `.label(\"app\", \"reviews\")`")
}
