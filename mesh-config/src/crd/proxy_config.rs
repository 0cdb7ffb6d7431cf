//! `ProxyConfig`.

use super::schema::{Schema, TEXT, WHOLE, map, object};
use super::selector::SELECTOR;

pub(super) static SPEC: Schema = object(&[
    ("concurrency", WHOLE.at_least(0).nullable()),
    ("environmentVariables", map(&TEXT.at_most(2048))),
    ("image", object(&[("imageType", TEXT)])),
    ("selector", SELECTOR),
]);
