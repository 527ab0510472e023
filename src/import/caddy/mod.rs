//! Caddy: a Caddyfile with sites, each a block of directives in a fixed order.
//!
//! A site becomes the hosts of routes; each directive that answers becomes a route, and the others of
//! its block what that route does on the way. Source: the reference of the Caddyfile.

mod guard;
mod header;
mod matcher;
mod meeting;
mod proxy;
mod route;
mod site;
mod snippet;
mod syntax;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use super::{
    ImportError, Imported,
    document::{Document, ROUTE_OWN, Source, Table},
    made::Made,
};
use snippet::Reader;
use syntax::Line;

/// Reads a Caddyfile and writes it anew.
pub(super) fn import(path: &Path) -> Result<Imported, ImportError> {
    let folder = path.parent().filter(|it| *it != Path::new(""));
    let folder = folder.unwrap_or_else(|| Path::new("."));
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let lines = Reader::of(path).read(path)?;
    let mut translator = Translator {
        folder,
        made: Made::default(),
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

/// Tables made of a Caddyfile so far.
struct Translator {
    folder: PathBuf,
    made: Made,
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
        document.tables.extend(self.made.listeners);
        document.tables.extend(self.made.routes);
        document
            .tables
            .extend(self.pools.into_iter().map(|(_, table)| table));
        document.share("routes", &ROUTE_OWN);
        document
    }

    fn path_of(&self, written: &str) -> String {
        self.folder.join(written).to_string_lossy().into_owned()
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
        "import" => {
            "no snippet or file has this name: copy what it names beside the Caddyfile and import again, or remove the line"
        }
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
