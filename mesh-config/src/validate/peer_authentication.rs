//! PeerAuthentication.

use super::checker::{At, Checker};
use super::common;
use crate::api::PeerAuthentication;
use crate::resource::Object;

pub(super) fn check(cx: &mut Checker<'_>, object: &Object<PeerAuthentication>) {
    let policy = &object.spec;
    let spec = At::top("spec");
    let selects = policy.selector.as_ref().is_some_and(|selector| !selector.match_labels.is_empty());
    if let Some(ports) = &policy.port_level_mtls {
        let at = spec.field("portLevelMtls");
        if ports.is_empty() {
            cx.error(&at, "port level mTLS, if defined, must have at least one element");
        } else if !selects {
            cx.error(&at, "mesh/namespace peer authentication cannot have port level mTLS");
        }
        for port in ports.keys().filter(|port| !(1..=65_535).contains(*port)) {
            cx.error(&at.key(&port.to_string()), "port must be in range 1..65535");
        }
    }
    if let Some(selector) = &policy.selector {
        common::selector(cx, &spec.field("selector").field("matchLabels"), &selector.match_labels);
    }
}
