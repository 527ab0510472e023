//! The tree of a file: YAML or TOML, each value with its line.

mod yaml;

use std::rc::Rc;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use yaml::Yaml;

use crate::{
    file::Lines,
    import::{ImportError, document::Source, files::Text},
};

/// A value with its place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) value: Value,
    /// The line, from 1.
    pub(super) line: usize,
    file: Rc<File>,
}

/// Values of all types but tables and lists are texts.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Map(Vec<(String, Node)>),
    List(Vec<Node>),
    Text(String),
    Null,
}

#[derive(Debug)]
struct File {
    name: Rc<str>,
    lines: Vec<String>,
}

impl Node {
    /// The line that the value stands in.
    pub(super) fn source(&self) -> Source {
        let text = self.file.lines.get(self.line - 1);
        Source {
            place: format!("{}:{}", self.file.name, self.line),
            text: text.map_or("", |it| it.trim()).to_owned(),
        }
    }

    /// The place of the value, with another text.
    pub(super) fn source_as(&self, text: impl Into<String>) -> Source {
        Source {
            text: text.into(),
            ..self.source()
        }
    }

    /// The entries of a table.
    pub(super) fn entries(&self) -> &[(String, Self)] {
        match &self.value {
            Value::Map(entries) => entries,
            Value::List(_) | Value::Text(_) | Value::Null => &[],
        }
    }

    /// The value of a key, in any case of its letters.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        let mut entries = self.entries().iter();
        let found = entries.find(|(known, _)| known.eq_ignore_ascii_case(key));
        found.map(|(_, node)| node)
    }

    /// The value at a path of keys.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            Value::Map(_) | Value::List(_) | Value::Null => None,
        }
    }

    pub(super) fn is_true(&self) -> bool {
        self.text()
            .is_some_and(|it| it.eq_ignore_ascii_case("true"))
    }

    /// The items of a list; a text alone is a list of its parts.
    pub(super) fn items(&self) -> Vec<(&str, &Self)> {
        match &self.value {
            Value::List(items) => {
                let texts = items.iter().filter_map(|it| Some((it.text()?, it)));
                texts.collect()
            }
            Value::Text(text) => text.split(',').map(|it| (it.trim(), self)).collect(),
            Value::Map(_) | Value::Null => Vec::new(),
        }
    }

    /// The texts in it, each with its path from here.
    pub(super) fn leaves<'n>(&'n self, path: &str, found: &mut Vec<(String, &'n Self)>) {
        match &self.value {
            Value::Map(entries) => {
                for (key, node) in entries {
                    node.leaves(&below(path, key), found);
                }
            }
            Value::List(items) => {
                for (at, node) in items.iter().enumerate() {
                    node.leaves(&format!("{path}[{at}]"), found);
                }
            }
            Value::Text(_) => found.push((path.to_owned(), self)),
            Value::Null => {}
        }
    }
}

/// The path of a key in a table.
pub(super) fn below(path: &str, key: &str) -> String {
    match path {
        "" => key.to_owned(),
        path => format!("{path}.{key}"),
    }
}

/// Reads a file; what does not end in `.toml` is YAML.
///
/// # Errors
/// The line that is not in the syntax.
pub(super) fn parse(read: Text) -> Result<Node, ImportError> {
    let is_toml = read.name.to_ascii_lowercase().ends_with(".toml");
    let filled = filled(&read, |name| std::env::var(name).ok())?;
    let file = Rc::new(File {
        name: read.name,
        lines: read.text.lines().map(str::to_owned).collect(),
    });
    let tree = match is_toml {
        true => of_toml(&filled, &file),
        false => Yaml::new(&file).read(&filled),
    };
    tree.map_err(|(line, message)| {
        let message = match read.text.contains("{{") {
            true => format!(
                "{message}; of templates of Go only {{{{ env \"NAME\" }}}} is filled in: import what the others become"
            ),
            false => message,
        };
        ImportError::Malformed {
            file: file.name.to_string(),
            line,
            message,
        }
    })
}

type Fault = (usize, String);

/// Returns the text with `{{ env "NAME" }}` filled in; other templates stay.
fn filled(read: &Text, variable: impl Fn(&str) -> Option<String>) -> Result<String, ImportError> {
    let mut filled = String::with_capacity(read.text.len());
    for (at, line) in read.text.split_inclusive('\n').enumerate() {
        let mut rest = line;
        while let Some((before, behind)) = rest.split_once("{{") {
            filled.push_str(before);
            let name = behind.split_once("}}").and_then(|(inner, after)| {
                let name = inner.trim_matches([' ', '-']).strip_prefix("env")?.trim();
                let quote = name.chars().next().filter(|it| matches!(it, '"' | '`'))?;
                Some((name.strip_prefix(quote)?.strip_suffix(quote)?, after))
            });
            let Some((name, after)) = name else {
                filled.push_str("{{");
                rest = behind;
                continue;
            };
            let value = variable(name).filter(|it| !it.contains(char::is_control));
            filled += &value.ok_or_else(|| ImportError::Malformed {
                file: read.name.to_string(),
                line: at + 1,
                message: format!(
                    "the environment variable {name} is not set: set it as Traefik gets it, and import again"
                ),
            })?;
            rest = after;
        }
        filled.push_str(rest);
    }
    Ok(filled)
}

fn of_toml(text: &str, file: &Rc<File>) -> Result<Node, Fault> {
    let lines = Lines::of(text);
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |it| it.start);
        (lines.line(at) + 1, error.message().to_owned())
    })?;
    let of_table = |table: DeTable<'_>| table_of(table, &lines, file);
    Ok(Node {
        value: of_table(table.into_inner()),
        line: 1,
        file: Rc::clone(file),
    })
}

fn table_of(table: DeTable<'_>, lines: &Lines, file: &Rc<File>) -> Value {
    let entries = table.into_iter().map(|(key, value)| {
        let key = key.into_inner().into_owned();
        (key, value_of(value, lines, file))
    });
    Value::Map(entries.collect())
}

fn value_of(value: Spanned<DeValue<'_>>, lines: &Lines, file: &Rc<File>) -> Node {
    let line = lines.line(value.span().start) + 1;
    let value = match value.into_inner() {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Integer(number) => Value::Text(number.to_string()),
        DeValue::Float(number) => Value::Text(number.to_string()),
        DeValue::Boolean(is_true) => Value::Text(is_true.to_string()),
        DeValue::Datetime(time) => Value::Text(time.to_string()),
        DeValue::Array(items) => {
            let items = items.into_iter().map(|it| value_of(it, lines, file));
            Value::List(items.collect())
        }
        DeValue::Table(table) => table_of(table, lines, file),
    };
    Node {
        value,
        line,
        file: Rc::clone(file),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, text: &str) -> Result<Node, ImportError> {
        parse(Text {
            name: name.into(),
            text: text.to_owned(),
        })
    }

    #[test]
    fn yaml_and_toml_give_the_same_tree_with_lines() {
        let yaml = read("a.yml", "a:\n  b: 'x'\n  c: [1, true]\n  d:\n").unwrap();
        let toml = read("a.toml", "[A]\nb = \"x\"\nc = [1, true]\n").unwrap();
        for (tree, line) in [(yaml, 2), (toml, 2)] {
            let b = tree.at(&["a", "b"]).unwrap();
            assert_eq!((b.text(), b.line), (Some("x"), line));
            let items = tree.at(&["a", "C"]).unwrap().items();
            let items: Vec<&str> = items.into_iter().map(|(it, _)| it).collect();
            assert_eq!(items, ["1", "true"]);
        }
    }

    #[test]
    fn variables_of_the_environment_are_filled_in() {
        let text = |text: &str| Text {
            name: "a.yml".into(),
            text: text.to_owned(),
        };
        let known = |name: &str| (name == "A").then(|| "b".to_owned());
        let line = "x: 'Host(`{{ env \"A\" }}`) {{env `A`}} {{ range }}'\n";
        let wanted = "x: 'Host(`b`) b {{ range }}'\n";
        assert_eq!(filled(&text(line), known).unwrap(), wanted);
        let error = filled(&text("\n{{ env \"B\" }}"), known).unwrap_err();
        let told = "a.yml:2: the environment variable B is not set";
        assert!(error.to_string().starts_with(told), "{error}");
    }

    #[test]
    fn anchors_aliases_and_merges_are_followed() {
        let tree = read("a.yml", "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: *a\n").unwrap();
        let at = |path: &[&str]| tree.at(path).and_then(Node::text).map(str::to_owned);
        assert_eq!(at(&["b", "x"]).as_deref(), Some("1"));
        assert_eq!(at(&["b", "y"]).as_deref(), Some("3"));
        assert_eq!(at(&["c", "y"]).as_deref(), Some("2"));
    }

    #[test]
    fn what_grows_or_nests_without_bound_is_refused() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for at in 1..12 {
            let items = vec![format!("*a{}", at - 1); 10].join(", ");
            bomb += &format!("a{at}: &a{at} [{items}]\n");
        }
        let error = read("a.yml", &bomb).unwrap_err().to_string();
        assert!(error.contains("more than 1000000 values"), "{error}");
        let deep = "[".repeat(5000);
        assert!(read("a.yml", &deep).is_err());
        let error = read("a.yml", "a: {{ range $x := y }}\n b: c\n").unwrap_err();
        assert!(error.to_string().contains("templates of Go"), "{error}");
        assert!(read("a.yml", "a: 1\n---\nb: 1\n").is_err());
        assert!(
            read("a.toml", "a = \n")
                .unwrap_err()
                .to_string()
                .starts_with("a.toml:1: ")
        );
        assert!(read("a.yml", "").unwrap().entries().is_empty());
    }
}
