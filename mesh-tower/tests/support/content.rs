//! Contents of bodies, and hashes of them.

use std::hash::{DefaultHasher, Hasher as _};

use bytes::Bytes;

/// Over all that was fed, in whatever pieces.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hash(DefaultHasher);

impl Hash {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn of(bytes: &[u8]) -> String {
        let mut hash = Self::new();
        hash.feed(bytes);
        hash.text()
    }

    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    pub(crate) fn text(&self) -> String {
        format!("{:016x}", self.0.finish())
    }
}

/// Bytes that no compression or repetition makes right by chance.
pub(crate) fn content(length: usize) -> Bytes {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes.into()
}
