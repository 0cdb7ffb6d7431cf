//! Which connections the workloads of a namespace take, as far as PeerAuthentications in the documents say.

use std::collections::HashMap;

use super::Context;
use crate::api::PeerAuthentication;
use crate::api::peer_authentication::MutualTlsMode;
use crate::resource::Object;
use crate::value::{Labels, labels};

/// The mode of some workloads, and the policy that says so; nobody's for Istio's default.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Mode<'a> {
    pub(super) mode: MutualTlsMode,
    pub(super) by: Option<&'a Object<PeerAuthentication>>,
}

impl Mode<'_> {
    /// As a finding names it.
    pub(super) fn text(&self) -> String {
        match self.by {
            Some(policy) => format!("PeerAuthentication {} says {}", policy.meta.namespaced_name(), self.mode.as_str()),
            None => format!("no PeerAuthentication says otherwise, so the mode is {}", self.mode.as_str()),
        }
    }
}

/// All PeerAuthentications, by what they are for.
pub(super) struct PeerModes<'a> {
    root: &'a str,
    namespaces: HashMap<&'a str, Mode<'a>>,
    workloads: HashMap<&'a str, Vec<&'a Object<PeerAuthentication>>>,
}

impl<'a> PeerModes<'a> {
    pub(super) fn of(context: &Context<'a>) -> Self {
        let set = context.set;
        let mut modes = Self { root: context.root_namespace(), namespaces: HashMap::new(), workloads: HashMap::new() };
        for policy in set.peer_authentications() {
            let namespace = policy.meta.namespace.as_str();
            if selected(policy).is_some() {
                // One with a selector in the root namespace is passed over.
                if namespace != modes.root {
                    modes.workloads.entry(namespace).or_default().push(policy);
                }
            } else if own(policy) != MutualTlsMode::Unset {
                modes.namespaces.entry(namespace).or_insert(Mode { mode: own(policy), by: Some(policy) });
            }
        }
        modes
    }

    /// The mode of the workloads of a namespace that have all of these labels, and maybe others; nothing where they differ,
    /// or might.
    pub(super) fn of_workloads(&self, namespace: &str, known: &Labels) -> Option<Mode<'a>> {
        let base = self.of_namespace(namespace);
        let mut possible: Vec<Mode<'a>> = Vec::new();
        for policy in self.workloads.get(namespace).into_iter().flatten() {
            let Some(selector) = selected(policy) else { continue };
            if contradicts(selector, known) {
                continue;
            }
            let mode = match own(policy) {
                MutualTlsMode::Unset => base,
                mode => Mode { mode, by: Some(policy) },
            };
            let mut ports = policy.spec.port_level_mtls.iter().flat_map(|ports| ports.values());
            if ports.any(|port| port.mode != MutualTlsMode::Unset && port.mode != mode.mode) {
                return None;
            }
            possible.push(mode);
            // The first that surely selects them decides.
            if labels::subset_of(selector, known) {
                return all_alike(&possible);
            }
        }
        possible.push(base);
        all_alike(&possible)
    }

    /// The mode of every workload of the mesh, where they all have the same.
    pub(super) fn of_all(&self) -> Option<Mode<'a>> {
        let namespaces = self.namespaces.keys().chain(self.workloads.keys());
        let all: Option<Vec<_>> = namespaces.map(|namespace| self.of_workloads(namespace, &Labels::new())).collect();
        let mut all = all?;
        all.push(self.of_namespace(self.root));
        all_alike(&all)
    }

    pub(super) fn is_root(&self, namespace: &str) -> bool {
        namespace == self.root
    }

    fn of_namespace(&self, namespace: &str) -> Mode<'a> {
        let found = self.namespaces.get(namespace).or_else(|| self.namespaces.get(self.root));
        found.copied().unwrap_or(Mode { mode: MutualTlsMode::Permissive, by: None })
    }
}

fn own(policy: &Object<PeerAuthentication>) -> MutualTlsMode {
    policy.spec.mtls.map_or(MutualTlsMode::Unset, |mtls| mtls.mode)
}

fn selected(policy: &Object<PeerAuthentication>) -> Option<&Labels> {
    policy.spec.selector.as_ref().map(|selector| &selector.match_labels).filter(|labels| !labels.is_empty())
}

fn contradicts(selector: &Labels, known: &Labels) -> bool {
    selector.iter().any(|(key, value)| known.get(key).is_some_and(|known| known != value))
}

fn all_alike<'a>(modes: &[Mode<'a>]) -> Option<Mode<'a>> {
    let first = modes.first()?;
    modes.iter().all(|mode| mode.mode == first.mode).then_some(*first)
}

#[cfg(test)]
mod tests {
    use super::super::Options;
    use super::super::testing::object;
    use super::*;
    use crate::document::parse;
    use crate::set::ConfigSet;

    fn modes(policies: &[(&str, &str)], known: &str) -> Option<MutualTlsMode> {
        let yaml: String = policies
            .iter()
            .enumerate()
            .map(|(n, (namespace, spec))| {
                object("PeerAuthentication", &format!("p{n}"), spec)
                    .replace("namespace: a", &format!("namespace: {namespace}"))
            })
            .collect();
        let (set, _) = ConfigSet::from_documents(parse("f", &yaml).0);
        let known: Labels = serde_saphyr::from_str(known).unwrap();
        PeerModes::of(&Context::new(&set, &Options::default())).of_workloads("a", &known).map(|mode| mode.mode)
    }

    #[test]
    fn the_narrowest_level_that_says_something_counts() {
        use MutualTlsMode::{Disable, Permissive, Strict};
        let (mesh, unset) = (("istio-system", "{mtls: {mode: STRICT}}"), ("a", "{mtls: {mode: UNSET}}"));
        let namespace = ("a", "{mtls: {mode: DISABLE}}");
        assert_eq!(modes(&[], "{}"), Some(Permissive));
        assert_eq!(modes(&[mesh, unset], "{}"), Some(Strict));
        assert_eq!(modes(&[mesh, namespace], "{}"), Some(Disable));
        assert_eq!(modes(&[("b", "{mtls: {mode: DISABLE}}")], "{}"), Some(Permissive));
        let workload = ("a", "{selector: {matchLabels: {app: r}}, mtls: {mode: STRICT}}");
        assert_eq!(modes(&[namespace, workload], "{app: r, x: y}"), Some(Strict));
        assert_eq!(modes(&[namespace, workload], "{app: s}"), Some(Disable));
        assert_eq!(modes(&[namespace, workload], "{}"), None, "some may be selected");
        assert_eq!(modes(&[mesh, workload], "{}"), Some(Strict));
    }

    #[test]
    fn ports_that_differ_leave_it_open() {
        let ports = "{selector: {matchLabels: {app: r}}, mtls: {mode: STRICT}, portLevelMtls: {80: {mode: DISABLE}}}";
        assert_eq!(modes(&[("a", ports)], "{app: r}"), None);
    }
}
