//! Encoder of field blocks (RFC 7541 section 6).
//!
//! A repeated field is found among those of its name in the table, newest first, and takes one
//! byte. A field that is not likely to come again is written as a literal, without an entry in the
//! table and without Huffman coding. For known names this is fixed; for others it is learned from
//! the number of new values.

use bytes::BufMut;
use http::StatusCode;

use super::field::{CRLF, FieldName, Pseudo, SEPARATOR, size_of_line};
use super::table::{Entry, Table};
use super::{huffman, integer, static_table, text};
use crate::semantics::Known;

/// Encodes the field blocks of one direction of a connection, all of them and in order.
///
/// It writes byte by byte, which is cheapest into a `Vec`.
#[derive(Debug)]
pub struct Encoder {
    table: Table<Link>,
    /// Number of the newest field of each chain; empty before the first field.
    chains: Vec<u32>,
    /// Smallest table size in between and current one, until the peer is told.
    changed: Option<(usize, usize)>,
    /// The last field that entered the table.
    line: Vec<u8>,
    /// Number of fields left out since the last that entered although its name has many values.
    left_out: u32,
}

/// Link of a chain, by which the fields of a name are found fast. Some names share a chain.
#[derive(Clone, Copy, Debug, Default)]
struct Link {
    /// Number of the field before it in the chain. If the table no longer has that one, it has none
    /// of the older ones either.
    older: u32,
}

/// A field to write.
#[derive(Clone, Copy)]
struct Line<'a> {
    kind: FieldName,
    /// Case-insensitive.
    name: &'a [u8],
    /// Index of the name in the static table; 0 if it is not there.
    static_index: usize,
    /// Index of the name in either table.
    name_index: usize,
    value: &'a [u8],
}

/// Treatment of a field that is not in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    /// It enters the table.
    Indexed,
    /// It is only written.
    Plain,
    /// It is only written, and marked so that no later hop indexes it.
    Never,
}

impl Encoder {
    /// Makes an encoder for a peer whose settings are not known yet.
    pub fn new() -> Self {
        Self {
            table: Table::new(TABLE_MAX),
            chains: Vec::new(),
            changed: None,
            line: Vec::new(),
            left_out: 0,
        }
    }

    /// Limits the table to the size that the peer allows (SETTINGS_HEADER_TABLE_SIZE), at most
    /// 4096. The next block announces it.
    pub fn limit_table(&mut self, max: usize) {
        let max = max.min(TABLE_MAX);
        if max != self.table.size_max() {
            let lowest = self.changed.map_or(max, |(lowest, _)| lowest.min(max));
            self.changed = Some((lowest, max));
            self.table.resize(max);
        }
    }

    /// Begins a block: announces a change of the table size, if any.
    #[inline]
    pub fn begin(&mut self, out: &mut impl BufMut) {
        if let Some((lowest, now)) = self.changed.take() {
            if lowest < now {
                integer::write(SIZE, SIZE_NUMBER, lowest, out);
            }
            integer::write(SIZE, SIZE_NUMBER, now, out);
        }
    }

    /// Writes the status.
    #[inline]
    pub fn status(&mut self, status: StatusCode, out: &mut impl BufMut) {
        match static_table::status_index(status) {
            Some(index) => integer::write(INDEXED, INDEXED_NUMBER, index, out),
            None => {
                let kind = FieldName::Pseudo(Pseudo::Status);
                self.indexed(kind, b":status", status.as_str().as_bytes(), out);
            }
        }
    }

    /// Writes a field. Its name is case-insensitive, and is written in lower case.
    #[inline]
    pub fn field(
        &mut self,
        known: Option<Known>,
        name: &[u8],
        value: &[u8],
        sensitive: bool,
        out: &mut impl BufMut,
    ) {
        let (kind, way) = match known {
            Some(known) => (FieldName::Known(known), use_of(known)),
            None => (FieldName::Unknown, Use::Indexed),
        };
        if way == Use::Indexed && !sensitive {
            self.indexed(kind, name, value, out);
        } else {
            let never = sensitive || way == Use::Never;
            let first = if never { NEVER_INDEXED } else { NOT_INDEXED };
            write_literal(first, Line::of(kind, name, value), out);
        }
    }

    #[cfg(test)]
    pub(super) fn table_size(&self) -> usize {
        self.table.size()
    }

    /// Writes a field that is in the table or enters it.
    #[inline]
    fn indexed(&mut self, kind: FieldName, name: &[u8], value: &[u8], out: &mut impl BufMut) {
        let chain = chain(kind, name);
        let newest = self.chains.get(chain).copied().unwrap_or(NO_FIELD);
        let age = self.age(newest);
        if let Some(entry) = self.table.get(age)
            && self.table.value(entry) == value
            && self.has_name(entry, kind, name)
        {
            let index = (static_table::COUNT + 1 + age) as usize;
            return integer::write(INDEXED, INDEXED_NUMBER, index, out);
        }
        self.write_older(Line::of(kind, name, value), chain, out);
    }

    /// Number of fields that came after this one.
    #[inline]
    fn age(&self, number: u32) -> u32 {
        self.table.next().wrapping_sub(number).wrapping_sub(1)
    }

    #[inline]
    fn has_name(&self, entry: &Entry<Link>, kind: FieldName, name: &[u8]) -> bool {
        entry.name == kind
            && (kind != FieldName::Unknown || text::same_name(name, self.table.name(entry)))
    }

    /// Writes a field that is not the newest of its chain; adds it to the table if it is not there
    /// and not too large.
    #[inline(never)]
    fn write_older(&mut self, line: Line<'_>, chain: usize, out: &mut impl BufMut) {
        let mut name_index = line.static_index;
        let mut values = 0;
        let mut number = self.chains.get(chain).copied().unwrap_or(NO_FIELD);
        // A number that has wrapped may lead into another chain, but not for long.
        for _ in 0..CHAIN_MAX {
            let age = self.age(number);
            let Some(entry) = self.table.get(age) else {
                break;
            };
            if self.has_name(entry, line.kind, line.name) {
                let index = (static_table::COUNT + 1 + age) as usize;
                if self.table.value(entry) == line.value {
                    return integer::write(INDEXED, INDEXED_NUMBER, index, out);
                }
                if name_index == 0 {
                    name_index = index;
                }
                values += 1;
            }
            number = entry.tag.older;
        }
        if let Some(index) = static_table::find(line.static_index, line.value) {
            return integer::write(INDEXED, INDEXED_NUMBER, index, out);
        }
        let line = Line { name_index, ..line };
        let length = line.name.len() + line.value.len() + SEPARATOR.len() + CRLF.len();
        let too_large = size_of_line(length) > self.table.size_max() / FIELDS_MIN;
        if too_large || self.leaves_out(line.kind, values) {
            write_literal(NOT_INDEXED, line, out);
        } else {
            self.write_new(line, chain, out);
        }
    }

    /// Returns true if a new value does not enter the table: its name has so many values that this
    /// one is unlikely to come again. One of some enters nevertheless, as it may come often from
    /// now on.
    fn leaves_out(&mut self, kind: FieldName, values: u32) -> bool {
        if kind != FieldName::Unknown || values < VALUES_MAX {
            return false;
        }
        self.left_out = (self.left_out + 1) % LEFT_OUT_MAX;
        self.left_out != 0
    }

    /// Writes a field and adds it to the table.
    fn write_new(&mut self, line: Line<'_>, chain: usize, out: &mut impl BufMut) {
        self.line.clear();
        text::put_lower(line.name, &mut self.line);
        integer::write(INDEXING, INDEXING_NUMBER, line.name_index, out);
        if line.name_index == 0 {
            write_short(&self.line, out);
        }
        write_short(line.value, out);
        for part in [SEPARATOR, line.value, CRLF] {
            self.line.extend_from_slice(part);
        }
        if self.chains.is_empty() {
            self.chains = vec![NO_FIELD; CHAINS];
        }
        if let Some(newest) = self.chains.get_mut(chain) {
            let older = std::mem::replace(newest, self.table.next());
            let tag = Link { older };
            self.table
                .insert(line.kind, line.name.len(), &self.line, tag);
        }
    }
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> Line<'a> {
    fn of(kind: FieldName, name: &'a [u8], value: &'a [u8]) -> Self {
        let static_index = match kind {
            FieldName::Known(known) => static_table::name_index(known),
            FieldName::Pseudo(Pseudo::Status) => static_table::STATUS,
            _ => 0,
        };
        Self {
            kind,
            name,
            static_index,
            name_index: static_index,
            value,
        }
    }
}

/// Returns the chain of a field name.
#[inline]
fn chain(kind: FieldName, name: &[u8]) -> usize {
    match kind {
        FieldName::Known(known) => known as usize,
        FieldName::Unknown => usize::from(text::hash_name(name) | 0x80),
        FieldName::Pseudo(_) | FieldName::Malformed => CHAINS - 1,
    }
}

/// Returns the treatment of a known field.
#[inline]
fn use_of(known: Known) -> Use {
    USES.get(known as usize).copied().unwrap_or(Use::Indexed)
}

/// Treatment of each known field, by its number.
static USES: [Use; 128] = {
    let mut uses = [Use::Indexed; 128];
    let mut place = 0;
    while place < CHANGING.len() {
        uses[CHANGING[place] as usize] = Use::Plain;
        place += 1;
    }
    let mut place = 0;
    while place < SECRET.len() {
        uses[SECRET[place] as usize] = Use::Never;
        place += 1;
    }
    uses
};

/// Fields with secret values.
const SECRET: [Known; 5] = [
    Known::SetCookie,
    Known::Cookie,
    Known::Authorization,
    Known::ProxyAuthorization,
    Known::ProxyAuthenticationInfo,
];

/// Fields whose value differs in nearly each message.
const CHANGING: [Known; 25] = [
    Known::Age,
    Known::ContentDisposition,
    Known::ContentLength,
    Known::ContentLocation,
    Known::ContentRange,
    Known::ETag,
    Known::Expires,
    Known::GrpcMessage,
    Known::IdempotencyKey,
    Known::IfMatch,
    Known::IfModifiedSince,
    Known::IfNoneMatch,
    Known::IfRange,
    Known::IfUnmodifiedSince,
    Known::LastModified,
    Known::Location,
    Known::ProxyAuthenticate,
    Known::Range,
    Known::SecWebSocketAccept,
    Known::SecWebSocketKey,
    Known::ServerTiming,
    Known::Traceparent,
    Known::Tracestate,
    Known::WwwAuthenticate,
    Known::XRequestId,
];

/// Writes a field that does not enter the table.
#[inline(never)]
fn write_literal(first: u8, line: Line<'_>, out: &mut impl BufMut) {
    integer::write(first, LITERAL_NUMBER, line.name_index, out);
    if line.name_index == 0 {
        integer::write(PLAIN, TEXT_NUMBER, line.name.len(), out);
        match line.kind {
            FieldName::Known(known) => out.put_slice(known.as_str().as_bytes()),
            _ => text::put_lower(line.name, out),
        }
    }
    integer::write(PLAIN, TEXT_NUMBER, line.value.len(), out);
    out.put_slice(line.value);
}

/// Writes a text in the Huffman code if that is shorter.
fn write_short(text: &[u8], out: &mut impl BufMut) {
    let coded = huffman::coded_length(text);
    if coded < text.len() {
        integer::write(HUFFMAN, TEXT_NUMBER, coded, out);
        huffman::encode(text, |bytes| out.put_slice(bytes));
    } else {
        integer::write(PLAIN, TEXT_NUMBER, text.len(), out);
        out.put_slice(text);
    }
}

/// Maximum size of the table in bytes, even if the peer allows more: the initial size.
const TABLE_MAX: usize = 4096;

/// Minimum number of fields that the table has room for; larger fields do not enter.
const FIELDS_MIN: usize = 4;

/// Number of values of an unknown name that enter the table unconditionally.
const VALUES_MAX: u32 = 4;

/// Of this many further values one enters.
const LEFT_OUT_MAX: u32 = 16;

/// Number of chains: one for each known name, of which there are at most 128, and as many for all
/// others.
const CHAINS: usize = 256;

/// Number after the oldest field of a chain; a field reaches it only after four billion others.
const NO_FIELD: u32 = u32::MAX;

/// Maximum number of fields of a chain that are searched.
const CHAIN_MAX: usize = 16;

/// First byte of a field, and the bits left for its index.
const INDEXED: u8 = 0x80;
const INDEXED_NUMBER: u8 = 0x7f;
const INDEXING: u8 = 0x40;
const INDEXING_NUMBER: u8 = 0x3f;
const SIZE: u8 = 0x20;
const SIZE_NUMBER: u8 = 0x1f;
const NEVER_INDEXED: u8 = 0x10;
const NOT_INDEXED: u8 = 0x00;
const LITERAL_NUMBER: u8 = 0x0f;

/// First byte of a text, and the bits left for its length.
const HUFFMAN: u8 = 0x80;
const PLAIN: u8 = 0x00;
const TEXT_NUMBER: u8 = 0x7f;
