//! Query parameters, found and read in decoded form.
//!
//! `application/x-www-form-urlencoded` as in the URL standard of the WHATWG: `+` is a space, an
//! invalid escape stands for itself.

use super::path::decode_hex;

/// Returns the decoded value of the first parameter of this name.
pub fn find<'a>(query: Option<&'a [u8]>, name: &str) -> Option<impl Iterator<Item = u8> + 'a> {
    find_raw(query, name).map(decode)
}

/// Returns the value of the first parameter of this name as written.
pub(crate) fn find_raw<'a>(query: Option<&'a [u8]>, name: &str) -> Option<&'a [u8]> {
    query?.split(|&byte| byte == b'&').find_map(|pair| {
        let end = memchr::memchr(b'=', pair).unwrap_or(pair.len());
        let (key, value) = pair.split_at(end);
        let same = !pair.is_empty() && decode(key).eq(name.bytes());
        same.then(|| value.strip_prefix(b"=").unwrap_or(value))
    })
}

/// Returns true if a text may differ from its decoded form.
pub(crate) fn is_encoded(text: &[u8]) -> bool {
    memchr::memchr2(b'%', b'+', text).is_some()
}

/// Decodes a name or a value, byte by byte.
pub(crate) fn decode(text: &[u8]) -> impl Iterator<Item = u8> + '_ {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (&byte, tail) = rest.split_first()?;
        rest = tail;
        if byte == b'+' {
            return Some(b' ');
        }
        if byte == b'%'
            && let [high, low, tail @ ..] = rest
            && let Some(decoded) = decode_hex(*high, *low)
        {
            rest = tail;
            return Some(decoded);
        }
        Some(byte)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_a_name_counts_however_it_is_encoded() {
        let query = Some(&b"a=1&b%20c=x+y%21&a=2&flag&d=%zz&="[..]);
        let found = |name: &str| find(query, name).map(Iterator::collect::<Vec<_>>);
        assert_eq!(found("a").as_deref(), Some(&b"1"[..]));
        assert_eq!(found("b c").as_deref(), Some(&b"x y!"[..]));
        assert_eq!(found("flag").as_deref(), Some(&b""[..]));
        assert_eq!(found("d").as_deref(), Some(&b"%zz"[..]));
        assert_eq!(found("e"), None);
        assert!(find(None, "a").is_none());
    }
}
