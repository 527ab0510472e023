//! Backends: pools.

use super::{Line, Section, Translator, duration, kind::Kind, words::Secure};
use crate::import::{
    document::{Source, Table, name_of, quoted},
    text::variable,
};

impl Translator<'_> {
    /// Returns the pool of a backend; none if there is none with servers.
    pub(super) fn pool(&mut self, backend: &str, front: &Section) -> Option<String> {
        if let Some(name) = self.pools.get(backend) {
            return Some(name.clone());
        }
        let mut sections = self.sections.iter();
        let section =
            sections.find(|it| matches!(&*it.kind, "backend" | "listen") && it.name == backend)?;
        let has_servers = section
            .lines
            .iter()
            .any(|it| matches!(&*it.words[0], "server" | "server-template"));
        if !has_servers {
            return None;
        }
        let name = self.made.name("pools", &name_of(backend));
        let mut table = Table::new(format!("pools.{name}"));
        for line in &section.lines {
            self.backend_line(&mut table, line, section);
        }
        if (table.has_below("health.http") || table.has("health.tcp"))
            && let Some(line) = section.find(&["timeout", "check"])
            && let Some(time) = line.words.get(2).and_then(|it| duration(it))
        {
            table.set(&line.source, "health.timeout", time);
        }
        if let Some(line) = section.find(&["timeout", "connect"])
            && let Some(time) = line.words.get(2).and_then(|it| duration(it))
        {
            table.set(&line.source, "timeouts.connect", time);
        }
        if section.kind == "backend" || front.kind == "backend" {
            let limits = section.rules().into_iter();
            let limits = limits.filter_map(|it| self.limit(section, it));
            let counted: Vec<Source> = limits.flat_map(|it| it.others).collect();
            let left = |it: &&Line| !is_known(it) && !counted.contains(&it.source);
            for line in section.lines.iter().filter(left) {
                rest(&mut table, line);
            }
        }
        self.tables.push(table);
        self.pools.insert(backend.to_owned(), name.clone());
        Some(name)
    }

    /// Writes what a backend says of its routes.
    pub(super) fn of_backend(&self, table: &mut Table, backend: &str) {
        let mut sections = self.sections.iter();
        let found =
            sections.find(|it| matches!(&*it.kind, "backend" | "listen") && it.name == backend);
        let Some(section) = found else { return };
        if let Some(line) = section.find(&["timeout", "server"])
            && let Some(time) = line.words.get(2).and_then(|it| duration(it))
        {
            table.set(&line.source, "timeouts.total", &*time);
            let tunnel = section.find(&["timeout", "tunnel"]);
            let longer = tunnel.and_then(|it| Some((it, duration(it.words.get(2)?)?)));
            match longer {
                // Upgrades know no other bound.
                Some((line, time)) => table.set(&line.source, "timeouts.idle", time),
                None => table.set_plain("timeouts.idle", time),
            }
        }
        if let Some(line) = section.find(&["retries"])
            && let Some(count) = line.words.get(1).and_then(|it| it.parse::<u32>().ok())
        {
            let attempts = (count + 1).min(10);
            table.set(&line.source, "retry.attempts", attempts.to_string());
        }
    }
}

impl Translator<'_> {
    fn backend_line(&self, table: &mut Table, line: &Line, section: &Section) {
        match line.words()[..] {
            ["balance", how, ..] => balance(table, line, how),
            ["server", _, address, ref options @ ..] => {
                let mut options = options.to_vec();
                let mut lines = vec![&line.source];
                for other in section.defaults.iter().chain(&section.lines) {
                    if other.words[0] == "default-server" {
                        // Of two the first counts below: those of the server itself.
                        options.extend(other.words[1..].iter().map(String::as_str));
                        lines.push(&other.source);
                    }
                }
                server(table, line, address, &options, self.trusts_all_servers());
                for line in lines {
                    table.also(line, "endpoints");
                }
            }
            ["server-template", ..] => {
                table.untranslated(
                    &line.source,
                    "discover = { dns = { name = \"…\", port = 80 } } of the pool",
                );
            }
            ["option", "httpchk", ref rest @ ..] => {
                let path = rest
                    .iter()
                    .find(|it| it.starts_with('/'))
                    .copied()
                    .unwrap_or("/");
                table.set(&line.source, "health.http.path", quoted(path));
            }
            ["http-check", "send", ref rest @ ..] => check(table, line, rest),
            ["http-check", "expect", "status", status] => {
                table.set(&line.source, "health.http.status", quoted(status));
            }
            ["http-check", ..] => {
                table.untranslated(
                &line.source,
                "health = { http = { path = \"…\", status = \"200-299\" } } of the pool: the status alone is looked at",
            );
            }
            _ => {}
        }
    }
}

fn balance(table: &mut Table, line: &Line, how: &str) {
    let picker = match how {
        "roundrobin" | "static-rr" => "\"weighted_round_robin\"".to_owned(),
        "leastconn" => "\"least_requests\"".to_owned(),
        "source" => "{ maglev = { key = \"client_ip\" } }".to_owned(),
        "random" => "\"power_of_two\"".to_owned(),
        "uri" => "{ ring_hash = { key = \"path\" } }".to_owned(),
        how => match how.strip_prefix("hdr(").map(|it| it.trim_end_matches(')')) {
            Some(name) => format!(
                "{{ ring_hash = {{ key = {} }} }}",
                quoted(&format!("header:{}", name.to_ascii_lowercase()))
            ),
            None => {
                return table
                    .untranslated(&line.source, "picker = { ring_hash = { key = \"…\" } }");
            }
        },
    };
    table.set(&line.source, "picker", picker);
}

/// Writes the request of a check.
fn check(table: &mut Table, line: &Line, rest: &[&str]) {
    if let Some(at) = rest.iter().position(|it| *it == "uri")
        && let Some(path) = rest.get(at + 1)
    {
        table.remove("health.http.path");
        table.set(&line.source, "health.http.path", quoted(path));
    }
    for three in rest.windows(3) {
        if let ["hdr", name, host] = three
            && name.eq_ignore_ascii_case("host")
        {
            table.set(&line.source, "health.http.host", quoted(host));
        }
    }
}

fn server(table: &mut Table, line: &Line, address: &str, options: &[&str], trusts_all: bool) {
    let address = match address.strip_prefix('/') {
        Some(_) => format!("unix:{address}"),
        None if address.starts_with("unix@") => address.replacen("unix@", "unix:", 1),
        None if variable(address).is_some() => address.to_owned(),
        None if address.contains(':') => address.trim_start_matches("ipv4@").to_owned(),
        None => format!("{address}:80"),
    };
    let mut about = String::new();
    let value = |key: &str| {
        let at = options.iter().position(|it| *it == key)?;
        options.get(at + 1).copied()
    };
    if let Some(weight) = value("weight") {
        about.push_str(&format!(", weight = {weight}"));
    }
    if options.contains(&"backup") {
        about.push_str(", priority = 1");
    }
    if options.contains(&"disabled") && value("weight").is_none() {
        about.push_str(", weight = 0");
    }
    let item = match about.is_empty() {
        true => quoted(&address),
        false => format!("{{ address = {}{about} }}", quoted(&address)),
    };
    table.push(&line.source, "endpoints", item);
    if options.contains(&"check") && !table.has_below("health.http") {
        table.set_plain("health.tcp", "{}");
    }
    let is_checked = options.contains(&"check") || table.has_below("health.http");
    for (key, to) in [("inter", "health.interval"), ("slowstart", "slow_start")] {
        if let Some(time) = value(key).and_then(duration)
            && (is_checked || key == "slowstart")
        {
            table.set(&line.source, to, time);
        }
    }
    for (key, to) in [
        ("rise", "health.rise"),
        ("fall", "health.fall"),
        ("maxconn", "limits.per_endpoint"),
    ] {
        if let Some(count) = value(key)
            && (is_checked || key == "maxconn")
        {
            table.set(&line.source, to, count);
        }
    }
    if options.contains(&"ssl") {
        tls(table, line, value, trusts_all);
    }
    if options.contains(&"send-proxy-v2") {
        table.set(&line.source, "proxy_protocol", "\"v2\"");
    } else if options.contains(&"send-proxy") {
        table.set(&line.source, "proxy_protocol", "\"v1\"");
    }
    if value("proto") == Some("h2") {
        table.set(&line.source, "protocol", "\"h2\"");
    } else if value("alpn").is_some_and(|it| it.contains("h2")) {
        table.set(&line.source, "protocol", "\"auto\"");
    }
    for (key, what) in OTHERS {
        if options.contains(key) {
            table.untranslated(&line.source, format!("{key}: {what}"));
        }
    }
}

/// Writes how a pool speaks TLS.
fn tls<'v>(
    table: &mut Table,
    line: &Line,
    value: impl Fn(&str) -> Option<&'v str>,
    trusts_all: bool,
) {
    // It is the default.
    let verifies = value("verify") != Some("none") && !trusts_all;
    table.set(&line.source, "tls.verify", verifies.to_string());
    if let Some(file) = value("crt") {
        let client = format!("{{ chain = {0}, key = {0} }}", quoted(file));
        table.set(&line.source, "tls.client", client);
    }
    if let Some(file) = value("ca-file") {
        table.set(&line.source, "tls.ca", quoted(file));
    }
    if let Some(name) = value("sni").and_then(|it| it.strip_prefix("str(")) {
        table.set(
            &line.source,
            "tls.server_name",
            quoted(name.trim_end_matches(')')),
        );
    }
}

/// Lines that something is made of.
pub(super) fn is_known(line: &Line) -> bool {
    matches!(
        line.words()[..],
        [
            "balance"
                | "server"
                | "server-template"
                | "mode"
                | "timeout"
                | "retries"
                | "http-check",
            ..
        ] | ["option", "httpchk", ..]
    )
}

fn rest(table: &mut Table, line: &Line) {
    match line.words()[..] {
        [
            "option" | "log" | "default-server" | "hash-type" | "description",
            ..,
        ] => {
            table.needless(&line.source, "connections are kept, requests that may be repeated are tried again, X-Forwarded-For is sent");
        }
        ["cookie", ..] => table.untranslated(
            &line.source,
            "session = { cookie = \"…\", secret = { env = \"…\" } }",
        ),
        _ if super::words::change(&mut Table::default(), line, Secure::Some) => {}
        ["acl", ..] => table.needless(&line.source, "it is a condition of other lines"),
        // Told at the routes of this pool.
        _ if Kind::of(line) != Kind::Other => {}
        ["http-request" | "http-response" | "tcp-request", ..] => {
            table.untranslated(
                &line.source,
                "headers, rewrites and conditions belong to the routes of this pool",
            );
        }
        [first, ..] if first.starts_with("req") || first.starts_with("rsp") => table.untranslated(
            &line.source,
            "headers_request, headers_response or rewrite of the route: rewrite = { host = \"…\" } sends another Host",
        ),
        ["stick-table" | "stick", ..] => {
            table.untranslated(&line.source, "session of the pool, or a picker with a key");
        }
        ["compression", ..] => table.untranslated(&line.source, "compress of the route"),
        _ => table.untranslated(
            &line.source,
            "no equal is known: see docs/coming-from-haproxy.md",
        ),
    }
}

/// Options of a server without an equal that is written, with what to do.
const OTHERS: &[(&str, &str)] = &[
    (
        "agent-check",
        "a service says its weight by its registry: discover of the pool",
    ),
    (
        "minconn",
        "limits.per_endpoint is the same whatever the load",
    ),
    ("maxqueue", "limits = { queue = … } of the pool"),
    ("observe", "ejection of the pool is on by itself"),
    ("port", "endpoints are checked at their own port"),
    ("redir", "a route with redirect"),
    ("source", "the system chooses the address"),
    ("track", "each endpoint is checked by itself"),
    ("addr", "endpoints are checked at their own address"),
];
