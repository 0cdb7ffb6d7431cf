//! What the layers that stand alone have in common.

/// Accessors of a service around another one.
macro_rules! accessors {
    () => {
        /// The service inside.
        pub fn get_ref(&self) -> &S {
            &self.inner
        }

        /// The service inside.
        pub fn get_mut(&mut self) -> &mut S {
            &mut self.inner
        }

        /// The service inside.
        pub fn into_inner(self) -> S {
            self.inner
        }
    };
}

pub(crate) use accessors;

use crate::{BoxError, Error, Failure};

/// What an error of a service inside means to policies: what it says if it is ours, else that the
/// connection broke.
pub(crate) fn failure_of(error: &BoxError) -> Failure {
    error.downcast_ref::<Error>().map_or(Failure::ConnectionTerminated, Error::failure)
}
