//! Where a head ends: the search for its empty line, remembered between reads.
//!
//! Every line must end in CRLF. A bare LF is refused as soon as it is seen (RFC 9112
//! section 2.2 lets a recipient accept it; parsers that disagree here are the root of
//! request smuggling), so a hostile head is answered without waiting for the rest.

use memchr::memchr;
use smallvec::SmallVec;

/// A line that ends in a bare LF, or an empty line where the first line belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LineFault {
    /// It is the first line of the head.
    pub(super) first: bool,
}

/// Offsets of the LF of every line of a head, from its start; the last is the empty line.
pub(super) type LineEnds = SmallVec<[usize; 32]>;

/// Finds the lines of the head that begins at `start`, or none while its end has not come.
///
/// `scanned` is where the last search stopped; what lies before it is looked at only once
/// more, when the end is there.
pub(super) fn head_lines(
    bytes: &[u8],
    start: usize,
    scanned: &mut usize,
) -> Result<Option<LineEnds>, LineFault> {
    let from = (*scanned).max(start);
    let head = bytes.get(start..).unwrap_or(&[]);
    let mut lines = LineEnds::new();
    if !collect(head, from - start, &mut lines)? {
        *scanned = bytes.len().max(start);
        return Ok(None);
    }
    if from > start {
        lines.clear();
        collect(head, 0, &mut lines)?;
    }
    Ok(Some(lines))
}

/// Appends the line ends at or after `from`; says whether the empty line was among them.
fn collect(head: &[u8], from: usize, lines: &mut LineEnds) -> Result<bool, LineFault> {
    let (words, tail) = head.get(from..).unwrap_or(&[]).as_chunks::<8>();
    let mut base = from;
    for word in words {
        let mut marks = matches(*word, b'\n');
        while marks != 0 {
            if end_line(head, base + first(marks), lines)? {
                return Ok(true);
            }
            marks &= marks - 1;
        }
        base += 8;
    }
    for (at, _) in (base..).zip(tail).filter(|(_, byte)| **byte == b'\n') {
        if end_line(head, at, lines)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Takes in the line whose LF is at `at`; says whether it is the empty one.
fn end_line(head: &[u8], at: usize, lines: &mut LineEnds) -> Result<bool, LineFault> {
    let line = head.get(..at).unwrap_or(head);
    match line {
        [.., b'\n', b'\r'] => {
            lines.push(at);
            Ok(true)
        }
        [.., _, b'\r'] => {
            lines.push(at);
            Ok(false)
        }
        line => Err(LineFault {
            first: memchr(b'\n', line).is_none(),
        }),
    }
}

/// Finds the colon of a field line.
pub(super) fn find_colon(line: &[u8]) -> Option<usize> {
    let (words, tail) = line.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let marks = matches(*word, b':');
        if marks != 0 {
            return Some(index * 8 + first(marks));
        }
    }
    let found = tail.iter().position(|&byte| byte == b':')?;
    Some(words.len() * 8 + found)
}

/// Marks, with their highest bit, the bytes of a word that are `wanted`, and no others.
///
/// Lines and names are so short that setting up a wider search does not pay.
fn matches(word: [u8; 8], wanted: u8) -> u64 {
    const LOW: u64 = u64::from_le_bytes([0x7f; 8]);
    // Zero where it matches; no sum below overflows into the next byte.
    let differs = u64::from_le_bytes(word) ^ u64::from_le_bytes([wanted; 8]);
    !(((differs & LOW) + LOW) | differs | LOW)
}

/// The index of the first byte that is marked.
fn first(marks: u64) -> usize {
    (marks.trailing_zeros() / 8) as usize
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

    #[test]
    fn only_what_is_wanted_is_marked() {
        for byte in 0..=u8::MAX {
            for at in 0..8 {
                let mut word = [b'\n' ^ 0x80; 8];
                word[at] = byte;
                let expected = if byte == b'\n' { 0x80 << (8 * at) } else { 0 };
                assert_eq!(matches(word, b'\n'), expected, "{byte:#x} at {at}");
            }
        }
    }

    #[test]
    fn every_line_is_found_however_long_the_ones_before_it() {
        for first in 1..20 {
            for second in 1..20 {
                let lines = [
                    &vec![b'a'; first][..],
                    b"\r\n",
                    &vec![b'b'; second],
                    b"\r\n\r\nrest",
                ];
                let found = head_lines(&lines.concat(), 0, &mut 0).unwrap().unwrap();
                let ends = [first + 1, first + second + 3, first + second + 5];
                assert_eq!(found[..], ends);
            }
        }
    }

    fn end(bytes: &[u8]) -> Result<Option<usize>, LineFault> {
        let lines = head_lines(bytes, 0, &mut 0)?;
        Ok(lines.map(|lines| lines.last().unwrap() + 1))
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
            assert_eq!(head_lines(&bytes[..cut], 0, &mut scanned), Ok(None));
            assert_eq!(scanned, cut);
        }
        let lines = head_lines(bytes, 0, &mut scanned).unwrap().unwrap();
        assert_eq!(lines[..], [4, 12, 14]);
    }
}
