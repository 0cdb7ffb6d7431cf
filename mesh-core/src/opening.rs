//! What the first bytes of a connection say, on a port that takes both TLS and plaintext.

/// How a connection begins, as far as it can be told by the bytes that have come.
///
/// Once it is decided no further byte changes it; it is decided by [`DECIDED_BY`](Self::DECIDED_BY) bytes at the latest.
/// Nothing that begins as TLS is ever plaintext: no method of HTTP begins with such a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Opening {
    /// It takes more bytes to tell.
    Undecided,
    /// The record of a ClientHello. Whether it is a good one, the handshake will tell.
    Tls,
    /// Anything that does not begin with a record of a handshake.
    Plaintext,
    /// It begins as a record of a handshake does, and is none with a ClientHello.
    Broken,
}

impl Opening {
    /// The number of bytes that always decide: the header of a record and the type of the first message.
    pub const DECIDED_BY: usize = 6;

    /// What these bytes say, which are the first ones of a connection. Of more than
    /// [`DECIDED_BY`](Self::DECIDED_BY) the rest is not looked at.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let Some((&kind, rest)) = bytes.split_first() else { return Self::Undecided };
        if kind != HANDSHAKE {
            return Self::Plaintext;
        }
        let is_good = |(place, byte): (usize, &u8)| match place {
            0 => *byte == MAJOR_VERSION,
            // The version of a record says little: old ones are written for the sake of what stands in between.
            1 => *byte <= NEWEST_MINOR_VERSION,
            2 => *byte <= (LONGEST_RECORD >> 8) as u8,
            3 => is_length(rest[place - 1], *byte),
            _ => *byte == CLIENT_HELLO,
        };
        let looked_at = &rest[..rest.len().min(Self::DECIDED_BY - 1)];
        match looked_at.iter().enumerate().all(is_good) {
            false => Self::Broken,
            true if looked_at.len() == Self::DECIDED_BY - 1 => Self::Tls,
            true => Self::Undecided,
        }
    }
}

fn is_length(high: u8, low: u8) -> bool {
    (1..=LONGEST_RECORD).contains(&u16::from_be_bytes([high, low]))
}

const HANDSHAKE: u8 = 22;
const MAJOR_VERSION: u8 = 3;
const NEWEST_MINOR_VERSION: u8 = 4;
const LONGEST_RECORD: u16 = 1 << 14;
const CLIENT_HELLO: u8 = 1;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HELLO: [u8; 6] = [22, 3, 1, 2, 0, 1];

    #[test]
    fn a_client_hello_is_known_when_its_type_has_come() {
        for length in 0..HELLO.len() {
            assert_eq!(Opening::of(&HELLO[..length]), Opening::Undecided);
        }
        assert_eq!(Opening::of(&HELLO), Opening::Tls);
        assert_eq!(Opening::of(&[22, 3, 4, 0x40, 0, 1, 9, 9]), Opening::Tls);
    }

    #[test]
    fn what_is_no_handshake_is_plaintext_with_its_first_byte() {
        for plaintext in [&b"G"[..], b"GET / HTTP/1.1", b"PRI * HTTP/2.0", b"\x15\x03\x03", b"\x80\x2e\x01", b"\0"] {
            assert_eq!(Opening::of(plaintext), Opening::Plaintext);
        }
    }

    #[test]
    fn what_begins_as_a_handshake_is_never_plaintext() {
        for broken in [
            &b"\x16GET / HTTP/1.1"[..],
            &[22, 2],
            &[22, 3, 5],
            &[22, 3, 1, 0x41],
            &[22, 3, 1, 0x40, 1],
            &[22, 3, 1, 0, 0],
            &[22, 3, 1, 0, 5, 2],
        ] {
            assert_eq!(Opening::of(broken), Opening::Broken, "{broken:?}");
        }
    }

    /// Half of them are nearly a ClientHello.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let near = (any::<[u8; 12]>(), 0_usize..7).prop_map(|(mut bytes, same)| {
            bytes[..same.min(6)].copy_from_slice(&HELLO[..same.min(6)]);
            bytes.to_vec()
        });
        prop_oneof![near, proptest::collection::vec(any::<u8>(), 0..12)]
    }

    proptest! {
        #[test]
        fn what_is_decided_stays_decided(bytes in bytes()) {
            let said: Vec<Opening> = (0..=bytes.len()).map(|length| Opening::of(&bytes[..length])).collect();
            prop_assert_eq!(said[0], Opening::Undecided);
            for pair in said.windows(2) {
                prop_assert!(pair[0] == Opening::Undecided || pair[0] == pair[1], "{:?}", said);
            }
            let end = said[said.len() - 1];
            prop_assert!(end != Opening::Undecided || bytes.len() < Opening::DECIDED_BY);
        }
    }
}
