//! What every kind's metadata is held to.

use super::checker::{At, Checker};
use crate::resource::Resource;
use crate::value::dry_run::ANNOTATION as DRY_RUN;

/// For tests of the webhook.
const ALWAYS_REJECT: &str = "internal.istio.io/webhook-always-reject";
/// What Istio notes on objects that it makes itself.
const RESERVED: &[&str] = &["internal.istio.io/parents", "internal.istio.io/parent-namespace"];

pub(super) fn check(cx: &mut Checker<'_>, resource: &Resource) {
    if !resource.kind().is_istio() {
        return;
    }
    let annotations = &cx.meta.annotations;
    let at = At::top("metadata");
    let at = at.field("annotations");
    if annotations.contains_key(DRY_RUN) && !matches!(resource, Resource::AuthorizationPolicy(_)) {
        let name = cx.meta.namespaced_name();
        let message = format!("{name} has unsupported annotation {DRY_RUN}, please remove the annotation");
        cx.error(&at.key(DRY_RUN), message);
    }
    if annotations.contains_key(ALWAYS_REJECT) {
        cx.error(&at.key(ALWAYS_REJECT), format!("{ALWAYS_REJECT:?} annotation found, rejecting"));
    }
    for name in RESERVED.iter().filter(|name| annotations.contains_key(**name)) {
        cx.error(&at.key(name), format!("{name:?} annotation found, this may not be set by users"));
    }
}
