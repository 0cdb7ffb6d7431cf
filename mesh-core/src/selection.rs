//! Which policies apply to a workload: by selector, by target, and by namespace.

use mesh_config::Object;
use mesh_config::api::selector::{PolicyTargetReference, WorkloadSelector};
use mesh_config::api::{AuthorizationPolicy, MeshConfig, RequestAuthentication, Telemetry};
use mesh_config::value::{Labels, labels};

use crate::Site;

/// A workload, as policies look for it.
#[derive(Clone, Debug)]
pub struct Selection<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its labels.
    pub labels: &'a Labels,
    /// The namespace whose policies are for every namespace.
    pub root_namespace: &'a str,
    /// Whether it is a waypoint.
    pub waypoint: bool,
    /// The services behind a waypoint.
    pub services: &'a [Attached<'a>],
    /// Whether a selector may choose a gateway of the Gateway API. Yes in Istio, unless switched off.
    pub selects_gateways: bool,
}

/// A service behind a waypoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attached<'a> {
    /// `Service` or `ServiceEntry`.
    pub kind: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
}

/// A policy that has a selector, or targets.
pub trait Selecting {
    /// The labels of the workloads it is for.
    fn selector(&self) -> Option<&WorkloadSelector>;
    /// What it is attached to: one target in the older form, or several.
    fn targets(&self) -> (Option<&PolicyTargetReference>, &[PolicyTargetReference]);
}

macro_rules! selecting {
    ($($kind:ty),*) => {$(
        impl Selecting for $kind {
            fn selector(&self) -> Option<&WorkloadSelector> {
                self.selector.as_ref()
            }

            fn targets(&self) -> (Option<&PolicyTargetReference>, &[PolicyTargetReference]) {
                (self.target_ref.as_ref(), &self.target_refs)
            }
        }
    )*};
}

selecting!(AuthorizationPolicy, RequestAuthentication, Telemetry);

/// Names the gateway of the Gateway API that a workload is of.
const GATEWAY_NAME: &str = "gateway.networking.k8s.io/gateway-name";
const GATEWAY_GROUP: &str = "gateway.networking.k8s.io";
const WAYPOINT_CLASS: &str = "istio-waypoint";

impl<'a> Selection<'a> {
    /// This process.
    pub fn of(site: &'a Site, mesh: &'a MeshConfig) -> Self {
        Self {
            namespace: &site.namespace,
            labels: &site.labels,
            root_namespace: mesh.root_namespace(),
            waypoint: false,
            services: &[],
            selects_gateways: true,
        }
    }

    /// The policies that apply, those of the root namespace first.
    pub fn of_policies<'p, T: Selecting + 'p>(
        &self,
        policies: impl IntoIterator<Item = &'p Object<T>>,
    ) -> Vec<&'p Object<T>> {
        let mut found: Vec<_> = policies.into_iter().filter(|policy| self.applies(policy)).collect();
        found.sort_by_key(|policy| policy.meta.namespace != self.root_namespace);
        found
    }

    /// Whether a policy applies.
    pub fn applies<T: Selecting>(&self, policy: &Object<T>) -> bool {
        let namespace = policy.meta.namespace.as_str();
        (namespace == self.namespace || namespace == self.root_namespace) && self.chooses(namespace, &policy.spec)
    }

    /// Whether selector or targets of a policy in a namespace mean the workload.
    pub fn chooses(&self, namespace: &str, policy: &impl Selecting) -> bool {
        let (single, several) = policy.targets();
        let mut targets = several.iter().chain(single);
        let has_target = targets.clone().next().is_some();
        match self.labels.get(GATEWAY_NAME) {
            None => !has_target && self.has_labels(policy),
            Some(gateway) if has_target => targets.any(|target| self.is_target(namespace, target, gateway)),
            Some(_) if self.waypoint => false,
            Some(_) => (policy.selector().is_none() || self.selects_gateways) && self.has_labels(policy),
        }
    }

    fn has_labels(&self, policy: &impl Selecting) -> bool {
        policy.selector().is_none_or(|selector| labels::subset_of(&selector.match_labels, self.labels))
    }

    fn is_target(&self, namespace: &str, target: &PolicyTargetReference, gateway: &str) -> bool {
        let name = target.name.as_str();
        match (target.group.as_str(), target.kind.as_str()) {
            (GATEWAY_GROUP, "Gateway") => name == gateway && namespace == self.namespace,
            (GATEWAY_GROUP, "GatewayClass") => {
                self.waypoint && name == WAYPOINT_CLASS && namespace == self.root_namespace
            }
            ("" | "core", "Service") | ("networking.istio.io", "ServiceEntry") => {
                self.waypoint && self.services.contains(&Attached { kind: &target.kind, namespace, name })
            }
            _ => false,
        }
    }
}
