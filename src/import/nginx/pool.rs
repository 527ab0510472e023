//! Pools: upstreams, and addresses of `proxy_pass`.

use super::{
    Translator,
    level::Level,
    syntax::Directive,
    untranslated,
    value::{duration, millis, name_of},
};
use crate::import::{
    document::{Table, quoted},
    text::variable,
};

/// A pool, and the upstream that it was made of.
#[derive(Debug)]
pub(super) struct Pool {
    /// Its address, with the scheme.
    target: String,
    settings: Table,
    pub(super) table: Table,
    pub(super) upstream: Option<String>,
}

impl<'a> Translator<'a> {
    /// Returns the pool of an upstream or an address, with the settings of this place.
    pub(super) fn pool(
        &mut self,
        authority: &str,
        scheme: &str,
        level: &Level<'a>,
        pass: &Directive,
    ) -> String {
        let target = format!("{scheme}://{authority}");
        let settings = self.settings(scheme, level, pass);
        let known = self
            .pools
            .iter()
            .find(|it| it.target == target && it.settings.is_same(&settings));
        if let Some(known) = known {
            return known.table.name.trim_start_matches("pools.").to_owned();
        }
        let name = self.made.name("pools", &name_of(authority));
        let mut table = Table::new(format!("pools.{name}"));
        let upstream = self.upstreams.get(authority).copied();
        match upstream {
            Some(upstream) => self.servers_of(&mut table, upstream, scheme),
            None => {
                let address = address(authority, scheme);
                table.push(&pass.source, "endpoints", quoted(&address));
            }
        }
        table.append(&settings);
        self.pools.push(Pool {
            target,
            settings,
            table,
            upstream: upstream.map(|it| it.first().to_owned()),
        });
        name
    }

    /// Settings that a location has for its connections.
    fn settings(&self, scheme: &str, level: &Level<'a>, pass: &Directive) -> Table {
        let mut table = Table::default();
        for name in ["proxy_connect_timeout", "grpc_connect_timeout"] {
            if let Some(it) = level.one(name)
                && let Some(time) = duration(it.first())
            {
                table.set(&it.source, "timeouts.connect", time);
            }
        }
        if pass.name == "grpc_pass" {
            table.set(&pass.source, "protocol", "\"h2\"");
        }
        if !matches!(scheme, "https" | "grpcs") {
            return table;
        }
        let verifies = level.one("proxy_ssl_verify").filter(|it| it.is_on());
        match verifies {
            Some(it) => table.set(&it.source, "tls.verify", "true"),
            None => {
                table.note("nginx does not verify the certificates of endpoints; better is verify = true, with ca for your own authority");
                table.set(&pass.source, "tls.verify", "false");
            }
        }
        for (name, key) in [
            ("proxy_ssl_name", "tls.server_name"),
            ("proxy_ssl_trusted_certificate", "tls.ca"),
            ("proxy_ssl_certificate", "tls.client.chain"),
            ("proxy_ssl_certificate_key", "tls.client.key"),
        ] {
            if let Some(it) = level.one(name) {
                let value = match key {
                    "tls.server_name" => it.first().to_owned(),
                    _ => self.path_of(it.first()).to_string_lossy().into_owned(),
                };
                if value.contains('$') {
                    table.needless(&it.source, "the host of the endpoint is asked for");
                } else {
                    table.set(&it.source, key, quoted(&value));
                }
            }
        }
        if let Some(it) = level.one("proxy_ssl_server_name") {
            table.needless(&it.source, "the name is sent");
        }
        table
    }

    fn servers_of(&self, table: &mut Table, upstream: &Directive, scheme: &str) {
        let mut fails: Vec<(String, Option<&str>)> = Vec::new();
        for line in upstream.inner() {
            match &*line.name {
                "server" => fails.extend(server(table, line, scheme)),
                "least_conn" => table.set(&line.source, "picker", "\"least_requests\""),
                "ip_hash" => table.set(
                    &line.source,
                    "picker",
                    "{ maglev = { key = \"client_ip\" } }",
                ),
                "random" => match line.words()[..] {
                    ["two", ..] => table.set(&line.source, "picker", "\"power_of_two\""),
                    _ => table.set(&line.source, "picker", "\"random\""),
                },
                "hash" => hash(table, line),
                "keepalive_timeout" => {
                    if let Some(time) = duration(line.first()) {
                        table.set(&line.source, "timeouts.idle", time);
                    }
                }
                "zone" | "keepalive_requests" | "state" => {
                    table.needless(
                        &line.source,
                        "connections are kept, and all workers know the endpoints",
                    );
                }
                "queue" => table.untranslated(
                    &line.source,
                    "limits = { queue = …, queue_timeout = \"…\" }",
                ),
                _ => untranslated(table, line),
            }
        }
        let is_off = |(count, time): &(String, Option<&str>)| {
            count == "0" || time.and_then(millis) == Some(0)
        };
        if !fails.is_empty() && fails.iter().all(is_off) {
            table.set_plain("ejection", "false");
        } else if let Some((count, time)) = fails.iter().find(|(count, _)| count != "0") {
            table.note(
                "max_fails of the servers: in a row here, and the last endpoint is never taken out",
            );
            table.set_plain("ejection.consecutive", count.as_str());
            if let Some(time) = time.and_then(duration) {
                table.set_plain("ejection.base", time);
            }
        }
    }
}

/// Writes a server of an upstream; returns `max_fails` and `fail_timeout`, if they are written.
fn server<'d>(
    table: &mut Table,
    line: &'d Directive,
    scheme: &str,
) -> Option<(String, Option<&'d str>)> {
    if line.first().contains('$') && variable(line.first()).is_none() {
        table.untranslated(
            &line.source,
            "an address with a variable: write it, or { env = \"NAME\" }",
        );
        return None;
    }
    let address = quoted(&address(line.first(), scheme));
    let mut about = String::new();
    let (mut fails, mut time) = (None, None);
    for word in line.args.iter().skip(1) {
        match word.split_once('=') {
            Some(("weight", weight)) => about.push_str(&format!(", weight = {weight}")),
            Some(("max_fails", count)) => fails = Some(count.to_owned()),
            Some(("fail_timeout", text)) => time = Some(text),
            Some(("max_conns", count)) => table.set(&line.source, "limits.per_endpoint", count),
            Some(("slow_start", text)) => {
                if let Some(time) = duration(text) {
                    table.set(&line.source, "slow_start", time);
                }
            }
            None if word == "backup" => about.push_str(", priority = 1"),
            None if word == "down" => about.push_str(", weight = 0"),
            None if word == "resolve" => {}
            _ => table.untranslated(&line.source, format!("{word}: no equal")),
        }
    }
    let item = match about.is_empty() {
        true => address,
        false => format!("{{ address = {address}{about} }}"),
    };
    table.push(&line.source, "endpoints", item);
    let default = time.map(|_| "1".to_owned());
    fails.or(default).map(|fails| (fails, time))
}

fn hash(table: &mut Table, line: &Directive) {
    let variable = line.first().trim_start_matches('$');
    let key = match variable {
        "remote_addr" | "binary_remote_addr" => Some("client_ip".to_owned()),
        "request_uri" | "uri" => Some("path".to_owned()),
        _ => [
            ("http_", "header"),
            ("cookie_", "cookie"),
            ("arg_", "query"),
        ]
        .iter()
        .find_map(|(start, kind)| {
            let name = variable.strip_prefix(start)?;
            Some(format!("{kind}:{}", name.replace('_', "-")))
        }),
    };
    match key {
        Some(key) => table.set(
            &line.source,
            "picker",
            format!("{{ ring_hash = {{ key = {} }} }}", quoted(&key)),
        ),
        None => table.untranslated(
            &line.source,
            "picker = { ring_hash = { key = \"…\" } } by header, cookie, query, path or client_ip",
        ),
    }
}

/// Returns an address with its port.
fn address(authority: &str, scheme: &str) -> String {
    if variable(authority).is_some() {
        return authority.to_owned();
    }
    if authority.starts_with("unix:") {
        return authority.trim_end_matches(':').to_owned();
    }
    let behind = authority.rsplit(']').next().unwrap_or(authority);
    if behind.contains(':') {
        return authority.to_owned();
    }
    let port = if matches!(scheme, "https" | "grpcs") {
        443
    } else {
        80
    };
    format!("{authority}:{port}")
}
