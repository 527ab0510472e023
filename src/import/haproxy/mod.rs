//! HAProxy: sections of lines. A frontend becomes listeners and routes, a backend a pool.
//!
//! The rules of a frontend are tried in their order, which the routes have as `priority`. Source: the
//! configuration manual of HAProxy.

mod backend;
mod bind;
mod condition;
mod frontend;
mod kind;
mod map;
mod process;
mod rate;
mod rest;
mod rule;
mod sample;
mod words;

#[cfg(test)]
mod tests;

use std::{cell::RefCell, collections::HashMap, path::Path, rc::Rc};

use super::{
    ImportError, Imported,
    document::{Document, Source, Table, head},
    files::Files,
    made::Made,
    text::{duration_of, micros},
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
    let mut files = Files::of(path);
    let read = files.read(path, 0)?;
    let name = &read.name;
    let sections = sections(&read.text, name)?;
    let mut translator = Translator {
        sections: &sections,
        files: RefCell::new(files),
        made: Made::default(),
        pools: HashMap::new(),
        tables: Vec::new(),
        head: head("haproxy", name),
        proxy: Table::new("proxy"),
    };
    translator.all();
    Ok(translator.document().imported())
}

/// Tables made of a configuration so far.
struct Translator<'a> {
    sections: &'a [Section],
    files: RefCell<Files>,
    made: Made,
    /// Names of pools by backend.
    pools: HashMap<String, String>,
    tables: Vec<Table>,
    head: Table,
    proxy: Table,
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
                "global" => self.global(section),
                "program" => self.head.untranslated(
                    &section.source,
                    "a service manager starts other programs",
                ),
                // Told where they are used.
                "cache" | "http-errors" => {}
                "peers" | "resolvers" | "ring" | "mailers" | "log-forward" | "log-profile"
                | "traces" | "crt-store" | "acme" => {
                    self.head.needless(&section.source, "names are looked up by their time to live, and nothing is shared between proxies");
                }
                "userlist" => self.head.untranslated(
                    &section.source,
                    "write the users as USER:HASH into a file: auth = { basic = { file = \"users.htpasswd\" } } of the route",
                ),
                _ => self.head.untranslated(&section.source, "no equal is known"),
            }
        }
        for section in sections.iter().filter(|it| it.kind == "backend") {
            let is_http = |it: &Line| it.words.get(1).is_none_or(|it| it == "http");
            if !self.pools.contains_key(&section.name)
                && section.find(&["mode"]).is_none_or(is_http)
                && self.pool(&section.name, section).is_some()
                && let Some(table) = self.tables.last_mut()
            {
                table.note("no frontend of this file sends requests here: write a route with this pool, or remove it");
            }
        }
        self.rest();
    }

    fn document(self) -> Document {
        let made = self.made.listeners.into_iter().chain(self.made.routes);
        let all = [self.proxy].into_iter().chain(made).chain(self.tables);
        let mut document = Document::of(self.head, all);
        document.share("listeners", &["address", "tls"]);
        document.share_of_routes();
        document.bound_bodies(
            "false",
            "HAProxy has no bound on request bodies; the default here is 10MiB",
        );
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
        let words = words.into_iter().map(of_today).collect::<Vec<_>>();
        let words = timeouts_of_today(words);
        let Some(first) = words.first() else { continue };
        let source = Source {
            place: format!("{file}:{}", at + 1),
            text: shown(written),
        };
        if first.starts_with('.') {
            // A condition on the process that reads the file.
            if let Some(section) = sections.last_mut() {
                section.lines.push(Line { words, source });
            }
        } else if SECTIONS.contains(&&**first) {
            if let Some(last) = sections.last()
                && last.kind == "defaults"
            {
                defaults = last.lines.as_slice().into();
            }
            let mut lines = Vec::new();
            // Versions before 1.5 have the address behind the name.
            if let ("listen" | "frontend", Some(address)) = (&**first, words.get(2))
                && address.contains(':')
            {
                let mut bind = vec!["bind".to_owned()];
                bind.extend(words[2..].iter().cloned());
                lines.push(Line {
                    words: bind,
                    source: source.clone(),
                });
            }
            sections.push(Section {
                kind: first.clone(),
                name: words.get(1).cloned().unwrap_or_default(),
                lines,
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
    sections.iter_mut().for_each(Section::settle);
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

/// The text of a line as its comment shows it: no password stands in it.
fn shown(written: &str) -> String {
    let words: Vec<&str> = written.split_whitespace().collect();
    match words[..] {
        ["stats", "auth", ..] => "stats auth ***".to_owned(),
        _ => words.join(" "),
    }
}

/// Writes a word that is a variable of the environment as `{$NAME}`.
fn of_today(word: String) -> String {
    let name = word.strip_prefix('$').map(|it| {
        let inner = it.strip_prefix('{').and_then(|it| it.strip_suffix('}'));
        inner.unwrap_or(it)
    });
    let is_name = |it: &&str| {
        let is_letter = |it: u8| it.is_ascii_uppercase() || it.is_ascii_digit() || it == b'_';
        !it.is_empty() && it.bytes().all(is_letter)
    };
    match name.filter(is_name) {
        Some(name) => format!("{{${name}}}"),
        None => word,
    }
}

/// Writes words of versions before 1.5 as those of today.
fn timeouts_of_today(mut words: Vec<String>) -> Vec<String> {
    let kind = match words.first().map(|it| &**it) {
        Some("contimeout") => "connect",
        Some("clitimeout") => "client",
        Some("srvtimeout") => "server",
        _ => return words,
    };
    words.splice(0..1, ["timeout".to_owned(), kind.to_owned()]);
    words
}

/// Returns a time such as `30s` or `5000` (milliseconds) as a duration, in TOML.
fn duration(text: &str) -> Option<String> {
    micros(text, &UNITS).map(|it| duration_of(it.div_ceil(1000)))
}

/// Units of time; a number alone is in milliseconds.
const UNITS: [(&str, u64); 7] = [
    ("", 1000),
    ("us", 1),
    ("ms", 1000),
    ("s", 1_000_000),
    ("m", 60_000_000),
    ("h", 3_600_000_000),
    ("d", 86_400_000_000),
];
const SECTIONS: [&str; 19] = [
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
    "http-errors",
    "log-forward",
    "log-profile",
    "fcgi-app",
    "crt-store",
    "traces",
    "acme",
];
