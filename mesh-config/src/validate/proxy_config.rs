//! ProxyConfig.

use super::checker::{At, Checker};
use super::common;
use crate::api::ProxyConfig;
use crate::resource::Object;

pub(super) fn check(cx: &mut Checker<'_>, object: &Object<ProxyConfig>) {
    let spec = At::top("spec");
    if let Some(selector) = &object.spec.selector {
        common::selector(cx, &spec.field("selector").field("matchLabels"), &selector.match_labels);
    }
    if object.spec.concurrency.is_some_and(|concurrency| concurrency < 0) {
        cx.error(&spec.field("concurrency"), "concurrency must be greater than or equal to 0");
    }
}
