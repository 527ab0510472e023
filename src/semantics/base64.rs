//! Base64 (RFC 4648 section 4), as a whole or in pieces.
//!
//! Reads strictly: the alphabet and nothing else, padding only at the end of a group of four, and
//! unused bits must be zero. A text may consist of several padded texts one after the other, as
//! gRPC-Web writes them.

/// Writes bytes as one text.
pub fn encode(bytes: &[u8]) -> String {
    let mut text = Vec::with_capacity(bytes.len().div_ceil(3) * 4);
    let mut encoder = Encoder::default();
    encoder.feed(bytes, &mut text);
    encoder.pad(&mut text);
    text.into_iter().map(char::from).collect()
}

/// Writes a text piece by piece; keeps bytes that do not make a group of three yet.
#[derive(Debug, Default)]
pub struct Encoder {
    held: [u8; 2],
    count: usize,
}

impl Encoder {
    /// Writes the groups that these bytes complete.
    pub fn feed(&mut self, mut bytes: &[u8], text: &mut Vec<u8>) {
        text.reserve((self.count + bytes.len()) / 3 * 4);
        while self.count > 0 {
            let Some((first, rest)) = bytes.split_first() else {
                return;
            };
            bytes = rest;
            if self.count == 1 {
                self.held[1] = *first;
                self.count = 2;
            } else {
                text.extend(group([self.held[0], self.held[1], *first]));
                self.count = 0;
            }
        }
        let (groups, rest) = bytes.as_chunks::<3>();
        for bytes in groups {
            text.extend(group(*bytes));
        }
        self.held[..rest.len()].copy_from_slice(rest);
        self.count = rest.len();
    }

    /// Writes the kept bytes, padded: the text ends here, or another one begins.
    pub fn pad(&mut self, text: &mut Vec<u8>) {
        let digits = match self.count {
            0 => return,
            1 => group([self.held[0], 0, 0]),
            _ => group([self.held[0], self.held[1], 0]),
        };
        text.extend_from_slice(&digits[..=self.count]);
        text.resize(text.len() + 3 - self.count, PAD);
        self.count = 0;
    }
}

/// Reads a text piece by piece; keeps digits that do not make a group of four yet.
#[derive(Debug, Default)]
pub struct Decoder {
    held: [u8; 4],
    count: usize,
}

/// Bytes that are not base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotBase64;

impl Decoder {
    /// Reads the groups that this piece of a text completes.
    ///
    /// # Errors
    /// The text is malformed.
    pub fn feed(&mut self, mut text: &[u8], bytes: &mut Vec<u8>) -> Result<(), NotBase64> {
        bytes.reserve((self.count + text.len()) / 4 * 3);
        while self.count > 0 {
            let Some((first, rest)) = text.split_first() else {
                return Ok(());
            };
            text = rest;
            self.held[self.count] = *first;
            self.count += 1;
            if self.count == 4 {
                self.count = 0;
                read_group(self.held, bytes)?;
            }
        }
        let (groups, rest) = text.as_chunks::<4>();
        for group in groups {
            read_group(*group, bytes)?;
        }
        self.held[..rest.len()].copy_from_slice(rest);
        self.count = rest.len();
        Ok(())
    }

    /// Returns true if the text may end here.
    pub fn is_between(&self) -> bool {
        self.count == 0
    }
}

/// Encodes three bytes as four digits.
fn group([a, b, c]: [u8; 3]) -> [u8; 4] {
    let digit = |bits: u8| DIGITS[usize::from(bits & 63)];
    [
        digit(a >> 2),
        digit(a << 4 | b >> 4),
        digit(b << 2 | c >> 6),
        digit(c),
    ]
}

/// Decodes four digits to three bytes, or to fewer if they are padded.
fn read_group(digits: [u8; 4], bytes: &mut Vec<u8>) -> Result<(), NotBase64> {
    let [a, b, c, d] = digits.map(|digit| VALUES[usize::from(digit)]);
    if (a | b | c | d) < NONE {
        bytes.extend([a << 2 | b >> 4, b << 4 | c >> 2, c << 6 | d]);
        return Ok(());
    }
    match digits {
        [_, _, PAD, PAD] if (a | b) < NONE && b & 15 == 0 => bytes.push(a << 2 | b >> 4),
        [_, _, _, PAD] if (a | b | c) < NONE && c & 3 == 0 => {
            bytes.extend([a << 2 | b >> 4, b << 4 | c >> 2]);
        }
        _ => return Err(NotBase64),
    }
    Ok(())
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const PAD: u8 = b'=';
/// In [`VALUES`]: not a digit.
const NONE: u8 = 0x40;

const VALUES: [u8; 256] = {
    let mut values = [NONE; 256];
    let mut value: u8 = 0;
    while value < 64 {
        values[DIGITS[value as usize] as usize] = value;
        value += 1;
    }
    values
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(pieces: &[&[u8]]) -> Option<Vec<u8>> {
        let mut decoder = Decoder::default();
        let mut bytes = Vec::new();
        for piece in pieces {
            decoder.feed(piece, &mut bytes).ok()?;
        }
        decoder.is_between().then_some(bytes)
    }

    #[test]
    fn text_is_padded_to_groups_of_four() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encode(bytes.as_bytes()), text);
            assert_eq!(decode(&[text.as_bytes()]).unwrap(), bytes.as_bytes());
        }
    }

    #[test]
    fn texts_may_follow_one_another() {
        assert_eq!(decode(&[b"Zg==Zm8=Zm9v"]).unwrap(), b"ffofoo");
    }

    #[test]
    fn what_is_no_base64_is_refused() {
        for text in [
            "Zg",
            "Zg=",
            "Zg=a",
            "=g==",
            "Z===",
            "====",
            "Zm9\n",
            "Zm9-",
            "Zm 9v",
            "Zh==",
            "Zm9=",
            "Zm9vYg",
            "Zm9v\r\n",
            "Zm9\u{e9}",
        ] {
            assert_eq!(decode(&[text.as_bytes()]), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn pieces_mean_what_the_whole_means(
            parts in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..9), any::<bool>()), 0..9),
            cut in 1..7_usize,
        ) {
            let mut encoder = Encoder::default();
            let (mut text, mut whole) = (Vec::new(), Vec::new());
            for (bytes, ends) in &parts {
                encoder.feed(bytes, &mut text);
                whole.extend_from_slice(bytes);
                if *ends {
                    encoder.pad(&mut text);
                }
            }
            encoder.pad(&mut text);
            let pieces: Vec<&[u8]> = text.chunks(cut).collect();
            prop_assert_eq!(decode(&pieces), Some(whole));
        }
    }
}
