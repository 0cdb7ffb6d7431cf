//! Istio's YAML as Rust types: parsed, checked, and ordered as Istio orders it.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod api;
pub mod value;

pub mod analyze;
pub mod diagnostic;
#[cfg(feature = "fs")]
pub mod dir;
pub mod document;
mod locate;
pub mod meta;
pub mod resource;
pub mod set;
pub mod validate;

pub use self::diagnostic::{Code, Diagnostic, FieldPath, Origin, Report, Severity};
#[cfg(feature = "fs")]
pub use self::dir::{read_dir, read_path};
pub use self::document::{Document, Limits, ParseOptions, parse, parse_with};
pub use self::meta::{NamespacedName, ObjectMeta};
pub use self::resource::{Kind, Object, Resource, ResourceId, Typed};
pub use self::set::ConfigSet;
