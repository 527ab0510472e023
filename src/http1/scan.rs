//! End of a head: the search for its empty line, remembered between reads.
//!
//! Every line must end in CRLF. A bare LF is refused as soon as it is seen (RFC 9112
//! section 2.2 lets a recipient accept it; parsers that disagree here are the root of
//! request smuggling), so a hostile head is answered without waiting for the rest.

use memchr::memchr;
use smallvec::SmallVec;

use super::block::{BLOCK, Marks, marks};

/// A line that ends in a bare LF, or an empty line where the first line belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LineFault {
    /// It is the first line of the head.
    pub(super) first: bool,
}

/// The lines of a head.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// Offsets of the LF of every line, from the start of the head; the last is the empty line.
    pub(super) ends: SmallVec<[usize; 32]>,
    /// There are control bytes other than the CR and LF at line ends.
    pub(super) suspect: bool,
}

/// Finds the lines of the head that begins at `start`; returns true if its end has arrived.
///
/// `scanned` is the end of the last search; the bytes before it are read only once more, when the
/// end has arrived.
pub(super) fn head_lines(
    bytes: &[u8],
    start: usize,
    scanned: &mut usize,
    lines: &mut Lines,
) -> Result<bool, LineFault> {
    let from = (*scanned).max(start);
    let head = bytes.get(start..).unwrap_or(&[]);
    if !collect(head, from - start, lines)? {
        *scanned = bytes.len().max(start);
        return Ok(false);
    }
    if from > start {
        *lines = Lines::default();
        collect(head, 0, lines)?;
    }
    Ok(true)
}

/// Appends the line ends at or after `from`; returns true if the empty line was among them.
fn collect(head: &[u8], from: usize, lines: &mut Lines) -> Result<bool, LineFault> {
    // The block before ended in a control byte that has to be the CR of a line's end.
    let mut open = false;
    for (place, block) in head.get(from..).unwrap_or(&[]).chunks(BLOCK).enumerate() {
        let Marks {
            mut line_feeds,
            controls,
        } = marks(block);
        // Those that are neither LF nor right before one.
        let strange = controls & !(line_feeds | line_feeds >> 1);
        lines.suspect |= open && line_feeds & 1 == 0;
        open = strange >> (BLOCK - 1) == 1;
        let strange = strange & (u64::MAX >> 1);
        while line_feeds != 0 {
            let bit = line_feeds.trailing_zeros();
            let at = from + place * BLOCK + bit as usize;
            line_feeds &= line_feeds - 1;
            match &head[..at] {
                [.., b'\n', b'\r'] => {
                    // What stands behind the head is none of its bytes.
                    lines.suspect |= strange & !(u64::MAX << bit) != 0;
                    lines.ends.push(at);
                    return Ok(true);
                }
                [.., _, b'\r'] => lines.ends.push(at),
                line => {
                    return Err(LineFault {
                        first: memchr(b'\n', line).is_none(),
                    });
                }
            }
        }
        lines.suspect |= strange != 0;
    }
    Ok(false)
}

/// Finds the colon of a field line, eight bytes at a step: names are so short that setting
/// up a wider search does not pay.
pub(super) fn find_colon(line: &[u8]) -> Option<usize> {
    const LOW_BITS: u64 = u64::from_le_bytes([1; 8]);
    const COLONS: u64 = u64::from_le_bytes([b':'; 8]);
    let (words, tail) = line.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let differs = u64::from_le_bytes(*word) ^ COLONS;
        // Marks the bytes that are zero now; wrong marks come only above a right one.
        let marks = differs.wrapping_sub(LOW_BITS) & !differs & (LOW_BITS << 7);
        if marks != 0 {
            return Some(index * 8 + usize::try_from(marks.trailing_zeros() / 8).ok()?);
        }
    }
    let found = tail.iter().position(|&byte| byte == b':')?;
    Some(words.len() * 8 + found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_colon_is_found_wherever_it_is() {
        for at in 0..60 {
            let line = [&vec![b'x'; at][..], b":;\xba:\n::9;:"].concat();
            assert_eq!(find_colon(&line), Some(at));
            // Bytes that differ from a colon by one bit, or are one off.
            let near = [b';', b'9', 0xba, 0x3b, 0x39, 0x38].repeat(at);
            assert_eq!(find_colon(&near), None, "{at}");
        }
    }

    fn lines(bytes: &[u8], scanned: &mut usize) -> Result<Option<Lines>, LineFault> {
        let mut lines = Lines::default();
        let whole = head_lines(bytes, 0, scanned, &mut lines)?;
        Ok(whole.then_some(lines))
    }

    fn end(bytes: &[u8]) -> Result<Option<usize>, LineFault> {
        let lines = lines(bytes, &mut 0)?;
        Ok(lines.map(|lines| lines.ends.last().unwrap() + 1))
    }

    #[test]
    fn the_end_is_past_the_empty_line() {
        assert_eq!(end(b"a\r\n\r\nrest"), Ok(Some(5)));
        assert_eq!(end(b"a\r\nb\r\n\r\n"), Ok(Some(8)));
        assert_eq!(end(b"a\r\nb\r\n\r"), Ok(None));
        assert_eq!(end(b""), Ok(None));
    }

    #[test]
    fn a_bare_line_feed_is_refused_at_once() {
        assert_eq!(end(b"a\n"), Err(LineFault { first: true }));
        assert_eq!(end(b"\n"), Err(LineFault { first: true }));
        assert_eq!(end(b"a\r\nb\n"), Err(LineFault { first: false }));
        assert_eq!(end(b"a\r\n\n"), Err(LineFault { first: false }));
        assert_eq!(end(b"a\r\nb\r\n\nGET"), Err(LineFault { first: false }));
    }

    #[test]
    fn a_first_line_cannot_be_empty() {
        assert_eq!(end(b"\r\na\r\n\r\n"), Err(LineFault { first: true }));
    }

    #[test]
    fn a_search_goes_on_where_it_stopped() {
        let bytes = b"one\r\ntwo: 2\r\n\r\n";
        let mut scanned = 0;
        for cut in 0..bytes.len() {
            assert!(lines(&bytes[..cut], &mut scanned).unwrap().is_none());
            assert_eq!(scanned, cut);
        }
        let lines = lines(bytes, &mut scanned).unwrap().unwrap();
        assert_eq!(lines.ends[..], [4, 12, 14]);
    }

    #[test]
    fn control_bytes_are_noticed_wherever_they_are() {
        for length in [1, 5, 62, 63, 64, 65, 130] {
            let clean = [&vec![b'x'; length][..], b"\r\nb: 2\r\n\r\n\0\t"].concat();
            let found = lines(&clean, &mut 0).unwrap().unwrap();
            assert!(!found.suspect, "{length}");
            assert_eq!(found.ends[..], [length + 1, length + 7, length + 9]);
            for at in 0..length {
                for byte in [b'\t', 0, 0x7f, b'\r'] {
                    let mut bytes = clean.clone();
                    bytes[at] = byte;
                    let found = lines(&bytes, &mut 0).unwrap().unwrap();
                    assert!(found.suspect, "{byte:#x} at {at} of {length}");
                }
            }
        }
    }
}
