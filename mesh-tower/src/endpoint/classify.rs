//! What a broken exchange says about whose fault it is.

use std::error::Error as StdError;

use h2::Reason;
use mesh_core::Failure;

use crate::Error;

/// The failure behind an error of hyper.
pub(crate) fn failure_of(error: &hyper::Error) -> Failure {
    if let Some(http2) = source_of::<h2::Error>(error) {
        return match http2.reason() {
            Some(Reason::REFUSED_STREAM) => Failure::RefusedStream,
            Some(_) if http2.is_reset() && http2.is_remote() => Failure::ResetByUpstream,
            Some(_) if http2.is_reset() => Failure::LocalReset,
            Some(Reason::PROTOCOL_ERROR | Reason::FRAME_SIZE_ERROR | Reason::COMPRESSION_ERROR) => {
                Failure::ProtocolError
            }
            _ => Failure::ConnectionTerminated,
        };
    }
    if error.is_parse() {
        return Failure::ProtocolError;
    }
    if error.is_user() || error.is_body_write_aborted() {
        return Failure::LocalReset;
    }
    Failure::ConnectionTerminated
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
