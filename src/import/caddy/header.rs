//! Fields of requests and of answers.

use super::{matcher::template, syntax::Line};
use crate::import::document::{Table, key_part, quoted};

/// Writes `header`, of one field or of a block of them.
pub(super) fn header(table: &mut Table, line: &Line, args: &[&str], kind: &str) {
    let mut all: Vec<(&Line, Vec<&str>)> = Vec::new();
    if !args.is_empty() {
        all.push((line, args.to_vec()));
    }
    for inner in &line.block {
        all.push((inner, inner.words.iter().map(String::as_str).collect()));
    }
    for (line, words) in all {
        let [name, values @ ..] = &words[..] else {
            continue;
        };
        if *name == "defer" {
            continue;
        }
        let name = name.trim_start_matches('>');
        let (sign, name) = match name.chars().next() {
            Some(sign @ ('+' | '-' | '?')) => (sign, &name[1..]),
            _ => ('=', name),
        };
        let part = key_part(&name.to_ascii_lowercase());
        match (sign, values) {
            ('-', []) if name.contains('*') && kind == "headers_request" => table.close(
                &line.source,
                "headers_request = { remove = [\"…\"] } of the route, with each name",
            ),
            ('-', []) => table.push(
                &line.source,
                &format!("{kind}.remove"),
                quoted(&name.to_ascii_lowercase()),
            ),
            ('=' | '+', [value]) => {
                let verb = if sign == '+' { "add" } else { "set" };
                match template(value) {
                    Ok(value) => table.set(&line.source, &format!("{kind}.{verb}.{part}"), value),
                    Err(why) => {
                        table.untranslated(&line.source, why);
                        if kind == "headers_request" && verb == "set" {
                            // What the client sends does not pass for it.
                            let name = quoted(&name.to_ascii_lowercase());
                            table.push(&line.source, "headers_request.remove", name);
                        }
                    }
                }
            }
            _ => table.untranslated(&line.source, "fields are set, added or removed"),
        }
    }
}
