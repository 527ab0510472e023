//! Texts as TOML has them.

use std::fmt::Write as _;

/// Writes a text as a string of TOML.
pub(super) fn quoted(text: &str) -> String {
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

/// Returns a number of milliseconds as a duration, in TOML.
pub(super) fn duration_of(millis: u64) -> String {
    match millis {
        millis if millis.is_multiple_of(1000) => format!("\"{}s\"", millis / 1000),
        millis => format!("\"{millis}ms\""),
    }
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
