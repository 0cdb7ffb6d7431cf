//! The wire form of Protocol Buffers, as far as a message's own fields go: what each number means is for whoever reads or
//! writes it. Two services of others are spoken to by it, in a dozen messages, which need no compiler.

use std::fmt;

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// `int32`, `int64`, `uint32`, `uint64`, `bool`, `enum`.
    Number(u64),
    /// `fixed64`, `sfixed64`, `double`.
    Fixed64([u8; 8]),
    /// `fixed32`, `sfixed32`, `float`.
    Fixed32([u8; 4]),
    /// `string`, `bytes`, another message, or several packed numbers.
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    /// What a field of `bytes` or a message holds.
    ///
    /// # Errors
    /// If it is no such field.
    pub fn bytes(self) -> Result<&'a [u8], Malformed> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(Malformed),
        }
    }

    /// What a field of `string` holds.
    ///
    /// # Errors
    /// If it is no such field, or no UTF-8.
    pub fn text(self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed)
    }

    /// What a field of a whole number holds.
    ///
    /// # Errors
    /// If it is no such field.
    pub fn number(self) -> Result<u64, Malformed> {
        match self {
            Self::Number(number) => Ok(number),
            _ => Err(Malformed),
        }
    }
}

/// What is read is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it is no message of Protocol Buffers")
    }
}

impl std::error::Error for Malformed {}

/// The fields of a message by their numbers, in the order in which they stand. After an error there are no more.
#[derive(Clone, Debug)]
pub struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// Of the message in `bytes`.
    pub fn of(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn field(&mut self) -> Option<(u32, Value<'a>)> {
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).ok().filter(|number| *number > 0)?;
        let value = match key & 7 {
            0 => Value::Number(self.varint()?),
            1 => Value::Fixed64(self.take(8)?.try_into().ok()?),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Value::Bytes(self.take(length)?)
            }
            5 => Value::Fixed32(self.take(4)?.try_into().ok()?),
            _ => return None,
        };
        Some((number, value))
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Value<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field.ok_or(Malformed))
    }
}

/// Writes a message. As in proto3, a field that is what it would be without being written is left out.
#[derive(Clone, Debug, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// A field of a whole number.
    pub fn number(&mut self, number: u32, value: u64) {
        if value != 0 {
            self.key(number, 0);
            self.varint(value);
        }
    }

    /// A field of a number that may be negative.
    pub fn signed(&mut self, number: u32, value: i64) {
        self.number(number, u64::from_le_bytes(value.to_le_bytes()));
    }

    /// A field of `string` or `bytes`.
    pub fn bytes(&mut self, number: u32, value: &[u8]) {
        if !value.is_empty() {
            self.field(number, value);
        }
    }

    /// A field that is a message, which is written even if it is empty.
    pub fn message(&mut self, number: u32, write: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        write(&mut inner);
        self.field(number, &inner.0);
    }

    /// One entry of a field of `map<string, string>`.
    pub fn entry(&mut self, number: u32, key: &[u8], value: &[u8]) {
        self.message(number, |entry| {
            entry.bytes(1, key);
            entry.bytes(2, value);
        });
    }

    /// What was written.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }

    fn field(&mut self, number: u32, value: &[u8]) {
        self.key(number, 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    fn key(&mut self, number: u32, kind: u64) {
        self.varint(u64::from(number) << 3 | kind);
    }

    fn varint(&mut self, mut number: u64) {
        while number > 0x7f {
            self.0.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<(u32, Value<'_>)>, Malformed> {
        Fields::of(bytes).collect()
    }

    #[test]
    fn what_is_written_is_read() {
        let mut message = Writer::default();
        message.number(1, 150);
        message.bytes(2, b"testing");
        message.message(3, |inner| inner.signed(1, -1));
        message.entry(4, b"k", b"v");
        message.number(5, 0);
        message.bytes(6, b"");
        let bytes = message.finish();
        assert_eq!(bytes[..3], [0x08, 0x96, 0x01]);
        let fields = read(&bytes).unwrap();
        assert_eq!(fields[0], (1, Value::Number(150)));
        assert_eq!(fields[1].1.text(), Ok("testing"));
        assert_eq!(read(fields[2].1.bytes().unwrap()), Ok(vec![(1, Value::Number(u64::MAX))]));
        assert_eq!(read(fields[3].1.bytes().unwrap()), Ok(vec![(1, Value::Bytes(b"k")), (2, Value::Bytes(b"v"))]));
        assert_eq!(fields.len(), 4);
    }

    #[test]
    fn what_is_cut_off_or_no_field_is_malformed() {
        assert_eq!(read(&[]), Ok(vec![]));
        assert_eq!(read(&[0x0d, 1, 2, 3, 4, 0x09, 1, 2, 3, 4, 5, 6, 7, 8]).unwrap().len(), 2);
        // A number without an end, text that is longer than the message, field 0, a group.
        for bytes in [&[0x08][..], &[0x08, 0x80], &[0x12, 5, b'a'], &[0x02, 0], &[0x0b], &[0x08; 1], &[0x80; 11]] {
            assert_eq!(read(bytes), Err(Malformed), "{bytes:?}");
        }
        assert_eq!(Value::Number(1).text(), Err(Malformed));
        assert_eq!(Value::Bytes(&[0xff]).text(), Err(Malformed));
    }

    proptest! {
        #[test]
        fn reading_never_panics_and_ends(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Fields::of(&bytes).count() <= bytes.len());
        }

        #[test]
        fn every_number_is_read_as_it_was_written(number in any::<u64>(), field in 1_u32..=536_870_911) {
            let mut message = Writer::default();
            message.number(field, number);
            let expected = if number == 0 { vec![] } else { vec![(field, Value::Number(number))] };
            let bytes = message.finish();
            prop_assert_eq!(read(&bytes).unwrap(), expected);
        }
    }
}
