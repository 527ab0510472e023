//! Base64 for URLs without padding (RFC 7515 section 2), read strictly.

/// Writes bytes as a text.
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let at = |place: usize| u32::from(group.get(place).copied().unwrap_or_default());
        let held = at(0) << 16 | at(1) << 8 | at(2);
        for place in 0..=group.len() {
            let digit = held >> (18 - 6 * place) & 63;
            text.push(DIGITS[digit as usize].into());
        }
    }
    text
}

/// Decodes a text. None if it has another character, padding, a wrong length or bits that are left
/// over and not zero: no two texts mean the same.
pub fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    let (fours, rest) = text.as_chunks::<4>();
    for four in fours {
        let [_, first, second, third] = bits(four)?.to_be_bytes();
        bytes.extend([first, second, third]);
    }
    // What is left is filled up with zeros, and only zeros may be behind its bytes.
    match *rest {
        [] => {}
        [a, b] => {
            let [_, first, 0, 0] = bits(&[a, b, b'A', b'A'])?.to_be_bytes() else {
                return None;
            };
            bytes.push(first);
        }
        [a, b, c] => {
            let [_, first, second, 0] = bits(&[a, b, c, b'A'])?.to_be_bytes() else {
                return None;
            };
            bytes.extend([first, second]);
        }
        _ => return None,
    }
    Some(bytes)
}

/// The 24 bits that four characters mean; none if one of them means nothing.
fn bits(characters: &[u8; 4]) -> Option<u32> {
    let [a, b, c, d] = characters.map(|it| u32::from(VALUES[usize::from(it)]));
    let is_known = (a | b | c | d) < 64;
    is_known.then_some(a << 18 | b << 12 | c << 6 | d)
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Values of characters; 64 is that of others.
const VALUES: [u8; 256] = {
    let mut values = [64; 256];
    let mut value = 0;
    while value < 64 {
        values[DIGITS[value as usize] as usize] = value;
        value += 1;
    }
    values
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bytes_come_back_at_every_place() {
        let all: Vec<u8> = (0..=u8::MAX).chain((0..=u8::MAX).rev()).collect();
        for length in 0..=all.len() {
            let text = encode(&all[..length]);
            assert_eq!(decode(text.as_bytes()).unwrap(), all[..length]);
        }
        // Each character means what it does alone or nothing, wherever it stands.
        for byte in 0..=u8::MAX {
            for place in 0..4 {
                let mut text = *b"AAAA";
                text[place] = byte;
                let is_digit = DIGITS.contains(&byte);
                assert_eq!(decode(&text).is_some(), is_digit, "{byte}");
            }
        }
    }

    #[test]
    fn only_one_text_means_the_bytes() {
        assert_eq!(decode(b"").unwrap(), b"");
        assert_eq!(decode(b"Zg").unwrap(), b"f");
        assert_eq!(decode(b"Zm9vYg").unwrap(), b"foob");
        assert_eq!(decode(b"-_8").unwrap(), [0xfb, 0xff]);
        for bytes in [&b""[..], b"f", b"fo", b"foo", b"foob", &[0xfb, 0xff]] {
            assert_eq!(decode(encode(bytes).as_bytes()).unwrap(), bytes);
        }
        for text in [
            "Zh",
            "Zg==",
            "Z",
            "Zm9vY",
            "+/8",
            "Zm 9",
            "Zm9\n",
            "é",
            "Zm9vYh",
            "Zm9vYmF",
            "Zm9vYm=",
            "====",
            "Zm9v\u{80}",
        ] {
            assert_eq!(decode(text.as_bytes()), None, "{text}");
        }
    }
}
