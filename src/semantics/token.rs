//! Tokens: the syntax of names of fields, methods and codings (RFC 9110 section 5.6.2).

/// Returns true if the whole text is one token.
pub fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|&byte| is_token_byte(byte))
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
