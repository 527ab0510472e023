//! A tap on a body: reads along while the body passes unchanged.

use std::fmt;

use bytes::Bytes;

use crate::{
    failure::Failure,
    rollout::shadow::{BodyReader, BodySeen},
    semantics::{BodyLength, Headers, Transform, grpc},
};

/// Reads a body along and hands it over at its end. A body that is cut short is never handed over.
pub(super) struct Tap {
    /// The body so far; none once it was handed over or is too large.
    reader: Option<BodyReader>,
    /// Its length, if that is known.
    length: Option<u64>,
    /// Bytes that are read along; a longer body is handed over as it is by then.
    bytes_max: u64,
    done: Option<Done>,
}

type Done = Box<dyn FnOnce(BodySeen, Option<u8>)>;

impl Tap {
    /// Makes a tap on a body of this length. `done` takes the body, and the status of a gRPC call if
    /// its trailers have one.
    pub(super) fn new(
        reader: BodyReader,
        length: Option<u64>,
        bytes_max: u64,
        done: impl FnOnce(BodySeen, Option<u8>) + 'static,
    ) -> Self {
        Self {
            reader: Some(reader),
            length,
            bytes_max,
            done: Some(Box::new(done)),
        }
    }

    fn hand_over(&mut self, grpc_status: Option<u8>) {
        if let (Some(reader), Some(done)) = (self.reader.take(), self.done.take()) {
            done(reader.end(), grpc_status);
        }
    }

    fn is_whole(&self) -> bool {
        let seen = self.reader.as_ref().map(BodyReader::length);
        seen.is_some() && seen == self.length
    }
}

impl Transform for Tap {
    fn data(&mut self, input: &mut Bytes) -> Result<Bytes, Failure> {
        if let Some(reader) = &mut self.reader {
            reader.read(input);
            if reader.length() > self.bytes_max {
                self.hand_over(None);
            }
        }
        Ok(std::mem::take(input))
    }

    fn end(&mut self, trailers: &mut Headers) -> Result<Bytes, Failure> {
        self.hand_over(grpc::status_in(trailers));
        Ok(Bytes::new())
    }

    fn is_spent(&self) -> bool {
        true
    }

    fn length(&self, input: BodyLength) -> BodyLength {
        input
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        // The end of a body of known length need not be read.
        if self.is_whole() {
            self.hand_over(None);
        }
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tap")
            .field("reader", &self.reader)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, rc::Rc};

    use super::*;

    type Handed = Rc<RefCell<Option<(u64, Option<u8>)>>>;

    fn tap(length: Option<u64>, bytes_max: u64) -> (Tap, Handed) {
        let handed = Handed::default();
        let there = Rc::clone(&handed);
        let tap = Tap::new(
            BodyReader::kept(8),
            length,
            bytes_max,
            move |body, status| {
                *there.borrow_mut() = Some((body.length, status));
            },
        );
        (tap, handed)
    }

    #[test]
    fn a_body_is_handed_over_at_its_end_and_not_when_it_is_cut() {
        let (mut cut, handed) = tap(None, 100);
        let passed = cut.data(&mut Bytes::from_static(b"abc")).unwrap();
        assert_eq!(&*passed, b"abc");
        drop(cut);
        assert_eq!(*handed.borrow(), None);
        let (mut whole, handed) = tap(Some(3), 100);
        whole.data(&mut Bytes::from_static(b"abc")).unwrap();
        drop(whole);
        assert_eq!(*handed.borrow(), Some((3, None)));
        let (mut ended, handed) = tap(None, 100);
        let mut trailers = crate::semantics::headers::fields(&[("grpc-status", "5")]);
        ended.end(&mut trailers).unwrap();
        assert_eq!(*handed.borrow(), Some((0, Some(5))));
    }

    #[test]
    fn a_body_above_the_bound_is_no_longer_read() {
        let (mut large, handed) = tap(None, 4);
        large.data(&mut Bytes::from_static(b"abcde")).unwrap();
        assert_eq!(*handed.borrow(), Some((5, None)));
        assert_eq!(large.data(&mut Bytes::from_static(b"f")).unwrap().len(), 1);
    }
}
