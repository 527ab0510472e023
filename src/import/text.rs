//! Texts as TOML has them.

use std::fmt::Write as _;

/// Writes a text as a string of TOML; one that is a variable of the environment, as a reference to it.
pub(super) fn quoted(text: &str) -> String {
    match variable(text) {
        Some((name, None)) => format!("{{ env = {} }}", string(name)),
        Some((name, Some(default))) => {
            format!(
                "{{ env = {}, default = {} }}",
                string(name),
                string(default)
            )
        }
        None => string(text),
    }
}

/// Returns the name and the default of a variable of the environment: `{$NAME}` or
/// `{$NAME:default}`, and nothing else.
pub(super) fn variable(text: &str) -> Option<(&str, Option<&str>)> {
    let inner = text.strip_prefix("{$")?.strip_suffix('}')?;
    let (name, default) = match inner.split_once(':') {
        Some((name, default)) => (name, Some(default)),
        None => (inner, None),
    };
    let is_name = |it: u8| it.is_ascii_alphanumeric() || it == b'_';
    let is_plain = !name.is_empty() && name.bytes().all(is_name);
    let has_more = default.is_some_and(|it| it.contains(['{', '}']));
    (is_plain && !has_more).then_some((name, default))
}

fn string(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    // A regular expression stays as it is.
    if text.contains('\\') && !text.contains('\'') && !text.contains(char::is_control) {
        return format!("'{text}'");
    }
    quoted.push('"');
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            letter if letter.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(letter));
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

/// Writes a line of comment, whatever stands in it.
pub(super) fn comment(text: &mut String, line: &str) {
    text.push_str("# ");
    text.extend(
        line.chars()
            .map(|it| if it.is_control() { ' ' } else { it }),
    );
    text.push('\n');
}

/// Returns true if a text is one value of TOML: what another file says cannot break out of its key.
pub(super) fn is_value(text: &str) -> bool {
    let table = toml::from_str::<toml::Table>(&format!("key = {text}"));
    table.is_ok_and(|table| table.len() == 1)
}

/// Writes a list of texts.
pub(super) fn quoted_list<'t>(texts: impl IntoIterator<Item = &'t str>) -> String {
    let texts: Vec<String> = texts.into_iter().map(quoted).collect();
    format!("[{}]", texts.join(", "))
}

/// Writes a text as one part of a dotted key.
pub(super) fn key_part(text: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !text.is_empty() && text.bytes().all(is_bare) {
        text.to_owned()
    } else {
        quoted(text)
    }
}

/// Returns a text that may be a name.
pub(super) fn name_of(text: &str) -> String {
    let mut name = String::new();
    for letter in text.chars() {
        if letter.is_ascii_alphanumeric() || letter == '-' {
            name.push(letter.to_ascii_lowercase());
        } else if !name.ends_with('_') && !name.is_empty() {
            name.push('_');
        }
    }
    let name: String = name.trim_matches('_').chars().take(NAME_MAX).collect();
    if name.is_empty() {
        "default".to_owned()
    } else {
        name
    }
}

/// Returns a time such as `1m30s` in microseconds, by units with theirs; a unit of no letters is that
/// of a number alone.
pub(super) fn micros(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let mut total = 0_u64;
    let mut rest = text;
    while !rest.is_empty() {
        let behind = rest.trim_start_matches(|it: char| it.is_ascii_digit());
        let number = &rest[..rest.len() - behind.len()];
        rest = behind.trim_start_matches(char::is_alphabetic);
        let unit = &behind[..behind.len() - rest.len()];
        let (_, factor) = units.iter().find(|(known, _)| *known == unit)?;
        let part = number.parse::<u64>().ok()?.checked_mul(*factor)?;
        total = total.checked_add(part)?;
        rest = rest.trim_start();
    }
    (!text.is_empty()).then_some(total)
}

/// Returns a number of milliseconds as a duration, in TOML.
pub(super) fn duration_of(millis: u64) -> String {
    match millis {
        millis if millis.is_multiple_of(1000) => format!("\"{}s\"", millis / 1000),
        millis => format!("\"{millis}ms\""),
    }
}

/// Returns a number of requests in a time as a rate, in TOML; none if it is less than one an hour.
pub(super) fn rate(count: u64, millis: u64) -> Option<String> {
    let units = [("s", 1000), ("m", 60_000), ("h", 3_600_000)];
    let whole = units.iter().find_map(|(unit, length)| {
        let all = count.checked_mul(*length)?;
        (millis > 0 && all > 0 && all.is_multiple_of(millis)).then(|| (all / millis, *unit))
    });
    let nearest = || {
        let per_hour = count.checked_mul(3_600_000)?.checked_div(millis)?;
        (per_hour > 0).then_some((per_hour, "h"))
    };
    let (number, unit) = whole.or_else(nearest)?;
    Some(format!("\"{number}/{unit}\""))
}

/// Returns a number of bytes as a size, in TOML.
pub(super) fn size(bytes: u64) -> String {
    for (unit, name) in [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] {
        if bytes >= unit && bytes.is_multiple_of(unit) {
            return format!("\"{}{name}\"", bytes / unit);
        }
    }
    format!("\"{bytes}B\"")
}

/// Length of a name that is made of a text.
const NAME_MAX: usize = 40;
/// Units of a duration in Go, in microseconds.
pub(super) const GO_UNITS: [(&str, u64); 6] = [
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1000),
    ("us", 1),
    ("µs", 1),
];

/// Protocols of a listener that speaks HTTP/3 beside the others.
pub(super) const WITH_HTTP3: &str = "[\"http/1.1\", \"h2\", \"h3\"]";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_times_and_variables_are_written_in_our_form() {
        for (count, millis, wanted) in [
            (100, 1000, Some("\"100/s\"")),
            (20, 30_000, Some("\"40/m\"")),
            (7, 86_400_000, None),
            (1000, 86_400_000, Some("\"41/h\"")),
            (5, 0, None),
        ] {
            assert_eq!(rate(count, millis).as_deref(), wanted, "{count} {millis}");
        }
        assert_eq!(micros("1m30s", &GO_UNITS), Some(90_000_000));
        assert_eq!(micros("90", &GO_UNITS), None);
        assert_eq!(micros("", &GO_UNITS), None);
        assert_eq!(quoted("{$A_B}"), "{ env = \"A_B\" }");
        assert_eq!(quoted("{$A:b:1}"), "{ env = \"A\", default = \"b:1\" }");
        for text in ["{$A}/x", "{$}", "{$a b}", "{$A:{$B}}"] {
            assert_eq!(variable(text), None, "{text}");
        }
    }
}
