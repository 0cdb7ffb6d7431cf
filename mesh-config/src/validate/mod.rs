//! Rules within one object, as Istio's webhook has them.
//!
//! One file per kind, named like the one in [`crate::api`]: `fn check(&mut Checker, &Object<T>)`. The texts are Istio's,
//! so that they can be searched for. Errors are what Istio refuses (`IST0106`), warnings what it accepts and warns about
//! (`IST0133`, and `IST0130` and `IST0131` for rules that can never match).

mod advice;
mod authorization_policy;
mod checker;
mod common;
mod destination_rule;
mod gateway;
mod header;
mod mesh_config;
mod metadata;
mod peer_authentication;
mod proxy_config;
mod proxy_limits;
mod request_authentication;
mod server_tls;
mod service_entry;
mod sidecar;
mod string_match;
mod telemetry;
mod virtual_service;
mod workload_entry;
mod workload_group;

pub(crate) use self::checker::{At, Checker};
pub(crate) use self::virtual_service::is_reported_as_covered;

use crate::diagnostic::Report;
use crate::resource::Resource;

/// Checks one object by itself. Kinds of Kubernetes have no rules here.
pub fn check(resource: &Resource, report: &mut Report) {
    let cx = &mut Checker::new(resource.kind(), resource.meta(), resource.origin(), report);
    metadata::check(cx, resource);
    match resource {
        Resource::AuthorizationPolicy(object) => authorization_policy::check(cx, object),
        Resource::DestinationRule(object) => {
            destination_rule::check(cx, object);
            proxy_limits::check_destination_rule(cx, object);
        }
        Resource::Gateway(object) => gateway::check(cx, object),
        Resource::MeshConfig(object) => mesh_config::check(cx, object),
        Resource::PeerAuthentication(object) => peer_authentication::check(cx, object),
        Resource::ProxyConfig(object) => proxy_config::check(cx, object),
        Resource::RequestAuthentication(object) => request_authentication::check(cx, object),
        Resource::ServiceEntry(object) => service_entry::check(cx, object),
        Resource::Sidecar(object) => sidecar::check(cx, object),
        Resource::Telemetry(object) => telemetry::check(cx, object),
        Resource::VirtualService(object) => {
            virtual_service::check(cx, object);
            proxy_limits::check_virtual_service(cx, object);
        }
        Resource::WorkloadEntry(object) => workload_entry::check(cx, object),
        Resource::WorkloadGroup(object) => workload_group::check(cx, object),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
