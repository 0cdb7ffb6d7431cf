//! What is told about requests: Istio's standard metrics, by their names, labels, units and buckets.
//!
//! Nothing is recorded here. What a workload is called in a label, and which labels there are, is decided; `mesh-tower`
//! does the counting.

pub mod messages;
pub mod peer_metadata;
pub mod policy;
pub mod record;
pub mod standard;
pub mod workload;

pub use policy::Side;
pub use record::Record;
pub use workload::Workload;

/// What stands in a label of which nothing is known, as in Istio.
pub const UNKNOWN: &str = "unknown";
