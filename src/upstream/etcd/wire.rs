//! Protocol buffers as bytes: the part of the encoding that messages of etcd use.
//!
//! A message is a row of fields, each a number and a value: a variable-length integer, or bytes
//! with their length (texts, nested messages). Fields with a value of zero are left out. Unknown
//! fields are skipped, so newer servers are understood.

/// A message that is being written.
#[derive(Debug, Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    /// Writes an integer, unless it is 0.
    pub(super) fn int(mut self, field: u32, value: i64) -> Self {
        if value != 0 {
            self.varint(u64::from(field) << 3 | INTEGER);
            self.varint(value.cast_unsigned());
        }
        self
    }

    /// Writes an integer, also 0.
    pub(super) fn always_int(mut self, field: u32, value: i64) -> Self {
        self.varint(u64::from(field) << 3 | INTEGER);
        self.varint(value.cast_unsigned());
        self
    }

    /// Writes a flag.
    pub(super) fn flag(self, field: u32, value: bool) -> Self {
        self.int(field, value.into())
    }

    /// Writes bytes or text, unless it is empty.
    pub(super) fn bytes(self, field: u32, value: &[u8]) -> Self {
        if value.is_empty() {
            return self;
        }
        self.nested(field, value)
    }

    /// Writes a nested message, also an empty one.
    pub(super) fn message(self, field: u32, message: &Self) -> Self {
        self.nested(field, &message.0)
    }

    /// Returns the encoded message.
    pub(super) fn done(self) -> Vec<u8> {
        self.0
    }

    fn nested(mut self, field: u32, value: &[u8]) -> Self {
        self.varint(u64::from(field) << 3 | BYTES);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(low_bits(value) | 0x80);
            value >>= 7;
        }
        self.0.push(low_bits(value));
    }
}

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// An integer.
    Int(i64),
    /// Bytes, text or a message.
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    /// Returns the integer; 0 for bytes.
    pub(super) fn int(self) -> i64 {
        match self {
            Self::Int(value) => value,
            Self::Bytes(_) => 0,
        }
    }

    /// Returns the bytes; none for an integer.
    pub(super) fn bytes(self) -> &'a [u8] {
        match self {
            Self::Int(_) => &[],
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// The message is cut short or malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Garbled;

/// The fields of a message, in their order. Fixed-width fields are skipped.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Value<'a>), Garbled>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.0.is_empty() {
            match self.field() {
                Ok(None) => {}
                Ok(Some(field)) => return Some(Ok(field)),
                Err(garbled) => {
                    self.0 = &[];
                    return Some(Err(garbled));
                }
            }
        }
        None
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Result<Option<(u32, Value<'a>)>, Garbled> {
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).map_err(|_| Garbled)?;
        let value = match tag & 7 {
            INTEGER => Value::Int(self.varint()?.cast_signed()),
            BYTES => {
                let length = usize::try_from(self.varint()?).map_err(|_| Garbled)?;
                Value::Bytes(self.take(length)?)
            }
            EIGHT_BYTES => return self.take(8).map(|_| None),
            FOUR_BYTES => return self.take(4).map(|_| None),
            _ => return Err(Garbled),
        };
        Ok(Some((number, value)))
    }

    fn varint(&mut self) -> Result<u64, Garbled> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = *self.take(1)? else {
                return Err(Garbled);
            };
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Garbled)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Garbled> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Garbled)?;
        self.0 = rest;
        Ok(taken)
    }
}

/// The lowest seven bits.
fn low_bits(value: u64) -> u8 {
    value.to_le_bytes()[0] & 0x7f
}

const INTEGER: u64 = 0;
const EIGHT_BYTES: u64 = 1;
const BYTES: u64 = 2;
const FOUR_BYTES: u64 = 5;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_message_is_encoded_as_the_specification_shows() {
        // The examples of the encoding guide: 150 in field 1, and it nested in field 3.
        let inner = Writer::default().int(1, 150);
        assert_eq!(inner.0, [0x08, 0x96, 0x01]);
        let outer = Writer::default().message(3, &inner).done();
        assert_eq!(outer, [0x1a, 0x03, 0x08, 0x96, 0x01]);
        let text = Writer::default().bytes(2, b"testing").flag(1, false).done();
        assert_eq!(text, *b"\x12\x07testing");
        // A negative number has ten bytes.
        assert_eq!(Writer::default().int(1, -1).done().len(), 11);
    }

    #[test]
    fn other_kinds_of_fields_are_skipped_and_a_cut_is_an_error() {
        let message = [0x09, 1, 2, 3, 4, 5, 6, 7, 8, 0x15, 1, 2, 3, 4, 0x18, 7];
        let fields: Result<Vec<_>, _> = Fields(&message).collect();
        assert_eq!(fields, Ok(vec![(3, Value::Int(7))]));
        for cut in [&[0x08][..], &[0x12, 5, 1], &[0x0b], &[0xff; 11]] {
            assert!(Fields(cut).any(|it| it.is_err()), "{cut:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(number: i64, bytes: Vec<u8>) {
            let message = Writer::default().int(5, number).bytes(70, &bytes).done();
            let mut wanted = Vec::new();
            if number != 0 {
                wanted.push((5, Value::Int(number)));
            }
            if !bytes.is_empty() {
                wanted.push((70, Value::Bytes(&bytes)));
            }
            let read: Result<Vec<_>, _> = Fields(&message).collect();
            prop_assert_eq!(read, Ok(wanted));
        }

        #[test]
        fn any_bytes_end_in_fields_or_an_error(bytes: Vec<u8>) {
            let _ = Fields(&bytes).count();
        }
    }
}
