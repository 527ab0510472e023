//! nginx: blocks with directives, each inherited by the blocks in it.
//!
//! A server becomes listeners and the hosts of routes; a location becomes a route; an upstream, or an
//! address of `proxy_pass`, a pool. Source: the reference of nginx's directives.

mod access;
mod action;
mod advice;
mod by_map;
mod cache;
mod condition;
mod constant;
mod gate;
mod group;
mod guard;
mod header;
mod included;
mod level;
mod listen;
mod location;
mod log;
mod name;
mod order;
mod pool;
mod quic;
mod route;
mod server;
mod syntax;
mod value;

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use super::{
    ImportError, Imported,
    document::{Document, Source, Table, head},
    files::place_of,
    gate::Gate,
    made::Made,
};
use advice::{Advice, advice};
use included::Reader;
use level::Level;
use order::Order;
use syntax::Directive;

/// Reads a configuration of nginx and writes it anew.
pub(super) fn import(path: &Path) -> Result<Imported, ImportError> {
    let mut tree = Reader::of(path).read(path)?;
    constant::fill(&mut tree);
    let (folder, name) = place_of(path);
    Ok(Translator::of(&tree, folder)
        .document(&tree, &name)
        .imported())
}

/// Named parts of a configuration, and tables made of it so far.
struct Translator<'a> {
    /// The folder that relative paths are taken from.
    folder: PathBuf,
    upstreams: HashMap<&'a str, &'a Directive>,
    /// Tables of values, by the variable that they set.
    maps: HashMap<&'a str, &'a Directive>,
    /// Shares of clients, by the variable that they set.
    shares: HashMap<&'a str, &'a Directive>,
    /// Tables of addresses, by the variable that they set.
    geos: HashMap<&'a str, &'a Directive>,
    /// Zones of `limit_req_zone`, `limit_conn_zone` and `proxy_cache_path`, by name.
    zones: HashMap<String, &'a Directive>,
    formats: HashMap<&'a str, &'a Directive>,
    made: Made,
    proxy: Table,
    pools: Vec<pool::Pool>,
    log: Table,
    /// Lines of the server at hand that close all of its locations, with what to do.
    closing: Vec<(Source, &'static str)>,
    /// Gates of the server at hand before each of its locations.
    gates: Vec<Gate>,
    /// Order of the locations of the server at hand.
    order: Order,
    /// Number of the last expression among these.
    regexes_at: usize,
    quic_ports: quic::QuicPorts,
}

impl<'a> Translator<'a> {
    fn of(tree: &'a [Directive], folder: PathBuf) -> Self {
        let mut translator = Self {
            folder,
            upstreams: HashMap::new(),
            maps: HashMap::new(),
            shares: HashMap::new(),
            geos: HashMap::new(),
            zones: HashMap::new(),
            formats: HashMap::new(),
            made: Made::default(),
            proxy: Table::new("proxy"),
            pools: Vec::new(),
            log: Table::new("access_log"),
            closing: Vec::new(),
            gates: Vec::new(),
            order: Order::default(),
            regexes_at: 0,
            quic_ports: quic::QuicPorts::default(),
        };
        for directive in blocks(tree) {
            match &*directive.name {
                "upstream" => {
                    translator.upstreams.insert(directive.first(), directive);
                }
                "map" => {
                    let variable = directive.args.get(1).map_or("", String::as_str);
                    let variable = variable.trim_start_matches('$');
                    translator.maps.insert(variable, directive);
                }
                "split_clients" => {
                    let variable = directive.args.last().map_or("", String::as_str);
                    let variable = variable.trim_start_matches('$');
                    translator.shares.insert(variable, directive);
                }
                "geo" => {
                    let variable = directive.args.last().map_or("", String::as_str);
                    let variable = variable.trim_start_matches('$');
                    translator.geos.insert(variable, directive);
                }
                "log_format" => {
                    translator.formats.insert(directive.first(), directive);
                }
                "limit_req_zone" | "limit_conn_zone" | "proxy_cache_path" => {
                    if let Some(zone) = zone_of(directive) {
                        translator.zones.insert(zone.to_owned(), directive);
                    }
                }
                _ => {}
            }
        }
        translator
    }

    fn document(mut self, tree: &'a [Directive], name: &str) -> Document {
        let mut head = head("nginx", name);
        let main = Level::outermost(tree);
        let http = http_of(tree);
        let level = Level::within(http, &main);
        self.process(&main);
        self.access_log(&level);
        self.servers(http, &level);
        self.used(&level);
        self.unknown(&main, &mut head);
        if !std::ptr::eq(http, tree) {
            self.unknown(&level, &mut head);
        }
        let single = [self.proxy, self.log].into_iter();
        let pools = self.pools.into_iter().map(|pool| pool.table);
        let made = self.made.listeners.into_iter().chain(self.made.routes);
        let mut document = Document::of(head, single.chain(made).chain(pools));
        document.share("listeners", &["address", "tls", "protocols"]);
        document.share_of_routes();
        document.bound_bodies(
            "\"1MiB\"",
            "nginx: client_max_body_size is 1m where it is not written",
        );
        document.share("pools", &["endpoints", "picker"]);
        document
    }

    /// Settings of the process.
    fn process(&mut self, main: &Level<'a>) {
        if let Some(workers) = main.one("worker_processes")
            && workers.first() != "auto"
        {
            self.proxy.set(&workers.source, "workers", workers.first());
        }
        if let Some(timeout) = main.one("worker_shutdown_timeout")
            && let Some(time) = value::duration(timeout.first())
        {
            self.proxy.set(&timeout.source, "drain.timeout", time);
        }
    }

    /// Marks what was used by others: an upstream that a pool was made of, a table that a route was
    /// made of.
    fn used(&self, level: &Level<'a>) {
        let pools = self.pools.iter();
        for name in pools.filter_map(|pool| pool.upstream.as_deref()) {
            if let Some(upstream) = self.upstreams.get(name) {
                level.mark(upstream);
            }
        }
    }

    /// Adds what is left of a block to a table.
    fn unknown(&self, level: &Level<'_>, table: &mut Table) {
        for directive in level.rest() {
            if is_structure(&directive.name) {
                continue;
            }
            untranslated(table, directive);
        }
    }

    /// Returns a path as it is from anywhere.
    fn path_of(&self, written: &str) -> PathBuf {
        self.folder.join(written)
    }
}

/// Adds a directive that was not translated, with what to do.
fn untranslated(table: &mut Table, directive: &Directive) {
    match advice(&directive.name) {
        _ if directive.name == "proxy_redirect" && directive.first() == "off" => {
            table.needless(&directive.source, "Location passes as the service wrote it");
        }
        _ if directive.name == "map" && directive.first() == "$http_upgrade" => {
            table.needless(
                &directive.source,
                "upgrades such as WebSocket pass by themselves",
            );
        }
        _ if directive.name == "include" && !included::is_needless(directive.first()) => {
            let advice = "no file fits this name: copy what it names beside the main file and import again, or remove the line";
            table.untranslated(&directive.source, advice);
        }
        Advice::Needless(why) => table.needless(&directive.source, why),
        Advice::Instead(what) | Advice::Closes(what) => {
            table.untranslated(&directive.source, what);
        }
    }
}

/// Blocks whose content is looked at elsewhere.
fn is_structure(name: &str) -> bool {
    matches!(name, "http" | "server" | "location")
}

/// Returns all directives, each before those of its block.
fn blocks(tree: &[Directive]) -> Vec<&Directive> {
    let mut all = Vec::new();
    for directive in tree {
        all.push(directive);
        all.extend(blocks(directive.inner()));
    }
    all
}

/// Returns the block with the servers; a file of `conf.d` is one itself.
fn http_of(tree: &[Directive]) -> &[Directive] {
    let http = tree.iter().find(|it| it.name == "http");
    http.map_or(tree, Directive::inner)
}

/// Returns the name of the zone that a directive makes.
fn zone_of(directive: &Directive) -> Option<&str> {
    let key = match &*directive.name {
        "proxy_cache_path" => "keys_zone=",
        _ => "zone=",
    };
    let zone = directive.args.iter().find_map(|it| it.strip_prefix(key))?;
    Some(zone.split(':').next().unwrap_or(zone))
}

/// The value of a word such as `rate=10r/s`.
fn named<'d>(directive: &'d Directive, key: &str) -> Option<&'d str> {
    directive.args.iter().find_map(|it| it.strip_prefix(key))
}

/// A remark of one line about a line.
fn remark(source: &Source, text: &str) -> String {
    format!("{}: {text}", source.place)
}
