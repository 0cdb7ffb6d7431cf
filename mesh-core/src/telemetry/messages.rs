//! Where the messages of a gRPC body begin.

/// Finds the beginnings of messages in a body as its bytes come by, in whatever pieces.
///
/// A message has one byte of flags, its length in four, and that many bytes. It counts as soon as the first of them has
/// come, compressed or not, as in Envoy's `grpc_stats`: one that breaks off counts, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Messages {
    /// Bytes that have come of what stands before a message, 0 to 5; or [`ENDED`].
    prefix: u8,
    is_answer: bool,
    /// Its length, as far as it has come; then what is to come of the message.
    left: u32,
}

/// The bytes that stand before a message.
const PREFIX: u8 = 5;

/// There are no messages any more.
const ENDED: u8 = PREFIX + 1;

/// The flag of what ends an answer of the Connect protocol, which gRPC does not use.
const END_OF_ANSWER: u8 = 2;

impl Messages {
    /// Those of an answer. As in Envoy what says by its flags that it ends one, which it does in the Connect protocol, is no
    /// message, and behind it there are none.
    #[must_use]
    pub fn of_answer() -> Self {
        Self { is_answer: true, ..Self::default() }
    }

    /// How many messages begin in the next bytes of the body.
    pub fn begun_in(&mut self, mut data: &[u8]) -> u64 {
        let mut begun = 0;
        while let Some((&byte, rest)) = data.split_first() {
            if self.prefix == ENDED {
                break;
            }
            if self.prefix == 0 && self.is_answer && byte & END_OF_ANSWER != 0 {
                self.prefix = ENDED;
                break;
            }
            if self.prefix == PREFIX {
                let here = data.len().min(self.left as usize);
                data = &data[here..];
                // No more than is left.
                self.left -= here as u32;
            } else {
                begun += u64::from(self.prefix == 0);
                // What comes first is no part of the length.
                self.left = if self.prefix == 0 { 0 } else { self.left << 8 | u32::from(byte) };
                self.prefix += 1;
                data = rest;
            }
            if self.prefix == PREFIX && self.left == 0 {
                self.prefix = 0;
            }
        }
        begun
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn body(lengths: &[usize]) -> Vec<u8> {
        let message = |(n, length): (usize, &usize)| {
            let prefix = u32::try_from(*length).unwrap().to_be_bytes();
            [&[(n % 2) as u8][..], &prefix, &vec![0xff; *length]].concat()
        };
        lengths.iter().enumerate().flat_map(message).collect()
    }

    #[test]
    fn messages_in_one_piece_are_counted_with_empty_ones() {
        assert_eq!(Messages::default().begun_in(&body(&[0, 3, 0, 70_000, 1])), 5);
        assert_eq!(Messages::default().begun_in(&[]), 0);
    }

    #[test]
    fn one_that_breaks_off_counts() {
        let whole = body(&[4, 9]);
        for end in 10..whole.len() {
            assert_eq!(Messages::default().begun_in(&whole[..end]), 2, "{end} bytes");
        }
        assert_eq!(Messages::default().begun_in(&whole[..9]), 1);
    }

    #[test]
    fn what_ends_an_answer_is_no_message() {
        let ending = [&body(&[2])[..], b"\x02\0\0\0\x02{}", &body(&[2, 2])].concat();
        assert_eq!((Messages::of_answer().begun_in(&ending), Messages::default().begun_in(&ending)), (1, 4));
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(
            lengths in proptest::collection::vec(0_usize..600, 0..20),
            cuts in proptest::collection::vec(1_usize..300, 1..40),
        ) {
            let (whole, mut messages, mut begun, mut at) = (body(&lengths), Messages::default(), 0, 0);
            for cut in cuts.iter().cycle().take_while(|_| !whole.is_empty()) {
                let end = whole.len().min(at + cut);
                begun += messages.begun_in(&whole[at..end]);
                at = end;
                if at == whole.len() {
                    break;
                }
            }
            prop_assert_eq!((begun, messages), (lengths.len() as u64, Messages::default()));
        }
    }
}
