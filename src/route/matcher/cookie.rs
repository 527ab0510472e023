//! Cookies of a request (RFC 6265 section 5.4), read where they stand.

use http::HeaderMap;
use http::header::COOKIE;

/// The value of the first cookie of this name; HTTP/2 may spread cookies over several lines.
pub(crate) fn find<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    headers
        .get_all(COOKIE)
        .iter()
        .flat_map(|line| line.as_bytes().split(|&byte| byte == b';'))
        .find_map(|pair| {
            let pair = pair.trim_ascii();
            let value = pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
            Some(value)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_cookie_of_the_whole_name_counts() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, "abeta=0; beta=1;beta=2".parse().unwrap());
        headers.append(COOKIE, "c=a=b".parse().unwrap());
        assert_eq!(find(&headers, "beta"), Some(&b"1"[..]));
        assert_eq!(find(&headers, "c"), Some(&b"a=b"[..]));
        assert_eq!(find(&headers, "bet"), None);
    }
}
