//! Bytes that stand in YAML as base64.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Bytes, read from base64 in either alphabet, padded or not (as proto JSON allows), and written in the standard one.
///
/// ```
/// use mesh_config::value::Bytes;
///
/// let bytes = Bytes::from_base64("aGVsbG8=").ok_or("not base64")?;
/// assert_eq!(bytes.0, b"hello");
/// assert_eq!(bytes.to_base64(), "aGVsbG8=");
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub Vec<u8>);

impl Bytes {
    /// Decodes base64. Line breaks within are allowed; `None` if it is anything else.
    #[must_use]
    pub fn from_base64(text: &str) -> Option<Self> {
        let mut decoded = Vec::with_capacity(text.len() / 4 * 3);
        let mut bits: u32 = 0;
        let mut held = 0;
        let mut symbols = 0_usize;
        let stripped = text.trim_end_matches(['\r', '\n']);
        let body = stripped.trim_end_matches('=');
        let padding = stripped.len() - body.len();
        for byte in body.bytes() {
            if matches!(byte, b'\r' | b'\n') {
                continue;
            }
            bits = bits << 6 | u32::from(symbol_value(byte)?);
            held += 6;
            symbols += 1;
            if held >= 8 {
                held -= 8;
                decoded.push((bits >> held & 0xff) as u8);
                bits &= (1 << held) - 1;
            }
        }
        // One symbol alone holds no byte; padding, where there is any, completes a group of four.
        let complete = symbols % 4 != 1 && (padding == 0 || (symbols + padding).is_multiple_of(4));
        (complete && padding <= 2).then_some(Self(decoded))
    }

    /// Encodes as padded standard base64.
    #[must_use]
    pub fn to_base64(&self) -> String {
        let mut text = String::with_capacity(self.0.len().div_ceil(3) * 4);
        for group in self.0.chunks(3) {
            let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
            for index in 0..4 {
                if index > group.len() {
                    text.push('=');
                } else {
                    let symbol = bits >> (18 - 6 * index) & 0x3f;
                    text.push(char::from(ALPHABET[symbol as usize]));
                }
            }
        }
        text
    }
}

fn symbol_value(symbol: u8) -> Option<u8> {
    Some(match symbol {
        b'A'..=b'Z' => symbol - b'A',
        b'a'..=b'z' => symbol - b'a' + 26,
        b'0'..=b'9' => symbol - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    })
}

/// The length alone: secrets are kept in this type.
impl fmt::Debug for Bytes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Bytes({} bytes)", self.0.len())
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_base64())
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(BytesVisitor)
    }
}

struct BytesVisitor;

impl de::Visitor<'_> for BytesVisitor {
    type Value = Bytes;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("base64")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Bytes, E> {
        // The value may be a key, so it is not repeated.
        Bytes::from_base64(text).ok_or_else(|| E::custom("the value is not valid base64"))
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_alphabets_with_or_without_padding_are_read() {
        for (text, bytes) in [
            ("", &b""[..]),
            ("Zg==", b"f"),
            ("Zg", b"f"),
            ("Zm8=", b"fo"),
            ("Zm9v", b"foo"),
            ("Zm9v\nYg==\n", b"foob"),
            ("+/8=", b"\xfb\xff"),
            ("-_8", b"\xfb\xff"),
        ] {
            assert_eq!(Bytes::from_base64(text), Some(Bytes(bytes.to_vec())), "{text}");
        }
    }

    #[test]
    fn what_is_not_base64_is_refused() {
        for text in ["Z", "Zg=", "Zg===", "Z g==", "Zm9v====", "Z=g=", "é"] {
            assert_eq!(Bytes::from_base64(text), None, "{text}");
        }
    }

    #[test]
    fn the_value_is_not_shown_in_debug_output() {
        assert_eq!(format!("{:?}", Bytes(b"secret".to_vec())), "Bytes(6 bytes)");
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded_again(bytes in any::<Vec<u8>>()) {
            let bytes = Bytes(bytes);
            prop_assert_eq!(Bytes::from_base64(&bytes.to_base64()), Some(bytes));
        }

        #[test]
        fn no_text_panics(text in ".*") {
            drop(Bytes::from_base64(&text));
        }
    }
}
