//! Tells navigations of a browser from what a page or a program asks for.
//!
//! Only a navigation can be sent to a login page. Whatever else is sent there fails in ways that
//! nobody understands, and begins logins that nobody ends.

use http::Method;

use crate::semantics::{Headers, Known};

/// Returns true if the request opens a page.
pub(super) fn is_navigation(method: &Method, headers: &Headers) -> bool {
    let says = |name: &str, wanted: &[u8]| {
        let value = headers.get(name).map(|value| value.as_bytes());
        value.map(|value| value.trim_ascii().eq_ignore_ascii_case(wanted))
    };
    if *method != Method::GET || headers.contains(Known::Upgrade) {
        return false;
    }
    if is_prefetch(headers) {
        return false;
    }
    if says("x-requested-with", b"xmlhttprequest") == Some(true) {
        return false;
    }
    // Browsers say what they do; others say what they like to read.
    if let Some(is_navigation) = says("sec-fetch-mode", b"navigate") {
        return is_navigation;
    }
    let mut accepted = headers.get_all(Known::Accept);
    accepted.any(|line| {
        let mut kinds = line.as_bytes().split(|byte| *byte == b',');
        kinds.any(|kind| {
            let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default();
            let kind = kind.trim_ascii();
            kind.eq_ignore_ascii_case(b"text/html")
                || kind.eq_ignore_ascii_case(b"application/xhtml+xml")
        })
    })
}

/// Returns true if a browser asks before its user does.
pub(super) fn is_prefetch(headers: &Headers) -> bool {
    let mut purposes = ["sec-purpose", "purpose"]
        .iter()
        .filter_map(|name| headers.get(*name));
    let mentions = |purpose: &[u8]| {
        let mut words = purpose.windows(8);
        words.any(|it| it.eq_ignore_ascii_case(b"prefetch"))
    };
    purposes.any(|purpose| mentions(purpose.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semantics::headers::fields;

    #[test]
    fn pages_and_programs_are_told_apart() {
        let html = ("accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8");
        let navigates = ("sec-fetch-mode", "navigate");
        for (lines, expected) in [
            (&[html][..], true),
            (&[navigates], true),
            (&[("accept", "application/json, Text/HTML;q=0.1")], true),
            (&[], false),
            (&[("accept", "*/*")], false),
            (&[html, ("sec-fetch-mode", "cors")], false),
            (&[html, ("sec-fetch-mode", "websocket")], false),
            (&[html, ("upgrade", "websocket")], false),
            (&[html, ("x-requested-with", "XMLHttpRequest")], false),
            (
                &[html, navigates, ("sec-purpose", "prefetch;prerender")],
                false,
            ),
        ] {
            assert_eq!(
                is_navigation(&Method::GET, &fields(lines)),
                expected,
                "{lines:?}"
            );
        }
        assert!(!is_navigation(&Method::POST, &fields(&[html, navigates])));
    }
}
