//! Values of headers that are written for nearly every request: many share one allocation.

use std::cell::RefCell;

use bytes::{BufMut as _, BytesMut};
use http::HeaderValue;

/// Some forty values; as much stays in memory as long as one of them does.
const BLOCK: usize = 2_048;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

thread_local! {
    static BUFFER: RefCell<BytesMut> = RefCell::default();
}

/// The value that `write` writes, of at most `room` bytes.
pub(super) fn written(room: usize, write: impl FnOnce(&mut BytesMut)) -> Option<HeaderValue> {
    BUFFER.with_borrow_mut(|buffer| {
        if buffer.capacity() < room {
            *buffer = BytesMut::with_capacity(BLOCK.max(room));
        }
        write(buffer);
        HeaderValue::from_maybe_shared(buffer.split().freeze()).ok()
    })
}

/// Writes bytes as digits.
pub(super) fn put_hex(buffer: &mut BytesMut, bytes: &[u8]) {
    for byte in bytes {
        buffer.put_u8(DIGITS[usize::from(byte >> 4)]);
        buffer.put_u8(DIGITS[usize::from(byte & 15)]);
    }
}

/// Reads bytes of digits; `None` unless all of them are lower-case digits, two for a byte.
pub(super) fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

const fn digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_one_block_are_told_apart() {
        let value = |n: u8| written(55, |buffer| put_hex(buffer, &[n; 27])).unwrap();
        let values: Vec<_> = (0..100).map(value).collect();
        for (n, value) in values.iter().enumerate() {
            assert_eq!(value.to_str().unwrap(), format!("{n:02x}").repeat(27));
        }
    }

    #[test]
    fn only_lower_case_digits_are_read() {
        assert_eq!(hex::<2>(b"0aff"), Some([0x0a, 0xff]));
        for wrong in [&b"0AFF"[..], b"0af", b"0afff", b"0a+f", b""] {
            assert_eq!(hex::<2>(wrong), None);
        }
    }
}
