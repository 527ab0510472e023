//! Memory of write buffers, kept for new ones.
//!
//! While the sends of a busy worker wait to leave together, each has a buffer of its own: an
//! allocation for each would cost more than filling it.

use std::cell::RefCell;

use bytes::BytesMut;

/// Returns an empty buffer, with spare memory if there is any.
pub(super) fn take() -> BytesMut {
    SPARE.with_borrow_mut(|spare| {
        let buffer = spare.buffers.pop().unwrap_or_default();
        spare.bytes = spare.bytes.saturating_sub(buffer.capacity());
        buffer
    })
}

/// Keeps the memory of a written buffer, unless there is enough.
pub(super) fn give_back(mut buffer: BytesMut) {
    buffer.clear();
    // What was written piece by piece does not count its beginning else.
    let _ = buffer.try_reclaim(buffer.capacity() + 1);
    SPARE.with_borrow_mut(|spare| {
        let bytes = spare.bytes + buffer.capacity();
        if bytes <= BYTES_MAX && buffer.capacity() > 0 {
            spare.bytes = bytes;
            spare.buffers.push(buffer);
        }
    });
}

#[derive(Default)]
struct Spare {
    /// Spare buffers; the last ones were returned last and are still in the cache.
    buffers: Vec<BytesMut>,
    /// Total capacity in bytes.
    bytes: usize,
}

thread_local! {
    static SPARE: RefCell<Spare> = RefCell::default();
}

/// Maximum number of bytes kept per thread.
const BYTES_MAX: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use bytes::Buf as _;

    use super::*;

    #[test]
    fn what_is_kept_is_bounded_and_comes_back_empty() {
        for _ in 0..3 {
            for size in [100 * 1024, 100 * 1024, 100 * 1024, 1000, BYTES_MAX + 1, 0] {
                let mut buffer = BytesMut::zeroed(size);
                // As if most of it had been written before the rest.
                buffer.advance(size / 10 * 9);
                give_back(buffer);
            }
            let all: Vec<BytesMut> = std::iter::repeat_with(take)
                .take_while(|buffer| buffer.capacity() > 0)
                .collect();
            assert!(all.iter().all(BytesMut::is_empty));
            let kept: Vec<usize> = all.iter().map(BytesMut::capacity).collect();
            assert_eq!(kept, [1000, 100 * 1024, 100 * 1024]);
        }
    }
}
