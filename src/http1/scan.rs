//! Where a head ends: the search for its empty line, remembered between reads.
//!
//! Every line must end in CRLF. A bare LF is refused as soon as it is seen (RFC 9112
//! section 2.2 lets a recipient accept it; parsers that disagree here are the root of
//! request smuggling), so a hostile head is answered without waiting for the rest.

use memchr::memchr;

/// A line that ends in a bare LF, or an empty line where the first line belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LineFault {
    /// It is the first line of the head.
    pub(super) first: bool,
}

/// Finds the offset past the empty line that ends the head starting at `start`.
///
/// `scanned` is where the last search stopped; bytes before it are not looked at again.
pub(super) fn head_end(
    bytes: &[u8],
    start: usize,
    scanned: &mut usize,
) -> Result<Option<usize>, LineFault> {
    let mut from = (*scanned).max(start);
    while let Some(found) = bytes.get(from..).and_then(|rest| memchr(b'\n', rest)) {
        let at = from + found;
        let line = &bytes[start..at];
        let Some(line) = line.strip_suffix(b"\r") else {
            return Err(LineFault {
                first: memchr(b'\n', line).is_none(),
            });
        };
        match line.last() {
            None => return Err(LineFault { first: true }),
            Some(b'\n') => {
                *scanned = at + 1;
                return Ok(Some(at + 1));
            }
            Some(_) => from = at + 1,
        }
    }
    *scanned = bytes.len().max(start);
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(bytes: &[u8]) -> Result<Option<usize>, LineFault> {
        head_end(bytes, 0, &mut 0)
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
            assert_eq!(head_end(&bytes[..cut], 0, &mut scanned), Ok(None));
            assert_eq!(scanned, cut);
        }
        assert_eq!(head_end(bytes, 0, &mut scanned), Ok(Some(bytes.len())));
    }
}
