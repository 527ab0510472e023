//! Lines of a frontend, and log formats.

use super::Line;
use crate::import::document::{Table, key_part, quoted};

/// Listeners of a frontend: which of them speak TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Secure {
    All,
    Some,
    None,
}

/// Lines that something is made of.
pub(super) fn is_known(line: &Line, secure: Secure) -> bool {
    change(&mut Table::default(), line, secure)
        || matches!(
            &*line.words[0],
            "bind" | "mode" | "acl" | "default_backend" | "timeout" | "maxconn" | "compression"
        )
}

/// Writes a change of fields; false if the line is something else.
pub(super) fn change(table: &mut Table, line: &Line, secure: Secure) -> bool {
    let words = line.words();
    let kind = match words.first() {
        Some(&"http-request") => "headers_request",
        Some(&("http-response" | "http-after-response")) => "headers_response",
        _ => return false,
    };
    match words[1..] {
        ["set-header" | "add-header", name, ref rest @ ..] if is_sent(name, rest) => {
            table.needless(
                &line.source,
                "X-Forwarded-For, -Proto, -Host and Forwarded are sent, and those of a client are not believed",
            );
        }
        ["del-header", name, ..]
            if kind == "headers_request" && FORWARDED.contains(&&*name.to_ascii_lowercase()) =>
        {
            table.needless(
                &line.source,
                "what a client says there is not believed: it is written anew",
            );
        }
        ["set-header" | "add-header", name, value, ref condition @ ..]
            if name.eq_ignore_ascii_case("alt-svc") && condition.len() < 2 =>
        {
            let _ = value;
            table.needless(
                &line.source,
                "the proxy sends it by itself, where protocols of the listener has \"h3\"",
            );
        }
        ["set-header", name, value] => set(table, line, &format!("{kind}.set"), name, value),
        ["add-header", name, value] => set(table, line, &format!("{kind}.add"), name, value),
        [
            verb @ ("set-header" | "add-header"),
            name,
            value,
            ref condition @ ..,
        ] => {
            let Some(is_tls) = of_tls(condition) else {
                return false;
            };
            let has_no_effect = name.eq_ignore_ascii_case("strict-transport-security");
            let verb = &verb[..3];
            match secure {
                Secure::All if !is_tls => table.needless(&line.source, "all of it is HTTPS"),
                Secure::None if is_tls => table.needless(&line.source, "none of it is HTTPS"),
                // Browsers pass over it without TLS.
                Secure::Some if !is_tls || !has_no_effect => return false,
                _ => set(table, line, &format!("{kind}.{verb}"), name, value),
            }
        }
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

/// Returns true for a condition that a request came with TLS, and false for its opposite.
fn of_tls(condition: &[&str]) -> Option<bool> {
    match condition {
        ["if", "{", "ssl_fc", "}"] | ["unless", "!{", "ssl_fc", "}"] => Some(true),
        ["unless", "{", "ssl_fc", "}"] | ["if", "!{", "ssl_fc", "}"] => Some(false),
        ["if", "!", "{", "ssl_fc", "}"] => Some(false),
        _ => None,
    }
}

/// Returns true for a field of the request that is sent with this value without a line.
fn is_sent(name: &str, rest: &[&str]) -> bool {
    let (value, condition) = match rest {
        [value, condition @ ..] => (*value, condition),
        [] => return false,
    };
    match &*name.to_ascii_lowercase() {
        "x-forwarded-for" => matches!(value, "%[src]" | "%ci") && condition.is_empty(),
        "x-forwarded-host" => {
            let host = ["%[req.hdr(host)]", "%[hdr(host)]"];
            host.iter().any(|it| it.eq_ignore_ascii_case(value)) && condition.is_empty()
        }
        "x-forwarded-proto" => match of_tls(condition) {
            Some(is_tls) => value == if is_tls { "https" } else { "http" },
            None => value.starts_with("%[ssl_fc") && condition.is_empty(),
        },
        _ => false,
    }
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
        Some(value) => table.set(&line.source, &key, quoted(&value)),
        None => {
            let is_own = kind.starts_with("headers_request") && FORWARDED.contains(&&*name);
            let what = match is_own {
                true => "there is no placeholder for it: the proxy writes this field by itself",
                false => "there is no placeholder for it",
            };
            table.untranslated(&line.source, what);
            if kind == "headers_request.set" && !is_own {
                // What the client sends does not pass for it.
                remove(table, line, "headers_request", &name);
            }
        }
    }
}

/// Fields of requests that the proxy writes by itself.
const FORWARDED: [&str; 4] = [
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "forwarded",
];

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
                "ssl_fc_sni" => "{host}",
                "ssl_c_s_dn" => "{tls.subject}",
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
