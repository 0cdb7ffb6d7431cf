//! Why a host is unknown that some object declares.

use super::{Explainer, Listener};
use crate::host_index::host_of;

impl Explainer<'_> {
    /// What keeps the service that an authority names from this workload.
    pub(super) fn hidden(&self, authority: &str, listener: &Listener) -> Option<String> {
        let at_gateway = !listener.gateways.is_empty();
        let host = self.in_full(host_of(authority)?)?;
        if !at_gateway && self.sight.offers(&host, listener.port) {
            return Some(format!("{host} has no port {}", listener.port));
        }
        let why = self.sight.why_hidden(&host, at_gateway, self.site)?;
        (!at_gateway).then(|| format!("{host} {why}"))
    }

    /// The declared host that a name, in full or a short form, stands for.
    fn in_full(&self, name: &str) -> Option<String> {
        let name = name.to_ascii_lowercase();
        let name = name.trim_end_matches('.');
        let (domain, own) = (&self.site.cluster_domain, &self.site.namespace);
        let forms = [
            name.to_owned(),
            format!("{name}.{domain}"),
            format!("{name}.svc.{domain}"),
            format!("{name}.{own}.svc.{domain}"),
        ];
        forms.into_iter().find(|form| self.sight.registry.exists(form))
    }
}
