//! Files of API keys: a name and the SHA-256 of a key on each line.

use std::collections::BTreeMap;

use super::{FileFormat, Mismatch};

/// Names by the SHA-256 of their keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiKeys(BTreeMap<[u8; 32], Box<str>>);

impl ApiKeys {
    /// Names and hashes. A name may have several keys.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8; 32], &str)> {
        self.0.iter().map(|(hash, name)| (hash, &**name))
    }

    /// Returns true if there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FileFormat for ApiKeys {
    const KIND: &'static str = "file of API keys";
    const EXAMPLE: &'static str = "\"api-keys\"";

    fn parse(text: &str) -> Result<Self, (usize, Mismatch)> {
        let mut keys = BTreeMap::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let fault = |message: &str, expected: &str| (number, Mismatch::new(message, expected));
            let form = "a line is NAME sha256:HEX; HEX is what `printf %s KEY | sha256sum` prints";
            let Some((name, hash)) = line.split_once([' ', '\t']) else {
                return Err(fault("it has no space", form));
            };
            if name.len() > NAME_MAX || name.contains(char::is_control) {
                let expected = "at most 255 bytes, without control characters";
                return Err(fault("the name is not one", expected));
            }
            let hash = hash.trim_start().strip_prefix("sha256:").and_then(digest);
            let Some(hash) = hash else {
                return Err(fault("there is no SHA-256 of a key behind the name", form));
            };
            if hash == EMPTY {
                return Err(fault("it is the hash of an empty key", form));
            }
            if keys.insert(hash, name.into()).is_some() {
                return Err(fault("the key is on a line before", "a key has one name"));
            }
        }
        Ok(Self(keys))
    }
}

fn digest(hex: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, at) in digest.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()?;
    }
    Some(digest)
}

const NAME_MAX: usize = 255;
/// SHA-256 of nothing.
const EMPTY: [u8; 32] = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
    0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_name_and_a_hash() {
        let a = "ab".repeat(32);
        let b = "CD".repeat(32);
        let text = format!("# keys\nmobile sha256:{a}\n\npartner\t sha256:{b}\r\n");
        let keys = ApiKeys::parse(&text).unwrap();
        let names: Vec<&str> = keys.iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["mobile", "partner"]);
    }

    #[test]
    fn a_bad_line_is_named_and_not_shown() {
        let a = "ab".repeat(32);
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        for (text, line) in [
            ("hunter2".to_owned(), 1),
            ("\nmobile hunter2".to_owned(), 2),
            (format!("mobile sha256:{}", &a[1..]), 1),
            (format!("mobile sha256:{empty}"), 1),
            (format!("one sha256:{a}\ntwo sha256:{a}"), 2),
        ] {
            let (at, mismatch) = ApiKeys::parse(&text).unwrap_err();
            assert_eq!(at, line, "{text}");
            assert!(!format!("{mismatch:?}").contains("hunter2"));
        }
    }
}
