//! Reading lines from a received head, and writing them.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Headers, Known, Line, Memory, Name, Names, Section, Value, spare};

/// Positions of the parts of a line in a head. The maker has checked the bytes: the name is a
/// token, and the value has no control byte.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// The first byte of the name.
    pub(crate) start: usize,
    /// The colon after the name.
    pub(crate) colon: usize,
    /// The bounds of the value, without the blanks around it.
    pub(crate) value: (usize, usize),
    /// The CR at the end of the line.
    pub(crate) end: usize,
}

impl Headers {
    /// Makes headers for the lines of a head of at most [`BYTES_MAX`]; `push_arrived` adds their
    /// positions.
    pub(crate) fn arrived(head: &Bytes) -> Self {
        let mut section = spare::take();
        section.head = head.clone();
        Self(Some(section))
    }

    /// Adds the next line of the head.
    #[inline]
    pub(crate) fn push_arrived(&mut self, known: Option<Known>, place: &Place) {
        let section = self.section_mut();
        if let Some(known) = known {
            section.present.add(known);
        }
        section.lines.push(Line {
            known,
            memory: Memory::Head,
            plain: place.value == (place.colon + 2, place.end),
            sensitive: false,
            start: offset(place.start),
            colon: offset(place.colon),
            value: offset(place.value.0),
            value_end: offset(place.value.1),
        });
    }

    /// Adds a line from other memory, already in wire form: `name: value` CRLF, the name a token
    /// and no control byte in the value.
    #[inline]
    pub(crate) fn push_line(
        &mut self,
        known: Option<Known>,
        line: &[u8],
        name_length: usize,
        sensitive: bool,
    ) {
        let section = self.section_mut();
        let start = section.own.len();
        let separated = name_length + 2..line.len().saturating_sub(2);
        if separated.start > separated.end || start + line.len() > BYTES_MAX {
            return;
        }
        section.own.extend_from_slice(line);
        if let Some(known) = known {
            section.present.add(known);
        }
        section.lines.push(Line {
            known,
            memory: Memory::Own,
            plain: true,
            sensitive,
            start: offset(start),
            colon: offset(start + name_length),
            value: offset(start + separated.start),
            value_end: offset(start + separated.end),
        });
    }

    /// Returns all lines, in order: the name as written, its number if it is known, and the value.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (Option<Known>, &[u8], Value<'_>)> {
        let section = self.section();
        self.lines().iter().filter_map(move |line| {
            let section = section?;
            Some((line.known, section.name(line), section.value(line)))
        })
    }

    /// Appends the lines in order, except those of the names in `left_out`.
    pub(crate) fn write(&self, out: &mut BytesMut, left_out: Names) {
        let Some(section) = self.section() else {
            return;
        };
        let mut run = Run::EMPTY;
        for line in &section.lines {
            if left_out.contains(line.known) {
                continue;
            }
            if !run.goes_on(line) {
                run.write(section, out);
                run = Run::EMPTY;
                if line.plain {
                    run = Run::of(line);
                } else {
                    write_field(out, section.name(line), section.value(line).bytes);
                }
            }
        }
        run.write(section, out);
    }

    /// Maximum number of bytes that the lines take.
    pub(crate) fn wire_bytes(&self) -> usize {
        let section = self.section();
        section.map_or(0, |section| section.head.len() + section.own.len())
    }
}

/// Lines that stand one after the other in wire form.
#[derive(Clone, Copy)]
struct Run {
    memory: Memory,
    start: u32,
    end: u32,
}

impl Run {
    const EMPTY: Self = Self {
        memory: Memory::Head,
        start: 0,
        end: 0,
    };

    fn of(line: &Line) -> Self {
        Self {
            memory: line.memory,
            start: line.start,
            end: line.value_end + CRLF,
        }
    }

    /// Extends the run by a line, if it is the next.
    fn goes_on(&mut self, line: &Line) -> bool {
        let next = line.plain && line.memory == self.memory && line.start == self.end;
        if next && self.start < self.end {
            self.end = line.value_end + CRLF;
            return true;
        }
        false
    }

    fn write(self, section: &Section, out: &mut BytesMut) {
        if self.start < self.end {
            out.put_slice(section.bytes(self.memory, self.start, self.end));
        }
    }
}

impl Section {
    /// Adds a line of the proxy's own, whose value is joined from these parts.
    pub(super) fn push_own(&mut self, name: Name<'_>, value: &[Value<'_>]) {
        let value_bytes: usize = value.iter().map(|part| part.bytes.len()).sum();
        let room = BYTES_MAX.saturating_sub(self.own.len() + name.text.len() + 4);
        if name.text.is_empty() || value_bytes > room {
            return;
        }
        self.own.reserve(name.text.len() + value_bytes + 4);
        let start = self.own.len();
        self.own.extend_from_slice(name.text);
        let colon = self.own.len();
        self.own.extend_from_slice(b": ");
        let value_at = self.own.len();
        for part in value {
            self.own.extend_from_slice(part.bytes);
        }
        let value_end = self.own.len();
        self.own.extend_from_slice(b"\r\n");
        if let Some(known) = name.known {
            self.present.add(known);
        }
        self.lines.push(Line {
            known: name.known,
            memory: Memory::Own,
            plain: true,
            sensitive: value.iter().any(|part| part.sensitive),
            start: offset(start),
            colon: offset(colon),
            value: offset(value_at),
            value_end: offset(value_end),
        });
    }
}

/// Appends one field line.
pub(crate) fn write_field(out: &mut BytesMut, name: &[u8], value: &[u8]) {
    out.put_slice(name);
    out.put_slice(b": ");
    out.put_slice(value);
    out.put_slice(b"\r\n");
}

/// Converts an offset in memory that is known to be shorter than [`BYTES_MAX`].
#[expect(clippy::cast_possible_truncation, reason = "it is known to fit")]
const fn offset(at: usize) -> u32 {
    at as u32
}

/// Maximum bytes of the lines of one message.
pub(crate) const BYTES_MAX: usize = u32::MAX as usize / 2;

/// Maximum number of lines of a head, and of bytes of a name, so that a map can hold them with
/// those that the walk adds: HTTP/2 to an endpoint must not lose fields that were accepted from a
/// client.
pub(crate) const LINES_MAX: usize = 24_570;
pub(crate) const NAME_BYTES_MAX: usize = u16::MAX as usize;

const CRLF: u32 = 2;
