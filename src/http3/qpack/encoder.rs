//! Encoder of field blocks (RFC 9204 section 4.5): what the static table has as a reference, all
//! else as a literal.

use bytes::BufMut;
use http::StatusCode;

use super::static_table;
use crate::{
    http2::hpack::{integer, text},
    semantics::Known,
};

/// Fields of an outgoing block.
#[derive(Debug)]
pub struct Encode<'a, B>(&'a mut B);

/// Begins a block.
pub fn encode<B: BufMut>(out: &mut B) -> Encode<'_, B> {
    // No insertions, and a base of 0.
    out.put_slice(&[0, 0]);
    Encode(out)
}

impl<B: BufMut> Encode<'_, B> {
    /// Writes the status.
    pub fn status(&mut self, status: StatusCode) {
        match static_table::status_index(status) {
            Some(index) => integer::write(INDEXED_STATIC, INDEXED_INDEX, index, self.0),
            None => {
                let name = static_table::STATUS;
                integer::write(NAMED_STATIC, NAMED_INDEX, name, self.0);
                self.text(status.as_str().as_bytes());
            }
        }
    }

    /// Writes a field. Its name is case-insensitive, and is written in lower case.
    pub fn field(&mut self, known: Option<Known>, name: &[u8], value: &[u8], sensitive: bool) {
        let place = known.and_then(static_table::name_index);
        let Some(place) = place else {
            let first = if sensitive { WRITTEN_NEVER } else { WRITTEN };
            integer::write(first, WRITTEN_LENGTH, name.len(), self.0);
            text::put_lower(name, self.0);
            return self.text(value);
        };
        if let Some(index) = static_table::find(place, value).filter(|_| !sensitive) {
            return integer::write(INDEXED_STATIC, INDEXED_INDEX, index, self.0);
        }
        let first = if sensitive { NAMED_NEVER } else { NAMED_STATIC };
        integer::write(first, NAMED_INDEX, place, self.0);
        self.text(value);
    }

    /// Writes a text as it is: in the Huffman code it would be a quarter shorter, and rarely save a
    /// packet.
    fn text(&mut self, text: &[u8]) {
        integer::write(0, VALUE_LENGTH, text.len(), self.0);
        self.0.put_slice(text);
    }
}

const INDEXED_STATIC: u8 = 0xc0;
const INDEXED_INDEX: u8 = 0x3f;
const NAMED_STATIC: u8 = 0x50;
const NAMED_NEVER: u8 = 0x70;
const NAMED_INDEX: u8 = 0x0f;
const WRITTEN: u8 = 0x20;
const WRITTEN_NEVER: u8 = 0x30;
const WRITTEN_LENGTH: u8 = 0x07;
const VALUE_LENGTH: u8 = 0x7f;
