//! Walks over the rules of all objects of a kind, with the place of each.

use crate::api::virtual_service::HttpRoute;
use crate::api::{AuthorizationPolicy, VirtualService, authorization_policy};
use crate::diagnostic::Report;
use crate::resource::{Kind, Object};
use crate::set::ConfigSet;
use crate::validate::{At, Checker};

/// An HTTP rule of a VirtualService.
#[derive(Clone, Copy)]
pub(super) struct HttpRule<'a> {
    pub(super) service: &'a Object<VirtualService>,
    pub(super) index: usize,
    pub(super) route: &'a HttpRoute,
}

impl HttpRule<'_> {
    /// Whether its requests go to a destination, its own or a delegate's.
    pub(super) fn forwards(&self) -> bool {
        self.route.redirect.is_none() && self.route.direct_response.is_none()
    }
}

pub(super) fn title(name: &str, index: usize) -> String {
    if name.is_empty() { format!("#{index}") } else { format!("{name:?}") }
}

/// Every HTTP rule, in order.
pub(super) fn each_http_rule<'s>(
    set: &'s ConfigSet,
    out: &mut Report,
    mut check: impl FnMut(&mut Checker<'_>, &At<'_>, HttpRule<'s>),
) {
    let spec = At::top("spec");
    let http = spec.field("http");
    for service in set.virtual_services() {
        let cx = &mut Checker::new(Kind::VirtualService, &service.meta, &service.origin, out);
        for (index, route) in service.spec.http.iter().enumerate() {
            check(cx, &http.index(index), HttpRule { service, index, route });
        }
    }
}

/// Every rule of every AuthorizationPolicy, in order.
pub(super) fn each_policy_rule<'s>(
    set: &'s ConfigSet,
    out: &mut Report,
    mut check: impl FnMut(&mut Checker<'_>, &At<'_>, &'s Object<AuthorizationPolicy>, &'s authorization_policy::Rule),
) {
    let spec = At::top("spec");
    let rules = spec.field("rules");
    for policy in set.authorization_policies() {
        let cx = &mut Checker::new(Kind::AuthorizationPolicy, &policy.meta, &policy.origin, out);
        for (index, rule) in policy.spec.rules.iter().enumerate() {
            check(cx, &rules.index(index), policy, rule);
        }
    }
}
