//! Words that make a name look like that of a secret.

/// Returns true if a name looks like that of a secret.
pub fn looks_secret(name: &[u8]) -> bool {
    (0..name.len()).any(|at| {
        let rest = &name[at..];
        let mut words = words(rest[0].to_ascii_lowercase()).iter();
        words.any(|(word, place)| {
            let end = at + word.len();
            starts_with(rest, word)
                && match place {
                    Place::Anywhere => true,
                    Place::NotAuthor => !starts_with(&name[end..], "or"),
                    Place::AtEnd => ends_word(name, end),
                    Place::Alone => starts_word(name, at) && ends_word(name, end),
                }
        })
    })
}

fn starts_with(text: &[u8], word: &str) -> bool {
    let start = text.get(..word.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
}

/// Returns true if a word of a name begins at a place: `user` and `Id` in `x-userId`.
fn starts_word(name: &[u8], at: usize) -> bool {
    let Some(before) = at.checked_sub(1).map(|place| name[place]) else {
        return true;
    };
    !before.is_ascii_alphanumeric()
        || (name[at].is_ascii_uppercase() && !before.is_ascii_uppercase())
}

/// Returns true if a word of a name ends before a place; a number may follow.
fn ends_word(name: &[u8], end: usize) -> bool {
    let is_end = |byte: &u8| !byte.is_ascii_alphabetic();
    name.get(end).is_none_or(is_end) || starts_word(name, end)
}

/// Place of a word in the name of a secret.
enum Place {
    Anywhere,
    /// Anywhere but in `author`.
    NotAuthor,
    /// At the end of a word.
    AtEnd,
    /// As a word of its own.
    Alone,
}

/// Words in names of secrets, by their first letter.
fn words(first: u8) -> &'static [(&'static str, Place)] {
    use Place::{Alone, Anywhere, AtEnd, NotAuthor};
    match first {
        b'a' => &[
            ("auth", NotAuthor),
            ("authoris", Anywhere),
            ("authoriz", Anywhere),
            ("assertion", Anywhere),
        ],
        b'b' => &[("bearer", Anywhere)],
        b'c' => &[
            ("code", Alone),
            ("cookie", Anywhere),
            ("credential", Anywhere),
        ],
        b'd' => &[("dpop", Anywhere)],
        b'h' => &[("hmac", Anywhere)],
        b'j' => &[("jwt", Anywhere)],
        b'k' => &[("key", AtEnd)],
        b'o' => &[("otp", Alone)],
        b'p' => &[
            ("pass", Alone),
            ("passc", Anywhere),
            ("passp", Anywhere),
            ("passw", Anywhere),
            ("pin", Alone),
            ("pwd", Anywhere),
        ],
        b's' => &[
            ("samlresponse", Anywhere),
            ("secret", Anywhere),
            ("sess", Alone),
            ("sessid", Anywhere),
            ("session", Anywhere),
            ("sid", Alone),
            ("sig", Alone),
            ("sign", Alone),
            ("signature", Anywhere),
        ],
        b't' => &[("token", Anywhere)],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_told_from_others() {
        for name in [
            "Authorization",
            "Proxy-Authorization",
            "cookie",
            "Set-Cookie",
            "DPoP",
            "x-api-key",
            "apikey",
            "APIKey",
            "accessKey",
            "AWSAccessKeyId",
            "key",
            "key2",
            "access_token",
            "access_TOKEN",
            "id_token",
            "token",
            "code",
            "userCode",
            "sig",
            "X-Amz-Signature",
            "X-Amz-Security-Token",
            "X-Goog-Credential",
            "signature",
            "sign",
            "password",
            "passwd",
            "pwd",
            "pass",
            "passphrase",
            "client_secret",
            "oauth_verifier",
            "authcode",
            "x-auth",
            "PHPSESSID",
            "JSESSIONID",
            "connect.sid",
            "otp",
            "SAMLResponse",
            "client_assertion",
        ] {
            assert!(looks_secret(name.as_bytes()), "{name}");
        }
        for name in [
            "",
            "host",
            "accept",
            "page",
            "author",
            "authors",
            "keyword",
            "keywords",
            "monkeys",
            "encode",
            "zipcode",
            "codec",
            "design",
            "signal",
            "assigned",
            "compass",
            "passenger",
            "spin",
            "side",
            "referer",
            "user-agent",
            "x-tenant-name",
            "authority",
            "inside",
        ] {
            assert!(!looks_secret(name.as_bytes()), "{name}");
        }
    }
}
