//! Caddy: a Caddyfile with sites, each a block of directives in a fixed order.
//!
//! A site becomes the hosts of routes; each directive that answers becomes a route, and the others of
//! its block what that route does on the way. Source: the reference of the Caddyfile.

mod matcher;
mod meeting;
mod proxy;
mod route;
mod site;
mod syntax;

#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
    rc::Rc,
};

use super::{
    ImportError, Imported,
    document::{Document, ROUTE_OWN, Source, Table},
    glob::matching,
};
use syntax::{Line, parse};

/// Reads a Caddyfile and writes it anew.
pub(super) fn import(path: &Path) -> Result<Imported, ImportError> {
    let folder = path.parent().filter(|it| *it != Path::new(""));
    let folder = folder.unwrap_or_else(|| Path::new("."));
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut files = Files {
        folder: folder.clone(),
        count: 0,
        snippets: HashMap::new(),
    };
    let lines = files.read(path, &name, 0)?;
    let mut translator = Translator {
        folder,
        names: HashSet::new(),
        listeners: Vec::new(),
        routes: Vec::new(),
        pools: Vec::new(),
        head: Table::default(),
        proxy: Table::new("proxy"),
        log: Table::new("access_log"),
    };
    translator.head.note(format!(
        "Written by `sluicegate import caddy {name}`. Above each key stands the line that it came from."
    ));
    translator.sites(&lines);
    let document = translator.document();
    Ok(Imported {
        untranslated: document.untranslated(),
        text: document.text(),
    })
}

/// Reads files, and puts snippets and files in the place of `import`.
struct Files {
    folder: PathBuf,
    count: usize,
    snippets: HashMap<String, Vec<Line>>,
}

impl Files {
    fn read(&mut self, path: &Path, name: &str, depth: usize) -> Result<Vec<Line>, ImportError> {
        self.count += 1;
        if self.count > FILES_MAX || depth > DEPTH_MAX {
            return Err(ImportError::TooMuch(format!(
                "{name}: more than {FILES_MAX} files, or {DEPTH_MAX} in one another; does it import itself?"
            )));
        }
        let unreadable = |error| ImportError::Unreadable(path.to_owned(), error);
        let text = fs::read(path).map_err(unreadable)?;
        if text.len() > BYTES_MAX {
            return Err(ImportError::TooMuch(format!(
                "{name}: larger than {} MiB",
                BYTES_MAX >> 20
            )));
        }
        let text = String::from_utf8_lossy(&text);
        let name: Rc<str> = name.into();
        self.imported(parse(&text, &name)?, depth)
    }

    fn imported(&mut self, lines: Vec<Line>, depth: usize) -> Result<Vec<Line>, ImportError> {
        let mut all = Vec::new();
        for mut line in lines {
            let block = std::mem::take(&mut line.block);
            line.block = self.imported(block, depth)?;
            if let Some(name) = line.name().strip_prefix('(') {
                let name = name.trim_end_matches(')').to_owned();
                self.snippets.insert(name, line.block);
                continue;
            }
            if line.name() != "import" {
                all.push(line);
                continue;
            }
            let [what, ..] = line.args()[..] else {
                all.push(line);
                continue;
            };
            if let Some(snippet) = self.snippets.get(what) {
                all.extend(filled(snippet, &line.args()[1..]));
                continue;
            }
            let paths = matching(&self.folder.join(what));
            let paths: Vec<PathBuf> = paths.into_iter().filter(|it| it.is_file()).collect();
            if paths.is_empty() {
                // Told where it stands.
                all.push(line);
                continue;
            }
            for path in paths {
                let name = path.strip_prefix(&self.folder).unwrap_or(&path);
                let name = name.display().to_string();
                all.extend(self.read(&path, &name, depth + 1)?);
            }
        }
        Ok(all)
    }
}

/// Fills the arguments of a snippet.
fn filled(lines: &[Line], args: &[&str]) -> Vec<Line> {
    let fill = |word: &String| {
        let mut word = word.clone();
        for (at, arg) in args.iter().enumerate() {
            word = word.replace(&format!("{{args[{at}]}}"), arg);
            word = word.replace(&format!("{{args.{at}}}"), arg);
        }
        word
    };
    let one = |line: &Line| Line {
        words: line.words.iter().map(fill).collect(),
        block: filled(&line.block, args),
        source: line.source.clone(),
    };
    lines.iter().map(one).collect()
}

/// Tables made of a Caddyfile so far.
struct Translator {
    folder: PathBuf,
    names: HashSet<String>,
    listeners: Vec<Table>,
    routes: Vec<Table>,
    /// Pools with what makes them the same.
    pools: Vec<(String, Table)>,
    head: Table,
    proxy: Table,
    log: Table,
}

impl Translator {
    fn document(self) -> Document {
        let mut document = Document {
            head: self.head,
            tables: Vec::new(),
        };
        let filled = |table: &Table| !table.is_empty();
        document
            .tables
            .extend([self.proxy, self.log].into_iter().filter(filled));
        document.tables.extend(self.listeners);
        document.tables.extend(self.routes);
        document
            .tables
            .extend(self.pools.into_iter().map(|(_, table)| table));
        document.share("routes", &ROUTE_OWN);
        document
    }

    /// Returns a name that no table of the kind has.
    fn name(&mut self, kind: &str, wanted: &str) -> String {
        let mut name = wanted.to_owned();
        for number in 2.. {
            if self.names.insert(format!("{kind}.{name}")) {
                break;
            }
            name = format!("{wanted}_{number}");
        }
        name
    }

    fn path_of(&self, written: &str) -> String {
        self.folder.join(written).to_string_lossy().into_owned()
    }

    /// Keeps comments that belong to no route.
    fn leave(&mut self, mut table: Table) {
        self.names.remove(&table.name);
        table.name.clear();
        table.keep_remarks();
        if !table.is_empty() {
            self.routes.push(table);
        }
    }
}

/// Adds a line that was not translated, with what to do.
fn untranslated(table: &mut Table, line: &Line) {
    let advice = match line.name() {
        "file_server" | "root" | "try_files" | "php_fastcgi" | "templates" | "push" => {
            "no files are served here, and no FastCGI is spoken: run a server for them behind the proxy and name it as a pool"
        }
        "tls" => {
            "certificates are not fetched by themselves: tls = { certificates = [{ chain = \"…\", key = \"…\" }] } of the listener"
        }
        "import" => "there is no such snippet or file",
        "metrics" => "[admin] has /metrics",
        "map" | "vars" => "there are no variables: write a route for each case",
        "error" | "handle_errors" => "error_pages = { \"502-504\" = { file = \"sorry.html\" } }",
        "acme_server" | "invoke" | "tracing" | "intercept" => "no equal",
        _ => "no equal is known: see docs/coming-from-caddy.md",
    };
    table.untranslated(&line.source, advice);
}

fn remark(source: &Source) -> String {
    format!("{}: {}", source.place, source.text)
}

const FILES_MAX: usize = 1000;
const DEPTH_MAX: usize = 16;
const BYTES_MAX: usize = 16 << 20;
