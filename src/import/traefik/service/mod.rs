//! Services: pools, and what a route does with them.

mod several;
mod transport;

use super::{
    Translator,
    middleware::{UNKNOWN, plain},
    reading::{Reading, block},
    tree::{Node, Value},
    value::{Url, claim, set_duration},
};
use crate::import::document::{Source, Table, name_of, quoted};

impl<'n> Translator<'n> {
    /// Writes where requests go. A route without a service that can be used answers with 503.
    pub(super) fn serve(&mut self, table: &mut Table, written: &str, line: &Source) {
        let answered = table.has("redirect.to");
        if written.ends_with("@internal") {
            return self.internal(table, written, line);
        }
        if answered {
            return table.needless(line, "the redirect answers");
        }
        let Some(node) = self.use_service(written) else {
            let what = format!(
                "the service {written} is not in these files: pool = \"…\" in place of this answer"
            );
            table.untranslated(line, what);
            return table.set_plain("respond.status", "503");
        };
        for (kind, inner) in node.entries() {
            let path = format!("http.services.{}.{kind}", plain(written));
            let mut reading = Reading::of(inner, path);
            match &*kind.to_ascii_lowercase() {
                "loadbalancer" => {
                    let pool = self.pool_of(table, written, line);
                    table.set(line, "pool", quoted(&pool));
                    continue;
                }
                "weighted" => self.weighted(table, &mut reading),
                "mirroring" => self.mirroring(table, &mut reading, line),
                "failover" => self.failover(table, &mut reading, line),
                _ => {
                    table.untranslated(&block(inner, &reading.path), UNKNOWN);
                    continue;
                }
            }
            reading.rest(table, UNKNOWN);
        }
        let speaks_h2 = self.pools.iter().any(|pool| {
            let name = pool.name.trim_start_matches("pools.");
            table.is("pool", &quoted(name)) && pool.has("protocol")
        });
        if table.has("grpc_web") && !speaks_h2 {
            table.retire("grpc_web");
            table.untranslated(line, "grpc_web = true needs protocol = \"h2\" in the pool: gRPC is HTTP/2 (h2c:// in Traefik)");
        }
        let leads =
            ["pool", "redirect.to"].iter().any(|key| table.has(key)) || table.has_below("split");
        if !leads {
            table.note("no pool: until there is one, requests are answered with 503");
            table.set_plain("respond.status", "503");
        }
    }

    fn internal(&self, table: &mut Table, written: &str, line: &Source) {
        match written {
            "noop@internal" if table.has("redirect.to") => {
                table.needless(line, "the redirect answers");
            }
            "noop@internal" if table.remove("https_only") => {
                table.set(line, "redirect.to", "\"https://{host}{path}{query}\"");
            }
            "noop@internal" => table.set(line, "respond.status", "404"),
            _ => {
                table.untranslated(line, "[admin] has the dashboard, the API, /metrics and /ready on an address of its own");
                table.remove("https_only");
                table.set_plain("respond.status", "404");
            }
        }
    }

    fn use_service(&mut self, written: &str) -> Option<&'n Node> {
        if written.contains('@') && !written.ends_with("@file") {
            return None;
        }
        let name = plain(written);
        let found = self.named("services", name)?;
        self.used
            .insert(format!("services.{}", name.to_ascii_lowercase()));
        Some(found)
    }

    /// The pool of a service with servers; what belongs to the route is written into it.
    fn pool_of(&mut self, table: &mut Table, written: &str, from: &Source) -> String {
        let name = plain(written).to_ascii_lowercase();
        let node = self
            .use_service(written)
            .and_then(|it| it.get("loadBalancer"));
        let Some(node) = node else {
            let pool = self.made.name("pools", &name_of(&name));
            let mut made = Table::new(format!("pools.{pool}"));
            let what = format!("the service {written} has no servers in these files");
            made.untranslated(from, what);
            made.set_plain("endpoints", "[\"127.0.0.1:9\"]");
            self.pools.push(made);
            return pool;
        };
        let mut reading = Reading::of(node, format!("http.services.{name}.loadBalancer"));
        let servers = reading.take("servers");
        if let Some((value, line)) = reading.text("passHostHeader") {
            if value.eq_ignore_ascii_case("false") {
                let first = servers.and_then(|it| match &it.value {
                    Value::List(items) => items.first()?.get("url")?.text(),
                    _ => None,
                });
                match first.and_then(Url::of) {
                    Some(url) => claim(table, &line, "rewrite.host", quoted(url.host)),
                    None => table.untranslated(&line, "rewrite.host of the route"),
                }
            } else {
                table.needless(&line, "the host of the client is sent");
            }
        }
        if let Some(pool) = self.by_service.get(&name) {
            return pool.clone();
        }
        let pool = self.made.name("pools", &name_of(&name));
        self.by_service.insert(name, pool.clone());
        let mut made = Table::new(format!("pools.{pool}"));
        self.servers(&mut made, servers);
        transport::health(&mut made, &mut reading);
        transport::sticky(&mut made, &mut reading);
        if let Some((strategy, line)) = reading.text("strategy") {
            match strategy {
                "wrr" => made.needless(&line, "as by default"),
                "p2c" => made.set(&line, "picker", "\"power_of_two\""),
                "hrw" => made.set(&line, "picker", "{ maglev = { key = \"client_ip\" } }"),
                "leasttime" => made.set(&line, "picker", "\"peak_ewma\""),
                _ => made.untranslated(&line, "see picker of a pool"),
            }
        }
        if let Some(mut passive) = reading.inner("passiveHealthCheck") {
            if let Some((count, line)) = passive.text("maxFailedAttempts") {
                made.set(&line, "ejection.consecutive", count);
            }
            if let Some((time, line)) = passive.text("failureWindow") {
                set_duration(&mut made, &line, "ejection.base", time);
            }
            passive.rest(&mut made, UNKNOWN);
        }
        self.transport(&mut made, &mut reading);
        let why = "each event is sent at once";
        reading.needless(&mut made, &["responseForwarding"], why);
        reading.rest(&mut made, UNKNOWN);
        self.pools.push(made);
        pool
    }

    fn servers(&self, pool: &mut Table, servers: Option<&Node>) {
        let items: &[Node] = match servers.map(|it| &it.value) {
            Some(Value::List(items)) => items,
            _ => &[],
        };
        let mut scheme = None;
        for item in items {
            let mut server = Reading::of(item, "servers");
            let (Some((text, line)), weight) = (server.text("url"), server.text("weight")) else {
                server.rest(pool, "a server has a url");
                continue;
            };
            let Some(url) = Url::of(text) else {
                pool.untranslated(&line, "an endpoint is an address: \"10.0.0.1:8080\"");
                continue;
            };
            if *scheme.get_or_insert(url.scheme) != url.scheme {
                pool.untranslated(&line, "endpoints of one pool are all spoken to alike: make a pool of the others, and split");
                continue;
            }
            let endpoint = match &weight {
                Some((weight, _)) => format!(
                    "{{ address = {}, weight = {weight} }}",
                    quoted(&url.address)
                ),
                None => quoted(&url.address),
            };
            pool.push(&line, "endpoints", endpoint);
            if let Some((_, line)) = &weight {
                pool.also(line, "endpoints");
            }
            if !matches!(url.target, "" | "/") {
                pool.note(format!("{}: the path {} of the address is not sent, as Traefik does unless preservePath is on; rewrite.add_prefix of the route would", line.place, url.target));
            }
            server.instead(pool, "preservePath", "rewrite.add_prefix of the route");
            server.rest(pool, UNKNOWN);
        }
        if !pool.has("endpoints") {
            if let Some(servers) = servers {
                pool.untranslated(&block(servers, "servers"), "no server that can be used");
            }
            pool.note(
                "a pool has an endpoint: write yours in place of this one, which nobody answers at",
            );
            pool.set_plain("endpoints", "[\"127.0.0.1:9\"]");
        }
        match scheme {
            Some("https") => pool.set_plain("tls", "{}"),
            Some("h2c") => pool.set_plain("protocol", "\"h2\""),
            _ => {}
        }
    }
}
