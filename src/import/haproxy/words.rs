//! Lines of a frontend, and log formats.

use super::Line;
use crate::import::document::{Table, key_part, quoted};

/// Lines that something is made of.
pub(super) fn is_known(line: &Line) -> bool {
    change(&mut Table::default(), line)
        || matches!(
            &*line.words[0],
            "bind" | "mode" | "acl" | "default_backend" | "timeout" | "maxconn" | "compression"
        )
}

/// Writes a change of fields; false if the line is something else.
pub(super) fn change(table: &mut Table, line: &Line) -> bool {
    let words = line.words();
    let kind = match words.first() {
        Some(&"http-request") => "headers_request",
        Some(&"http-response") => "headers_response",
        _ => return false,
    };
    match words[1..] {
        ["set-header", name, value] => set(table, line, &format!("{kind}.set"), name, value),
        ["add-header", name, value] => set(table, line, &format!("{kind}.add"), name, value),
        ["del-header", name] => remove(table, line, kind, name),
        // What a client must not send is removed in all cases.
        ["del-header", name, "if" | "unless", ..] if kind == "headers_request" => {
            remove(table, line, kind, name);
        }
        ["del-header", ..] if kind == "headers_request" => {
            table.close(
                &line.source,
                "headers_request = { remove = [\"…\"] } of the route",
            );
        }
        _ => return false,
    }
    true
}

fn remove(table: &mut Table, line: &Line, kind: &str, name: &str) {
    let name = quoted(&name.to_ascii_lowercase());
    table.push(&line.source, &format!("{kind}.remove"), name);
}

/// Writes a field with a log format as its value.
fn set(table: &mut Table, line: &Line, kind: &str, name: &str, value: &str) {
    let name = name.to_ascii_lowercase();
    let key = format!("{kind}.{}", key_part(&name));
    match format_of(value) {
        _ if name.starts_with("x-forwarded-") && kind.starts_with("headers_request") => {
            table.needless(&line.source, "X-Forwarded-For, -Proto and -Host are sent");
        }
        Some(value) => table.set(&line.source, &key, quoted(&value)),
        None => {
            table.untranslated(&line.source, "there is no placeholder for it");
            if kind == "headers_request.set" {
                // What the client sends does not pass for it.
                remove(table, line, "headers_request", &name);
            }
        }
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
            let fetched = &behind[1..end];
            if let Some(placeholder) = chosen(fetched) {
                written.push_str(&placeholder);
                rest = &behind[end + 1..];
                continue;
            }
            written.push_str(match fetched {
                "src" => "{client_ip}",
                "req.hdr(host)" | "hdr(host)" | "req.hdr(Host)" => "{host}",
                "path" => "{path}",
                "pathq" | "capture.req.uri" | "url" => "{path}{query}",
                "method" => "{method}",
                "src_port" => "{client_port}",
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

/// Returns the placeholder of a sample with a name, such as `req.hdr(x-tenant)`.
fn chosen(sample: &str) -> Option<String> {
    let (fetch, name) = sample.strip_suffix(')')?.split_once('(')?;
    let is_plain = |it: u8| it.is_ascii_alphanumeric() || it == b'-' || it == b'_';
    if name.is_empty() || !name.bytes().all(is_plain) || name.eq_ignore_ascii_case("host") {
        return None;
    }
    Some(match fetch {
        "req.hdr" | "hdr" | "req.fhdr" => format!("{{header:{}}}", name.to_ascii_lowercase()),
        "req.cook" | "cook" => format!("{{cookie:{name}}}"),
        "url_param" | "urlp" => format!("{{query:{name}}}"),
        _ => return None,
    })
}
