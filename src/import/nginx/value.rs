//! Values of nginx in our form: durations, sizes, texts with variables.

pub(super) use crate::import::document::name_of;
pub(super) use crate::import::text::size;
use crate::import::{
    document::quoted,
    text::{duration_of, micros},
};

/// Returns a time such as `60`, `1m30s` or `500ms` as a duration, in TOML.
pub(super) fn duration(text: &str) -> Option<String> {
    millis(text).map(duration_of)
}

/// Returns a time in milliseconds. Without a unit it is in seconds.
pub(super) fn millis(text: &str) -> Option<u64> {
    micros(text, &UNITS).map(|it| it / 1000)
}

/// Returns a size such as `10m` in bytes.
pub(super) fn bytes(text: &str) -> Option<u64> {
    let number = text.trim_end_matches(|it: char| it.is_ascii_alphabetic());
    let factor = match &text[number.len()..] {
        "" => 1,
        "k" | "K" => 1 << 10,
        "m" | "M" => 1 << 20,
        "g" | "G" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// Part of a text: words, or the name of a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part<'t> {
    Text(&'t str),
    Variable(&'t str),
}

/// Returns the parts of a text.
pub(super) fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, behind) = rest.split_at(at);
        let behind = &behind[1..];
        let (name, after) = match behind.strip_prefix('{').and_then(|it| it.split_once('}')) {
            Some((name, after)) => (name, after),
            None => {
                let is_name = |it: char| it.is_ascii_alphanumeric() || it == '_';
                let length = behind.len() - behind.trim_start_matches(is_name).len();
                behind.split_at(length)
            }
        };
        if !before.is_empty() {
            parts.push(Part::Text(before));
        }
        if name.is_empty() {
            parts.push(Part::Text("$"));
        } else {
            parts.push(Part::Variable(name));
        }
        rest = after;
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest));
    }
    parts
}

/// Returns true if a text has no variable.
pub(super) fn is_plain(text: &str) -> bool {
    let parts = parts(text);
    parts.iter().all(|it| matches!(it, Part::Text(_)))
}

/// Returns a text with variables, and with groups of the expression on the path, as a template, in TOML.
///
/// # Errors
/// The variable that has no placeholder.
pub(super) fn template_with(text: &str, expression: Option<&str>) -> Result<String, String> {
    if text.contains(char::is_control) {
        return Err("a value has one line".to_owned());
    }
    let mut text = text.to_owned();
    for query in [
        "$is_args$args",
        "$is_args$query_string",
        "?$args",
        "?$query_string",
    ] {
        text = text.replace(query, "$request_query");
    }
    let mut written = String::new();
    for part in parts(&text) {
        match part {
            Part::Text(text) if text.contains(['{', '}']) => {
                return Err("a \"{\" or \"}\" stands for placeholders here".to_owned());
            }
            Part::Text(text) => written.push_str(text),
            Part::Variable(name) => match placeholder(name) {
                Some(placeholder) => written.push_str(placeholder),
                None => written.push_str(&chosen(name, expression)?),
            },
        }
    }
    Ok(quoted(&written))
}

/// Returns the placeholder of a variable whose name has a part that was chosen.
fn chosen(variable: &str, expression: Option<&str>) -> Result<String, String> {
    if let Some(name) = variable.strip_prefix("http_") {
        return Ok(format!("{{header:{}}}", name.replace('_', "-")));
    }
    for (prefix, kind) in [("arg_", "query"), ("cookie_", "cookie")] {
        if let Some(name) = variable.strip_prefix(prefix) {
            return Ok(format!("{{{kind}:{name}}}"));
        }
    }
    let regex = expression.and_then(|it| regex::Regex::new(it).ok());
    let is_number = variable.bytes().all(|it| it.is_ascii_digit());
    let has_group = regex.is_some_and(|regex| match variable.parse::<usize>() {
        Ok(number) => (1..regex.captures_len()).contains(&number),
        Err(_) => regex.capture_names().flatten().any(|it| it == variable),
    });
    match (has_group, is_number) {
        (true, _) => Ok(format!("{{path.{variable}}}")),
        (false, true) => Err(format!(
            "${variable} is no group of an expression on the path of this route: {{path.{variable}}} needs path_regex with such a group"
        )),
        (false, false) => Err(format!("there is no placeholder for ${variable}")),
    }
}

fn placeholder(variable: &str) -> Option<&'static str> {
    Some(match variable {
        "host" => "{host}",
        "http_host" => "{host_port}",
        "remote_addr" | "realip_remote_addr" => "{client_ip}",
        "scheme" => "{scheme}",
        "request_uri" => "{path}{query}",
        "uri" | "document_uri" => "{path}",
        "request_query" => "{query}",
        "request_id" => "{request_id}",
        "request_method" => "{method}",
        "ssl_client_s_dn" => "{tls.subject}",
        "remote_port" => "{client_port}",
        "remote_user" => "{auth.user}",
        "upstream_addr" => "{endpoint}",
        _ => return None,
    })
}

const MILLI: u64 = 1000;
const DAY: u64 = 86_400_000 * MILLI;
/// Units of time.
const UNITS: [(&str, u64); 9] = [
    ("ms", MILLI),
    ("", 1000 * MILLI),
    ("s", 1000 * MILLI),
    ("m", 60_000 * MILLI),
    ("h", 3_600_000 * MILLI),
    ("d", DAY),
    ("w", 7 * DAY),
    ("M", 30 * DAY),
    ("y", 365 * DAY),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str) -> Result<String, String> {
        template_with(text, None)
    }

    #[test]
    fn times_sizes_and_names_are_written_in_our_form() {
        for (text, wanted) in [
            ("60", Some("\"60s\"")),
            ("1m 30s", Some("\"90s\"")),
            ("500ms", Some("\"500ms\"")),
            ("5x", None),
            ("", None),
        ] {
            assert_eq!(duration(text).as_deref(), wanted, "{text}");
        }
        assert_eq!(bytes("10m").map(size).as_deref(), Some("\"10MiB\""));
        assert_eq!(bytes("8k").map(size).as_deref(), Some("\"8KiB\""));
        assert_eq!(bytes("x"), None);
        assert_eq!(name_of("*.shop.example"), "shop_example");
        assert_eq!(name_of("/"), "default");
    }

    #[test]
    fn variables_become_placeholders_and_unknown_ones_are_told() {
        let to = template("https://$host$request_uri");
        assert_eq!(to.as_deref(), Ok("\"https://{host}{path}{query}\""));
        let to = template("${scheme}://x$uri$is_args$args");
        assert_eq!(to.as_deref(), Ok("\"{scheme}://x{path}{query}\""));
        let to = template("$http_x_tenant-$arg_a-$cookie_b?$args");
        assert_eq!(
            to.as_deref(),
            Ok("\"{header:x-tenant}-{query:a}-{cookie:b}{query}\"")
        );
        let groups = Some("^/a/(.*)/(?P<name>x)$");
        let to = template_with("/b/$1/$name/$2", groups);
        assert_eq!(to.as_deref(), Ok("\"/b/{path.1}/{path.name}/{path.2}\""));
        assert!(template_with("/b/$3", groups).is_err());
        assert!(template("/b/$1").unwrap_err().contains("path_regex"));
        assert!(template("$geoip_city").unwrap_err().contains("$geoip_city"));
        assert_eq!(
            parts("a$b-$"),
            [
                Part::Text("a"),
                Part::Variable("b"),
                Part::Text("-"),
                Part::Text("$")
            ]
        );
    }
}
