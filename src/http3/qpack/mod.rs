//! Field compression (RFC 9204) by the static table alone: field blocks to fields, and back.
//!
//! The dynamic table has no bytes in either direction, so that a block depends on nothing that came
//! before it: streams never wait for one another, and there is no state that a peer could fill. What
//! HTTP/2 gains by its table is little here, since heads share packets with what follows them.

mod decoder;
mod encoder;
mod static_table;

pub use decoder::Decoder;
pub use encoder::{Encode, encode};

#[cfg(test)]
mod tests;
