//! Numbers of variable length (RFC 9000 section 16).

use bytes::BufMut;

/// Reads the number at the front; returns it with the number of its bytes, or none if there are too
/// few.
pub fn read(bytes: &[u8]) -> Option<(u64, usize)> {
    let first = *bytes.first()?;
    let length = 1 << (first >> 6);
    let coded = bytes.get(..length)?;
    let start = u64::from(first & 0x3f);
    let rest = coded.iter().skip(1);
    let number = rest.fold(start, |number, byte| number << 8 | u64::from(*byte));
    Some((number, length))
}

/// Writes a number in as few bytes as possible; one above [`MAX`] as that.
pub fn put(number: u64, out: &mut impl BufMut) {
    match number.min(MAX) {
        small @ 0..=0x3f => out.put_slice(&small.to_be_bytes()[7..]),
        two @ 0..=0x3fff => out.put_slice(&(two | 0x4000).to_be_bytes()[6..]),
        four @ 0..=0x3fff_ffff => out.put_slice(&(four | 0x8000_0000).to_be_bytes()[4..]),
        eight => out.put_u64(eight | 0xc000_0000_0000_0000),
    }
}

/// The largest number.
pub const MAX: u64 = (1 << 62) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_they_were_written_and_in_the_form_of_the_standard() {
        for number in [0, 63, 64, 16_383, 16_384, 0x3fff_ffff, 0x4000_0000, MAX] {
            let mut out = Vec::new();
            put(number, &mut out);
            assert_eq!(read(&out), Some((number, out.len())), "{number}");
            for short in 0..out.len() {
                assert_eq!(read(&out[..short]), None);
            }
        }
        // The examples of RFC 9000 appendix A.1.
        for (text, number) in [
            (
                &[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c][..],
                151_288_809_941_952_652,
            ),
            (&[0x9d, 0x7f, 0x3e, 0x7d], 494_878_333),
            (&[0x7b, 0xbd], 15_293),
            (&[0x25], 37),
            (&[0x40, 0x25], 37),
        ] {
            assert_eq!(read(text), Some((number, text.len())));
        }
    }
}
