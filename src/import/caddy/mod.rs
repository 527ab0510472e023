//! Caddy: a Caddyfile with sites, each a block of directives in a fixed order.
//!
//! A site becomes the hosts of routes; each directive that answers becomes a route, and the others of
//! its block what that route does on the way. Source: the reference of the Caddyfile.

mod asked;
mod certificate;
mod guard;
mod header;
mod log;
mod matcher;
mod meeting;
mod proxy;
mod rate;
mod rest;
mod route;
mod scope;
mod site;
mod snippet;
mod syntax;
mod within;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use super::{
    ImportError, Imported,
    document::{Document, Source, Table, head},
    files::place_of,
    made::Made,
};
use certificate::Orders;
use snippet::Reader;
use syntax::Line;

/// Reads a Caddyfile and writes it anew.
pub(super) fn import(path: &Path) -> Result<Imported, ImportError> {
    let (folder, name) = place_of(path);
    let lines = Reader::of(path).read(path)?;
    let mut translator = Translator {
        folder,
        made: Made::default(),
        pools: Vec::new(),
        head: head("caddy", &name),
        proxy: Table::new("proxy"),
        log: Table::new("access_log"),
        orders: Orders::default(),
        protocols: Vec::new(),
    };
    translator.sites(&lines);
    translator.rest(&lines);
    Ok(translator.document().imported())
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
    orders: Orders,
    /// Protocols by the global options: for all servers, or for that of one address.
    protocols: Vec<(Option<String>, Line)>,
}

impl Translator {
    fn document(self) -> Document {
        let single = [self.proxy, self.log].into_iter();
        let pools = self.pools.into_iter().map(|(_, table)| table);
        let made = self.made.listeners.into_iter().chain(self.made.routes);
        let mut document = Document::of(self.head, single.chain(made).chain(pools));
        document.share_of_routes();
        document.bound_bodies(
            "false",
            "Caddy has no bound on request bodies; the default here is 10MiB",
        );
        document
    }

    fn path_of(&self, written: &str) -> String {
        self.folder.join(written).to_string_lossy().into_owned()
    }
}

/// Adds a line that was not translated, with what to do.
fn untranslated(table: &mut Table, line: &Line) {
    let advice = match line.name() {
        "file_server" | "root" | "try_files" | "php_fastcgi" | "php_server" | "templates"
        | "push" => {
            "no files are served here, and no FastCGI is spoken: run a server for them behind the proxy and name it as a pool"
        }
        "tls" => {
            "tls = { acme = { domains = [\"…\"] } } of the listener orders a certificate (docs/tls.md), tls = { certificates = [{ chain = \"…\", key = \"…\" }] } names files"
        }
        "import" => {
            "no snippet or file has this name: copy what it names beside the Caddyfile and import again, or remove the line"
        }
        "metrics" => "[admin] has /metrics",
        "map" | "vars" => "there are no variables: write a route for each case",
        "error" | "handle_errors" => "error_pages = { \"502-504\" = { file = \"sorry.html\" } }",
        "proxy" | "gzip" | "header_upstream" | "header_downstream" | "limits" | "fastcgi"
        | "ext" | "internal" | "status" | "errors" | "ipfilter" | "jwt" | "redirect" => {
            "it is of Caddy 1: write it as Caddy 2 does (reverse_proxy, encode, request_body, …) and import again"
        }
        "basic_auth" | "basicauth" => {
            "write the lines as USER:HASH into a file: auth = { basic = { file = \"users.htpasswd\" } } of the route"
        }
        "encode" => "compress = {} of the route",
        "header" => "headers_response of the route",
        "request_header" => "headers_request of the route",
        "request_body" => "body_max of the route",
        "email" => "contact = \"mailto:…\" of tls.acme, where a listener orders certificates",
        "rate_limit" => "rate_limit = { key = \"client_ip\", rate = \"10/s\" } of the route",
        "log" => "[access_log]",
        "reverse_proxy" => "pool of a route",
        "respond" | "abort" | "redir" => "respond or redirect of a route",
        "forward_auth" => "auth = { forward = { pool = \"…\", path = \"…\" } } of the route",
        "acme_server" | "invoke" | "tracing" | "intercept" => "no equal",
        _ => "no equal is known: see docs/coming-from-caddy.md",
    };
    table.untranslated(&line.source, advice);
}

fn remark(source: &Source) -> String {
    format!("{}: {}", source.place, source.text)
}
