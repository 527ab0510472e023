//! Sockets: listening ones, and the byte streams of both sides of an exchange.
//!
//! [`bind`] makes the listening sockets that are neither [`inherited`] nor [`passed`] on; [`file`]
//! is the file of a unix socket, [`closing`] their close, [`passing`] their transfer to another
//! process. [`Stream`] is a connected socket of any kind; [`Buffered`] adds the read and write
//! buffers that our codecs work on.

pub mod bind;
mod buffered;
mod burst;
pub mod closing;
pub mod file;
mod host;
pub mod inherited;
#[cfg(feature = "http3")]
pub(crate) mod mailbox;
mod more;
pub mod passed;
pub mod passing;
mod spare;
mod stream;
mod unsent;

#[cfg(test)]
mod tests;

pub use buffered::{Apart, Buffered};
pub use burst::bursts;
pub use host::hostname;
pub use stream::{Duplex, Stream};
pub use unsent::SendQueue;
