//! Decoder of field blocks (RFC 9204 section 4.5).

use std::ops::ControlFlow;

use super::static_table;
use crate::http2::hpack::{BlockFault, CRLF, Field, FieldName, SEPARATOR, integer, text};

/// Decodes field blocks. Keeps the memory of the last literal, and nothing that a later block
/// depends on.
#[derive(Debug, Default)]
pub struct Decoder {
    /// The last literal, in the form of a line.
    literal: Vec<u8>,
}

impl Decoder {
    /// Passes the fields of a block to `each`, in order, until it stops.
    ///
    /// # Errors
    ///
    /// See [`BlockFault`]; the fields before the fault have been passed on. A reference to the
    /// dynamic table, which has no entries, is [`BlockFault::Index`].
    pub fn decode(
        &mut self,
        block: &[u8],
        mut each: impl FnMut(Field<'_>) -> ControlFlow<()>,
    ) -> Result<(), BlockFault> {
        let mut rest = read_prefix(block)?;
        while let Some((&first, tail)) = rest.split_first() {
            let flow = if first & INDEXED != 0 {
                let (field, tail) = read_indexed(first, tail)?;
                rest = tail;
                each(field)
            } else {
                let (field, tail) = self.read_literal(first, tail)?;
                rest = tail;
                each(field)
            };
            if flow.is_break() {
                return Err(BlockFault::Stopped);
            }
        }
        Ok(())
    }

    /// Reads a literal field, whose name is one of the static table or written out.
    fn read_literal<'b>(
        &mut self,
        first: u8,
        tail: &'b [u8],
    ) -> Result<(Field<'_>, &'b [u8]), BlockFault> {
        let line = &mut self.literal;
        line.clear();
        let (name, never_indexed, tail) = if first & NAMED != 0 {
            if first & NAMED_STATIC == 0 {
                return Err(BlockFault::Index);
            }
            let (index, tail) = integer::read(first, NAMED_INDEX, tail)?;
            let field = static_table::get(index).ok_or(BlockFault::Index)?;
            let name = field.line.get(..field.name_length);
            line.extend_from_slice(name.unwrap_or_default());
            (field.name, first & NAMED_NEVER != 0, tail)
        } else if first & WRITTEN != 0 {
            let tail = text::read(first, WRITTEN_HUFFMAN, WRITTEN_LENGTH, tail, line)?;
            (FieldName::of(line), first & WRITTEN_NEVER != 0, tail)
        } else {
            // After the base of the dynamic table.
            return Err(BlockFault::Index);
        };
        let name_length = line.len();
        line.extend_from_slice(SEPARATOR);
        let (&length, tail) = tail.split_first().ok_or(BlockFault::Truncated)?;
        let tail = text::read(length, VALUE_HUFFMAN, VALUE_LENGTH, tail, line)?;
        let value = line.get(name_length + SEPARATOR.len()..);
        let name = name.with_value(value.unwrap_or_default());
        line.extend_from_slice(CRLF);
        let field = Field {
            name,
            line: &self.literal,
            name_length,
            sensitive: never_indexed,
        };
        Ok((field, tail))
    }
}

/// Reads the prefix of a block: the additions to the dynamic table that it needs, which must be
/// none, and its base, which then means nothing.
fn read_prefix(block: &[u8]) -> Result<&[u8], BlockFault> {
    let (&first, tail) = block.split_first().ok_or(BlockFault::Truncated)?;
    let (insertions, tail) = integer::read(first, u8::MAX, tail)?;
    let (&base, tail) = tail.split_first().ok_or(BlockFault::Truncated)?;
    let (_, tail) = integer::read(base, !BASE_SIGN, tail)?;
    if insertions > 0 || base & BASE_SIGN != 0 {
        return Err(BlockFault::Index);
    }
    Ok(tail)
}

fn read_indexed(first: u8, tail: &[u8]) -> Result<(Field<'static>, &[u8]), BlockFault> {
    if first & INDEXED_STATIC == 0 {
        return Err(BlockFault::Index);
    }
    let (index, tail) = integer::read(first, INDEXED_INDEX, tail)?;
    let field = static_table::get(index).ok_or(BlockFault::Index)?;
    Ok((field, tail))
}

/// Sign of the base in the prefix.
const BASE_SIGN: u8 = 0x80;
/// A field of a table.
const INDEXED: u8 = 0x80;
const INDEXED_STATIC: u8 = 0x40;
const INDEXED_INDEX: u8 = 0x3f;
/// A literal with a name of a table.
const NAMED: u8 = 0x40;
const NAMED_NEVER: u8 = 0x20;
const NAMED_STATIC: u8 = 0x10;
const NAMED_INDEX: u8 = 0x0f;
/// A literal whose name is written out.
const WRITTEN: u8 = 0x20;
const WRITTEN_NEVER: u8 = 0x10;
const WRITTEN_HUFFMAN: u8 = 0x08;
const WRITTEN_LENGTH: u8 = 0x07;
/// A value.
const VALUE_HUFFMAN: u8 = 0x80;
const VALUE_LENGTH: u8 = 0x7f;
