//! `reverse_proxy` and `forward_auth`: pools.

use super::{Translator, header::header, syntax::Line};
use crate::import::{
    document::{Table, name_of, quoted},
    text::variable,
};

/// An upstream as it is written.
pub(super) struct Upstream {
    pub(super) address: String,
    scheme: String,
}

impl Upstream {
    pub(super) fn of(written: &str) -> Option<Self> {
        if variable(written).is_some() {
            return Some(Self {
                address: written.to_owned(),
                scheme: "http".to_owned(),
            });
        }
        let (scheme, rest) = written.split_once("://").unwrap_or(("http", written));
        if rest.contains(['{', '*']) {
            return None;
        }
        let address = if let Some(path) = rest.strip_prefix("unix/") {
            format!("unix:{path}")
        } else if let Some(port) = rest.strip_prefix(':') {
            format!("127.0.0.1:{port}")
        } else {
            let rest = rest.trim_end_matches('/');
            let behind = rest.rsplit(']').next().unwrap_or(rest);
            match behind.contains(':') {
                true => rest.to_owned(),
                false if scheme == "https" => format!("{rest}:443"),
                false => format!("{rest}:80"),
            }
        };
        Some(Self {
            address,
            scheme: scheme.to_owned(),
        })
    }

    /// Begins a pool of these.
    pub(super) fn pool(upstreams: &[Self], line: &Line) -> Table {
        let mut pool = Table::default();
        for upstream in upstreams {
            if variable(&upstream.address).is_some() {
                pool.note("the value of the variable is HOST:PORT here, without http://");
            }
            pool.push(&line.source, "endpoints", quoted(&upstream.address));
        }
        match upstreams.first().map(|it| &*it.scheme) {
            Some("https") => pool.set_plain("tls.verify", "true"),
            Some("h2c") => pool.set_plain("protocol", "\"h2\""),
            _ => {}
        }
        pool
    }
}

impl Translator {
    /// Writes a `reverse_proxy`; false if it cannot be translated.
    pub(super) fn reverse_proxy(&mut self, table: &mut Table, line: &Line, args: &[&str]) -> bool {
        let mut written: Vec<&str> = args.to_vec();
        for inner in line.block.iter().filter(|it| it.name() == "to") {
            written.extend(inner.args());
        }
        let upstreams: Option<Vec<Upstream>> = written.iter().map(|it| Upstream::of(it)).collect();
        let Some([first, ..]) = upstreams.as_deref() else {
            table.untranslated(
                &line.source,
                "the addresses of a pool are fixed, or found by discover = { dns = … }",
            );
            return false;
        };
        let mut pool = Upstream::pool(upstreams.as_deref().unwrap_or_default(), line);
        for inner in &line.block {
            self.option(table, &mut pool, inner, &first.address);
        }
        let name = self.pool(pool, &first.address);
        table.set(&line.source, "pool", quoted(&name));
        true
    }

    /// Returns the name of a pool; the same one for the same settings.
    pub(super) fn pool(&mut self, mut pool: Table, address: &str) -> String {
        let known = self.pools.iter().find(|(_, table)| table.is_alike(&pool));
        if let Some((name, _)) = known {
            return name.clone();
        }
        let name = self.made.name("pools", &name_of(address));
        pool.name = format!("pools.{name}");
        self.pools.push((name.clone(), pool));
        name
    }

    pub(super) fn option(&self, table: &mut Table, pool: &mut Table, line: &Line, address: &str) {
        let args = line.args();
        let one = args.first().copied().unwrap_or_default();
        let time = |text: &str| quoted(text);
        match line.name() {
            "to" => {}
            "lb_policy" => policy(pool, line, &args),
            "health_uri" => pool.set(&line.source, "health.http.path", quoted(one)),
            "health_interval" => pool.set(&line.source, "health.interval", time(one)),
            "health_timeout" => pool.set(&line.source, "health.timeout", time(one)),
            "health_status" => {
                let statuses = match one.strip_suffix("xx") {
                    Some(class) => format!("{class}00-{class}99"),
                    None => one.to_owned(),
                };
                pool.set(&line.source, "health.http.status", quoted(&statuses));
            }
            "max_fails" => pool.set(&line.source, "ejection.consecutive", one),
            "fail_duration" => pool.set(&line.source, "ejection.base", time(one)),
            "lb_try_duration" | "lb_try_interval" | "lb_retries" => {
                table.needless(&line.source, "retry of the route tries other endpoints");
            }
            "flush_interval" | "buffer_requests" | "buffer_responses" | "request_buffers"
            | "response_buffers" | "stream_timeout" | "stream_close_delay" => {
                table.needless(&line.source, "bodies stream as they come");
            }
            "header_up" => match (one.to_ascii_lowercase().as_str(), args.get(1).copied()) {
                (
                    "host",
                    Some("{upstream_hostport}" | "{http.reverse_proxy.upstream.hostport}"),
                ) => {
                    table.set(&line.source, "rewrite.host", quoted(address));
                }
                ("host", Some("{host}" | "{hostport}")) => {
                    table.needless(&line.source, "the host of the client is sent");
                }
                ("x-forwarded-for" | "x-forwarded-proto" | "x-forwarded-host", _) => {
                    table.needless(&line.source, "they are sent");
                }
                _ => header(table, line, &args, "headers_request"),
            },
            "header_down" => header(table, line, &args, "headers_response"),
            "transport" => transport(table, pool, line),
            _ => table.untranslated(
                &line.source,
                "no equal is known: see docs/coming-from-caddy.md",
            ),
        }
    }
}

/// Writes how an endpoint is chosen.
fn policy(pool: &mut Table, line: &Line, args: &[&str]) {
    let picker = match *args {
        ["round_robin"] => "\"round_robin\"".to_owned(),
        ["weighted_round_robin", ..] => "\"weighted_round_robin\"".to_owned(),
        ["least_conn"] => "\"least_requests\"".to_owned(),
        ["random"] => "\"random\"".to_owned(),
        ["random_choose", ..] => "\"power_of_two\"".to_owned(),
        ["ip_hash" | "client_ip_hash"] => "{ maglev = { key = \"client_ip\" } }".to_owned(),
        ["uri_hash"] => "{ ring_hash = { key = \"path\" } }".to_owned(),
        ["header", name] => {
            let key = quoted(&format!("header:{}", name.to_ascii_lowercase()));
            format!("{{ ring_hash = {{ key = {key} }} }}")
        }
        ["cookie", ..] => {
            let session = "session = { cookie = \"…\", secret = { env = \"…\" } }";
            return pool.untranslated(&line.source, session);
        }
        _ => return pool.untranslated(&line.source, "priority = 1, 2 … of the endpoints"),
    };
    pool.set(&line.source, "picker", picker);
}

fn transport(table: &mut Table, pool: &mut Table, line: &Line) {
    for inner in &line.block {
        let one = inner.args().first().map_or("", |it| *it).to_owned();
        match inner.name() {
            "tls" => pool.set(&inner.source, "tls.verify", "true"),
            "tls_insecure_skip_verify" => {
                pool.remove("tls.verify");
                pool.set(&inner.source, "tls.verify", "false");
            }
            "tls_server_name" => pool.set(&inner.source, "tls.server_name", quoted(&one)),
            "dial_timeout" => pool.set(&inner.source, "timeouts.connect", quoted(&one)),
            "response_header_timeout" => table.set(&inner.source, "timeouts.total", quoted(&one)),
            "read_timeout" | "write_timeout" => {
                table.set(&inner.source, "timeouts.idle", quoted(&one));
            }
            "keepalive" => pool.set(&inner.source, "timeouts.idle", quoted(&one)),
            "versions" if one == "h2c" || one == "2" => {
                pool.set(&inner.source, "protocol", "\"h2\"");
            }
            "versions" | "compression" | "keepalive_idle_conns" | "max_conns_per_host" => {
                pool.needless(&inner.source, "connections are HTTP/1.1 and kept");
            }
            _ => pool.untranslated(&inner.source, "no equal is known"),
        }
    }
}
