//! What goes wrong between a request and its response.

use std::fmt;

use mesh_core::{Failure, ResponseFlags};

/// Any error, boxed.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A request that ended without a usable response: what happened, and the cause if there is one.
///
/// Printing it tells this level only; the cause is in [`source`](std::error::Error::source).
pub struct Error(Box<Inner>);

struct Inner {
    failure: Failure,
    retried: bool,
    source: Option<BoxError>,
}

// One word, so that a `Result` of a response is no larger than the response.
const _: () = assert!(size_of::<Error>() == size_of::<usize>());

impl Error {
    /// A failure with what caused it.
    pub fn with_source(failure: Failure, source: impl Into<BoxError>) -> Self {
        Self(Box::new(Inner { failure, retried: false, source: Some(source.into()) }))
    }

    /// What happened, which decides how a caller is answered.
    pub fn failure(&self) -> Failure {
        self.0.failure
    }

    /// The response flags that Envoy logs for it.
    pub fn flags(&self) -> ResponseFlags {
        self.0.failure.flags()
    }

    /// Whether tries were made before the one that failed last.
    pub fn is_retried(&self) -> bool {
        self.0.retried
    }

    /// The same error, of a request that was (or was not) tried before.
    #[must_use]
    pub fn retried(mut self, retried: bool) -> Self {
        self.0.retried = retried;
        self
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self(Box::new(Inner { failure, retried: false, source: None }))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Error");
        debug.field("failure", &self.0.failure);
        if self.0.retried {
            debug.field("retried", &true);
        }
        if let Some(source) = &self.0.source {
            debug.field("source", source);
        }
        debug.finish()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.failure.fmt(f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;
    use std::io;

    use super::*;

    #[test]
    fn an_error_prints_its_own_level_and_keeps_the_cause() {
        let error = Error::with_source(Failure::ConnectFailed, io::Error::from(io::ErrorKind::ConnectionRefused));
        assert_eq!(error.to_string(), Failure::ConnectFailed.to_string());
        assert_eq!(error.flags(), ResponseFlags::UF);
        let cause = error.source().and_then(|source| source.downcast_ref::<io::Error>()).unwrap();
        assert_eq!(cause.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn a_bare_failure_has_no_cause_and_was_not_retried() {
        let error = Error::from(Failure::NoRoute);
        assert!(error.source().is_none());
        assert!(!error.is_retried());
        assert!(error.retried(true).is_retried());
    }

    #[test]
    fn errors_cross_threads() {
        fn check<T: Send + Sync + 'static>() {}
        check::<Error>();
    }
}
