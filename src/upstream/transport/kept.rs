//! Bytes of a request body kept for another attempt: in one piece, regardless of the pieces in
//! which they arrived, so that the memory held equals the bytes counted.

use bytes::Bytes;

use crate::semantics::{Frame, Headers};

/// The start of a body, or all of it.
#[derive(Debug, Default)]
pub(super) struct Kept {
    bytes: Vec<u8>,
    trailers: Option<Headers>,
    /// Number of kept bytes that this attempt has been given.
    given: usize,
    trailers_given: bool,
}

impl Kept {
    /// Keeps a piece that has just been given; false if the total exceeds `bytes_max`.
    pub(super) fn push(&mut self, frame: &Frame, bytes_max: usize) -> bool {
        match frame {
            Frame::Data(data) => {
                let length = self.bytes.len() + data.len();
                if length > bytes_max {
                    return false;
                }
                if length > self.bytes.capacity() {
                    // Grows in few steps, and never beyond the bound.
                    let capacity = length.max(2 * self.bytes.capacity()).min(bytes_max);
                    self.bytes.reserve_exact(capacity - self.bytes.len());
                }
                self.bytes.extend_from_slice(data);
                self.given = length;
            }
            Frame::Trailers(trailers) => {
                let fields = trailers.iter();
                let fields = fields.map(|(name, value)| name.len() + value.as_bytes().len());
                if self.bytes.len() + fields.sum::<usize>() > bytes_max {
                    return false;
                }
                self.trailers = Some(trailers.clone());
                self.trailers_given = true;
            }
        }
        true
    }

    /// Number of bytes kept.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Starts again from the first byte.
    pub(super) fn rewind(&mut self) {
        self.given = 0;
        self.trailers_given = self.trailers.is_none();
    }

    /// Gives the next piece again; none once all are given.
    pub(super) fn next(&mut self) -> Option<Frame> {
        let rest = &self.bytes[self.given..];
        if !rest.is_empty() {
            let data = Bytes::copy_from_slice(&rest[..rest.len().min(PIECE_MAX)]);
            self.given += data.len();
            return Some(Frame::Data(data));
        }
        if self.trailers_given {
            return None;
        }
        self.trailers_given = true;
        self.trailers.clone().map(Frame::Trailers)
    }

    /// Returns true if all kept bytes have been given.
    pub(super) fn is_given(&self) -> bool {
        self.given >= self.bytes.len() && (self.trailers_given || self.trailers.is_none())
    }

    /// Bytes of memory that it holds.
    #[cfg(test)]
    fn held(&self) -> usize {
        self.bytes.capacity()
    }
}

/// Maximum number of bytes given again at once.
const PIECE_MAX: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semantics::headers::fields;

    #[test]
    fn single_bytes_take_no_more_memory_than_the_bound() {
        let mut kept = Kept::default();
        let max = 100_000;
        for byte in 0..max {
            let piece = Frame::Data(Bytes::from(vec![u8::try_from(byte % 256).unwrap()]));
            assert!(kept.push(&piece, max));
            assert!(kept.held() <= max);
        }
        assert!(kept.is_given());
        assert!(!kept.push(&Frame::Data(Bytes::from_static(b"x")), max));
        kept.rewind();
        let mut bytes = Vec::new();
        while let Some(Frame::Data(data)) = kept.next() {
            assert!(data.len() <= PIECE_MAX);
            bytes.extend_from_slice(&data);
        }
        assert!((0..max).all(|at| usize::from(bytes[at]) == at % 256));
        assert!(kept.is_given());
    }

    #[test]
    fn trailers_come_again_behind_the_bytes() {
        let mut kept = Kept::default();
        let trailers = fields(&[("x-sum", "1")]);
        assert!(kept.push(&Frame::Data(Bytes::from_static(b"hi")), 10));
        assert!(kept.push(&Frame::Trailers(trailers), 10));
        assert!(kept.next().is_none());
        for _ in 0..2 {
            kept.rewind();
            assert!(!kept.is_given());
            assert!(matches!(kept.next(), Some(Frame::Data(data)) if data == "hi"));
            assert!(!kept.is_given());
            assert!(matches!(kept.next(), Some(Frame::Trailers(_))));
            assert!(kept.is_given() && kept.next().is_none());
        }
    }
}
