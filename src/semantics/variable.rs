//! Field names that a server may take for one.
//!
//! CGI (RFC 3875 section 4.1.18), WSGI and PHP make a variable of each field, `HTTP_X_USER` of `X-User`.
//! They write `_` for `-`, and PHP for some other characters too. A client that sends `X.User` beside
//! or instead of a field of the proxy would speak in its name.

use super::headers::Headers;

/// Returns true if a server may take these two names for one: they differ at most in case, and in what
/// is neither a letter nor a digit.
pub(crate) fn is_same(a: &[u8], b: &[u8]) -> bool {
    let same = |(a, b): (&u8, &u8)| {
        a.eq_ignore_ascii_case(b) || !(a.is_ascii_alphanumeric() || b.is_ascii_alphanumeric())
    };
    a.len() == b.len() && a.iter().zip(b).all(same)
}

/// Removes the fields whose name has other characters than letters, digits and dashes, and that
/// `is_owned` claims.
pub(crate) fn remove_aliases(headers: &mut Headers, is_owned: impl Fn(&[u8]) -> bool) {
    // No known name has any.
    headers.retain_unknown(|name| !(is_odd(name) && is_owned(name)));
}

fn is_odd(name: &[u8]) -> bool {
    !name
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_variable_whatever_stands_between_their_words() {
        for (a, b, same) in [
            ("x-user", "X.User", true),
            ("x-user", "x_user", true),
            ("x-user", "x~user", true),
            ("x-user", "x-user", true),
            ("x-user", "x-users", false),
            ("x-user", "xxuser", false),
            ("x-user", "x-usee", false),
        ] {
            assert_eq!(is_same(a.as_bytes(), b.as_bytes()), same, "{a} {b}");
            assert_eq!(is_same(b.as_bytes(), a.as_bytes()), same, "{a} {b}");
        }
    }
}
