//! Every destination that a VirtualService names.

use crate::api::VirtualService;
use crate::api::virtual_service::{Destination, HttpRoute, RouteDestination};
use crate::validate::At;

/// What a destination gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// A share of the requests of an HTTP rule.
    Requests(Share),
    /// Connections of a TLS or TCP rule.
    Connections,
    /// Copies of requests.
    Copies,
}

/// What part of the requests goes to one of several destinations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    weight: i32,
    total: i64,
    is_only: bool,
}

/// Visits the destinations of a VirtualService, with the field where each stands. One that is missing where it is required
/// is visited as nothing.
pub(super) fn each(service: &VirtualService, mut visit: impl FnMut(&At<'_>, Option<&Destination>, Role)) {
    let spec = At::top("spec");
    for (index, route) in service.tcp.iter().enumerate() {
        connections(&spec.field("tcp").index(index).field("route"), &route.route, &mut visit);
    }
    for (index, route) in service.tls.iter().enumerate() {
        connections(&spec.field("tls").index(index).field("route"), &route.route, &mut visit);
    }
    for (index, route) in service.http.iter().enumerate() {
        http(&spec.field("http").index(index), route, &mut visit);
    }
}

fn connections(at: &At<'_>, routes: &[RouteDestination], visit: &mut impl FnMut(&At<'_>, Option<&Destination>, Role)) {
    for (index, to) in routes.iter().enumerate() {
        visit(&at.index(index).field("destination"), to.destination.as_ref(), Role::Connections);
    }
}

fn http(at: &At<'_>, route: &HttpRoute, visit: &mut impl FnMut(&At<'_>, Option<&Destination>, Role)) {
    let total = route.route.iter().map(|to| i64::from(to.weight)).sum();
    let is_only = route.route.len() == 1;
    for (index, to) in route.route.iter().enumerate() {
        let share = Share { weight: to.weight, total, is_only };
        let at = at.field("route");
        visit(&at.index(index).field("destination"), to.destination.as_ref(), Role::Requests(share));
    }
    if let Some(mirror) = &route.mirror {
        visit(&at.field("mirror"), Some(mirror), Role::Copies);
    }
    for (index, mirror) in route.mirrors.iter().enumerate() {
        let at = at.field("mirrors");
        visit(&at.index(index).field("destination"), mirror.destination.as_ref(), Role::Copies);
    }
}

impl Role {
    /// How Istio calls a reference in this role: `host`, or `mirror host`.
    pub(super) fn reference<'t>(self, route: &'t str, mirror: &'t str) -> &'t str {
        if self == Self::Copies { mirror } else { route }
    }

    /// What happens where the destination does not exist.
    pub(super) fn effect(self, answer: &str) -> String {
        match self {
            Self::Copies => "the copy is not sent; the request itself is not touched".to_owned(),
            Self::Connections => "its connections are closed".to_owned(),
            Self::Requests(share) if share.is_only => format!("its requests get {answer}"),
            Self::Requests(share) if share.total == 0 => format!("its share of the requests gets {answer}"),
            Self::Requests(share) => format!("{} of {} requests get {answer}", share.weight, share.total),
        }
    }
}
