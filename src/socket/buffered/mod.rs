//! A stream with its read and write buffers.
//!
//! `reading` and `writing` are its two directions. The memory for small reads and writes belongs to
//! the thread, not to the connection: an idle connection has none, and a busy thread's memory stays
//! in its cache.

mod reading;
mod writing;

use std::{cell::RefCell, io};

use bytes::{Bytes, BytesMut};

use super::{Stream, burst::Place, more::More};
use crate::memory;
use reading::{READ_MAX, READ_MIN};

/// A stream with buffers in both directions. Nothing in it is shared or locked.
///
/// Fields are in the order of use: with a thousand connections each is cold in the cache when its
/// turn comes, and an ordinary message touches only the fields before `large`.
#[derive(Debug)]
#[repr(C)]
pub struct Buffered {
    stream: Stream,
    read: BytesMut,
    write: BytesMut,
    written: u64,
    read_size: u32,
    /// Maximum number of bytes per read.
    read_limit: u32,
    small_reads: u8,
    ended: bool,
    /// Written bytes may still wait in the stream's own buffers.
    held_back: bool,
    place: Place,
    /// True if our direction ends after the appended bytes.
    last: bool,
    /// True if `large` has something to send.
    has_large: bool,
    /// True if `failed` holds an error.
    send_failed: bool,
    large: Bytes,
    /// Bytes that follow the large piece, if any.
    more: Option<Box<More>>,
    /// Error of sending without the task.
    failed: Option<io::Error>,
}

/// Owner of a stream that can be sent from without its task.
pub trait Apart: 'static {
    /// The stream.
    fn io(&self) -> &RefCell<Buffered>;
}

impl Buffered {
    /// Wraps a connected stream; allocates nothing yet.
    pub fn new(stream: Stream) -> Self {
        Self {
            stream,
            read: BytesMut::new(),
            write: BytesMut::new(),
            written: 0,
            read_size: READ_MIN,
            read_limit: READ_MAX,
            small_reads: 0,
            ended: false,
            held_back: false,
            place: Place::default(),
            last: false,
            has_large: false,
            send_failed: false,
            large: Bytes::new(),
            more: None,
            failed: None,
        }
    }

    /// Prefetches the fields that a message needs into the cache.
    pub fn prefetch(&self) {
        memory::prefetch(&self.ended);
    }

    /// Returns true if the socket has an error that no call has reported yet, such as a reset.
    pub fn has_failed(&self) -> bool {
        self.stream.has_failed()
    }

    /// The stream itself.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }
}
