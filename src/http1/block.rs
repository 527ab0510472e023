//! Classifies 64 bytes of a head at a time.

use wide::u8x16;

/// A bit for each byte of a block, the first byte in the lowest bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    /// The byte is LF.
    pub(super) line_feeds: u64,
    /// The byte is a control byte, LF and tab and DEL among them.
    pub(super) controls: u64,
}

/// Number of bytes classified at a time.
pub(super) const BLOCK: usize = 64;

/// Classifies the first bytes of `text`; missing bytes of a block get no marks.
pub(super) fn marks(text: &[u8]) -> Marks {
    if let Some(block) = text.first_chunk() {
        return marks_of(block);
    }
    let mut block = [b' '; BLOCK];
    block[..text.len()].copy_from_slice(text);
    marks_of(&block)
}

fn marks_of(block: &[u8; BLOCK]) -> Marks {
    const LINE_FEED: u8x16 = u8x16::splat(b'\n');
    const LAST_CONTROL: u8x16 = u8x16::splat(0x1f);
    const DELETE: u8x16 = u8x16::splat(0x7f);
    let mut marks = Marks::default();
    let (parts, _) = block.as_chunks::<16>();
    for (place, part) in parts.iter().enumerate() {
        let bytes = u8x16::new(*part);
        let controls = bytes.min(LAST_CONTROL).simd_eq(bytes) | bytes.simd_eq(DELETE);
        let bits = |mask: u8x16| u64::from(mask.to_bitmask()) << (16 * place);
        marks.line_feeds |= bits(bytes.simd_eq(LINE_FEED));
        marks.controls |= bits(controls);
    }
    marks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_marked_where_it_stands() {
        for byte in 0..=u8::MAX {
            for at in 0..BLOCK {
                let mut block = [b'x'; BLOCK];
                block[at] = byte;
                let bit = |set: bool| u64::from(set) << at;
                let expected = Marks {
                    line_feeds: bit(byte == b'\n'),
                    controls: bit(byte.is_ascii_control()),
                };
                assert_eq!(marks(&block), expected, "{byte:#x} at {at}");
                assert_eq!(marks(&block[..=at]), expected, "{byte:#x} at the end");
            }
        }
        assert_eq!(marks(&[b'\n'; 100]).line_feeds, u64::MAX);
        assert_eq!(marks(b""), Marks::default());
    }
}
