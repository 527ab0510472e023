//! Names of files: the hash of a key, and that of what tells its variants apart.

use aws_lc_rs::digest;

use crate::cache::{Key, vary::Varies};

/// Hash of a key. Nobody can make two keys with one, so that no client can push out the answer to
/// another URL; the key itself is in the file, and is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct KeyHash(pub(super) u128);

/// Name of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileName {
    pub(super) key: KeyHash,
    pub(super) variant: u64,
}

impl KeyHash {
    /// Hashes a key.
    pub(crate) fn of(key: &Key) -> Self {
        let hash = digest::digest(&digest::SHA256, key.bytes());
        Self(u128::from_be_bytes(first(hash.as_ref())))
    }
}

/// Hash of the values of `Vary`, and of the version or pool that answered.
pub(super) fn variant(cohort: &str, varies: &Varies) -> u64 {
    let mut hash = digest::Context::new(&digest::SHA256);
    let mut part = |bytes: &[u8]| {
        // With its length: what follows cannot be taken for a part of it.
        hash.update(&(bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    part(cohort.as_bytes());
    for (name, value) in varies.pairs() {
        part(name);
        match value {
            Some(value) => part(value),
            None => part(NO_VALUE),
        }
    }
    u64::from_be_bytes(first(hash.finish().as_ref()))
}

impl FileName {
    /// The name, and that of its folder.
    pub(super) fn text(&self) -> (String, String) {
        let name = format!("{:032x}-{:016x}", self.key.0, self.variant);
        (name[..2].to_owned(), name)
    }

    /// Reads a name; none if it is not exactly as [`Self::text`] writes it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (key, variant) = text.split_once('-')?;
        let name = Self {
            key: KeyHash(u128::from_str_radix(key, 16).ok()?),
            variant: u64::from_str_radix(variant, 16).ok()?,
        };
        (name.text().1 == text).then_some(name)
    }
}

fn first<const N: usize>(hash: &[u8]) -> [u8; N] {
    let mut found = [0; N];
    for (to, from) in found.iter_mut().zip(hash) {
        *to = *from;
    }
    found
}

/// Stands for a field that a request does not have: no value has this byte.
const NO_VALUE: &[u8] = &[0];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written_and_nothing_else_is() {
        let name = FileName {
            key: KeyHash(0x0123_4567_89ab_cdef),
            variant: 7,
        };
        let (folder, text) = name.text();
        assert_eq!(text, "00000000000000000123456789abcdef-0000000000000007");
        assert_eq!((&*folder, FileName::parse(&text)), ("00", Some(name)));
        for wrong in [
            "",
            "-",
            "1-2",
            "lock",
            "+0000000000000000123456789abcdef-0000000000000007",
            "00000000000000000123456789ABCDEF-0000000000000007",
            "00000000000000000123456789abcdef-00000000000000070",
        ] {
            assert_eq!(FileName::parse(wrong), None, "{wrong}");
        }
    }
}
