//! Field compression (RFC 7541): field blocks to fields, and back.
//!
//! Both sides of a connection keep a table of the fields sent before, so that a repeated field
//! takes one byte. The tables hold fields as HTTP/1.1 lines, one after the other; the properties of
//! a field are computed once, when it enters.
//!
//! - `field`: what the decoder hands out.
//! - `decoder`, `encoder`: blocks in and out.
//! - `table`: the fields that one side has sent before; `static_table`: those that all know.
//! - `integer`, `huffman`: how numbers and texts are written; `text`: many bytes of them at a step.
//!
//! State: the table of each [`Decoder`] and [`Encoder`], at most of the agreed size. Must never:
//! take more memory than a few times that, or panic on a peer's input.

mod decoder;
mod encoder;
mod field;
pub(crate) mod huffman;
pub(crate) mod integer;
mod static_table;
mod table;
pub(crate) mod text;

pub use decoder::{BlockFault, Decoder};
pub use encoder::Encoder;
pub(crate) use field::{CRLF, SEPARATOR};
pub use field::{Field, FieldName, Pseudo};

#[cfg(test)]
mod tests;
