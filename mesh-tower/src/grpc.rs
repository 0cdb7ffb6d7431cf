//! Messages of gRPC in the bodies of HTTP/2, for the services that the mesh itself asks.

use std::fmt;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http::HeaderMap;
use mesh_core::grpc_status;
use percent_encoding::percent_decode;

/// What stands before a message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// A message as it stands in a body.
pub(crate) fn framed(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(PREFIX + message.len());
    frame.put_u8(0);
    // Ours are far below the 4 GiB that can be told.
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.put_slice(message);
    frame.freeze()
}

/// Takes messages out of the parts of a body.
#[derive(Debug, Default)]
pub(crate) struct Messages(BytesMut);

/// The body holds no messages, or one that is too long or compressed, which nobody asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoMessage;

impl Messages {
    pub(crate) fn add(&mut self, data: &[u8]) {
        self.0.extend_from_slice(data);
    }

    /// The next message of at most so many bytes; `None` until all of it is there.
    pub(crate) fn next(&mut self, most: usize) -> Result<Option<Bytes>, NoMessage> {
        let Some((prefix, rest)) = self.0.split_at_checked(PREFIX) else { return Ok(None) };
        let length = prefix[1..].iter().fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
        if prefix[0] != 0 || length > most {
            return Err(NoMessage);
        }
        if rest.len() < length {
            return Ok(None);
        }
        self.0.advance(PREFIX);
        Ok(Some(self.0.split_to(length).freeze()))
    }
}

/// How a call has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) code: u16,
    message: String,
}

impl Status {
    #[cfg(feature = "workload-api")]
    pub(crate) const INVALID_ARGUMENT: u16 = 3;
    #[cfg(feature = "workload-api")]
    pub(crate) const UNIMPLEMENTED: u16 = 12;

    /// That in headers or trailers, if one is there. One that is no number is `UNKNOWN`.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let code = grpc_status::of(headers)?;
        let code = u16::try_from(code).unwrap_or(grpc_status::UNKNOWN.into());
        let message = headers.get("grpc-message").map(|message| percent_decode(message.as_bytes()));
        let message = message.map(|message| message.decode_utf8_lossy().into_owned());
        Some(Self { code, message: message.unwrap_or_default() })
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gRPC status {}: {:?}", self.code, self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_taken_out_as_they_become_whole() {
        let mut messages = Messages::default();
        let body = [framed(b"one"), framed(b""), framed(b"three")].concat();
        let mut read = Vec::new();
        for byte in body {
            messages.add(&[byte]);
            read.extend(messages.next(5).unwrap());
        }
        assert_eq!(read, [&b"one"[..], b"", b"three"]);
        assert_eq!(messages.next(5), Ok(None));
        messages.add(&framed(b"longer"));
        assert_eq!(messages.next(5), Err(NoMessage));
        let mut compressed = Messages::default();
        compressed.add(&[1, 0, 0, 0, 0]);
        assert_eq!(compressed.next(5), Err(NoMessage));
    }

    #[test]
    fn a_status_is_a_number_and_a_message_in_words() {
        let mut headers = HeaderMap::new();
        assert_eq!(Status::of(&headers), None);
        headers.insert("grpc-status", "7".parse().unwrap());
        headers.insert("grpc-message", "no%20identity".parse().unwrap());
        assert_eq!(Status::of(&headers).unwrap().to_string(), "gRPC status 7: \"no identity\"");
        headers.insert("grpc-status", "seven".parse().unwrap());
        assert_eq!(Status::of(&headers).unwrap().code, 2);
    }
}
