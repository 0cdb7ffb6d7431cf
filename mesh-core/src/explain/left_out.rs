//! Match blocks that have no route for this client, and why.

use mesh_config::api::VirtualService;
use mesh_config::api::virtual_service::HttpMatchRequest;
use mesh_config::value::host::subset_of;
use mesh_config::{Kind, Object, Resource, ResourceId};

use super::{Explainer, LeftOut, Listener};
use crate::compile::registry::fqdn;
use crate::route::RuleOrigin;
use crate::route::selector::{self, MatchSite};

impl Explainer<'_> {
    /// Those of the VirtualService that the routes of a virtual host come from. A service that has its own route may
    /// have it because all blocks of its VirtualServices are left out.
    pub(super) fn left_out(&self, origin: &RuleOrigin, listener: &Listener) -> Vec<LeftOut> {
        if origin.kind == "Service" {
            let of_host = |object: &&&Object<VirtualService>| {
                let mut hosts = object.spec.hosts.iter();
                hosts.any(|host| subset_of(&origin.name, &fqdn(host, &object.meta.namespace, self.site)))
            };
            let objects = self.sight.virtual_services.iter().filter(of_host);
            return objects.flat_map(|object| self.left_out_of(object, listener)).collect();
        }
        // Which blocks of a delegate apply is decided with those of the rule that delegates to it.
        let origin = origin.delegated_by.as_deref().unwrap_or(origin);
        let id = ResourceId::new(Kind::VirtualService, &*origin.namespace, &*origin.name);
        match self.set.get(&id).map(|document| &document.resource) {
            Some(Resource::VirtualService(object)) => self.left_out_of(object, listener),
            _ => Vec::new(),
        }
    }

    fn left_out_of(&self, object: &Object<VirtualService>, listener: &Listener) -> Vec<LeftOut> {
        let site = MatchSite {
            labels: &self.site.labels,
            namespace: &self.site.namespace,
            gateway: listener.gateways.first().map(String::as_str),
            port: listener.port,
            virtual_service_namespace: &object.meta.namespace,
        };
        let mut found = Vec::new();
        for (rule, http) in object.spec.http.iter().enumerate() {
            for (index, block) in http.matches.iter().enumerate() {
                if !selector::applies(block, &site) {
                    let field = format!("spec.http[{rule}].match[{index}]");
                    let rule = self.place(Kind::VirtualService, &object.meta.namespace, &object.meta.name, &field);
                    found.push(LeftOut { rule, why: why_not(block, &site) });
                }
            }
        }
        found
    }
}

fn why_not(block: &HttpMatchRequest, site: &MatchSite<'_>) -> String {
    if block.port != 0 && block.port != u32::from(site.port) {
        return format!("it is for port {}, and this is port {}", block.port, site.port);
    }
    if !block.gateways.is_empty() {
        let here = site.gateway.unwrap_or("mesh");
        return format!("it is for the gateways {}, and this is {here}", block.gateways.join(", "));
    }
    if !block.source_namespace.is_empty() && block.source_namespace != site.namespace {
        return format!(
            "it is for clients in namespace {}, and this one is in {}",
            block.source_namespace, site.namespace
        );
    }
    let lacking: Vec<_> = block
        .source_labels
        .iter()
        .filter(|(key, value)| site.labels.get(*key) != Some(*value))
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    format!("it is for clients with {}, which this one has not", lacking.join(", "))
}
