//! Who opens connections.

#[cfg(feature = "testing")]
use std::sync::Arc;

#[cfg(feature = "testing")]
use crate::testing::Switchboard;

/// Where the endpoints are. All that is above a connected stream is the same for each.
#[derive(Clone, Debug, Default)]
pub(crate) enum Network {
    /// Behind sockets of the operating system.
    #[default]
    System,
    /// In this process, for tests.
    #[cfg(feature = "testing")]
    InMemory(Arc<Switchboard>),
}
