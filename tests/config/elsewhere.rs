//! `{ env = "…" }` and `{ file = "…" }` for every string of the schema.

use std::fs;
use std::path::Path;

use sluicegate::config::schema::Config;
use sluicegate::config::setting::{Form, KeyDoc, Table as _};
use sluicegate::config::{Rules, parse};

/// A string of the schema: its place, and a text that has nothing else.
struct Case {
    place: String,
    text: String,
}

#[test]
fn every_string_of_the_schema_can_be_kept_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut cases = Vec::new();
    for key in Config::keys() {
        // Files that make up the configuration are read before its values.
        if key.name != "include" {
            walk(&key, folder.path(), &[], &mut cases);
        }
    }
    assert!(cases.len() > 200, "{}", cases.len());
    let refused: Vec<String> = cases
        .into_iter()
        .filter_map(|case| {
            let read = parse(
                case.text.as_str(),
                Path::new("proxy.toml"),
                &Rules::default(),
            );
            let Err(faults) = read else { return None };
            let wrong = faults.list().iter().find(|fault| {
                let rest = fault.message.strip_prefix(&case.place);
                rest.is_some_and(|rest| rest.starts_with(" must be "))
                    || fault.message.starts_with("not TOML")
            })?;
            Some(format!("{}\n{}", wrong.message, case.text))
        })
        .collect();
    assert!(refused.is_empty(), "{}", refused.join("\n\n"));
}

/// Adds a case for each string at and below a key; `around` are the tables that it is in.
fn walk(key: &KeyDoc, folder: &Path, around: &[(String, bool)], cases: &mut Vec<Case>) {
    let is_list = key.shape.kind.starts_with("list of");
    let mut inside = around.to_vec();
    inside.push((key.name.to_owned(), is_list));
    if key.shape.named {
        inside.push(("x".to_owned(), false));
    }
    let inner = key.shape.keys.map(|keys| keys()).unwrap_or_default();
    if inside.len() < 8 {
        for key in &inner {
            walk(key, folder, &inside, cases);
        }
    }
    let Some(in_list) = string_in(&key.form) else {
        return;
    };
    let example = key.shape.example.trim_matches(['[', ']', ' ', '"']);
    let example = example.split('"').next().unwrap_or_default();
    let file = folder.join(cases.len().to_string());
    fs::write(&file, example).unwrap();
    let mut text = format!("{{ file = {:?} }}", file.display().to_string());
    if in_list {
        text = format!("[{text}]");
    }
    let mut place: Vec<&str> = around.iter().map(|(name, _)| name.as_str()).collect();
    place.push(key.name);
    text = format!("{{ {} = {text} }}", key.name);
    for (name, is_list) in around.iter().rev() {
        text = match is_list {
            true => format!("{{ {name} = [{text}] }}"),
            false => format!("{{ {name} = {text} }}"),
        };
    }
    // The outermost braces are those of the file.
    let text = text.trim_start_matches("{ ").trim_end_matches(" }");
    let closed = text.matches('{').count() - text.matches('}').count();
    cases.push(Case {
        place: place.join("."),
        text: format!("{text}{}", " }".repeat(closed)),
    });
}

/// Returns whether a string stands in a list, for a setting that may be one.
fn string_in(form: &Form) -> Option<bool> {
    match form {
        Form::Text | Form::Words(_) => Some(false),
        Form::List(item) => matches!(**item, Form::Text | Form::Words(_)).then_some(true),
        Form::Either(forms) => forms.iter().find_map(string_in),
        _ => None,
    }
}
