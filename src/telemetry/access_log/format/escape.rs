//! Escaping of values that clients send.

use wide::u8x16;

/// Characters that end a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escape {
    /// Inside a JSON string (RFC 8259 section 7); a byte that is not UTF-8 becomes `\u00XX`.
    Json,
    /// Inside a column of a text line; control bytes, quotes, backslashes and bytes that are not
    /// UTF-8 become `\xXX`.
    Text,
    /// No escaping.
    Nothing,
}

impl Escape {
    /// Appends the escaped bytes.
    pub(super) fn put(self, bytes: &[u8], out: &mut Vec<u8>) {
        // Nearly every value is plain ASCII without anything to escape.
        if self == Self::Nothing || are_plain(bytes) {
            out.extend_from_slice(bytes);
            return;
        }
        for chunk in bytes.utf8_chunks() {
            for character in chunk.valid().chars() {
                match u8::try_from(character) {
                    Ok(byte) if byte.is_ascii() && !is_plain(byte) => self.put_byte(byte, out),
                    // C1 controls: some terminals obey them.
                    Ok(byte) if (0x80..0xa0).contains(&byte) => self.put_byte(byte, out),
                    _ => {
                        let mut buffer = [0; 4];
                        out.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
                    }
                }
            }
            for byte in chunk.invalid() {
                self.put_byte(*byte, out);
            }
        }
    }

    fn put_byte(self, byte: u8, out: &mut Vec<u8>) {
        match (self, byte) {
            (Self::Json, b'"' | b'\\') => {
                out.extend_from_slice(&[b'\\', byte]);
                return;
            }
            (Self::Json, _) => out.extend_from_slice(b"\\u00"),
            (Self::Text, _) => out.extend_from_slice(b"\\x"),
            (Self::Nothing, _) => {
                out.push(byte);
                return;
            }
        }
        let hex = |nibble: u8| match nibble {
            0..=9 => b'0' + nibble,
            _ => b'a' + nibble - 10,
        };
        out.extend_from_slice(&[hex(byte >> 4), hex(byte & 0xf)]);
    }
}

fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')
}

/// Returns true if [`is_plain`] holds for all bytes; tests sixteen at a time.
fn are_plain(bytes: &[u8]) -> bool {
    let (blocks, rest) = bytes.as_chunks();
    let mut last = [b' '; 16];
    last[..rest.len()].copy_from_slice(rest);
    blocks.iter().chain([&last]).all(is_plain_block)
}

fn is_plain_block(block: &[u8; 16]) -> bool {
    const FIRST: u8x16 = u8x16::splat(b' ');
    const LAST: u8x16 = u8x16::splat(b'~');
    const QUOTE: u8x16 = u8x16::splat(b'"');
    const BACKSLASH: u8x16 = u8x16::splat(b'\\');
    let bytes = u8x16::new(*block);
    let outside = bytes.max(FIRST).min(LAST).simd_eq(bytes).to_bitmask() != 0xffff;
    let special = bytes.simd_eq(QUOTE) | bytes.simd_eq(BACKSLASH);
    !outside && special.to_bitmask() == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_to_escape_is_seen_wherever_it_stands() {
        for byte in 0..=u8::MAX {
            for length in 1..40 {
                for at in 0..length {
                    let mut bytes = vec![b'x'; length];
                    bytes[at] = byte;
                    assert_eq!(are_plain(&bytes), is_plain(byte), "{byte:#x} at {at}");
                }
            }
        }
        assert!(are_plain(b""));
    }
}
