//! Ranges of a stored answer (RFC 9110 section 14).

use std::ops::Range;

/// Part of an answer that a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of it: nothing else is asked for, or in a way that need not be obeyed.
    Whole,
    /// These bytes.
    Bytes(Range<u64>),
    /// Nothing that is there.
    Unsatisfiable,
}

/// Reads `Range` for an answer of this length. Several ranges are answered with the whole.
pub(crate) fn part(range: &[u8], length: u64) -> Part {
    let Some((unit, spec)) = split_once(range, b'=') else {
        return Part::Whole;
    };
    if !unit.trim_ascii().eq_ignore_ascii_case(b"bytes") || spec.contains(&b',') {
        return Part::Whole;
    }
    let Some((first, last)) = split_once(spec.trim_ascii(), b'-') else {
        return Part::Whole;
    };
    let wanted = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(length),
        (Some(first), None) if last.is_empty() => first..length,
        (None, Some(last)) if first.is_empty() => length.saturating_sub(last)..length,
        _ => return Part::Whole,
    };
    if wanted.start >= length || wanted.is_empty() {
        return Part::Unsatisfiable;
    }
    Part::Bytes(wanted)
}

fn split_once(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let place = memchr::memchr(at, text)?;
    Some((&text[..place], &text[place + 1..]))
}

fn number(text: &[u8]) -> Option<u64> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(text).ok().filter(|_| digits)?;
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_range_is_cut_to_the_length() {
        for (range, expected) in [
            ("bytes=0-1", Part::Bytes(0..2)),
            ("Bytes = 1-", Part::Bytes(1..11)),
            ("bytes=1-", Part::Bytes(1..11)),
            ("bytes=-1", Part::Bytes(10..11)),
            ("bytes=-99", Part::Bytes(0..11)),
            ("bytes=5-99", Part::Bytes(5..11)),
            ("bytes=11-", Part::Unsatisfiable),
            ("bytes=-0", Part::Unsatisfiable),
            ("bytes=5-4", Part::Whole),
            ("bytes=0-1,3-4", Part::Whole),
            ("bytes=a-1", Part::Whole),
            ("bytes=-", Part::Whole),
            ("lines=0-1", Part::Whole),
            ("bytes=0-18446744073709551615", Part::Bytes(0..11)),
            ("bytes=99999999999999999999-", Part::Whole),
        ] {
            let got = part(range.as_bytes(), 11);
            assert_eq!(got, expected, "{range}");
        }
        assert_eq!(part(b"bytes=0-", 0), Part::Unsatisfiable);
    }
}
