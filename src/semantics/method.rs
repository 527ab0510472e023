//! Properties of methods (RFC 9110 section 9.2).

use http::Method;

use crate::failure::BadRequest;

/// Checks that a gateway accepts this method with this path.
///
/// A WebSocket of HTTP/2 (RFC 8441) is a CONNECT too; the caller handles it before this check.
///
/// # Errors
/// [`BadRequest::Method`] for CONNECT and TRACE, which would make an open proxy or echo secret
/// fields; [`BadRequest::Target`] for `*` with a method other than OPTIONS.
pub fn check(method: &Method, path: &str) -> Result<(), BadRequest> {
    if *method == Method::CONNECT || *method == Method::TRACE {
        return Err(BadRequest::Method);
    }
    if path == "*" && *method != Method::OPTIONS {
        return Err(BadRequest::Target);
    }
    Ok(())
}

/// Tells whether a method requests no change of state.
pub fn is_safe(method: &Method) -> bool {
    // As in http's own list: GET, HEAD, OPTIONS, TRACE; nothing unknown is safe.
    method.is_safe()
}

/// Tells whether a request may be sent again because doing it twice has the same effect as once.
pub fn is_idempotent(method: &Method) -> bool {
    method.is_idempotent()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_star_is_for_options_and_tunnels_are_refused() {
        assert_eq!(check(&Method::OPTIONS, "*"), Ok(()));
        assert_eq!(check(&Method::GET, "*"), Err(BadRequest::Target));
        assert_eq!(check(&Method::POST, "/"), Ok(()));
        assert_eq!(check(&Method::CONNECT, "/"), Err(BadRequest::Method));
        assert_eq!(check(&Method::TRACE, "/"), Err(BadRequest::Method));
    }

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
