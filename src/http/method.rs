//! What the standard says of methods (RFC 9110 section 9.2).

use http::Method;

/// Tells whether a method asks for no change at all.
pub fn is_safe(method: &Method) -> bool {
    // As in http's own list: GET, HEAD, OPTIONS, TRACE; nothing unknown is safe.
    method.is_safe()
}

/// Tells whether doing it twice is the same as doing it once, so that it may be sent again.
pub fn is_idempotent(method: &Method) -> bool {
    method.is_idempotent()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_listed_methods_may_be_repeated() {
        for (name, safe, idempotent) in [
            ("GET", true, true),
            ("HEAD", true, true),
            ("OPTIONS", true, true),
            ("PUT", false, true),
            ("DELETE", false, true),
            ("POST", false, false),
            ("PATCH", false, false),
            ("CONNECT", false, false),
            ("PURGE", false, false),
            ("get", false, false),
        ] {
            let method = Method::from_bytes(name.as_bytes()).unwrap();
            assert_eq!(
                (is_safe(&method), is_idempotent(&method)),
                (safe, idempotent),
                "{name}"
            );
        }
    }
}
