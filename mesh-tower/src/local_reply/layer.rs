use tower_layer::Layer;

use super::LocalReply;

/// Answers failures.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalReplyLayer {
    foreign: bool,
}

impl LocalReplyLayer {
    /// Answers every [`Error`](crate::Error); errors of other kinds stay errors.
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers errors of other kinds too, by the first of their causes that is known, else as a
    /// connection that broke: then no call fails any more.
    #[must_use]
    pub fn answer_all(self) -> Self {
        Self { foreign: true }
    }
}

impl<S> Layer<S> for LocalReplyLayer {
    type Service = LocalReply<S>;

    fn layer(&self, inner: S) -> LocalReply<S> {
        LocalReply::new(inner, self.foreign)
    }
}
