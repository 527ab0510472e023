//! HAProxy: sections of lines. A frontend becomes listeners and routes, a backend a pool.
//!
//! The rules of a frontend are tried in their order, which the routes have as `priority`. Source: the
//! configuration manual of HAProxy.

mod backend;
mod condition;
mod frontend;
mod kind;
mod rule;
mod words;

#[cfg(test)]
mod tests;

use std::{collections::HashMap, path::Path, rc::Rc};

use super::{
    ImportError, Imported,
    document::{Document, ROUTE_OWN, Source, Table},
    files::Files,
    made::Made,
};

/// A line: its words.
#[derive(Clone, Debug)]
struct Line {
    words: Vec<String>,
    source: Source,
}

/// A section with the settings of the `defaults` before it.
#[derive(Clone, Debug)]
struct Section {
    kind: String,
    name: String,
    lines: Vec<Line>,
    defaults: Rc<[Line]>,
    source: Source,
}

impl Line {
    fn words(&self) -> Vec<&str> {
        self.words.iter().map(String::as_str).collect()
    }
}

impl Section {
    /// Lines that begin with these words; else those of the defaults.
    fn find(&self, words: &[&str]) -> Option<&Line> {
        let begins = |line: &&Line| {
            let known = line.words.iter().map(String::as_str);
            known.take(words.len()).eq(words.iter().copied())
        };
        let own = self.lines.iter().rev().find(begins);
        own.or_else(|| self.defaults.iter().rev().find(begins))
    }
}

/// Reads a configuration of HAProxy and writes it anew.
pub(super) fn import(path: &Path) -> Result<Imported, ImportError> {
    let read = Files::of(path).read(path, 0)?;
    let name = &read.name;
    let sections = sections(&read.text, name)?;
    let mut translator = Translator {
        sections: &sections,
        made: Made::default(),
        pools: HashMap::new(),
        tables: Vec::new(),
        head: Table::default(),
    };
    translator.head.note(format!(
        "Written by `sluicegate import haproxy {name}`. Above each key stands the line that it came from."
    ));
    translator.all();
    let document = translator.document();
    Ok(Imported {
        untranslated: document.untranslated(),
        text: document.text(),
    })
}

/// Tables made of a configuration so far.
struct Translator<'a> {
    sections: &'a [Section],
    made: Made,
    /// Names of pools by backend.
    pools: HashMap<String, String>,
    tables: Vec<Table>,
    head: Table,
}

impl Translator<'_> {
    fn all(&mut self) {
        let sections = self.sections;
        let fronts = sections
            .iter()
            .filter(|it| matches!(&*it.kind, "frontend" | "listen"));
        let count = fronts.clone().count();
        for section in sections {
            match &*section.kind {
                "frontend" | "listen" => self.frontend(section, count > 1),
                "backend" | "defaults" => {}
                "global" => self.head.needless(&section.source, "[proxy], [admin] and [log] have their own keys"),
                "peers" | "resolvers" | "ring" | "mailers" => {
                    self.head.needless(&section.source, "names are looked up by their time to live, and nothing is shared between proxies");
                }
                "userlist" => self.head.untranslated(
                    &section.source,
                    "write the users as USER:HASH into a file: auth = { basic = { file = \"users.htpasswd\" } } of the route",
                ),
                _ => self.head.untranslated(&section.source, "no equal is known"),
            }
        }
    }

    fn document(self) -> Document {
        let mut document = Document {
            head: self.head,
            tables: self.made.listeners,
        };
        document.tables.extend(self.made.routes);
        document.tables.extend(self.tables);
        document.share("listeners", &["address", "tls"]);
        document.share("routes", &ROUTE_OWN);
        document.share("pools", &["endpoints", "picker"]);
        document
    }
}

/// Returns the sections of a file.
fn sections(text: &str, file: &str) -> Result<Vec<Section>, ImportError> {
    let mut sections: Vec<Section> = Vec::new();
    let mut defaults: Rc<[Line]> = Rc::default();
    for (at, written) in text.lines().enumerate() {
        let fault = |message: &str| ImportError::Malformed {
            file: file.to_owned(),
            line: at + 1,
            message: message.to_owned(),
        };
        let words = split(written).map_err(fault)?;
        let Some(first) = words.first() else { continue };
        let source = Source {
            place: format!("{file}:{}", at + 1),
            text: written.split_whitespace().collect::<Vec<_>>().join(" "),
        };
        if SECTIONS.contains(&&**first) {
            if let Some(last) = sections.last()
                && last.kind == "defaults"
            {
                defaults = last.lines.as_slice().into();
            }
            sections.push(Section {
                kind: first.clone(),
                name: words.get(1).cloned().unwrap_or_default(),
                lines: Vec::new(),
                defaults: Rc::clone(&defaults),
                source,
            });
        } else if let Some(section) = sections.last_mut() {
            section.lines.push(Line { words, source });
        } else {
            return Err(fault(
                "a line before the first section, such as \"frontend web\"",
            ));
        }
    }
    Ok(sections)
}

/// Returns the words of a line, without its comment.
fn split(line: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            ('\\', None | Some('"')) => {
                let word = word.get_or_insert_default();
                match letters.next() {
                    // Of an expression the escape stays.
                    Some(next) if !matches!(next, ' ' | '"' | '\'' | '#' | '\\') => {
                        word.push('\\');
                        word.push(next);
                    }
                    Some(next) => word.push(next),
                    None => {}
                }
            }
            ('"' | '\'', None) => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (letter, Some(end)) if letter == end => quote = None,
            ('#', None) => break,
            (letter, None) if letter.is_whitespace() => words.extend(word.take()),
            (letter, _) => word.get_or_insert_default().push(letter),
        }
    }
    if quote.is_some() {
        return Err("a quote that does not end");
    }
    words.extend(word);
    Ok(words)
}

/// Returns a time such as `30s` or `5000` (milliseconds) as a duration, in TOML.
fn duration(text: &str) -> Option<String> {
    let digits = text.trim_end_matches(|it: char| it.is_ascii_alphabetic());
    let number: u64 = digits.parse().ok()?;
    let unit = match &text[digits.len()..] {
        "" | "ms" if number.is_multiple_of(1000) => return Some(format!("\"{}s\"", number / 1000)),
        "" | "ms" => "ms",
        unit @ ("s" | "m" | "h") => unit,
        "d" => return Some(format!("\"{}h\"", number * 24)),
        _ => return None,
    };
    Some(format!("\"{number}{unit}\""))
}

const SECTIONS: [&str; 12] = [
    "global",
    "defaults",
    "frontend",
    "backend",
    "listen",
    "peers",
    "resolvers",
    "userlist",
    "mailers",
    "ring",
    "program",
    "cache",
];
