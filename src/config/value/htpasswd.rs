//! Files of users and the hashes of their passwords, as Apache's `htpasswd` writes them.
//!
//! A line is `user:hash`; empty lines and those that begin with `#` do not count. Every hash is read
//! here, so that checking a password later cannot fail. Lines are never shown: only their numbers.

use std::{collections::BTreeMap, fmt};

use super::{FileFormat, Mismatch};

/// Users with the hashes of their passwords, in the order of their names.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Htpasswd(Vec<HtpasswdUser>);

/// A user.
#[derive(Clone, PartialEq, Eq)]
pub struct HtpasswdUser {
    /// His name.
    pub name: Box<str>,
    /// The hash of his password as it is written.
    pub text: Box<str>,
    /// The same, parsed.
    pub hash: PasswordHash,
}

/// Hash of a password, in one of the schemes that are checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordHash {
    /// bcrypt (`$2a$`, `$2b$`, `$2y$`).
    Bcrypt {
        /// Logarithm of the number of rounds.
        cost: u32,
        /// Salt.
        salt: [u8; 16],
        /// Hash.
        hash: [u8; 23],
    },
    /// Argon2 (`$argon2id$`, `$argon2i$`, `$argon2d$`), version 1.3 or 1.0.
    Argon2(Argon2Hash),
    /// SHA-crypt: `$5$` or `$6$`.
    ShaCrypt {
        /// True for SHA-512.
        wide: bool,
        /// Rounds.
        rounds: u32,
        /// Salt, at most 16 bytes.
        salt: Box<[u8]>,
        /// Hash, as text.
        hash: Box<str>,
    },
    /// Apache's MD5 (`$apr1$`).
    Apr1 {
        /// Salt, at most 8 bytes.
        salt: Box<[u8]>,
        /// Hash, as text.
        hash: Box<str>,
    },
    /// SHA-1 without a salt (`{SHA}`).
    Sha1([u8; 20]),
}

/// Hash and parameters of Argon2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argon2Hash {
    /// Variant: `argon2id`, `argon2i` or `argon2d`.
    pub variant: Argon2Variant,
    /// True for version 1.0; false for 1.3.
    pub old: bool,
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
    /// Salt.
    pub salt: Box<[u8]>,
    /// Hash.
    pub hash: Box<[u8]>,
}

/// Variant of Argon2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argon2Variant {
    /// Data-dependent.
    D,
    /// Data-independent.
    I,
    /// Both.
    Id,
}

impl Htpasswd {
    /// The users, in the order of their names.
    pub fn users(&self) -> &[HtpasswdUser] {
        &self.0
    }

    /// The place of a user.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.0.binary_search_by(|user| (*user.name).cmp(name)).ok()
    }
}

/// Shows no hashes.
impl fmt::Debug for Htpasswd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Htpasswd({})", self.0.len())
    }
}

impl FileFormat for Htpasswd {
    const KIND: &'static str = "file of users";
    const EXAMPLE: &'static str = "\"users.htpasswd\"";

    fn parse(text: &str) -> Result<Self, (usize, Mismatch)> {
        let mut users = BTreeMap::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim_end();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let fault = |message: &str, expected: &str| (number, Mismatch::new(message, expected));
            let Some((user, text)) = line.split_once(':') else {
                let expected = "a line is user:hash, as htpasswd writes it";
                return Err(fault("it has no \":\"", expected));
            };
            if user.is_empty() || user.len() > USER_MAX || user.contains(char::is_control) {
                let expected = "1 to 255 bytes, without control characters";
                return Err(fault("it does not begin with the name of a user", expected));
            }
            let hash = PasswordHash::parse(text).map_err(|mismatch| (number, mismatch))?;
            let name: Box<str> = user.into();
            let user = HtpasswdUser {
                name: name.clone(),
                text: text.into(),
                hash,
            };
            if users.insert(name, user).is_some() {
                let expected = "a user has one line";
                return Err(fault("the user has a line before", expected));
            }
        }
        Ok(Self(users.into_values().collect()))
    }
}

impl PasswordHash {
    /// Reads a hash.
    ///
    /// # Errors
    /// It is of no known scheme, malformed, or takes too long to check.
    pub fn parse(text: &str) -> Result<Self, Mismatch> {
        let known = "one of bcrypt (htpasswd -B), argon2, SHA-crypt ($5$, $6$), $apr1$, {SHA}";
        let parsed = match text.get(..text.len().min(4)) {
            Some("$2a$" | "$2b$" | "$2y$") => bcrypt(text),
            Some("$arg") => argon2(text),
            Some(start) if start.starts_with("$5$") || start.starts_with("$6$") => sha_crypt(text),
            Some("$apr") => apr1(text),
            Some("{SHA") => sha1(text),
            _ => return Err(Mismatch::new("the scheme of the hash is not known", known)),
        };
        parsed.ok_or_else(|| {
            let expected = "a hash as htpasswd writes it; checking one may take some seconds at most: bcrypt up to cost 16, SHA-crypt up to 5000000 rounds, argon2 up to 1 GiB and 64 passes";
            Mismatch::new("the hash is malformed, or takes too long to check", expected)
        })
    }
}

fn bcrypt(text: &str) -> Option<PasswordHash> {
    let (cost, rest) = text.get(4..)?.split_once('$')?;
    let cost = number(cost).filter(|cost| (4..=BCRYPT_COST_MAX).contains(cost))?;
    let (salt, hash) = rest.split_at_checked(22)?;
    Some(PasswordHash::Bcrypt {
        cost,
        salt: decode(salt, BCRYPT_DIGITS)?.try_into().ok()?,
        hash: decode(hash, BCRYPT_DIGITS)?.try_into().ok()?,
    })
}

fn argon2(text: &str) -> Option<PasswordHash> {
    let mut parts = text.strip_prefix('$')?.split('$');
    let variant = match parts.next()? {
        "argon2d" => Argon2Variant::D,
        "argon2i" => Argon2Variant::I,
        "argon2id" => Argon2Variant::Id,
        _ => return None,
    };
    let mut next = parts.next()?;
    let old = match next.strip_prefix("v=") {
        Some(version) => {
            next = parts.next()?;
            match version {
                "19" => false,
                "16" => true,
                _ => return None,
            }
        }
        None => true,
    };
    let mut costs = next.split(',');
    let mut cost = |name: &str| number(costs.next()?.strip_prefix(name)?.strip_prefix('=')?);
    let (memory_kib, passes, lanes) = (cost("m")?, cost("t")?, cost("p")?);
    let (salt, hash) = (parts.next()?, parts.next()?);
    let fits = (1..=LANES_MAX).contains(&lanes)
        && (8 * lanes..=ARGON2_KIB_MAX).contains(&memory_kib)
        && (1..=PASSES_MAX).contains(&passes)
        && costs.next().is_none()
        && parts.next().is_none();
    let (salt, hash) = (decode(salt, DIGITS)?, decode(hash, DIGITS)?);
    let fits = fits && (8..=64).contains(&salt.len()) && (16..=64).contains(&hash.len());
    fits.then(|| {
        PasswordHash::Argon2(Argon2Hash {
            variant,
            old,
            memory_kib,
            passes,
            lanes,
            salt: salt.into(),
            hash: hash.into(),
        })
    })
}

fn sha_crypt(text: &str) -> Option<PasswordHash> {
    let wide = text.starts_with("$6$");
    let mut rest = text.get(3..)?;
    let mut rounds = 5000;
    if let Some(written) = rest.strip_prefix("rounds=") {
        let (count, after) = written.split_once('$')?;
        // As the system's crypt does it.
        rounds = number(count)?.max(1000);
        rest = after;
    }
    let (salt, hash) = rest.split_once('$')?;
    let length = if wide { 86 } else { 43 };
    let fits = rounds <= ROUNDS_MAX && salt.len() <= 16 && is_crypt_text(hash, length);
    fits.then(|| PasswordHash::ShaCrypt {
        wide,
        rounds,
        salt: salt.as_bytes().into(),
        hash: hash.into(),
    })
}

fn apr1(text: &str) -> Option<PasswordHash> {
    let (salt, hash) = text.strip_prefix("$apr1$")?.split_once('$')?;
    let fits = salt.len() <= 8 && is_crypt_text(hash, 22);
    fits.then(|| PasswordHash::Apr1 {
        salt: salt.as_bytes().into(),
        hash: hash.into(),
    })
}

fn sha1(text: &str) -> Option<PasswordHash> {
    let text = text.strip_prefix("{SHA}")?.strip_suffix('=')?;
    Some(PasswordHash::Sha1(decode(text, DIGITS)?.try_into().ok()?))
}

fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

fn is_crypt_text(text: &str, length: usize) -> bool {
    let digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/');
    text.len() == length && text.bytes().all(digit)
}

/// Decodes base64 of this alphabet without padding. Bits that are left over do not count: some
/// implementations of bcrypt write any.
fn decode(text: &str, digits: &[u8; 64]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let (mut held, mut bits) = (0_u32, 0);
    for byte in text.bytes() {
        let value = digits.iter().position(|digit| *digit == byte)?;
        held = (held << 6 | u32::try_from(value).ok()?) & 0xffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(held >> bits & 0xff).ok()?);
        }
    }
    (bits < 6).then_some(bytes)
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BCRYPT_DIGITS: &[u8; 64] =
    b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// Maximum length of a name.
const USER_MAX: usize = 255;
/// Takes about 4 s.
const BCRYPT_COST_MAX: u32 = 16;
/// Takes about 3 s.
const ROUNDS_MAX: u32 = 5_000_000;
const ARGON2_KIB_MAX: u32 = 1 << 20;
const PASSES_MAX: u32 = 64;
const LANES_MAX: u32 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_all_schemes_are_read() {
        let text = "# users\n\
            a:$2y$05$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC\n\
            \n\
            b:$apr1$xxxxxxxx$dxHfLAsjHkDRmG83UXe8K0\r\n\
            c:{SHA}2kuSN7rMzfGcB2DKt67EqDWQELA=\n\
            d:$5$rounds=10000$saltstringsaltst$3xv.VbSCBX41eDL9L3voZredEmZqDlM2/FKJD6qyRRC\n\
            e:$argon2id$v=19$m=16,t=2,p=1$c2FsdHNhbHQ$U2FsdFNhbHRTYWx0U2FsdA\n";
        let users = Htpasswd::parse(text).unwrap();
        assert_eq!(users.users().len(), 5);
        let hash = |name: &str| users.find(name).map(|at| &users.users()[at].hash);
        assert!(matches!(hash("b"), Some(PasswordHash::Apr1 { .. })));
        assert!(matches!(hash("c"), Some(PasswordHash::Sha1(_))));
        assert_eq!(hash("f"), None);
    }

    #[test]
    fn a_bad_line_is_named_and_not_shown() {
        for (text, line, words) in [
            (
                "a:{SHA}2kuSN7rMzfGcB2DKt67EqDWQELA=\nb:hunter2",
                2,
                "scheme",
            ),
            ("a:$1$salt$hunter2", 1, "scheme"),
            ("a:rqXexS6ZhobKA", 1, "scheme"),
            (
                "a:$2x$05$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC",
                1,
                "scheme",
            ),
            (
                "a:$2y$31$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC",
                1,
                "too long",
            ),
            (
                "a:$2y$05$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRq",
                1,
                "malformed",
            ),
            (
                "a:$5$rounds=9999999$salt$3xv.VbSCBX41eDL9L3voZredEmZqDlM2/FKJD6qyRRC",
                1,
                "too long",
            ),
            (
                "a:$argon2id$v=19$m=9999999,t=2,p=1$c2FsdHNhbHQ$U2FsdFNhbHRTYWx0U2FsdA",
                1,
                "too long",
            ),
            ("a:", 1, "scheme"),
            ("a:é€€é", 1, "scheme"),
            ("\n\nhunter2", 3, "no \":\""),
            (":x", 1, "name of a user"),
            (
                "a:{SHA}2kuSN7rMzfGcB2DKt67EqDWQELA=\na:{SHA}2kuSN7rMzfGcB2DKt67EqDWQELA=",
                2,
                "before",
            ),
        ] {
            let (at, mismatch) = Htpasswd::parse(text).unwrap_err();
            assert_eq!(at, line, "{text}");
            assert!(mismatch.message.contains(words), "{text}: {mismatch:?}");
            assert!(!mismatch.message.contains("hunter2"));
        }
    }
}
