//! Check of one password against one hash; takes as long as the hash wants.

use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    digest::{SHA1_FOR_LEGACY_USE_ONLY, digest},
};

use super::{apr1, crypt_text};
use crate::config::value::{Argon2Hash, Argon2Variant, PasswordHash};

/// Returns true if the password is the one that was hashed.
pub(super) fn matches(hash: &PasswordHash, password: &[u8]) -> bool {
    match hash {
        PasswordHash::Bcrypt { cost, salt, hash } => {
            // With its NUL; what is beyond 72 bytes does not count in bcrypt.
            let mut key = [0; 72];
            let length = password.len().min(72);
            key[..length].copy_from_slice(&password[..length]);
            let made = bcrypt::bcrypt(*cost, *salt, &key[..(length + 1).min(72)]);
            is_same(&made[..hash.len()], hash)
        }
        PasswordHash::Argon2(hash) => matches_argon2(hash, password),
        PasswordHash::ShaCrypt {
            wide,
            rounds,
            salt,
            hash,
        } => {
            let Ok(params) = sha_crypt::Params::new(*rounds) else {
                return false;
            };
            let made = if *wide {
                crypt_text::of_sha512(&sha_crypt::sha512_crypt(password, salt, params))
            } else {
                crypt_text::of_sha256(&sha_crypt::sha256_crypt(password, salt, params))
            };
            is_same(made.as_bytes(), hash.as_bytes())
        }
        PasswordHash::Apr1 { salt, hash } => {
            let made = crypt_text::of_md5(&apr1::hash(password, salt));
            is_same(made.as_bytes(), hash.as_bytes())
        }
        PasswordHash::Sha1(hash) => {
            is_same(digest(&SHA1_FOR_LEGACY_USE_ONLY, password).as_ref(), hash)
        }
    }
}

fn matches_argon2(hash: &Argon2Hash, password: &[u8]) -> bool {
    use argon2::{Algorithm, Argon2, Params, Version};
    let algorithm = match hash.variant {
        Argon2Variant::D => Algorithm::Argon2d,
        Argon2Variant::I => Algorithm::Argon2i,
        Argon2Variant::Id => Algorithm::Argon2id,
    };
    let version = match hash.old {
        true => Version::V0x10,
        false => Version::V0x13,
    };
    let length = Some(hash.hash.len());
    let Ok(params) = Params::new(hash.memory_kib, hash.passes, hash.lanes, length) else {
        return false;
    };
    let mut made = vec![0; hash.hash.len()];
    let hasher = Argon2::new(algorithm, version, params);
    let done = hasher.hash_password_into(password, &hash.salt, &mut made);
    done.is_ok() && is_same(&made, &hash.hash)
}

fn is_same(one: &[u8], other: &[u8]) -> bool {
    verify_slices_are_equal(one, other).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: &str =
        "päss wörd:with a long text of more than seventy-two bytes, to see what is cut off";

    /// Made with `htpasswd`, `openssl passwd` and `argon2-cffi`: by other code than ours.
    const MADE_ELSEWHERE: &[(&str, &str)] = &[
        ("hunter2", "$apr1$cKMct.IP$3LociPIjGJotkfCukh/tx0"),
        (
            "hunter2",
            "$5$3iVjgC0AWEXcCVwN$s/ZWl1qqdab0R6TmCC.Jd8OZXzF9UbUnYs2jmqtsOa2",
        ),
        (
            "hunter2",
            "$6$CJneEiQrEmJdl4gx$5Qe1PBLfrO3DTYGAIvq.xCIaEFA3yC6DUYTzf2zvSjcuo9CJBa54/c7IpdoiurPalJwjiCtc.CqbDsHTtESgI.",
        ),
        (
            "hunter2",
            "$2y$05$cglV4G/31VZcCzxGtr7ajO1ipP8qzjjrtxMuXwD08mJ6wLcto3nLW",
        ),
        ("hunter2", "{SHA}87u9ZqY9S/F0eUBXjsPQEDUw4h0="),
        (
            "hunter2",
            "$6$rounds=7000$XdrlBJLMWitekhNM$vGG1uEg1ohZGMWHLcPSX7U7e6BelOObYYDgT7Oax3yvQPbpx0muA4tR2aJFjMvDiHsx4cLCSf6FaFIz9sZljl1",
        ),
        (
            "hunter2",
            "$argon2id$v=19$m=256,t=2,p=2$xcbQ9Kl52/QHRyzjmQ1RAQ$X75cLOcPkX2Xu/eRO2OGIYrctXrJxCdd55z1Tp6lW04",
        ),
        (
            "hunter2",
            "$argon2i$v=19$m=64,t=3,p=1$sthjXDyizwbBeid0v9py8g$3PDfA5LRcQak4+xSY/An6h0hM++XgzaRdEH8EnnzGWI",
        ),
        (
            "hunter2",
            "$argon2d$v=19$m=128,t=1,p=1$cNtdaTA34r8HZKZGCiAIAQ$kPi2/ewsBTAJw1S4XZ6aB7T3WZ7E09pEFF2kD0DGoE4",
        ),
        (LONG, "$apr1$XDGojBt9$N0LhlZQEG1VofTiOnoo7V/"),
        (
            LONG,
            "$5$7LoXV11sXVSDT4jh$85wg0XG18J8AK3vVQVnXBAfjxp.zBN0GlkL0/kogfA/",
        ),
        (
            LONG,
            "$6$rounds=7000$Mm132zPDrFJpI7vL$5iU8wQCQ32AuwuugQsUzflRR.S.wm4ynHLbxOBs2q0Lw/QzXZiMFsbarxvlkOMb9xXwfkj5pUUkhJtWRF8Ijp1",
        ),
        (
            LONG,
            "$2y$05$V3Z8EVzhJtD1R/PYUGY.g.tcS/LAaezSl93KeTV2fc1inyL0iqJhy",
        ),
        (LONG, "{SHA}3cYdUMG4u8YYlJRePeYJXJP4v+o="),
    ];

    #[test]
    fn hashes_made_by_others_are_checked() {
        for (password, text) in MADE_ELSEWHERE {
            let hash = PasswordHash::parse(text).unwrap();
            assert!(matches(&hash, password.as_bytes()), "{text}");
            // What is beyond 72 bytes does not count in bcrypt.
            let longer = format!("{}{password}", &password[..1]);
            for wrong in ["", "x", &password[1..], &longer] {
                assert!(!matches(&hash, wrong.as_bytes()), "{text}: {wrong}");
            }
        }
    }
}
