//! Where heads of HTTP/2 begin and end on the wire.
//!
//! The codec keeps what has come of a head until its end, and tells nobody. So a server that is to notice heads that do not go
//! on follows the frames beside it. It looks at their first nine bytes alone, and refuses nothing: that is the codec's part.

/// Follows the frames of one connection from a caller, behind the preface.
#[derive(Clone, Copy, Debug, Default)]
pub struct Frames {
    header: [u8; HEADER],
    /// How much of the header has come.
    come: usize,
    /// How much of the payload is still to come.
    left: u32,
    /// Whether the frame under way, or the one before it, is of a head that has no end yet.
    is_in_head: bool,
    ends_head: bool,
    heads: usize,
}

/// The bytes in front of each frame: length, type, flags, stream.
const HEADER: usize = 9;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

impl Frames {
    /// Takes the bytes that come next.
    pub fn read(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.come < HEADER {
                let taken = bytes.len().min(HEADER - self.come);
                let (header, rest) = bytes.split_at(taken);
                self.header[self.come..self.come + taken].copy_from_slice(header);
                self.come += taken;
                bytes = rest;
                if self.come < HEADER {
                    return;
                }
                self.begin();
            }
            let taken = bytes.len().min(self.left as usize);
            self.left -= taken as u32;
            bytes = &bytes[taken..];
            if self.left == 0 {
                self.end();
            }
        }
    }

    /// A number for the head that has begun and not ended, another one for each; `None` where there is none.
    pub fn open_head(&self) -> Option<usize> {
        self.is_in_head.then_some(self.heads)
    }

    fn begin(&mut self) {
        let [high, middle, low, kind, flags, ..] = self.header;
        self.left = u32::from_be_bytes([0, high, middle, low]);
        if kind == HEADERS && !self.is_in_head {
            self.heads = self.heads.wrapping_add(1);
        }
        self.is_in_head |= kind == HEADERS;
        self.ends_head = matches!(kind, HEADERS | CONTINUATION) && flags & END_HEADERS != 0;
    }

    fn end(&mut self) {
        self.come = 0;
        if self.ends_head {
            self.is_in_head = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, flags: u8, length: u8) -> Vec<u8> {
        let mut bytes = vec![0, 0, length, kind, flags, 0, 0, 0, 1];
        bytes.extend(vec![7; usize::from(length)]);
        bytes
    }

    #[test]
    fn a_head_is_open_from_its_frame_to_the_end_of_the_last_one() {
        let mut frames = Frames::default();
        frames.read(&frame(4, 0, 6));
        assert_eq!(frames.open_head(), None);
        frames.read(&frame(HEADERS, END_HEADERS, 5)[..13]);
        assert_eq!(frames.open_head(), Some(1));
        frames.read(&[7]);
        assert_eq!(frames.open_head(), None);
        frames.read(&frame(HEADERS, 1, 5));
        frames.read(&frame(CONTINUATION, 0, 0));
        assert_eq!(frames.open_head(), Some(2));
        frames.read(&frame(CONTINUATION, END_HEADERS, 0));
        assert_eq!(frames.open_head(), None);
        // Flags of other frames mean something else.
        frames.read(&frame(HEADERS, 0, 0));
        frames.read(&frame(0, END_HEADERS, 3));
        assert_eq!(frames.open_head(), Some(3));
    }

    proptest! {
        #[test]
        fn it_makes_no_difference_how_the_bytes_are_cut(
            kinds in proptest::collection::vec((0_u8..12, any::<u8>(), 0_u8..40), 1..12),
            cut in 1_usize..30,
        ) {
            let bytes: Vec<u8> = kinds.into_iter().flat_map(|(kind, flags, length)| frame(kind, flags, length)).collect();
            let (mut whole, mut pieces) = (Frames::default(), Frames::default());
            whole.read(&bytes);
            bytes.chunks(cut).for_each(|piece| pieces.read(piece));
            prop_assert_eq!(whole.open_head(), pieces.open_head());
        }

        #[test]
        fn reading_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut frames = Frames::default();
            bytes.chunks(7).for_each(|piece| frames.read(piece));
        }
    }
}
