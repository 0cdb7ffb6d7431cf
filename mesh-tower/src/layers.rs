//! What the layers that stand alone have in common.

use std::error::Error as StdError;
use std::io;

use http::Response;
use mesh_core::classify::Outcome;

use crate::endpoint::classify;
use crate::{BoxError, Error, Failure};

/// Accessors of a service around another one.
macro_rules! accessors {
    () => {
        /// The service inside.
        pub fn get_ref(&self) -> &S {
            &self.inner
        }

        /// The service inside, to be changed.
        pub fn get_mut(&mut self) -> &mut S {
            &mut self.inner
        }

        /// Gives up this one for the service inside.
        pub fn into_inner(self) -> S {
            self.inner
        }
    };
}

pub(crate) use accessors;

/// Gives back what the service inside has reserved for a call that it does not get: ready is an instance, not the
/// service, and nobody may come for this one again.
pub(crate) fn forgo<S: Clone>(inner: &mut S) {
    let another = inner.clone();
    *inner = another;
}

/// What a call of the service inside came to, in the terms that policies think in.
pub(crate) fn outcome_of<R>(result: &Result<Response<R>, BoxError>) -> Outcome {
    match result {
        Ok(response) => Outcome::of_response(response.status(), response.headers()),
        Err(error) => Outcome::Failed(failure_of(error)),
    }
}

/// The same for who may send a request again. That a connection was refused says nothing there, since the service
/// inside may have called somebody on its way, after it had done what it was asked for: only errors of ours tell that
/// nothing was sent, and those of which `is_unsent` says so.
pub(crate) fn outcome_of_try<R>(result: &Result<Response<R>, BoxError>, is_unsent: IsUnsent) -> Outcome {
    match result {
        Err(error) if is_unsent(error) => Outcome::Failed(Failure::ConnectFailed),
        Err(error) if !is_ours(error) && failure_of(error) == Failure::ConnectFailed => {
            Outcome::Failed(Failure::ConnectionTerminated)
        }
        _ => outcome_of(result),
    }
}

/// Tells of an error of a service that nothing was sent.
pub(crate) type IsUnsent = fn(&BoxError) -> bool;

/// Whether the error, or one of its causes, is a mesh's: what it says is meant for this request.
fn is_ours(error: &BoxError) -> bool {
    let causes = std::iter::successors(Some(&**error as &(dyn StdError + 'static)), |error| cause_of(*error));
    causes.into_iter().any(|error| error.is::<Error>())
}

/// What an error of the service inside means: what it or one of its causes says that we know, else
/// that the connection broke.
pub(crate) fn failure_of(error: &BoxError) -> Failure {
    let mut next: Option<&(dyn StdError + 'static)> = Some(&**error);
    while let Some(error) = next {
        if let Some(failure) = known(error) {
            return failure;
        }
        next = cause_of(error);
    }
    Failure::ConnectionTerminated
}

fn cause_of<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e (dyn StdError + 'static)> {
    // An I/O error passes over what it was made of.
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

fn known(error: &(dyn StdError + 'static)) -> Option<Failure> {
    if let Some(error) = error.downcast_ref::<Error>() {
        return Some(error.failure());
    }
    if let Some(error) = error.downcast_ref::<hyper::Error>() {
        return Some(classify::failure_of(error));
    }
    // Nothing but an attempt to connect is refused like this: nothing was sent.
    let refused = [io::ErrorKind::ConnectionRefused, io::ErrorKind::HostUnreachable, io::ErrorKind::NetworkUnreachable];
    let error = error.downcast_ref::<io::Error>()?;
    refused.contains(&error.kind()).then_some(Failure::ConnectFailed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_what_the_first_of_its_causes_that_we_know_says() {
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        assert_eq!(failure_of(&refused().into()), Failure::ConnectFailed);
        assert_eq!(failure_of(&io::Error::other(refused()).into()), Failure::ConnectFailed);
        assert_eq!(failure_of(&Error::with_source(Failure::RefusedStream, refused()).into()), Failure::RefusedStream);
        assert_eq!(failure_of(&io::Error::other(Error::from(Failure::NoRoute)).into()), Failure::NoRoute);
    }

    #[test]
    fn a_refused_connection_may_be_another_one_than_that_of_the_request() {
        let refused: Result<Response<()>, BoxError> = Err(io::Error::from(io::ErrorKind::ConnectionRefused).into());
        let terminated = Outcome::Failed(Failure::ConnectionTerminated);
        assert_eq!(outcome_of_try(&refused, |_| false), terminated);
        let unsent = Outcome::Failed(Failure::ConnectFailed);
        assert_eq!(outcome_of_try(&refused, |error| error.is::<io::Error>()), unsent);
        let ours: Result<Response<()>, BoxError> = Err(io::Error::other(Error::from(Failure::ConnectFailed)).into());
        assert_eq!(outcome_of_try(&ours, |_| false), unsent);
    }

    #[test]
    fn what_nobody_knows_is_a_broken_connection() {
        assert_eq!(failure_of(&"broken".into()), Failure::ConnectionTerminated);
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        assert_eq!(failure_of(&reset.into()), Failure::ConnectionTerminated);
    }
}
