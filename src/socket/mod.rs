//! Byte streams: what both sides of an exchange read from and write to.
//!
//! [`Stream`] is a connected socket of whichever kind; [`Buffered`] adds the
//! read and write buffers that our codecs work on.

mod buffered;
mod burst;
mod more;
mod spare;
mod stream;
mod unsent;

#[cfg(test)]
mod tests;

pub use buffered::{Apart, Buffered};
pub use burst::bursts;
pub use stream::{Duplex, Stream};
pub use unsent::SendQueue;
