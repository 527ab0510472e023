//! A stream with its read and write buffers.
//!
//! `reading` and `writing` are its two ways. The memory for small reads and writes belongs to
//! the thread, not to the connection: an idle connection has none, and what a busy thread works
//! in stays in its cache.

mod reading;
mod writing;

use std::{cell::RefCell, io};

use bytes::{Bytes, BytesMut};

use super::{Stream, burst::Place, more::More};
use crate::memory;
use reading::{READ_MAX, READ_MIN};

/// A stream with buffers on both ways. Nothing in it is shared or locked.
///
/// In the order of use: with a thousand connections each is cold in the cache when its turn
/// comes, and an ordinary message touches only what is before `large`.
#[derive(Debug)]
#[repr(C)]
pub struct Buffered {
    stream: Stream,
    read: BytesMut,
    write: BytesMut,
    written: u64,
    read_size: u32,
    /// What is read at once at most, whatever comes.
    read_limit: u32,
    small_reads: u8,
    ended: bool,
    /// What was written may still wait in the stream's own buffers.
    held_back: bool,
    place: Place,
    /// Whether the end of our direction follows what is appended.
    last: bool,
    /// Whether `large` has something to send.
    has_large: bool,
    /// Whether `failed` has something to say.
    send_failed: bool,
    large: Bytes,
    /// What follows the large piece, if anything.
    more: Option<Box<More>>,
    /// Why sending in the task's absence failed.
    failed: Option<io::Error>,
}

/// What holds a stream that is sent for without its task.
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

    /// Has what a message needs of it brought into the cache.
    pub fn prefetch(&self) {
        memory::prefetch(&self.ended);
    }

    /// Whether the socket has an error that no call has told yet, such as a reset.
    pub fn has_failed(&self) -> bool {
        self.stream.has_failed()
    }

    /// The stream itself.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }
}
