//! Escaping of what clients send.

/// Which characters end a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escape {
    /// Inside a JSON string (RFC 8259 section 7); a byte that is no UTF-8 becomes `\u00XX`.
    Json,
    /// Inside a column of a text line; control bytes, quotes, backslashes and what is no
    /// UTF-8 become `\xXX`.
    Text,
}

impl Escape {
    /// Appends the escaped bytes.
    pub(super) fn put(self, bytes: &[u8], out: &mut Vec<u8>) {
        // Nearly every value is plain ASCII without anything to escape. Looking at all bytes is
        // what the compiler does many at a time.
        if bytes.iter().fold(true, |all, byte| all & is_plain(*byte)) {
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
