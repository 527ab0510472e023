//! Lines of a frontend, and log formats.

use super::Line;
use crate::import::document::{Table, key_part, quoted};

/// Lines that are tried in their order.
pub(super) fn is_rule(line: &Line) -> bool {
    match line.words()[..] {
        ["use_backend", ..] => true,
        ["redirect", ..] | ["http-request", "redirect", ..] => {
            !line.words.iter().any(|it| it == "ssl_fc")
        }
        ["http-request", "deny" | "tarpit" | "return" | "auth", ..] => true,
        [
            "http-request",
            "set-header" | "add-header" | "del-header",
            ..,
        ] => line.words.iter().any(|it| matches!(&**it, "if" | "unless")),
        ["http-request", ..] => true,
        _ => false,
    }
}

/// Lines that something is made of.
pub(super) fn is_known(line: &Line) -> bool {
    let is_change = matches!(
        line.words()[..],
        [
            "http-response" | "http-request",
            "set-header" | "add-header" | "del-header",
            ..
        ]
    );
    let is_redirect = line.words.iter().any(|it| it == "ssl_fc");
    is_change
        || is_redirect
        || matches!(
            &*line.words[0],
            "bind" | "mode" | "acl" | "default_backend" | "timeout" | "maxconn" | "compression"
        )
}

/// Writes a field with a log format as its value.
pub(super) fn set(table: &mut Table, line: &Line, kind: &str, name: &str, value: &str) {
    let name = name.to_ascii_lowercase();
    let key = format!("{kind}.{}", key_part(&name));
    match format_of(value) {
        _ if name.starts_with("x-forwarded-") && kind.starts_with("headers_request") => {
            table.needless(&line.source, "X-Forwarded-For, -Proto and -Host are sent");
        }
        Some(value) => table.set(&line.source, &key, quoted(&value)),
        None => table.untranslated(&line.source, "there is no placeholder for it"),
    }
}

/// Returns a log format as a template.
pub(super) fn format_of(text: &str) -> Option<String> {
    let mut written = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        written.push_str(&rest[..at]);
        let behind = &rest[at + 1..];
        if let Some(end) = behind.find(']').filter(|_| behind.starts_with('[')) {
            written.push_str(match &behind[1..end] {
                "src" => "{client_ip}",
                "req.hdr(host)" | "hdr(host)" | "req.hdr(Host)" => "{host}",
                "path" => "{path}",
                "pathq" | "capture.req.uri" | "url" => "{path}{query}",
                "method" => "{method}",
                "uuid()" | "uuid" | "unique-id" => "{request_id}",
                _ => return None,
            });
            rest = &behind[end + 1..];
        } else if let Some(behind) = behind.strip_prefix('%') {
            written.push('%');
            rest = behind;
        } else if let Some(behind) = behind.strip_prefix("ci") {
            written.push_str("{client_ip}");
            rest = behind;
        } else {
            return None;
        }
    }
    written.push_str(rest);
    (!rest.contains(['{', '}'])).then_some(written)
}
