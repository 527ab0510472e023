//! Query parameters, compared in decoded form without decoding them first.
//!
//! `application/x-www-form-urlencoded` as in the URL standard of the WHATWG: `+` is a
//! space, an escape that is none stands for itself.

use smallvec::SmallVec;

use super::ValueMatch;
use crate::http::path::decode_hex;

/// Tells whether the parameter is what is asked; of a repeated one the first counts.
pub(super) fn matches(query: Option<&[u8]>, name: &str, wanted: &ValueMatch) -> bool {
    let Some(value) = find_raw(query, name) else {
        return wanted.matches(None);
    };
    match wanted {
        ValueMatch::Present(_) => wanted.matches(Some(value)),
        ValueMatch::Exact(exact) => decode(value).eq(exact.bytes()),
        ValueMatch::Regex(_) if !is_encoded(value) => wanted.matches(Some(value)),
        ValueMatch::Regex(_) => {
            let value: SmallVec<[u8; 256]> = decode(value).collect();
            wanted.matches(Some(&value))
        }
    }
}

/// The decoded value of the first parameter of this name.
pub(super) fn find(query: Option<&[u8]>, name: &str) -> Option<Vec<u8>> {
    find_raw(query, name).map(|value| decode(value).collect())
}

fn find_raw<'a>(query: Option<&'a [u8]>, name: &str) -> Option<&'a [u8]> {
    query?.split(|&byte| byte == b'&').find_map(|pair| {
        let end = memchr::memchr(b'=', pair).unwrap_or(pair.len());
        let (key, value) = pair.split_at(end);
        let same = !pair.is_empty() && decode(key).eq(name.bytes());
        same.then(|| value.strip_prefix(b"=").unwrap_or(value))
    })
}

fn is_encoded(text: &[u8]) -> bool {
    memchr::memchr2(b'%', b'+', text).is_some()
}

fn decode(text: &[u8]) -> impl Iterator<Item = u8> + '_ {
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
    fn parameters_are_compared_decoded() {
        let query = Some(&b"a=1&b%20c=x+y%21&a=2&flag&d=%zz&="[..]);
        assert_eq!(find(query, "a").as_deref(), Some(&b"1"[..]));
        assert_eq!(find(query, "b c").as_deref(), Some(&b"x y!"[..]));
        assert_eq!(find(query, "flag").as_deref(), Some(&b""[..]));
        assert_eq!(find(query, "d").as_deref(), Some(&b"%zz"[..]));
        assert_eq!(find(query, "e"), None);
        assert_eq!(find(None, "a"), None);
        assert!(matches(query, "b c", &ValueMatch::Exact("x y!".into())));
        assert!(matches(
            query,
            "b c",
            &ValueMatch::Regex("^x y".parse().unwrap())
        ));
        assert!(!matches(query, "a", &ValueMatch::Exact("2".into())));
        assert!(matches(query, "e", &ValueMatch::Present(false)));
        assert!(!matches(Some(b""), "", &ValueMatch::Present(true)));
    }
}
