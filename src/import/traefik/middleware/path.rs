//! Changes to the path.

use super::{
    super::{
        reading::Reading,
        value::{claim, literal},
    },
    UNKNOWN,
};
use crate::import::document::{Source, Table, quoted};

pub(super) fn add_prefix(table: &mut Table, mut reading: Reading<'_>) {
    if let Some((prefix, line)) = reading.text("prefix") {
        if table.has_below("rewrite.path_regex") {
            table.untranslated(&line, "add the prefix to rewrite.path_regex.to above");
        } else {
            claim(
                table,
                &line,
                "rewrite.add_prefix",
                quoted(&absolute(prefix)),
            );
        }
    }
    reading.rest(table, UNKNOWN);
}

pub(super) fn strip_prefix(table: &mut Table, mut reading: Reading<'_>) {
    let prefixes = reading.items("prefixes");
    reading.needless(table, &["forceSlash"], "a path always begins with \"/\"");
    match &prefixes[..] {
        [] => {}
        [(prefix, line)] => {
            let prefix = absolute(prefix.trim_end_matches('/'));
            if table.has("rewrite.add_prefix") {
                table.untranslated(
                    line,
                    "one rewrite of a route strips before it adds: join both by hand",
                );
            } else {
                claim(table, line, "rewrite.strip_prefix", quoted(&prefix));
                forwarded(table, line, &prefix);
            }
        }
        [(_, line), ..] => {
            let mut texts: Vec<&str> = prefixes
                .iter()
                .map(|(it, _)| it.trim_end_matches('/'))
                .collect();
            // The first that fits is meant; of two, the longer is the special one.
            texts.sort_by_key(|it| std::cmp::Reverse(it.len()));
            let texts: Vec<String> = texts
                .into_iter()
                .map(|it| regex::escape(&absolute(it)))
                .collect();
            let expression = format!("^(?:{})(?:/|$)", texts.join("|"));
            rewrite(table, line, &expression, "/");
            for (_, line) in &prefixes {
                table.also(line, "rewrite.path_regex.match");
            }
        }
    }
    reading.rest(table, UNKNOWN);
}

pub(super) fn strip_regex(table: &mut Table, mut reading: Reading<'_>) {
    let found = reading.items("regex");
    if let Some((_, line)) = found.first() {
        let all: Vec<String> = found
            .iter()
            .map(|(it, _)| format!("(?:{})", it.trim_start_matches('^')))
            .collect();
        rewrite(table, line, &format!("^(?:{})/?", all.join("|")), "/");
        for (_, line) in &found {
            table.also(line, "rewrite.path_regex.match");
        }
    }
    reading.rest(table, UNKNOWN);
}

pub(super) fn replace_path(table: &mut Table, mut reading: Reading<'_>) {
    if let Some((path, line)) = reading.text("path") {
        rewrite(table, &line, "^.*$", &path.replace('$', "$$"));
        table.set_plain("headers_request.set.x-replaced-path", "\"{path}\"");
    }
    reading.rest(table, UNKNOWN);
}

pub(super) fn replace_regex(table: &mut Table, mut reading: Reading<'_>) {
    let (regex, to) = (reading.text("regex"), reading.text("replacement"));
    match (regex, to) {
        (Some((_, line)), Some((to, _))) if to.contains('?') => {
            let what = "a rewrite changes the path alone, and not the query: remove what stands behind the \"?\"";
            table.untranslated(&line, what);
        }
        (Some((expression, line)), Some((to, second))) => {
            rewrite(table, &line, expression, to);
            table.also(&second, "rewrite.path_regex.match");
        }
        (one, other) => {
            for (_, line) in one.into_iter().chain(other) {
                table.untranslated(&line, "regex and replacement belong together");
            }
        }
    }
    reading.rest(table, UNKNOWN);
}

fn rewrite(table: &mut Table, line: &Source, expression: &str, to: &str) {
    if regex::Regex::new(expression).is_err() {
        return table.untranslated(line, "the regular expression is not understood");
    }
    if ["strip_prefix", "add_prefix"]
        .iter()
        .any(|it| table.has(&format!("rewrite.{it}")))
    {
        return table.untranslated(line, "a route has one rewrite: join it with the one above");
    }
    if table.has("rewrite.path_regex.match") {
        return table.untranslated(line, "a route has one rewrite: join it with the one above");
    }
    table.set(line, "rewrite.path_regex.match", quoted(expression));
    table.set_plain("rewrite.path_regex.to", quoted(to));
}

fn forwarded(table: &mut Table, line: &Source, prefix: &str) {
    claim(
        table,
        line,
        "headers_request.set.x-forwarded-prefix",
        literal(prefix),
    );
}

fn absolute(path: &str) -> String {
    match path.starts_with('/') {
        true => path.to_owned(),
        false => format!("/{path}"),
    }
}
