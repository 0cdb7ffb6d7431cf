//! The kinds that are read, and the table of their API versions.

use std::fmt;

use crate::diagnostic::Origin;
use crate::meta::{NamespacedName, ObjectMeta};
use crate::status::Status;

/// An object: its metadata, its spec, and where it was written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object<T> {
    /// Name, namespace, labels, annotations.
    pub meta: ObjectMeta,
    /// The spec; for Kubernetes' kinds without one, the object itself.
    pub spec: T,
    /// What a cluster reports about it. Empty where nobody did.
    pub status: Status,
    /// The document it came from.
    pub origin: Origin,
}

impl<T> Object<T> {
    /// An object made in code, without an origin.
    #[must_use]
    pub fn new(meta: ObjectMeta, spec: T) -> Self {
        Self { meta, spec, status: Status::default(), origin: Origin::default() }
    }
}

/// A spec that knows which kind it is of.
pub trait Typed {
    /// The kind.
    const KIND: Kind;
}

impl<T: Typed> Object<T> {
    /// Kind, namespace and name.
    #[must_use]
    pub fn id(&self) -> ResourceId {
        let NamespacedName { namespace, name } = self.meta.namespaced_name();
        ResourceId { kind: T::KIND, namespace, name }
    }
}

/// Calls a macro with every kind: variant (with its name in YAML where that is another), struct, whether the struct is the `spec` or stands beside the metadata, group,
/// versions.
macro_rules! for_each_kind {
    ($then:ident) => {
        $then! {
            VirtualService = crate::api::VirtualService, spec, "networking.istio.io", ["v1", "v1beta1", "v1alpha3"];
            DestinationRule = crate::api::DestinationRule, spec, "networking.istio.io", ["v1", "v1beta1", "v1alpha3"];
            Gateway = crate::api::Gateway, spec, "networking.istio.io", ["v1", "v1beta1", "v1alpha3"];
            ServiceEntry = crate::api::ServiceEntry, spec, "networking.istio.io", ["v1", "v1beta1", "v1alpha3"];
            WorkloadEntry = crate::api::WorkloadEntry, spec, "networking.istio.io", ["v1", "v1beta1", "v1alpha3"];
            WorkloadGroup = crate::api::WorkloadGroup, spec, "networking.istio.io", ["v1", "v1beta1", "v1alpha3"];
            Sidecar = crate::api::Sidecar, spec, "networking.istio.io", ["v1", "v1beta1", "v1alpha3"];
            ProxyConfig = crate::api::ProxyConfig, spec, "networking.istio.io", ["v1beta1"];
            AuthorizationPolicy = crate::api::AuthorizationPolicy, spec, "security.istio.io", ["v1", "v1beta1"];
            PeerAuthentication = crate::api::PeerAuthentication, spec, "security.istio.io", ["v1", "v1beta1"];
            RequestAuthentication = crate::api::RequestAuthentication, spec, "security.istio.io", ["v1", "v1beta1"];
            Telemetry = crate::api::Telemetry, spec, "telemetry.istio.io", ["v1", "v1alpha1"];
            MeshConfig = crate::api::MeshConfig, spec, "", [];
            Service = crate::api::kubernetes::Service, spec, "", ["v1"];
            EndpointSlice = crate::api::kubernetes::EndpointSlice, bare, "discovery.k8s.io", ["v1"];
            Endpoints = crate::api::kubernetes::Endpoints, bare, "", ["v1"];
            Pod = crate::api::kubernetes::Pod, bare, "", ["v1"];
            Namespace = crate::api::kubernetes::Namespace, bare, "", ["v1"];
            Secret = crate::api::kubernetes::Secret, bare, "", ["v1"];
            Node = crate::api::kubernetes::Node, bare, "", ["v1"];
            Deployment = crate::api::kubernetes::Deployment, spec, "apps", ["v1"];
            KubernetesGateway("Gateway") = crate::api::kubernetes::KubernetesGateway, spec, "gateway.networking.k8s.io",
                ["v1", "v1beta1"];
        }
    };
}
pub(crate) use for_each_kind;

macro_rules! kind_name {
    ($kind:ident) => {
        stringify!($kind)
    };
    ($kind:ident $name:literal) => {
        $name
    };
}

macro_rules! define_kinds {
    ($($kind:ident $(($name:literal))? = $type:path, $form:ident, $group:literal, [$($version:literal),*];)*) => {
        /// A kind of object that is read.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        #[expect(missing_docs, reason = "the names are those of the kinds")]
        pub enum Kind { $($kind),* }

        impl Kind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// The name in `kind:`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$kind => kind_name!($kind $($name)?)),* }
            }

            /// The API group; empty for the core group and for MeshConfig, which has none.
            #[must_use]
            pub const fn group(self) -> &'static str {
                match self { $(Self::$kind => $group),* }
            }

            /// The versions that are read, the newest first. All of a kind mean the same.
            #[must_use]
            pub const fn versions(self) -> &'static [&'static str] {
                match self { $(Self::$kind => &[$($version),*]),* }
            }
        }

        /// One object of any kind that is read.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        #[expect(missing_docs, reason = "the names are those of the kinds")]
        pub enum Resource { $($kind(Box<Object<$type>>)),* }

        impl Resource {
            /// Its kind.
            #[must_use]
            pub const fn kind(&self) -> Kind {
                match self { $(Self::$kind(_) => Kind::$kind),* }
            }

            /// Its metadata.
            #[must_use]
            pub fn meta(&self) -> &ObjectMeta {
                match self { $(Self::$kind(object) => &object.meta),* }
            }

            /// What it says, as text that is the same for the same content wherever it was written: for telling one from
            /// another. Nothing of what `Debug` keeps to itself is in it.
            #[must_use]
            pub fn content(&self) -> String {
                match self { $(Self::$kind(object) => format!("{:?} {:?}", object.meta, object.spec)),* }
            }

            /// Where it was written.
            #[must_use]
            pub fn origin(&self) -> &Origin {
                match self { $(Self::$kind(object) => &object.origin),* }
            }
        }

        $(impl Typed for $type {
            const KIND: Kind = Kind::$kind;
        })*

        $(impl From<Object<$type>> for Resource {
            fn from(object: Object<$type>) -> Self {
                Self::$kind(Box::new(object))
            }
        })*
    };
}
for_each_kind!(define_kinds);

impl Resource {
    /// Kind, namespace and name.
    #[must_use]
    pub fn id(&self) -> ResourceId {
        let NamespacedName { namespace, name } = self.meta().namespaced_name();
        ResourceId { kind: self.kind(), namespace, name }
    }
}

impl Kind {
    /// Whether its objects belong to no namespace.
    pub(crate) fn is_cluster_wide(self) -> bool {
        matches!(self, Self::Namespace | Self::Node)
    }

    /// Whether its fields are Istio's, so that an unknown one is a mistake. Of Kubernetes' own kinds only the parts
    /// that matter here are declared.
    pub(crate) fn is_istio(self) -> bool {
        self.group().ends_with("istio.io")
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What makes an object unique, printed `Kind namespace/name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct ResourceId {
    /// The kind.
    pub kind: Kind,
    /// The namespace; empty for a Namespace or Node.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl ResourceId {
    /// The identity of an object.
    #[must_use]
    pub fn new(kind: Kind, namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { kind, namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.namespace.as_str() {
            "" => write!(f, "{} {}", self.kind, self.name),
            namespace => write!(f, "{} {namespace}/{}", self.kind, self.name),
        }
    }
}

/// What the loader makes of an `apiVersion` and a `kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lookup {
    /// It is read.
    Known(Kind),
    /// A kind that is read, in a version that does not exist.
    UnknownVersion(Kind),
    /// A kind that is read, under another of Istio's groups.
    WrongGroup(Kind),
    /// A kind of Istio's that is not read.
    Skipped,
    /// Somebody else's.
    Foreign,
}

/// Kinds of Istio's that speak about Envoy itself.
const SKIPPED: &[(&str, &str)] = &[
    ("networking.istio.io", "EnvoyFilter"),
    ("extensions.istio.io", "WasmPlugin"),
    ("extensions.istio.io", "TrafficExtension"),
];

/// The group and name of each.
pub(crate) fn skipped_kinds() -> impl Iterator<Item = (&'static str, &'static str)> + Clone {
    SKIPPED.iter().copied()
}

/// Looks an object's type up in the table.
pub(crate) fn lookup(api_version: &str, kind: &str) -> Lookup {
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    if SKIPPED.contains(&(group, kind)) {
        return Lookup::Skipped;
    }
    let mut named = Kind::ALL.iter().copied().filter(|known| known.as_str() == kind && *known != Kind::MeshConfig);
    let first = named.clone().next();
    // Two groups may have kinds of one name.
    match named.find(|known| known.group() == group).or(first) {
        Some(known) if known.group() == group && known.versions().contains(&version) => Lookup::Known(known),
        Some(known) if known.group() == group && known.is_istio() => Lookup::UnknownVersion(known),
        Some(known) if known.is_istio() && group.ends_with("istio.io") => Lookup::WrongGroup(known),
        _ => Lookup::Foreign,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_of_the_table_is_known() {
        for kind in Kind::ALL.iter().copied().filter(|kind| *kind != Kind::MeshConfig) {
            for version in kind.versions() {
                let api_version = match kind.group() {
                    "" => (*version).to_owned(),
                    group => format!("{group}/{version}"),
                };
                assert_eq!(lookup(&api_version, kind.as_str()), Lookup::Known(kind));
            }
        }
    }

    #[test]
    fn other_versions_groups_and_kinds_are_told_apart() {
        let cases = [
            ("networking.istio.io/v1alpha1", "VirtualService", Lookup::UnknownVersion(Kind::VirtualService)),
            ("networking.istio.io/v1", "ProxyConfig", Lookup::UnknownVersion(Kind::ProxyConfig)),
            ("security.istio.io/v1", "Gateway", Lookup::WrongGroup(Kind::Gateway)),
            ("gateway.networking.k8s.io/v1", "Gateway", Lookup::Known(Kind::KubernetesGateway)),
            ("gateway.networking.k8s.io/v1alpha1", "Gateway", Lookup::Foreign),
            ("networking.istio.io/v1", "Gateway", Lookup::Known(Kind::Gateway)),
            ("serving.knative.dev/v1", "Service", Lookup::Foreign),
            ("networking.istio.io/v1alpha3", "EnvoyFilter", Lookup::Skipped),
            ("extensions.istio.io/v1alpha1", "WasmPlugin", Lookup::Skipped),
            ("apps/v1", "Deployment", Lookup::Known(Kind::Deployment)),
            ("apps/v1", "StatefulSet", Lookup::Foreign),
            ("v1", "MeshConfig", Lookup::Foreign),
        ];
        for (api_version, kind, expected) in cases {
            assert_eq!(lookup(api_version, kind), expected, "{api_version} {kind}");
        }
    }

    #[test]
    fn an_identity_prints_kind_namespace_and_name() {
        assert_eq!(ResourceId::new(Kind::Gateway, "a", "b").to_string(), "Gateway a/b");
        assert_eq!(ResourceId::new(Kind::Namespace, "", "b").to_string(), "Namespace b");
    }
}
