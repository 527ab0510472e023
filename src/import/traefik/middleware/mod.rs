//! Middlewares: keys of the route that names them.

mod access;
mod header;
mod limit;
mod path;
mod redirect;

use super::{
    Translator,
    reading::{Reading, block},
    tree::Node,
};
use crate::import::document::{Source, Table, quoted_list};

/// The route that a middleware belongs to.
pub(super) struct Way {
    /// Requests come over TLS only.
    pub(super) is_tls: bool,
    /// Hosts of the route; empty: any.
    pub(super) hosts: Vec<String>,
    /// Routes that are tried before it.
    pub(super) before: Vec<Table>,
}

impl<'n> Translator<'n> {
    /// Writes what middlewares do into a route, in their order.
    pub(super) fn middlewares(
        &mut self,
        table: &mut Table,
        way: &mut Way,
        names: &[(&'n str, Source)],
        depth: usize,
    ) {
        for (written, line) in names {
            let Some(node) = self.middleware(written) else {
                table.close(
                    line,
                    &format!("the middleware {written} is not in these files: write what it does into the route"),
                );
                continue;
            };
            let path = format!("http.middlewares.{}", plain(written));
            if depth > DEPTH_MAX {
                table.close(line, "the chain is too long, or has itself in it");
                continue;
            }
            if node.entries().is_empty() {
                table.close(line, "the middleware is empty");
            }
            table.needless(line, "what it does is written into the route");
            for (kind, inner) in node.entries() {
                let reading = Reading::of(inner, format!("{path}.{kind}"));
                self.one(table, way, kind, reading, depth);
            }
        }
    }

    fn one(
        &mut self,
        table: &mut Table,
        way: &mut Way,
        kind: &str,
        mut reading: Reading<'n>,
        depth: usize,
    ) {
        match &*kind.to_ascii_lowercase() {
            "chain" => {
                let names = reading.items("middlewares");
                self.middlewares(table, way, &names, depth + 1);
                reading.rest(table, UNKNOWN);
            }
            "addprefix" => path::add_prefix(table, reading),
            "stripprefix" => path::strip_prefix(table, reading),
            "stripprefixregex" => path::strip_regex(table, reading),
            "replacepath" => path::replace_path(table, reading),
            "replacepathregex" => path::replace_regex(table, reading),
            "headers" => header::headers(table, way, reading),
            "contenttype" => {
                let why = "a Content-Type is never guessed";
                table.needless(&block(reading.node, &reading.path), why);
            }
            "basicauth" => self.basic_auth(table, reading),
            "forwardauth" => self.forward_auth(table, reading),
            "ipallowlist" | "ipwhitelist" => access::addresses(table, reading),
            "ratelimit" => limit::rate(table, reading),
            "inflightreq" => limit::concurrency(table, reading),
            "buffering" => limit::buffering(table, reading),
            "retry" => limit::retry(table, reading),
            "circuitbreaker" => limit::breaker(table, reading),
            "compress" => limit::compress(table, reading),
            "errors" => limit::errors(table, reading),
            "redirectscheme" => redirect::scheme(table, way, reading),
            "redirectregex" => redirect::regex(table, way, reading),
            "grpcweb" => {
                let path = block(reading.node, &reading.path);
                table.set(&path, "grpc_web", "true");
                let origins = reading.items("allowOrigins");
                if let Some((_, line)) = origins.first() {
                    let origins = quoted_list(origins.iter().map(|(origin, _)| *origin));
                    super::value::claim(table, line, "cors.origins", origins);
                }
                reading.rest(table, UNKNOWN);
            }
            "passtlsclientcert" => {
                let what = "headers_request = { set = { x-client = \"{tls.subject}\" } } of the route, with client_ca of the listener";
                table.untranslated(&block(reading.node, &reading.path), what);
                // A client that writes the field itself would be believed.
                for name in ["x-forwarded-tls-client-cert", "x-forwarded-tls-client-cert-info"] {
                    table.push_plain("headers_request.remove", &format!("\"{name}\""));
                }
            }
            "digestauth" => table.close(
                &block(reading.node, &reading.path),
                "there is no Digest here: auth = { basic = { file = \"users.htpasswd\" } } over TLS",
            ),
            "plugin" => table.close(
                &block(reading.node, &reading.path),
                "there are no such plugins here; if this one lets everybody in, remove access.deny",
            ),
            _ => table.close(
                &block(reading.node, &reading.path),
                "a middleware without an equal; if it lets everybody in, remove access.deny",
            ),
        }
    }

    /// The middleware of a name, from these files.
    fn middleware(&mut self, written: &str) -> Option<&'n Node> {
        if written.contains('@') && !written.ends_with("@file") {
            return None;
        }
        let name = plain(written);
        let found = self.named("middlewares", name)?;
        self.used
            .insert(format!("middlewares.{}", name.to_ascii_lowercase()));
        Some(found)
    }

    /// Returns true if one of these middlewares may keep clients out.
    pub(super) fn protects(&self, names: &[&str], depth: usize) -> bool {
        names.iter().any(|written| {
            let foreign = written.contains('@') && !written.ends_with("@file");
            let node = self
                .named("middlewares", plain(written))
                .filter(|_| !foreign);
            let Some(node) = node.filter(|_| depth <= DEPTH_MAX) else {
                return true;
            };
            node.entries()
                .iter()
                .any(|(kind, inner)| match &*kind.to_ascii_lowercase() {
                    "chain" => {
                        let names = inner
                            .get("middlewares")
                            .map(Node::items)
                            .unwrap_or_default();
                        let names: Vec<&str> = names.into_iter().map(|(name, _)| name).collect();
                        self.protects(&names, depth + 1)
                    }
                    "headers" => inner.get("allowedHosts").is_some(),
                    kind => !OPEN.contains(&kind),
                })
        })
    }
}

/// A name without that of its provider.
pub(super) fn plain(written: &str) -> &str {
    written.split('@').next().unwrap_or(written)
}

pub(super) const UNKNOWN: &str = "no equal is known: see docs/coming-from-traefik.md";
/// Chains in one another.
const DEPTH_MAX: usize = 16;
/// Middlewares that let everybody in.
const OPEN: [&str; 18] = [
    "addprefix",
    "stripprefix",
    "stripprefixregex",
    "replacepath",
    "replacepathregex",
    "contenttype",
    "buffering",
    "retry",
    "circuitbreaker",
    "compress",
    "errors",
    "redirectscheme",
    "redirectregex",
    "grpcweb",
    "passtlsclientcert",
    "ratelimit",
    "inflightreq",
    "encodedcharacters",
];
