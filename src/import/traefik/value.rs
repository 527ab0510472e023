//! Texts of the other proxy in our form.

use crate::import::{
    document::{Source, Table, quoted},
    text::{GO_UNITS, duration_of, micros},
};

/// Returns a duration such as `1m30s`, or a number of seconds, in TOML.
pub(super) fn duration(text: &str) -> Option<String> {
    millis(text).map(duration_of)
}

/// Returns the milliseconds of a duration.
pub(super) fn millis(text: &str) -> Option<u64> {
    let is_number = text.bytes().all(|it| it.is_ascii_digit());
    let units = match is_number {
        true => &[("", 1_000_000)][..],
        false => &GO_UNITS[..],
    };
    micros(text, units).map(|it| it.div_ceil(1000))
}

/// Returns a number of bytes as a size, in TOML.
pub(super) fn bytes(text: &str) -> Option<String> {
    text.parse().ok().map(crate::import::text::size)
}

/// Sets a key to a duration.
pub(super) fn set_duration(table: &mut Table, line: &Source, key: &str, text: &str) {
    match duration(text) {
        Some(value) => claim(table, line, key, value),
        None => table.untranslated(line, format!("{key} is a duration such as \"5s\"")),
    }
}

/// Returns a text as a template, in which braces stand for themselves.
pub(super) fn literal(text: &str) -> String {
    quoted(&text.replace('{', "{{").replace('}', "}}"))
}

/// Sets a key that only one line may set.
pub(super) fn claim(table: &mut Table, line: &Source, key: &str, value: impl Into<String>) {
    let value = value.into();
    if table.is(key, &value) {
        return table.also(line, key);
    }
    if table.has(key) || table.has_below(key) {
        let what = format!("{key} is set already, by a line above: join both by hand");
        return table.untranslated(line, what);
    }
    table.set(line, key, value);
}

/// Sets a key in place of what it was.
pub(super) fn replace(table: &mut Table, line: &Source, key: &str, value: impl Into<String>) {
    let value = value.into();
    if table.is(key, &value) {
        return table.also(line, key);
    }
    if table.remove(key) {
        table.note(format!("{}: replaces what {key} was before", line.place));
    }
    table.set(line, key, value);
}

/// An address with a scheme: `https://10.0.0.1:8443/path?query`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Url<'t> {
    pub(super) scheme: &'t str,
    /// Host and port; the port of the scheme if none is written.
    pub(super) address: String,
    /// Host as it is written, with its port if there is one.
    pub(super) host: &'t str,
    /// Path and query; empty if there are none.
    pub(super) target: &'t str,
}

impl<'t> Url<'t> {
    pub(super) fn of(text: &'t str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let at = rest.find(['/', '?']).unwrap_or(rest.len());
        let (host, target) = rest.split_at(at);
        let port = match scheme {
            "http" | "h2c" => "80",
            "https" => "443",
            _ => return None,
        };
        let is_good = |it: u8| it.is_ascii_alphanumeric() || b".-_:[]".contains(&it);
        if host.is_empty() || !host.bytes().all(is_good) {
            return None;
        }
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| {
            !port.is_empty() && port.bytes().all(|it| it.is_ascii_digit())
        });
        let bare_ipv6 = host.ends_with(']');
        let address = match has_port && !bare_ipv6 {
            true => host.to_owned(),
            false => format!("{host}:{port}"),
        };
        Some(Self {
            scheme,
            address,
            host,
            target,
        })
    }

    pub(super) fn is_tls(&self) -> bool {
        self.scheme == "https"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_addresses_are_read() {
        for (text, wanted) in [
            ("10", Some("\"10s\"")),
            ("1m30s", Some("\"90s\"")),
            ("500ms", Some("\"500ms\"")),
            ("0s", Some("\"0s\"")),
            ("", None),
            ("s", None),
            ("5x", None),
        ] {
            assert_eq!(duration(text).as_deref(), wanted, "{text}");
        }
        let url = Url::of("https://[::1]/a?b").unwrap();
        assert_eq!((&*url.address, url.target), ("[::1]:443", "/a?b"));
        assert_eq!(Url::of("10.0.0.1:8080").unwrap().address, "10.0.0.1:8080");
        assert!(Url::of("tcp://a:1").is_none());
        assert!(Url::of("http://{{ env }}").is_none());
    }
}
