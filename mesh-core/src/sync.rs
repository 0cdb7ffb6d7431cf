//! The one place that atomics and locks come from, so that a model checker can put its own in their place
//! (`mesh-core/tests/loom.rs`).

#[cfg(loom)]
pub(crate) use loom::sync::{Mutex, MutexGuard, atomic};
#[cfg(not(loom))]
pub(crate) use std::sync::{Mutex, MutexGuard, atomic};
