//! Base64 for URLs without padding (RFC 7515 section 2), read strictly.

/// Decodes a text. None if it has another character, padding, a wrong length or bits that are left
/// over and not zero: no two texts mean the same.
pub fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    let (mut held, mut bits) = (0_u32, 0_u32);
    for byte in text {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        held = held << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(held >> bits).ok()?);
            held &= (1 << bits) - 1;
        }
    }
    (bits < 6 && held == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_text_means_the_bytes() {
        assert_eq!(decode(b"").unwrap(), b"");
        assert_eq!(decode(b"Zg").unwrap(), b"f");
        assert_eq!(decode(b"Zm9vYg").unwrap(), b"foob");
        assert_eq!(decode(b"-_8").unwrap(), [0xfb, 0xff]);
        for text in ["Zh", "Zg==", "Z", "Zm9vY", "+/8", "Zm 9", "Zm9\n", "é"] {
            assert_eq!(decode(text.as_bytes()), None, "{text}");
        }
    }
}
