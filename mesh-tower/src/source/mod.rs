//! Sources: where configuration comes from, and comes again when it changes.
//!
//! A [`ConfigSource`] runs for as long as the mesh does and hands its whole set of documents to a
//! [`ConfigSink`] each time they change. Whether a set is taken is decided behind the sink, in one
//! place for all sources: a set with errors changes nothing, and [`Applied`] says so. That is the
//! answer which a control plane would get as ACK or NACK; the log has it too.
//!
//! | source | what |
//! |-|-|
//! | [`StaticSource`] | documents given once |
//! | [`DirSource`] | a directory or file, watched |
//! | [`ChannelSource`] | whatever the program pushes through a [`ConfigHandle`] |

mod channel;
mod dir;
mod sink;
mod static_;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use futures_util::future::BoxFuture;

pub use self::channel::{ChannelSource, ConfigHandle};
pub use self::dir::DirSource;
pub(crate) use self::dir::Watch;
pub use self::sink::{Applied, Apply, ConfigSink};
pub use self::static_::StaticSource;

/// Where configuration comes from.
pub trait ConfigSource: Send + 'static {
    /// Tells this source from others, in logs and where documents are replaced: two sources of one
    /// name replace each other's documents.
    fn name(&self) -> &str;

    /// Feeds the sink: the whole set at once, then again after each change. Ends when there is
    /// nothing more to come; what was given stays in use. The mesh drops the future when it shuts
    /// down.
    ///
    /// # Errors
    ///
    /// If the source can never deliver again. What is merely unreadable now is a finding of the
    /// report instead.
    fn run(self: Box<Self>, sink: ConfigSink) -> BoxFuture<'static, Result<(), SourceError>>;
}

/// A source has ended for good.
#[derive(Debug)]
pub struct SourceError {
    message: Cow<'static, str>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl SourceError {
    /// An error that says why.
    pub fn new(message: impl Into<Cow<'static, str>>) -> Self {
        Self { message: message.into(), source: None }
    }

    /// Adds what lies beneath.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for SourceError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
