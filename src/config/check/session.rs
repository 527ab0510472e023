//! Checks on sessions.

use super::Check;
use crate::config::schema::Session;

pub(super) fn check(check: &mut Check<'_>, place: &str, session: &Session) {
    let spans = &session.spans;
    match (&session.cookie, &session.header) {
        (None, None) => {
            if !check.has_broken(place) {
                let message = format!("{place} has neither cookie nor header");
                let hint = "the field that carries the token: cookie = \"session\"";
                check.error(spans.anchor(), message, hint);
            }
        }
        (Some(_), Some(_)) => {
            let message = format!("{place} has both cookie and header");
            check.error(spans.of("header"), message, "one of them carries the token");
        }
        (Some(cookie), None) => check_cookie(check, place, session, cookie),
        (None, Some(_)) => {
            for key in ["path", "same_site"]
                .into_iter()
                .filter(|key| spans.has(key))
            {
                let message =
                    format!("{place}.{key} is for a cookie, and a header carries the token");
                check.error(
                    spans.of(key),
                    message,
                    "remove it, or use cookie in place of header",
                );
            }
        }
    }
    check.secret(
        &format!("{place}.secret"),
        spans.of("secret"),
        &session.secret,
    );
    if let Ok(secret) = session.secret.reveal()
        && secret.len() < SECRET_MIN
    {
        let message = format!("{place}.secret is shorter than {SECRET_MIN} bytes");
        let hint = "such as the output of `openssl rand -base64 32`";
        check.error(spans.of("secret"), message, hint);
    }
}

fn check_cookie(check: &mut Check<'_>, place: &str, session: &Session, cookie: &str) {
    let spans = &session.spans;
    if cookie.is_empty() || !cookie.bytes().all(is_token) {
        let message = format!("{place}.cookie: \"{cookie}\" is not the name of a cookie");
        check.error(spans.of("cookie"), message, "letters, digits, `-` and `_`");
    }
    let path = &session.path;
    let allowed = |byte: u8| byte.is_ascii_graphic() && byte != b';';
    if !path.starts_with('/') || !path.bytes().all(allowed) {
        let message = format!("{place}.path: \"{path}\" is not the path of a cookie");
        check.error(
            spans.of("path"),
            message,
            "it begins with `/` and has no `;`",
        );
    }
    if cookie.starts_with("__Host-") && path != "/" {
        let message =
            format!("{place}.path must be \"/\" for a cookie whose name begins with __Host-");
        check.error(spans.of("path"), message, "browsers refuse it otherwise");
    }
}

/// RFC 9110 section 5.6.2, which names of cookies follow (RFC 6265 section 4.1.1).
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

const SECRET_MIN: usize = 16;
