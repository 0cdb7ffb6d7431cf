//! Which connections a workload takes: plaintext, mutual TLS, or both.
//!
//! The narrowest `PeerAuthentication` that says something counts: that of the port, of the workload, of the namespace,
//! of the mesh; and Istio's default, `PERMISSIVE`, where none does. Of several at one level the oldest counts. One with
//! a selector in the root namespace is passed over, as Istio's composition does.

use std::collections::BTreeMap;

use mesh_config::api::PeerAuthentication;
use mesh_config::api::peer_authentication::MutualTlsMode;
use mesh_config::value::{Labels, labels};
use mesh_config::{ConfigSet, Object};

use crate::Site;

/// Which connections are taken; the stricter, the greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MtlsMode {
    /// Plaintext only.
    Disable,
    /// Plaintext and mutual TLS.
    #[default]
    Permissive,
    /// Mutual TLS only.
    Strict,
}

impl MtlsMode {
    /// As documents write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "DISABLE",
            Self::Permissive => "PERMISSIVE",
            Self::Strict => "STRICT",
        }
    }

    fn of(mode: MutualTlsMode) -> Option<Self> {
        match mode {
            MutualTlsMode::Unset => None,
            MutualTlsMode::Disable => Some(Self::Disable),
            MutualTlsMode::Permissive => Some(Self::Permissive),
            MutualTlsMode::Strict => Some(Self::Strict),
        }
    }
}

/// The modes of a workload's ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerModes {
    /// Of ports that [`ports`](Self::ports) does not name.
    pub mode: MtlsMode,
    /// Of single ports of the workload.
    pub ports: BTreeMap<u16, MtlsMode>,
}

impl PeerModes {
    /// The mode of one of the workload's ports.
    pub fn at(&self, port: u16) -> MtlsMode {
        self.ports.get(&port).copied().unwrap_or(self.mode)
    }

    /// The mode of a port where this workload serves. Of one that nobody knows (0) it is the strictest that any of its ports
    /// has, so that nobody gets in by a port that was not named.
    pub fn served_at(&self, port: u16) -> MtlsMode {
        match port {
            0 => self.ports.values().copied().fold(self.mode, MtlsMode::max),
            port => self.at(port),
        }
    }

    /// Those of this process.
    pub fn of_site(set: &ConfigSet, root: &str, site: &Site) -> Self {
        Self::of(set.peer_authentications(), root, &site.namespace, &site.labels)
    }

    /// Those of a workload; `policies` are in Istio's order, the oldest first.
    pub fn of<'a>(
        policies: impl IntoIterator<Item = &'a Object<PeerAuthentication>>,
        root: &str,
        namespace: &str,
        own: &Labels,
    ) -> Self {
        let levels = Levels::of(policies, root, namespace, own);
        let mode = levels.deciding().and_then(mode_of).unwrap_or_default();
        let ports = levels.workload.and_then(|policy| policy.spec.port_level_mtls.as_ref());
        let ports = ports
            .into_iter()
            .flatten()
            .filter_map(|(port, own)| Some((u16::try_from(*port).ok()?, MtlsMode::of(own.mode).unwrap_or(mode))));
        Self { mode, ports: ports.collect() }
    }
}

/// The policy that says the mode of a workload's port; `None` where none does and Istio's default counts.
pub fn deciding<'a>(
    policies: impl IntoIterator<Item = &'a Object<PeerAuthentication>>,
    root: &str,
    namespace: &str,
    own: &Labels,
    port: u16,
) -> Option<&'a Object<PeerAuthentication>> {
    let levels = Levels::of(policies, root, namespace, own);
    let of_port = |policy: &&Object<PeerAuthentication>| {
        let ports = policy.spec.port_level_mtls.as_ref();
        ports.and_then(|ports| MtlsMode::of(ports.get(&u32::from(port))?.mode)).is_some()
    };
    levels.workload.filter(of_port).or_else(|| levels.deciding())
}

/// Of each level the oldest policy.
#[derive(Default)]
struct Levels<'a> {
    mesh: Option<&'a Object<PeerAuthentication>>,
    namespace: Option<&'a Object<PeerAuthentication>>,
    workload: Option<&'a Object<PeerAuthentication>>,
}

impl<'a> Levels<'a> {
    fn of(
        policies: impl IntoIterator<Item = &'a Object<PeerAuthentication>>,
        root: &str,
        namespace: &str,
        own: &Labels,
    ) -> Self {
        let mut levels = Self::default();
        for policy in policies {
            let here = policy.meta.namespace == namespace;
            let in_root = policy.meta.namespace == root;
            let selector = policy.spec.selector.as_ref().map(|selector| &selector.match_labels);
            let level = match selector.filter(|wanted| !wanted.is_empty()) {
                Some(wanted) if here && !in_root && labels::subset_of(wanted, own) => &mut levels.workload,
                Some(_) => continue,
                None if in_root => &mut levels.mesh,
                None if here => &mut levels.namespace,
                None => continue,
            };
            level.get_or_insert(policy);
        }
        levels
    }

    /// The narrowest that says a mode for all ports.
    fn deciding(&self) -> Option<&'a Object<PeerAuthentication>> {
        [self.workload, self.namespace, self.mesh].into_iter().flatten().find(|policy| mode_of(policy).is_some())
    }
}

fn mode_of(policy: &Object<PeerAuthentication>) -> Option<MtlsMode> {
    MtlsMode::of(policy.spec.mtls.as_ref()?.mode)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modes(policies: &[(&str, &str)]) -> PeerModes {
        let (set, site) = world(policies);
        PeerModes::of_site(&set, "root", &site)
    }

    /// Policies by their namespaces, and a workload of namespace `a`.
    fn world(policies: &[(&str, &str)]) -> (ConfigSet, Site) {
        let yaml: String = policies
            .iter()
            .enumerate()
            .map(|(n, (namespace, spec))| {
                format!(
                    "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {{name: p{n}, namespace: {namespace}}}\nspec: {spec}\n---\n"
                )
            })
            .collect();
        let (set, _) = ConfigSet::from_documents(mesh_config::parse("f", &yaml).0);
        (set, Site { namespace: "a".into(), labels: [("app".into(), "r".into())].into(), ..Site::default() })
    }

    #[test]
    fn the_narrowest_level_that_says_something_counts() {
        let strict = ("root", "{mtls: {mode: STRICT}}");
        let disable = ("a", "{mtls: {mode: DISABLE}}");
        assert_eq!(modes(&[]).mode, MtlsMode::Permissive);
        assert_eq!(modes(&[strict]).mode, MtlsMode::Strict);
        assert_eq!(modes(&[strict, ("a", "{mtls: {mode: UNSET}}")]).mode, MtlsMode::Strict);
        assert_eq!(modes(&[strict, disable]).mode, MtlsMode::Disable);
        assert_eq!(modes(&[("b", "{mtls: {mode: STRICT}}")]).mode, MtlsMode::Permissive);
        let own = ("a", "{selector: {matchLabels: {app: r}}, mtls: {mode: STRICT}}");
        assert_eq!(modes(&[disable, own]).mode, MtlsMode::Strict);
        assert_eq!(
            modes(&[disable, ("a", "{selector: {matchLabels: {app: s}}, mtls: {mode: STRICT}}")]).mode,
            MtlsMode::Disable
        );
        assert_eq!(
            modes(&[("root", "{selector: {matchLabels: {app: r}}, mtls: {mode: STRICT}}")]).mode,
            MtlsMode::Permissive
        );
    }

    #[test]
    fn the_policy_that_decides_is_the_one_that_says_the_mode_of_a_port() {
        let own = "{selector: {matchLabels: {app: r}}, portLevelMtls: {80: {mode: DISABLE}, 81: {}}}";
        let (set, site) = world(&[("root", "{mtls: {mode: STRICT}}"), ("a", own), ("a", "{mtls: {mode: UNSET}}")]);
        let of = |namespace: &str, port| {
            let policies = set.peer_authentications();
            deciding(policies, "root", namespace, &site.labels, port).map(|policy| policy.meta.name.clone())
        };
        assert_eq!([80, 81, 82].map(|port| of("a", port)), [Some("p1".into()), Some("p0".into()), Some("p0".into())]);
        assert_eq!(of("b", 80).as_deref(), Some("p0"));
        let (none, _) = world(&[("a", own)]);
        assert!(deciding(none.peer_authentications(), "root", "a", &site.labels, 82).is_none());
    }

    #[test]
    fn in_the_root_namespace_a_selector_selects_nobody() {
        let (set, site) = world(&[("root", "{selector: {matchLabels: {app: r}}, mtls: {mode: STRICT}}")]);
        let policies = set.peer_authentications();
        assert!(deciding(policies, "root", "root", &site.labels, 80).is_none());
    }

    #[test]
    fn a_port_may_differ_from_its_workload() {
        let spec =
            "{selector: {matchLabels: {app: r}}, mtls: {mode: STRICT}, portLevelMtls: {80: {mode: DISABLE}, 81: {}}}";
        let modes = modes(&[("a", spec)]);
        assert_eq!([80, 81, 82].map(|port| modes.at(port)), [MtlsMode::Disable, MtlsMode::Strict, MtlsMode::Strict]);
    }

    #[test]
    fn of_a_port_that_is_not_known_the_strictest_mode_counts() {
        let of =
            |spec: &str| modes(&[("a", &format!("{{selector: {{matchLabels: {{app: r}}}}, {spec}}}"))]).served_at(0);
        assert_eq!(of("mtls: {mode: PERMISSIVE}, portLevelMtls: {80: {mode: STRICT}}"), MtlsMode::Strict);
        assert_eq!(of("mtls: {mode: STRICT}, portLevelMtls: {80: {mode: DISABLE}}"), MtlsMode::Strict);
        assert_eq!(of("mtls: {mode: DISABLE}, portLevelMtls: {80: {mode: PERMISSIVE}}"), MtlsMode::Permissive);
        assert_eq!(of("mtls: {mode: DISABLE}"), MtlsMode::Disable);
    }
}
