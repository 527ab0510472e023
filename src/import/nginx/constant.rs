//! Variables that `set` gives one value: the value stands where they are used.

use std::collections::HashMap;

use super::{
    syntax::Directive,
    value::{Part, is_plain, parts},
};

/// Puts the values of variables that have the same one for all requests of a block into its lines.
pub(super) fn fill(tree: &mut [Directive]) {
    for directive in tree {
        match &*directive.name {
            "upstream" => {
                let servers = directive.block.as_deref_mut().unwrap_or_default();
                servers.iter_mut().for_each(of_environment);
            }
            "server" => of_block(directive, &HashMap::new()),
            "http" => fill(directive.block.as_deref_mut().unwrap_or_default()),
            _ => {}
        }
    }
}

/// Writes words such as `${SHOP_HOST}`, which a start script fills in, as variables of the environment.
fn of_environment(directive: &mut Directive) {
    for word in &mut directive.args {
        let name = word.strip_prefix("${").and_then(|it| it.strip_suffix('}'));
        let is_letter = |it: u8| it.is_ascii_uppercase() || it.is_ascii_digit() || it == b'_';
        if let Some(name) = name.filter(|it| it.bytes().all(is_letter)) {
            *word = format!("{{${name}}}");
        }
    }
}

fn of_block(outer: &mut Directive, inherited: &HashMap<String, String>) {
    let Some(block) = outer.block.as_deref_mut() else {
        return;
    };
    let mut values = inherited.clone();
    for directive in block.iter_mut() {
        let Some((name, value)) = of_set(directive, &values) else {
            continue;
        };
        if is_plain(&value) {
            values.insert(name, value);
            CONSTANT.clone_into(&mut directive.name);
        } else {
            values.remove(&name);
        }
    }
    // A condition may give another one.
    for condition in block.iter().filter(|it| it.name == "if") {
        for directive in super::blocks(condition.inner()) {
            if directive.name == "set" {
                values.remove(directive.first().trim_start_matches('$'));
            }
        }
    }
    for directive in block.iter_mut() {
        if directive.name == "server_name" {
            of_environment(directive);
        }
        let is_of_values = |it: &&mut Directive| !matches!(&*it.name, "set" | CONSTANT);
        if let Some(directive) = Some(directive).filter(is_of_values) {
            for word in &mut directive.args {
                let filled = filled(word, &values);
                directive.is_filled |= filled != *word;
                *word = filled;
            }
            of_block(directive, &values);
        }
    }
}

/// The variable and the value of a `set`.
fn of_set(directive: &Directive, values: &HashMap<String, String>) -> Option<(String, String)> {
    match &directive.args[..] {
        [name, value] if directive.name == "set" => {
            let name = name.strip_prefix('$')?;
            Some((name.to_owned(), filled(value, values)))
        }
        _ => None,
    }
}

/// A word with the values of its variables.
fn filled(word: &str, values: &HashMap<String, String>) -> String {
    if !word.contains('$') {
        return word.to_owned();
    }
    let known = |it: &Part<'_>| matches!(it, Part::Variable(name) if values.contains_key(*name));
    let parts = parts(word);
    if !parts.iter().any(known) {
        return word.to_owned();
    }
    let one = |part: &Part<'_>| match part {
        Part::Text(text) => (*text).to_owned(),
        Part::Variable(name) => match values.get(*name) {
            Some(value) => value.clone(),
            None => format!("${{{name}}}"),
        },
    };
    parts.iter().map(one).collect()
}

/// The name of a `set` whose value stands where it is used.
pub(super) const CONSTANT: &str = "set (a constant)";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::nginx::syntax::parse;

    #[test]
    fn a_value_stands_where_no_condition_gives_another() {
        let text = "http { server { set $a one; set $b $a/two; p $b;
            location / { p $a$uri; set $a three; }
            location /x { if ($y) { set $a four; } p $a; p $b; } } }";
        let mut tree = parse(text, &"a.conf".into()).unwrap();
        fill(&mut tree);
        let all = super::super::blocks(&tree);
        let of = all.iter().filter(|it| it.name == "p");
        let words: Vec<&str> = of.map(|it| it.first()).collect();
        assert_eq!(words, ["one/two", "three${uri}", "$a", "one/two"]);
    }
}
