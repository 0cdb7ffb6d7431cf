//! Istio's YAML as Rust types: parsed, checked, and ordered as Istio orders it.
//!
//! No I/O (but for the feature `fs`, which reads directories), no clock, no async runtime. Text goes in, and out come the
//! objects that are good and a [`Report`] of everything else; nothing here panics or fails on bad input.
//!
//! ```
//! let (documents, mut report) = mesh_config::parse("mesh/reviews.yaml", "
//! apiVersion: networking.istio.io/v1
//! kind: VirtualService
//! metadata: {name: reviews}
//! spec:
//!   hosts: [reviews]
//!   http:
//!   - route:
//!     - destination: {host: reviews, subset: v2}
//!     retries: {attempts: -1}
//! ");
//! let (set, duplicates) = mesh_config::ConfigSet::from_documents(documents);
//! report.extend(duplicates);
//! report.extend(set.validate());
//! report.extend(set.analyze());
//! let found: Vec<_> = report.iter().map(|finding| (finding.code.as_str(), finding.origin.line)).collect();
//! assert_eq!(found, [("IST0106", 10), ("IST0101", 9)]);
//! ```
//!
//! - [`api`] and [`value`]: the kinds as structs, and the leaf types that are valid once read.
//! - [`document`]: text to objects, held against Istio's CRDs on the way. [`dir`] does it for files.
//! - [`set`]: the objects that count, each once, in Istio's order.
//! - [`validate`]: the rules of Istio's webhook. [`analyze`]: findings across objects.
//! - [`diagnostic`]: what a finding is.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod api;
pub mod value;

pub mod analyze;
mod crd;
pub mod diagnostic;
#[cfg(feature = "fs")]
pub mod dir;
pub mod document;
mod locate;
pub mod meta;
pub mod resource;
pub mod set;
pub mod status;
pub mod validate;

pub use self::diagnostic::{Code, Diagnostic, FieldPath, Origin, Report, Severity};
#[cfg(feature = "fs")]
pub use self::dir::{read_dir, read_path};
pub use self::document::{Document, Limits, ParseOptions, parse, parse_with};
pub use self::meta::{NamespacedName, ObjectMeta};
pub use self::resource::{Kind, Object, Resource, ResourceId, Typed};
pub use self::set::ConfigSet;
pub use self::status::Status;
