//! Tokens: the syntax of names of fields, methods and codings (RFC 9110 section 5.6.2), and lists of
//! them.

/// Returns true if the whole text is one token.
pub fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|&byte| is_token_byte(byte))
}

/// The members of a list without quoted strings (RFC 9110 section 5.6.1), without the white space
/// around them; empty ones too.
pub fn members(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

/// Returns true if a token may hold the byte.
pub fn is_token_byte(byte: u8) -> bool {
    TOKEN_BYTES[usize::from(byte)]
}

static TOKEN_BYTES: [bool; 256] = {
    let mut fits = [false; 256];
    let mut byte = 0x21_u8;
    while byte < 0x7f {
        fits[byte as usize] = !matches!(
            byte,
            b'"' | b'('
                | b')'
                | b','
                | b'/'
                | b':'
                | b';'
                | b'<'
                | b'='
                | b'>'
                | b'?'
                | b'@'
                | b'['
                | b'\\'
                | b']'
                | b'{'
                | b'}'
        );
        byte += 1;
    }
    fits
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_what_names_of_fields_are() {
        for byte in 0..=u8::MAX {
            let name = http::HeaderName::from_bytes(&[byte]);
            assert_eq!(is_token_byte(byte), name.is_ok(), "{byte:#x}");
        }
        assert!(is_token(b"X-a_b") && !is_token(b"") && !is_token(b"a b"));
    }
}
