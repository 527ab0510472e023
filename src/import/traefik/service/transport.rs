//! Connections to servers: TLS, timeouts, checks, sessions.

use super::super::{
    Translator,
    middleware::{UNKNOWN, plain},
    reading::{Reading, block},
    tree::{Node, Value},
    value::{duration, set_duration},
};
use crate::import::document::{Table, quoted};

impl<'n> Translator<'n> {
    /// Writes how connections to the servers are made.
    pub(super) fn transport(&mut self, pool: &mut Table, reading: &mut Reading<'n>) {
        let Some((written, line)) = reading.text("serversTransport") else {
            return;
        };
        let name = plain(written);
        let Some(node) = self.named("serversTransports", name) else {
            return pool.untranslated(
                &line,
                "tls and timeouts of the pool: the transport is not in these files",
            );
        };
        pool.needless(&line, "see tls and timeouts of the pool");
        self.used
            .insert(format!("serverstransports.{}", name.to_ascii_lowercase()));
        transport(
            pool,
            Reading::of(node, format!("http.serversTransports.{name}")),
        );
    }
}

/// Writes how the certificates of servers are verified, and how long connections live.
fn transport(pool: &mut Table, mut reading: Reading<'_>) {
    let is_tls = pool.has("tls") || pool.has_below("tls");
    let mut keys = Table::default();
    if let Some(line) = reading.on(&mut keys, "insecureSkipVerify") {
        keys.set(&line, "tls.verify", "false");
    }
    if let Some((name, line)) = reading.text("serverName") {
        keys.set(&line, "tls.server_name", quoted(name));
    }
    match &reading.items("rootCAs")[..] {
        [] => {}
        [(file, line)] => keys.set(line, "tls.ca", quoted(file)),
        [(_, line), ..] => keys.untranslated(
            line,
            "write the certificates into one file: tls.ca of the pool",
        ),
    }
    if let Some(node) = reading.take("certificates") {
        let pair = match &node.value {
            Value::List(items) if items.len() == 1 => {
                let text = |key: &str| items[0].get(key)?.text().map(quoted);
                text("certFile").zip(text("keyFile"))
            }
            _ => None,
        };
        let line = block(node, "certificates");
        match pair {
            Some((chain, key)) => {
                keys.set(
                    &line,
                    "tls.client",
                    format!("{{ chain = {chain}, key = {key} }}"),
                );
            }
            None => keys.untranslated(&line, "one certificate: tls.client of the pool"),
        }
    }
    if is_tls {
        if keys.has_below("tls") {
            pool.remove("tls");
        }
        pool.append(&keys);
    } else if !keys.is_empty() {
        keys.keep_remarks();
        keys.note("the servers are spoken to without TLS");
        pool.append(&keys);
    }
    if let Some(mut times) = reading.inner("forwardingTimeouts") {
        for (key, ours) in [
            ("dialTimeout", "timeouts.connect"),
            ("idleConnTimeout", "timeouts.idle"),
        ] {
            if let Some((time, line)) = times.text(key) {
                match duration(time).as_deref() {
                    Some("\"0s\"") => pool.untranslated(&line, format!("{ours} is bounded")),
                    _ => set_duration(pool, &line, ours, time),
                }
            }
        }
        times.instead(
            pool,
            "responseHeaderTimeout",
            "timeouts = { total = \"…\" } of the route",
        );
        let why = "connections over HTTP/2 are looked after";
        times.needless(pool, &["readIdleTimeout", "pingTimeout"], why);
        times.rest(pool, UNKNOWN);
    }
    let why = "idle connections have no bound of their own";
    reading.needless(pool, &["maxIdleConnsPerHost"], why);
    reading.needless(
        pool,
        &["disableHTTP2"],
        "HTTP/1.1 is spoken unless protocol says another",
    );
    reading.rest(pool, "see [pools.NAME.tls] in docs/configuration");
}

pub(super) fn health(pool: &mut Table, reading: &mut Reading<'_>) {
    let Some(mut check) = reading.inner("healthCheck") else {
        return;
    };
    let is_grpc = check.text("mode").is_some_and(|(mode, _)| mode == "grpc");
    match check.text("path") {
        Some((_, line)) if is_grpc => pool.set(&line, "health.grpc", "{}"),
        Some((path, line)) => {
            let slash = if path.starts_with('/') { "" } else { "/" };
            pool.set(&line, "health.http.path", quoted(&format!("{slash}{path}")));
        }
        None if is_grpc => pool.set_plain("health.grpc", "{}"),
        None => pool.set_plain("health.http.path", "\"/\""),
    }
    for (key, ours) in [
        ("interval", "health.interval"),
        ("timeout", "health.timeout"),
        ("unhealthyInterval", "health.interval_down"),
    ] {
        if let Some((time, line)) = check.text(key) {
            set_duration(pool, &line, ours, time);
        }
    }
    if !pool.has("health.interval") {
        pool.set_plain("health.interval", "\"30s\"");
    }
    if !pool.has("health.timeout") {
        pool.set_plain("health.timeout", "\"5s\"");
    }
    if !is_grpc {
        if let Some((host, line)) = check.text("hostname") {
            pool.set(&line, "health.http.host", quoted(host));
        }
        if let Some((status, line)) = check.text("status") {
            pool.set(&line, "health.http.status", quoted(status));
        } else {
            pool.set_plain("health.http.status", "\"200-399\"");
        }
    }
    if let Some((method, line)) = check.text("method") {
        match method {
            "GET" => pool.needless(&line, "as by default"),
            _ => pool.untranslated(&line, "checks are GET"),
        }
    }
    check.needless(
        pool,
        &["followRedirects"],
        "a redirect is an answer, and not followed",
    );
    check.instead(pool, "headers", "a check has no headers but Host");
    check.instead(pool, "port", "endpoints are checked where they serve");
    check.instead(
        pool,
        "scheme",
        "endpoints are checked as they are spoken to",
    );
    check.rest(pool, UNKNOWN);
}

pub(super) fn sticky(pool: &mut Table, reading: &mut Reading<'_>) {
    let Some(node) = reading.take("sticky") else {
        return;
    };
    let name = node
        .at(&["cookie", "name"])
        .and_then(Node::text)
        .unwrap_or("session");
    let advice = format!(
        "the cookie is sealed: session = {{ cookie = {}, secret = {{ file = \"session.key\" }} }} of the pool, with a secret of your own",
        quoted(name)
    );
    pool.untranslated(&block(node, "sticky"), advice);
}
