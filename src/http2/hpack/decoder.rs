//! Decoder of field blocks (RFC 7541 section 3).

use std::ops::ControlFlow;

use super::field::{Field, FieldName, SEPARATOR};
use super::table::Table;
use super::{integer, static_table, text};

/// Decodes the field blocks of one direction of a connection, all of them and in order.
#[derive(Debug)]
pub struct Decoder {
    table: Table<()>,
    /// Announced maximum table size: the other side may use less, but not more.
    table_max: usize,
    /// The last literal, in the form of a line.
    literal: Vec<u8>,
}

/// Reasons why a field block cannot be read. After any of them the two sides' tables differ, and no
/// further block can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockFault {
    /// The receiver of the fields stopped reading.
    #[error("the rest of the block was not read")]
    Stopped,
    /// A number larger than any that makes sense.
    #[error("a number in the field block is too large")]
    Integer,
    /// A text in the Huffman code that contains the end of text, or whose padding is invalid.
    #[error("a text in the field block is not in the Huffman code")]
    Huffman,
    /// There is no field of this index.
    #[error("the field block refers to a field that is not there")]
    Index,
    /// The table size is changed to more than was announced, too often, or after the first field.
    #[error("the field block changes the size of the table as it must not")]
    TableSize,
    /// The block ends in the middle of a field.
    #[error("the field block breaks off")]
    Truncated,
}

impl Decoder {
    /// Makes a decoder with the announced table size (SETTINGS_HEADER_TABLE_SIZE). It takes no
    /// memory before its first field.
    pub fn new(table_max: usize) -> Self {
        let table = Table::new(table_max);
        Self {
            table_max: table.size_max(),
            table,
            literal: Vec::new(),
        }
    }

    /// Passes the fields of one complete block to `each`, in order, until it stops.
    ///
    /// # Errors
    ///
    /// See [`BlockFault`]; the fields before the fault have been passed on.
    #[inline]
    pub fn decode(
        &mut self,
        block: &[u8],
        mut each: impl FnMut(Field<'_>) -> ControlFlow<()>,
    ) -> Result<(), BlockFault> {
        let mut rest = self.take_size_changes(block)?;
        while let Some((&first, tail)) = rest.split_first() {
            let flow = if first & INDEXED != 0 {
                let (index, tail) = integer::read(first, !INDEXED, tail)?;
                rest = tail;
                each(self.field(index)?)
            } else {
                let (field, tail) = self.read_literal(first, tail)?;
                rest = tail;
                each(field)
            };
            if flow.is_break() {
                return Err(BlockFault::Stopped);
            }
        }
        if self.literal.capacity() > LITERAL_KEPT {
            self.literal = Vec::new();
        }
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn table_size(&self) -> usize {
        self.table.size()
    }

    /// Returns the field of an index.
    #[inline]
    fn field(&self, index: u32) -> Result<Field<'_>, BlockFault> {
        let Some(age) = index.checked_sub(static_table::COUNT + 1) else {
            return static_table::get(index).ok_or(BlockFault::Index);
        };
        let entry = self.table.get(age).ok_or(BlockFault::Index)?;
        Ok(Field {
            name: entry.name,
            line: self.table.line(entry),
            name_length: entry.name_length(),
            sensitive: false,
        })
    }

    /// Applies the table size changes at the start of the block: one, or two if the size shrank and
    /// grew (RFC 7541 section 4.2).
    #[inline]
    fn take_size_changes<'b>(&mut self, mut block: &'b [u8]) -> Result<&'b [u8], BlockFault> {
        for _ in 0..2 {
            match block {
                [first, tail @ ..] if first & SIZE_MASK == SIZE => {
                    let (size, tail) = integer::read(*first, !SIZE_MASK, tail)?;
                    let size = size as usize;
                    if size > self.table_max {
                        return Err(BlockFault::TableSize);
                    }
                    self.table.resize(size);
                    block = tail;
                }
                _ => break,
            }
        }
        Ok(block)
    }

    /// Reads a literal field, with at least its value written out; returns the rest of the block.
    #[inline(never)]
    fn read_literal<'b>(
        &mut self,
        first: u8,
        tail: &'b [u8],
    ) -> Result<(Field<'_>, &'b [u8]), BlockFault> {
        let indexing = first & INDEXING != 0;
        let mask = match first {
            _ if indexing => !(INDEXED | INDEXING),
            _ if first & SIZE_MASK == SIZE => return Err(BlockFault::TableSize),
            _ => LITERAL_INDEX,
        };
        let mut line = std::mem::take(&mut self.literal);
        line.clear();
        let (index, tail) = integer::read(first, mask, tail)?;
        let (name, tail) = self.read_name(index, tail, &mut line)?;
        let value_start = line.len();
        let name_length = value_start - SEPARATOR.len();
        let tail = read_text(tail, &mut line)?;
        let name = name.with_value(line.get(value_start..).unwrap_or_default());
        line.extend_from_slice(b"\r\n");
        if indexing {
            self.table.insert(name, name_length, &line, ());
        }
        self.literal = line;
        let field = Field {
            name,
            line: &self.literal,
            name_length,
            sensitive: !indexing && first & NEVER_INDEXED != 0,
        };
        Ok((field, tail))
    }

    /// Reads the name of a literal, which is that of an earlier field or is written out, and
    /// appends it with the separator.
    fn read_name<'b>(
        &self,
        index: u32,
        tail: &'b [u8],
        line: &mut Vec<u8>,
    ) -> Result<(FieldName, &'b [u8]), BlockFault> {
        if index == 0 {
            let tail = read_text(tail, line)?;
            let name = FieldName::of(line);
            line.extend_from_slice(SEPARATOR);
            return Ok((name, tail));
        }
        let field = self.field(index)?;
        let start = field.line.get(..field.name_length + SEPARATOR.len());
        line.extend_from_slice(start.ok_or(BlockFault::Index)?);
        let name = match field.name {
            // It may have been for the value.
            FieldName::Malformed => FieldName::of(&field.line[..field.name_length]),
            name => name,
        };
        Ok((name, tail))
    }
}

/// Appends a text that is written out (RFC 7541 section 5.2); returns the rest of the block.
fn read_text<'b>(block: &'b [u8], out: &mut Vec<u8>) -> Result<&'b [u8], BlockFault> {
    let (&first, tail) = block.split_first().ok_or(BlockFault::Truncated)?;
    text::read(first, HUFFMAN, !HUFFMAN, tail, out)
}

/// First byte of a field (RFC 7541 section 6). Without any of these bits the field is a literal
/// that is not indexed.
const INDEXED: u8 = 0x80;
const INDEXING: u8 = 0x40;
const SIZE: u8 = 0x20;
const SIZE_MASK: u8 = 0xe0;
const NEVER_INDEXED: u8 = 0x10;

/// Bits of the name's index in a literal that is not indexed.
const LITERAL_INDEX: u8 = 0x0f;

/// Bit at the start of a text in the Huffman code.
const HUFFMAN: u8 = 0x80;

/// Memory for literals kept from block to block, in bytes.
const LITERAL_KEPT: usize = 4096;
