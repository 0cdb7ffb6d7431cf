//! What a broken exchange says about whose fault it is.

use std::error::Error as StdError;

use h2::Reason;
use mesh_core::Failure;

use crate::Error;

/// The failure behind an error of hyper.
pub(crate) fn failure_of(error: &hyper::Error) -> Failure {
    if let Some(error) = source_of::<h2::Error>(error) {
        return failure_of_http2(error);
    }
    if error.is_parse() {
        return Failure::ProtocolError;
    }
    if error.is_user() || error.is_body_write_aborted() {
        return Failure::LocalReset;
    }
    Failure::ConnectionTerminated
}

fn failure_of_http2(error: &h2::Error) -> Failure {
    match error.reason() {
        Some(Reason::REFUSED_STREAM) => Failure::RefusedStream,
        // The peer goes away, for whatever reason, and says that it has not looked at this stream: those that it
        // has begun with end otherwise.
        Some(_) if error.is_go_away() && error.is_remote() => Failure::RefusedStream,
        Some(_) if error.is_remote() && error.is_reset() => Failure::ResetByUpstream,
        // What we noticed ourselves about the peer's frames.
        Some(_) if error.is_library() => Failure::ProtocolError,
        Some(_) if error.is_reset() => Failure::LocalReset,
        _ => Failure::ConnectionTerminated,
    }
}

pub(super) fn error_of(error: hyper::Error) -> Error {
    Error::with_source(failure_of(&error), error)
}

fn source_of<'e, E: StdError + 'static>(error: &'e (dyn StdError + 'static)) -> Option<&'e E> {
    let mut next = error.source();
    while let Some(source) = next {
        if let Some(found) = source.downcast_ref() {
            return Some(found);
        }
        next = source.source();
    }
    None
}
