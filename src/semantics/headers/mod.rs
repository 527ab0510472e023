//! Header fields of a message, as their lines on the wire.
//!
//! A received head stays in the buffer it was read into, and every line is an offset in it; added
//! lines stand in memory beside it, in the same form. So forwarding a message copies a few runs of
//! lines, even if there are many, in the sender's own order and spelling. Names are compared
//! case-insensitively (RFC 9110 section 5.1).
//!
//! - `known`, `name`, `value`: names for lookup, and the values found.
//! - `wire`: lines from a head that was read, and out again.
//! - `ready`: lines made once for many messages.
//! - `map`: to and from the maps of HTTP/2.
//! - `spare`: memory of dropped messages.
//!
//! State: none but the spare memory of each thread. Must never: hold a name that is not a token, or
//! a value with a control byte.

mod known;
mod map;
mod name;
mod ready;
mod spare;
mod value;
mod wire;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use smallvec::SmallVec;

pub use known::Known;
pub(crate) use known::look_up;
pub use name::{AsName, Name, Names};
pub(crate) use ready::ReadyLine;
pub use value::{AsValue, Value};
pub(crate) use wire::{BYTES_MAX, LINES_MAX, NAME_BYTES_MAX, Place, write_field};

/// The header fields of a message, in order. Costs no memory while there are none.
#[derive(Default)]
pub struct Headers(Option<Box<Section>>);

/// Memory and lines behind [`Headers`].
#[derive(Default)]
struct Section {
    /// The received head; empty if the message was made by the proxy.
    head: Bytes,
    /// Added lines, in wire form.
    own: Vec<u8>,
    lines: Vec<Line>,
    /// The known names among the lines.
    present: Names,
}

/// Position of a field line. Offsets from the start of its memory; 20 bytes.
#[derive(Clone, Copy, Debug)]
struct Line {
    known: Option<Known>,
    memory: Memory,
    /// Written as `name: value` CRLF, with one blank or tab.
    plain: bool,
    sensitive: bool,
    start: u32,
    colon: u32,
    value: u32,
    value_end: u32,
}

/// The memory that a line is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Memory {
    Head,
    Own,
}

impl Headers {
    /// No fields.
    pub const fn new() -> Self {
        Self(None)
    }

    /// Number of lines.
    pub fn len(&self) -> usize {
        self.lines().len()
    }

    /// Returns true if there are no lines.
    pub fn is_empty(&self) -> bool {
        self.lines().is_empty()
    }

    /// The known names present.
    pub fn names(&self) -> Names {
        match &self.0 {
            Some(section) => section.present,
            None => Names::default(),
        }
    }

    /// Returns true if there is a field of this name.
    pub fn contains(&self, name: impl AsName) -> bool {
        self.place_of(name.as_name()).is_some()
    }

    /// Returns the value of the first line of this name.
    pub fn get(&self, name: impl AsName) -> Option<Value<'_>> {
        let line = self.place_of(name.as_name())?;
        Some(self.section()?.value(line))
    }

    /// Returns an owned copy of that value; shares the memory of the head.
    pub fn get_owned(&self, name: impl AsName) -> Option<HeaderValue> {
        let line = self.place_of(name.as_name())?;
        Some(self.section()?.owned_value(line))
    }

    /// Returns the values of all lines of this name, in order.
    pub fn get_all(&self, name: impl AsName) -> impl DoubleEndedIterator<Item = Value<'_>> {
        let wanted = name.as_name();
        let lines = match wanted.known {
            Some(known) if !self.names().contains(Some(known)) => &[],
            _ => self.lines(),
        };
        // What the name borrows need not live as long as the iterator.
        let (known, text) = match wanted.known {
            Some(_) => (wanted.known, SmallVec::new()),
            None => (None, SmallVec::<[u8; 64]>::from(wanted.text)),
        };
        let section = self.section();
        lines.iter().filter_map(move |line| {
            let section = section?;
            let wanted = Name { known, text: &text };
            section.is(line, wanted).then(|| section.value(line))
        })
    }

    /// Returns all lines, in order: the name as written, and the value.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Value<'_>)> {
        let section = self.section();
        self.lines().iter().filter_map(move |line| {
            let section = section?;
            Some((section.name(line), section.value(line)))
        })
    }

    /// Makes this the only line of its name.
    pub fn insert(&mut self, name: impl AsName, value: impl AsValue) {
        self.insert_joined(name, &[value.as_value()]);
    }

    /// Makes this the only line of its name, with a value joined from these parts.
    pub fn insert_joined(&mut self, name: impl AsName, parts: &[Value<'_>]) {
        let name = name.as_name();
        self.remove_named(name);
        self.section_mut().push_own(name, parts);
    }

    /// Adds a line after all others.
    pub fn append(&mut self, name: impl AsName, value: impl AsValue) {
        self.section_mut()
            .push_own(name.as_name(), &[value.as_value()]);
    }

    /// Removes all lines of this name; returns true if there were any.
    pub fn remove(&mut self, name: impl AsName) -> bool {
        self.remove_named(name.as_name())
    }

    /// Removes the lines of all these names.
    pub fn remove_all(&mut self, names: Names) {
        if self.names().meets(names) {
            self.section_mut()
                .retain(|_, line| !names.contains(line.known));
        }
    }

    /// Removes the lines for whose name, as written, `keep` is false; returns their number.
    pub(crate) fn retain(&mut self, keep: impl Fn(&[u8]) -> bool) -> usize {
        let before = self.len();
        if self.iter().any(|(name, _)| !keep(name)) {
            self.section_mut()
                .retain(|section, line| keep(section.name(line)));
        }
        before - self.len()
    }

    /// Removes the lines whose name is not [`Known`] and for which `keep` is false; it gets the
    /// names as written.
    pub fn retain_unknown(&mut self, keep: impl Fn(&[u8]) -> bool) {
        if self.unknown_names().any(|name| !keep(name)) {
            self.section_mut()
                .retain(|section, line| line.known.is_some() || keep(section.name(line)));
        }
    }

    /// Returns owned copies of all lines, in order; values share the memory of the head.
    pub fn to_fields(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        let section = self.section();
        self.lines().iter().filter_map(move |line| {
            let section = section?;
            Some((section.owned_name(line)?, section.owned_value(line)))
        })
    }

    /// Returns the names that are not [`Known`], as written.
    pub fn unknown_names(&self) -> impl Iterator<Item = &[u8]> {
        let section = self.section();
        let unknown = self.lines().iter().filter(|line| line.known.is_none());
        unknown.filter_map(move |line| Some(section?.name(line)))
    }

    fn remove_named(&mut self, name: Name<'_>) -> bool {
        if self.place_of(name).is_none() {
            return false;
        }
        let section = self.section_mut();
        section.retain(|section, line| !section.is(line, name));
        true
    }

    #[inline]
    fn place_of(&self, name: Name<'_>) -> Option<&Line> {
        let section = self.section()?;
        if name.known.is_some() && !section.present.contains(name.known) {
            return None;
        }
        section.place_of(name)
    }

    fn lines(&self) -> &[Line] {
        self.section().map_or(&[], |section| &section.lines)
    }

    fn section(&self) -> Option<&Section> {
        self.0.as_deref()
    }

    fn section_mut(&mut self) -> &mut Section {
        self.0.get_or_insert_with(spare::take)
    }
}

impl Section {
    fn place_of(&self, name: Name<'_>) -> Option<&Line> {
        match name.known {
            Some(_) => self.lines.iter().find(|line| line.known == name.known),
            None => self.lines.iter().find(|line| self.is(line, name)),
        }
    }

    fn memory(&self, memory: Memory) -> &[u8] {
        match memory {
            Memory::Head => &self.head,
            Memory::Own => &self.own,
        }
    }

    /// Returns the name of a line, as written.
    fn name(&self, line: &Line) -> &[u8] {
        self.bytes(line.memory, line.start, line.colon)
    }

    fn value(&self, line: &Line) -> Value<'_> {
        Value {
            bytes: self.bytes(line.memory, line.value, line.value_end),
            sensitive: line.sensitive,
        }
    }

    fn bytes(&self, memory: Memory, start: u32, end: u32) -> &[u8] {
        let range = start as usize..end as usize;
        self.memory(memory).get(range).unwrap_or_default()
    }

    fn is(&self, line: &Line, name: Name<'_>) -> bool {
        line.known == name.known
            && (name.known.is_some() || self.name(line).eq_ignore_ascii_case(name.text))
    }

    fn retain(&mut self, mut keep: impl FnMut(&Self, &Line) -> bool) {
        let mut lines = std::mem::take(&mut self.lines);
        self.present = Names::default();
        lines.retain(|line| {
            let kept = keep(self, line);
            if let (true, Some(known)) = (kept, line.known) {
                self.present.add(known);
            }
            kept
        });
        self.lines = lines;
    }

    fn clear(&mut self) {
        self.head = Bytes::new();
        self.own.clear();
        self.lines.clear();
        self.present = Names::default();
    }
}

impl Clone for Headers {
    fn clone(&self) -> Self {
        let Some(section) = &self.0 else {
            return Self::new();
        };
        let mut copy = spare::take();
        copy.head = section.head.clone();
        copy.own.extend_from_slice(&section.own);
        copy.lines.extend_from_slice(&section.lines);
        copy.present = section.present;
        Self(Some(copy))
    }
}

/// Equality: the same names, case-insensitively, with the same values in the same order.
impl PartialEq for Headers {
    fn eq(&self, other: &Self) -> bool {
        let same = |((name, value), (other_name, other_value)): ((&[u8], _), (&[u8], _))| {
            name.eq_ignore_ascii_case(other_name) && value == other_value
        };
        self.len() == other.len() && self.iter().zip(other.iter()).all(same)
    }
}

impl Eq for Headers {}

impl Drop for Headers {
    fn drop(&mut self) {
        if let Some(section) = self.0.take() {
            spare::give_back(section);
        }
    }
}

impl std::fmt::Debug for Headers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lines = self.iter().map(|(name, value)| {
            let name = String::from_utf8_lossy(name).into_owned();
            let value = if value.sensitive {
                "(sensitive)".into()
            } else {
                String::from_utf8_lossy(value.bytes).into_owned()
            };
            (name, value)
        });
        f.debug_map().entries(lines).finish()
    }
}

/// Returns all fields in alphabetical order, names in lower case, for comparison.
#[cfg(test)]
pub(crate) fn sorted(headers: &Headers) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let fields = headers.iter().map(|(name, value)| {
        let name = text(name).to_ascii_lowercase();
        (name, text(value.bytes))
    });
    let mut fields: Vec<_> = fields.collect();
    fields.sort();
    fields
}

/// Makes headers from the fields of a test.
#[cfg(test)]
pub(crate) fn fields(lines: &[(&str, &str)]) -> Headers {
    let lines = lines.iter().map(|(name, value)| {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        (name, HeaderValue::from_str(value).unwrap())
    });
    lines.collect()
}

#[cfg(test)]
mod tests;
