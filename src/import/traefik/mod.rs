//! Traefik: files of its file provider, and the static configuration that names them.
//!
//! A router becomes a route for each alternative of its rule, a middleware keys of that route, a
//! service a pool, an entry point a listener. Source: Traefik's reference of versions 2 and 3.

mod entry_point;
mod http3;
mod matcher;
mod middleware;
mod reading;
mod router;
mod rule;
mod service;
mod tls;
mod tree;
mod value;

#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
};

use super::{
    ImportError, Imported,
    document::{Document, Table, head},
    files::{Files, place_of},
    made::Made,
};
use entry_point::EntryPoint;
use reading::{Reading, block};
use tree::Node;

/// Reads files of Traefik and writes them anew.
pub(super) fn import(path: &Path) -> Result<Imported, ImportError> {
    let (folder, name) = place_of(path);
    let trees = read(path)?;
    let translator = Translator::of(&trees, folder, &name);
    Ok(translator.document().imported())
}

/// Reads a file, and those that its provider of files names; or the static configuration beside it,
/// if it has no entry points itself.
fn read(path: &Path) -> Result<Vec<Node>, ImportError> {
    let mut files = Files::of(path);
    let main = tree::parse(files.read(path, 0)?)?;
    let mut paths = Vec::new();
    if let Some(provider) = main.at(&["providers", "file"]) {
        let text = |key: &str| provider.get(key).and_then(Node::text);
        if let Some(file) = text("filename") {
            paths.extend(files.matching(file, USUAL));
        }
        if let Some(folder) = text("directory") {
            let folder = folder.trim_end_matches('/');
            for pattern in ["*.y*ml", "*.toml", "*/*.y*ml", "*/*.toml"] {
                paths.extend(files.matching(&format!("{folder}/{pattern}"), USUAL));
            }
        }
    }
    if main.get("entryPoints").is_none() && main.get("http").is_some() {
        let beside = ["traefik.yml", "traefik.yaml", "traefik.toml"];
        let found = beside.iter().flat_map(|name| files.matching(name, USUAL));
        paths.extend(found.take(1));
    }
    let itself = path.canonicalize().ok();
    paths.retain(|it| it.canonicalize().ok() != itself);
    let mut trees = vec![main];
    for path in paths {
        trees.push(tree::parse(files.read(&path, 1)?)?);
    }
    Ok(trees)
}

/// Tables made of the files so far.
struct Translator<'n> {
    trees: &'n [Node],
    /// The folder that relative paths are taken from.
    folder: PathBuf,
    made: Made,
    pools: Vec<Table>,
    /// Names of pools by service.
    by_service: HashMap<String, String>,
    /// Middlewares, services and transports that something was made of.
    used: HashSet<String>,
    entry_points: Vec<EntryPoint<'n>>,
    head: Table,
    proxy: Table,
}

impl<'n> Translator<'n> {
    fn of(trees: &'n [Node], folder: PathBuf, name: &str) -> Self {
        Self {
            trees,
            folder,
            made: Made::default(),
            pools: Vec::new(),
            by_service: HashMap::new(),
            used: HashSet::new(),
            entry_points: Vec::new(),
            head: head("traefik", name),
            proxy: Table::new("proxy"),
        }
    }

    fn document(mut self) -> Document {
        let mut routers = self.routers();
        self.entry_points(&mut routers);
        self.all_routes(&routers);
        self.listeners();
        self.unused();
        self.others();
        let made = self.made.listeners.into_iter().chain(self.made.routes);
        let all = [self.proxy].into_iter().chain(made).chain(self.pools);
        let mut document = Document::of(self.head, all);
        document.share("listeners", &["address", "tls"]);
        document.share_of_routes();
        document.bound_bodies(
            "false",
            "Traefik has no bound on request bodies; the default here is 10MiB",
        );
        document.share(
            "pools",
            &["endpoints", "picker", "tls", "protocol", "health"],
        );
        document
    }

    /// The entries of a part of all files: `routers` of `http`.
    fn section(
        &self,
        kind: &str,
        section: &str,
    ) -> impl Iterator<Item = (&'n str, &'n Node)> + use<'n> {
        let trees = self.trees.iter();
        let tables: Vec<&Node> = trees.filter_map(|it| it.at(&[kind, section])).collect();
        let entries = tables.into_iter().flat_map(Node::entries);
        entries.map(|(name, node)| (&**name, node))
    }

    /// A middleware, a service or another part by its name.
    fn named(&self, section: &str, name: &str) -> Option<&'n Node> {
        let mut entries = self.section("http", section);
        let found = entries.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, node)| node)
    }

    /// Returns the pool that is like this one.
    fn pool_like(&mut self, mut pool: Table, wanted: &str) -> String {
        if let Some(known) = self.pools.iter().find(|it| it.is_same(&pool)) {
            return known.name.trim_start_matches("pools.").to_owned();
        }
        let name = self.made.name("pools", &super::document::name_of(wanted));
        pool.name = format!("pools.{name}");
        self.pools.push(pool);
        name
    }

    fn path_of(&self, written: &str) -> String {
        self.folder.join(written).to_string_lossy().into_owned()
    }

    /// Tells what no router uses.
    fn unused(&mut self) {
        for section in ["middlewares", "services", "serversTransports"] {
            for (name, node) in self.section("http", section) {
                let key = format!("{section}.{name}").to_ascii_lowercase();
                if !self.used.contains(&key) {
                    let line = block(node, &format!("http.{section}.{name}"));
                    self.head.needless(&line, "no route here uses it");
                }
            }
        }
    }

    /// Tells the parts of the files that have no equal.
    fn others(&mut self) {
        for tree in self.trees {
            let mut rest = Reading::of(tree, "");
            for known in ["entryPoints", "tls"] {
                rest.take(known);
            }
            if let Some(mut http) = rest.inner("http") {
                for known in ["routers", "services", "middlewares", "serversTransports"] {
                    http.take(known);
                }
                http.rest(&mut self.head, middleware::UNKNOWN);
            }
            for kind in ["tcp", "udp"] {
                let Some(parts) = rest.take(kind) else {
                    continue;
                };
                for (section, node) in parts.entries() {
                    for (name, node) in node.entries() {
                        let line = block(node, &format!("{kind}.{section}.{name}"));
                        let what = "TCP and UDP are not forwarded here: leave them to the proxy that does it now";
                        self.head.untranslated(&line, what);
                    }
                }
            }
            if let Some(mut providers) = rest.inner("providers") {
                self.file_provider(&mut providers);
                let what = "endpoints are found by DNS, Consul, etcd, ZooKeeper, Eureka, a file or a URL (discover of a pool), routes stand in files";
                providers.rest(&mut self.head, what);
            }
            for (key, advice, is_needless) in STATIC {
                if *is_needless {
                    rest.needless(&mut self.head, &[key], advice);
                } else {
                    rest.instead(&mut self.head, key, advice);
                }
            }
            rest.rest(&mut self.head, middleware::UNKNOWN);
        }
    }

    fn file_provider(&mut self, providers: &mut Reading<'n>) {
        let Some(mut file) = providers.inner("file") else {
            return;
        };
        let count = self.trees.len();
        for key in ["filename", "directory"] {
            if let Some((_, line)) = file.text(key) {
                match count {
                    1 => self.head.untranslated(&line, "no file was found there: copy what it names beside the main file and import again"),
                    _ => self.head.needless(&line, "read as well"),
                }
            }
        }
        file.needless(&mut self.head, &["watch"], "files are watched");
        file.rest(&mut self.head, middleware::UNKNOWN);
    }
}

/// The folder where Traefik looks by itself.
const USUAL: &str = "/etc/traefik/";

/// Parts of the static configuration: what to do instead, or, with true, why nothing has to be done.
const STATIC: &[(&str, &str, bool)] = &[
    (
        "api",
        "[admin] has the API and the dashboard, on an address of its own",
        true,
    ),
    ("ping", "[admin] has /live and /ready", true),
    ("global", "nothing is sent home", true),
    ("core", "rules of versions 2 and 3 are understood", true),
    ("log", "[log] has the level", false),
    (
        "accessLog",
        "access_log = { path = \"-\", format = \"json\" }",
        false,
    ),
    (
        "metrics",
        "/metrics of [admin], or metrics = { address = \"…\" } for Prometheus",
        false,
    ),
    (
        "tracing",
        "tracing = { otlp = \"http://127.0.0.1:4317\" }",
        false,
    ),
    (
        "certificatesResolvers",
        "tls = { acme = { domains = [\"…\"], contact = \"mailto:…\" } } of a listener, with proxy.state_dir, orders certificates (docs/tls.md): email is contact, caServer is directory; for dnsChallenge let a tool such as certbot write files, which are watched",
        false,
    ),
    (
        "serversTransport",
        "tls and timeouts of [defaults.pools]",
        false,
    ),
    ("experimental", "there are no such plugins here", false),
    ("pilot", "no equal", true),
    (
        "hostResolver",
        "names are compared as clients send them",
        false,
    ),
    (
        "spiffe",
        "tls.client and tls.ca of a pool are files, which are watched",
        false,
    ),
];
