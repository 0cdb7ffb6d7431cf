//! What a workload is called in labels.

use mesh_config::value::Labels;

use super::UNKNOWN;
use crate::identity::SpiffeId;

/// A workload, as labels of metrics and spans name it. What is not known is [`UNKNOWN`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Workload {
    /// Its name, such as that of its Deployment.
    pub name: Box<str>,
    /// Its namespace.
    pub namespace: Box<str>,
    /// The service that it is a part of, whatever its version: the label `service.istio.io/canonical-name`, else
    /// `app.kubernetes.io/name`, else `app`, else its name.
    pub canonical_service: Box<str>,
    /// Its version: the label `service.istio.io/canonical-revision`, else `app.kubernetes.io/version`, else `version`,
    /// else `latest`.
    pub canonical_revision: Box<str>,
    /// The label `app`.
    pub app: Box<str>,
    /// The label `version`.
    pub version: Box<str>,
    /// The Kubernetes cluster.
    pub cluster: Box<str>,
    /// Its SPIFFE id.
    pub principal: Box<str>,
}

/// The version of what has none.
const LATEST: &str = "latest";

impl Workload {
    /// A workload of which nothing is known.
    pub fn unknown() -> Self {
        let unknown = || Box::from(UNKNOWN);
        Self {
            name: unknown(),
            namespace: unknown(),
            canonical_service: unknown(),
            canonical_revision: LATEST.into(),
            app: unknown(),
            version: unknown(),
            cluster: unknown(),
            principal: unknown(),
        }
    }

    /// A workload with a name, or without, and labels.
    pub fn new(name: Option<&str>, namespace: Option<&str>, labels: &Labels) -> Self {
        let first = |keys: &[&str]| {
            keys.iter().find_map(|key| labels.get(*key)).filter(|value| !value.is_empty()).map(String::as_str)
        };
        let known = |value: Option<&str>| Box::from(value.unwrap_or(UNKNOWN));
        let canonical = first(&["service.istio.io/canonical-name", "app.kubernetes.io/name", "app"]).or(name);
        let revision =
            first(&["service.istio.io/canonical-revision", "app.kubernetes.io/version", "version"]).unwrap_or(LATEST);
        Self {
            name: known(name),
            namespace: known(namespace),
            canonical_service: known(canonical),
            canonical_revision: revision.into(),
            app: known(first(&["app"])),
            version: known(first(&["version"])),
            ..Self::unknown()
        }
    }

    /// The same with what the workload has told of itself, where it has. Who it is stays what it has proved.
    #[must_use]
    pub fn refined_by(&self, told: &Self) -> Self {
        let newer = |known: &str, told: &str| Box::from(if told == UNKNOWN { known } else { told });
        let revision =
            if &*told.canonical_revision == LATEST { &self.canonical_revision } else { &told.canonical_revision };
        let refined = Self {
            name: newer(&self.name, &told.name),
            namespace: newer(&self.namespace, &told.namespace),
            canonical_service: newer(&self.canonical_service, &told.canonical_service),
            canonical_revision: revision.clone(),
            app: newer(&self.app, &told.app),
            version: newer(&self.version, &told.version),
            cluster: newer(&self.cluster, &told.cluster),
            principal: self.principal.clone(),
        };
        if &*self.principal == UNKNOWN { refined } else { refined.with_principal(&self.principal) }
    }

    /// The same with a SPIFFE id, whose namespace counts before another one.
    #[must_use]
    pub fn with_principal(mut self, principal: &str) -> Self {
        if let Some(namespace) = principal.parse::<SpiffeId>().ok().as_ref().and_then(SpiffeId::namespace) {
            self.namespace = namespace.into();
        }
        self.principal = principal.into();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_canonical_service_comes_from_the_first_label_that_there_is() {
        let canonical = |pairs: &[(&str, &str)]| {
            let workload = Workload::new(Some("reviews-v1"), Some("shop"), &labels(pairs));
            (workload.canonical_service.into_string(), workload.canonical_revision.into_string())
        };
        let all = [("app", "a"), ("app.kubernetes.io/name", "b"), ("service.istio.io/canonical-name", "c")];
        assert_eq!(canonical(&all).0, "c");
        assert_eq!(canonical(&all[..2]).0, "b");
        assert_eq!(canonical(&[("app", "a"), ("version", "v1")]), ("a".to_owned(), "v1".to_owned()));
        assert_eq!(canonical(&[]), ("reviews-v1".to_owned(), "latest".to_owned()));
    }

    #[test]
    fn what_a_workload_tells_of_itself_counts_but_for_who_it_is() {
        let known = Workload::new(None, Some("shop"), &labels(&[("app", "reviews"), ("version", "v1")]));
        let known = known.with_principal("spiffe://cluster.local/ns/shop/sa/reviews");
        let told = Workload::new(Some("reviews-v2"), Some("bank"), &labels(&[("version", "v2")]));
        let told = told.with_principal("spiffe://cluster.local/ns/bank/sa/teller");
        let refined = known.refined_by(&told);
        assert_eq!((&*refined.name, &*refined.namespace, &*refined.version), ("reviews-v2", "shop", "v2"));
        assert_eq!((&*refined.app, &refined.principal), ("reviews", &known.principal));
        assert_eq!(known.refined_by(&Workload::unknown()), known);
    }

    #[test]
    fn a_certificate_knows_the_namespace_best() {
        let workload = Workload::unknown().with_principal("spiffe://cluster.local/ns/shop/sa/reviews");
        assert_eq!((&*workload.namespace, &*workload.name), ("shop", UNKNOWN));
        assert_eq!(&*workload.principal, "spiffe://cluster.local/ns/shop/sa/reviews");
    }
}
