//! Byte streams: what both sides of an exchange read from and write to.
//!
//! [`Stream`] is a connected socket of whichever kind; [`Buffered`] adds the
//! read and write buffers that the HTTP/1.1 connections work on; [`HyperStream`]
//! lends a stream to hyper.

mod buffered;
mod burst;
mod hyper_stream;
mod more;
mod stream;

#[cfg(test)]
mod tests;

pub use buffered::{Apart, Buffered};
pub use burst::bursts;
pub use hyper_stream::HyperStream;
pub use stream::{Duplex, Stream};
