//! Bytes that wait to be written after a large piece.

use std::{collections::VecDeque, io::IoSlice};

use bytes::{Bytes, BytesMut};

/// More large pieces, and small bytes between them.
#[derive(Debug, Default)]
pub(super) struct More {
    pieces: VecDeque<Bytes>,
    /// Total bytes of the pieces.
    length: usize,
    /// Small bytes after the last piece.
    behind: BytesMut,
}

impl More {
    /// The buffer to append small bytes to.
    pub(super) fn behind(&mut self) -> &mut BytesMut {
        &mut self.behind
    }

    /// Appends a piece.
    pub(super) fn push(&mut self, piece: Bytes) {
        if !self.behind.is_empty() {
            let between = self.behind.split().freeze();
            self.length += between.len();
            self.pieces.push_back(between);
        }
        self.length += piece.len();
        self.pieces.push_back(piece);
    }

    /// Takes the first piece.
    pub(super) fn pop(&mut self) -> Option<Bytes> {
        let piece = self.pieces.pop_front()?;
        self.length -= piece.len();
        Some(piece)
    }

    /// Total number of bytes.
    pub(super) fn len(&self) -> usize {
        self.length + self.behind.len()
    }

    /// All bytes, in order.
    pub(super) fn slices(&self) -> impl Iterator<Item = IoSlice<'_>> {
        let pieces = self.pieces.iter().map(|piece| IoSlice::new(piece));
        pieces.chain([IoSlice::new(&self.behind)])
    }
}
