//! Targets of redirects with groups of an expression on the path.

use super::value::template_with;
use crate::import::document::{Table, quoted};

/// Returns the target of a `return` in a location, whose expression is changed where a group begins
/// with the slash that has to stand behind a host.
///
/// # Errors
/// The reason why it has no equal.
pub(super) fn target(table: &mut Table, to: &str) -> Result<String, String> {
    let Some(expression) = table.text("path_regex") else {
        return safe(template_with(to, None)?);
    };
    let (changed, to) = with_slash(&expression, to)?;
    let target = template_with(&to, Some(&changed))?;
    if changed != expression {
        table.change("path_regex", quoted(&changed));
    }
    safe(target)
}

/// Refuses a target whose host a client would choose.
fn safe(target: String) -> Result<String, String> {
    let text = target.trim_matches('"');
    let host = match text.split_once("//") {
        Some((_, rest)) => rest.split(['/', '?']).next().unwrap_or(rest),
        None if text.starts_with('{') => text,
        None => "",
    };
    let kinds = ["{header:", "{query:", "{cookie:", "{path."];
    let last = host.rfind('}').map_or("", |at| &host[at + 1..]);
    let is_chosen = kinds.iter().any(|it| host.contains(it)) && !last.starts_with('.');
    match is_chosen {
        true => Err(format!(
            "a client could choose the host of {text}: redirect.to begins with \"/\", or with a host of yours"
        )),
        false => Ok(target),
    }
}

/// Returns true for expressions that every path fits: they leave the condition of a location as it
/// is.
pub(super) fn takes_all(from: &str) -> bool {
    TAKE_ALL.contains(&from)
}

/// Returns the expression and the target of a `rewrite` that redirects.
pub(super) fn redirected(from: &str, to: &str) -> Option<(String, String)> {
    let whole = matches!(from, "^(.*)$" | "^(.*)" | "(.*)");
    let below = matches!(from, "^/(.*)$" | "^/(.*)");
    // The query follows unless a question mark ends the target.
    let to = match to.strip_suffix('?') {
        Some(to) => to.to_owned(),
        None if to.contains('?') => to.to_owned(),
        None => format!("{to}$request_query"),
    };
    if whole || below {
        let to = match whole {
            true => to.replace("$1", "$uri"),
            false => to.replace("/$1", "$uri"),
        };
        return Some((from.to_owned(), safe(template_with(&to, None).ok()?).ok()?));
    }
    let (from, to) = with_slash(from, &to).ok()?;
    let to = template_with(&to, Some(&from)).ok()?;
    Some((from, safe(to).ok()?))
}

/// Moves the slash that begins a group behind the host of a target before the group: a value of the
/// client never ends a host.
fn with_slash(expression: &str, to: &str) -> Result<(String, String), String> {
    let unchanged = || Ok((expression.to_owned(), to.to_owned()));
    let Some((scheme, rest)) = to.split_once("://") else {
        return unchanged();
    };
    let Some(at) = rest.find(['$', '/', '?']) else {
        return unchanged();
    };
    let (host, behind) = rest.split_at(at);
    let digits = behind.strip_prefix('$').map_or("", |it| {
        let length = it.len() - it.trim_start_matches(|it: char| it.is_ascii_digit()).len();
        &it[..length]
    });
    let Ok(number) = digits.parse::<usize>() else {
        return unchanged();
    };
    if matches!(
        expression,
        "^(.*)$" | "^(.*)" | "(.*)" | "^(.+)$" | "^(/.*)$" | "^(/.*)"
    ) {
        let to = format!("{scheme}://{host}$uri{}", &behind[1 + digits.len()..]);
        return Ok((expression.to_owned(), to));
    }
    let changed = slash_before(expression, number).ok_or_else(|| {
        format!(
            "a client could choose the host by ${number}: end the host with \"/\", as in \"{scheme}://{host}/{{path.{number}}}\""
        )
    })?;
    Ok((changed, format!("{scheme}://{host}/{behind}")))
}

/// Moves the slash that begins a group before it: `^(/a.*)$` becomes `^/(a.*)$`.
fn slash_before(expression: &str, number: usize) -> Option<String> {
    let mut depth = 0_usize;
    let mut seen = 0;
    let mut begin = None;
    let mut before = ' ';
    for (at, letter) in expression.char_indices() {
        let is_plain = before != '\\';
        match letter {
            '(' if is_plain => {
                let is_group = !expression[at + 1..].starts_with('?');
                seen += usize::from(is_group);
                if is_group && seen == number {
                    begin = Some((at, depth));
                }
                depth += 1;
            }
            ')' if is_plain => {
                depth = depth.saturating_sub(1);
                if let Some((start, outer)) = begin
                    && outer == depth
                {
                    let inner = expression[start + 1..at].strip_prefix('/')?;
                    let behind = &expression[at + 1..];
                    let repeats = behind.starts_with(['*', '+', '?', '{']);
                    let can_move = outer == 0 && !inner.contains('|') && !repeats;
                    return can_move.then(|| format!("{}/({inner}){behind}", &expression[..start]));
                }
            }
            _ => {}
        }
        before = if is_plain { letter } else { ' ' };
    }
    None
}

const TAKE_ALL: [&str; 11] = [
    "^", "^/", ".*", "^.*$", "^.*", "^/.*$", "^(.*)$", "^(.*)", "^/(.*)$", "^/(.*)", "(.*)",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_the_path_stand_in_targets() {
        for (from, to, changed, target) in [
            ("^/a/(.*)$", "/b/$1", "^/a/(.*)$", "\"/b/{path.1}{query}\""),
            (
                "^/a/(.*)$",
                "https://b.example/$1?",
                "^/a/(.*)$",
                "\"https://b.example/{path.1}\"",
            ),
            (
                "^(/a/.*)$",
                "https://b.example$1",
                "^/(a/.*)$",
                "\"https://b.example/{path.1}{query}\"",
            ),
            (
                "^(.*)$",
                "https://b.example$1",
                "^(.*)$",
                "\"https://b.example{path}{query}\"",
            ),
            (
                "^/(.*)$",
                "https://b.example/x/$1",
                "^/(.*)$",
                "\"https://b.example/x{path}{query}\"",
            ),
        ] {
            let wanted = Some((changed.to_owned(), target.to_owned()));
            assert_eq!(redirected(from, to), wanted, "{from} {to}");
        }
    }

    #[test]
    fn a_group_never_ends_a_host() {
        for expression in ["^/x(.*)$", "^((/a|/b))$", "^(/a|/b)$", "^(/a)*$"] {
            let error = with_slash(expression, "https://b.example$1").unwrap_err();
            assert!(error.contains("choose the host"), "{expression} {error}");
        }
    }
}
