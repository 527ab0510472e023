//! Dynamic table: fields that one side has sent before, newest first (RFC 7541 section 2.3.2).
//!
//! Their lines stand one after the other in one piece of memory. Evicted lines remain at its front
//! as dead bytes until it is full; then the live ones are moved to the front.

use super::FieldName;
use super::field::{CRLF, SEPARATOR, size_of_line};

/// A table of bounded size. Takes no memory before its first field.
#[derive(Debug, Default)]
pub(super) struct Table<T> {
    /// A ring: a field's index is its number modulo the length, which is a power of two.
    entries: Vec<Entry<T>>,
    /// The number of the next field. Wraps.
    next: u32,
    count: u32,
    lines: Vec<u8>,
    /// Number of bytes that stood before `lines` since the beginning. Wraps.
    gone: u32,
    size: usize,
    size_max: usize,
}

/// A field of a table.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Entry<T> {
    /// Position of its line, counted since the beginning. Wraps.
    start: u32,
    length: u32,
    name_length: u32,
    /// Kind of its name.
    pub(super) name: FieldName,
    /// Tag for the owner of the table.
    pub(super) tag: T,
}

impl<T: Copy + Default> Table<T> {
    /// Makes an empty table. Its size is limited to [`SIZE_MAX`].
    pub(super) fn new(size_max: usize) -> Self {
        Self {
            size_max: size_max.min(SIZE_MAX),
            ..Self::default()
        }
    }

    /// Maximum size of all fields in bytes.
    pub(super) fn size_max(&self) -> usize {
        self.size_max
    }

    /// Size of all fields in bytes.
    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Number of the next field.
    #[inline]
    pub(super) fn next(&self) -> u32 {
        self.next
    }

    /// Returns the field that came `age` fields before the newest.
    #[inline]
    pub(super) fn get(&self, age: u32) -> Option<&Entry<T>> {
        if age >= self.count {
            return None;
        }
        self.entries
            .get(self.place(self.next.wrapping_sub(age + 1)))
    }

    /// The line of a field.
    #[inline]
    pub(super) fn line(&self, entry: &Entry<T>) -> &[u8] {
        let start = entry.start.wrapping_sub(self.gone) as usize;
        let end = start + entry.length as usize;
        self.lines.get(start..end).unwrap_or_default()
    }

    /// The name of a field.
    #[inline]
    pub(super) fn name(&self, entry: &Entry<T>) -> &[u8] {
        let start = entry.start.wrapping_sub(self.gone) as usize;
        let end = start + entry.name_length();
        self.lines.get(start..end).unwrap_or_default()
    }

    /// The value of a field.
    #[inline]
    pub(super) fn value(&self, entry: &Entry<T>) -> &[u8] {
        let line = entry.start.wrapping_sub(self.gone) as usize;
        let start = line + entry.name_length() + SEPARATOR.len();
        let end = (line + entry.length as usize).saturating_sub(CRLF.len());
        self.lines.get(start..end).unwrap_or_default()
    }

    /// Adds a field; evicts old ones as needed. A field larger than the table leaves it empty.
    pub(super) fn insert(&mut self, name: FieldName, name_length: usize, line: &[u8], tag: T) {
        let size = size_of_line(line.len());
        self.evict_to(self.size_max.saturating_sub(size));
        if size > self.size_max {
            return;
        }
        self.make_room(line.len());
        let entry = Entry {
            start: self.gone.wrapping_add(bounded(self.lines.len())),
            length: bounded(line.len()),
            name_length: bounded(name_length),
            name,
            tag,
        };
        let place = self.place(self.next);
        if let Some(free) = self.entries.get_mut(place) {
            *free = entry;
            self.lines.extend_from_slice(line);
            self.next = self.next.wrapping_add(1);
            self.count += 1;
            self.size += size;
        }
    }

    /// Changes the maximum size; evicts the excess.
    pub(super) fn resize(&mut self, size_max: usize) {
        self.size_max = size_max.min(SIZE_MAX);
        self.evict_to(self.size_max);
    }

    fn evict_to(&mut self, size: usize) {
        while self.size > size {
            let Some(oldest) = self.get(self.count.wrapping_sub(1)) else {
                return;
            };
            self.size -= size_of_line(oldest.length as usize);
            self.count -= 1;
        }
    }

    /// Makes room for an entry and for its line.
    fn make_room(&mut self, line_bytes: usize) {
        if self.count as usize == self.entries.len() {
            self.grow_ring();
        }
        let bytes = self.lines.len() + line_bytes;
        if bytes <= self.lines.capacity() {
            return;
        }
        let dead = match self.get(self.count.wrapping_sub(1)) {
            Some(oldest) => oldest.start.wrapping_sub(self.gone) as usize,
            None => self.lines.len(),
        };
        if dead > 0 && dead >= self.lines.len() - dead {
            // Moves at most as many bytes as were evicted since the last time.
            self.lines.drain(..dead);
            self.gone = self.gone.wrapping_add(bounded(dead));
        }
        let bytes = self.lines.len() + line_bytes;
        if bytes > self.lines.capacity() {
            let twice = self.lines.capacity() * 2;
            let capacity = twice.max(LINES_MIN).min(self.size_max * 2).max(bytes);
            self.lines.reserve_exact(capacity - self.lines.len());
        }
    }

    fn grow_ring(&mut self) {
        let length = (self.entries.len() * 2).max(RING_MIN);
        let mut entries = vec![Entry::default(); length];
        for age in 0..self.count {
            let number = self.next.wrapping_sub(age + 1) as usize;
            if let (Some(entry), Some(place)) = (self.get(age), entries.get_mut(number % length)) {
                *place = *entry;
            }
        }
        self.entries = entries;
    }

    /// Returns the position in the ring of the field with this number.
    #[inline]
    fn place(&self, number: u32) -> usize {
        number as usize & self.entries.len().wrapping_sub(1)
    }
}

impl<T> Entry<T> {
    /// Bytes of the name.
    #[inline]
    pub(super) fn name_length(&self) -> usize {
        self.name_length as usize
    }
}

/// Converts a number that is known to be around [`SIZE_MAX`] at most.
fn bounded(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Maximum size of a table.
pub(super) const SIZE_MAX: usize = 1 << 24;

/// Initial numbers of entries and bytes.
const RING_MIN: usize = 16;
const LINES_MIN: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    fn insert(table: &mut Table<()>, line: &[u8]) {
        table.insert(FieldName::Unknown, 1, line, ());
    }

    fn lines(table: &Table<()>) -> Vec<&[u8]> {
        let ages = (0..).map_while(|age| table.get(age));
        ages.map(|entry| table.line(entry)).collect()
    }

    #[test]
    fn the_newest_field_comes_first_and_the_oldest_goes_first() {
        let mut table = Table::new(3 * 40);
        assert_eq!(table.lines.capacity() + table.entries.capacity(), 0);
        for line in [b"a: 1234567\r\n", b"b: 1234567\r\n", b"c: 1234567\r\n"] {
            insert(&mut table, line);
        }
        assert_eq!(table.size(), 120);
        insert(&mut table, b"d: 123456\r\n");
        assert_eq!(lines(&table)[0], b"d: 123456\r\n");
        assert_eq!(lines(&table)[2], b"b: 1234567\r\n");
        assert_eq!(lines(&table).len(), 3);
        table.resize(78);
        assert_eq!(lines(&table), [b"d: 123456\r\n"]);
        table.resize(39);
        assert_eq!(lines(&table).len(), 1);
        table.resize(38);
        assert_eq!((lines(&table).len(), table.size()), (0, 0));
    }

    #[test]
    fn a_field_larger_than_the_table_empties_it() {
        let mut table = Table::new(100);
        insert(&mut table, b"a: 1\r\n");
        insert(&mut table, &[b'x'; 73]);
        assert_eq!((lines(&table).len(), table.size()), (0, 0));
        insert(&mut table, &[b'x'; 72]);
        assert_eq!(lines(&table), [&[b'x'; 72]]);
    }

    #[test]
    fn it_is_what_a_plain_list_is_and_takes_twice_its_size_at_most() {
        for size_max in [0, 64, 1000, 4096] {
            let mut table = Table::new(size_max);
            // Numbers and offsets wrap on the way.
            table.next = u32::MAX - 100;
            table.gone = u32::MAX - 1000;
            let mut list: Vec<Vec<u8>> = Vec::new();
            let mut random: usize = 1;
            for step in 0..3000_usize {
                random = random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                let length = 6 + (random >> 33) % if step % 3 == 0 { 600 } else { 30 };
                let line: Vec<u8> = (0..length).map(|at| (at + step).to_le_bytes()[0]).collect();
                insert(&mut table, &line);
                list.insert(0, line);
                let mut size = 0;
                let kept = list.iter().take_while(|line| {
                    size += size_of_line(line.len());
                    size <= size_max
                });
                list.truncate(kept.count());
                assert_eq!(lines(&table), list);
                assert!(table.size() <= size_max);
                assert!(table.lines.capacity() <= 2 * size_max);
                assert!(table.entries.len() <= (size_max / 32).next_power_of_two().max(RING_MIN));
            }
        }
    }
}
