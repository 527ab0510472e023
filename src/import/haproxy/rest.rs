//! Lines of which nothing was made: none of them is lost.

use std::collections::HashSet;

use super::{Line, Translator};
use crate::import::document::Table;

impl Translator<'_> {
    /// Tells the lines that stand nowhere yet.
    pub(super) fn rest(&mut self) {
        let told: HashSet<String> = self.told();
        let mut left = Table::default();
        for section in self.sections {
            let is_whole = !matches!(
                &*section.kind,
                "defaults" | "frontend" | "listen" | "backend" | "http-errors" | "cache"
            );
            let is_http = |it: &Line| it.words.get(1).is_none_or(|it| it == "http");
            let is_told = told.contains(&section.source.place);
            if is_whole || !section.find(&["mode"]).is_none_or(is_http) {
                // Told as a whole.
                if section.kind == "backend" {
                    left.untranslated(&section.source, "only HTTP is proxied");
                }
                continue;
            }
            let mut own = Table::default();
            for line in &section.lines {
                if !told.contains(&line.source.place) && !FRAME.contains(&&*line.words[0]) {
                    tell(&mut own, line);
                }
            }
            if matches!(&*section.kind, "cache" | "http-errors") && !is_told {
                left.untranslated(
                    &section.source,
                    "cache = { max_size = \"…\" }, or error_pages = { \"503\" = { file = \"…\" } }, of the routes that use it",
                );
            }
            left.append(&own);
        }
        if !left.is_empty() {
            self.made.routes.push(left);
        }
    }

    /// The places of all lines that stand somewhere.
    fn told(&self) -> HashSet<String> {
        [&self.head, &self.proxy]
            .into_iter()
            .chain(&self.made.listeners)
            .chain(&self.made.routes)
            .chain(&self.tables)
            .flat_map(Table::places)
            .collect()
    }
}

/// Tells a line that nobody used.
fn tell(table: &mut Table, line: &Line) {
    let words = line.words();
    match words[..] {
        [
            "option",
            "httplog" | "tcplog" | "dontlognull" | "dontlog-normal" | "log-health-checks",
            ..,
        ]
        | [
            "log" | "log-format" | "log-tag" | "capture" | "unique-id-format" | "unique-id-header",
            ..,
        ] => {
            table.needless(&line.source, "[access_log] has a line for each request");
        }
        ["option", ..]
        | [
            "retry-on" | "persist" | "backlog" | "default-server" | "http-reuse",
            ..,
        ] => {
            table.needless(&line.source, "connections are kept, requests that may be repeated are tried again, X-Forwarded-For is sent");
        }
        ["timeout", "check", ..] => {
            table.untranslated(&line.source, "health = { timeout = \"…\" } of the pool");
        }
        ["timeout", "queue", ..] => {
            table.untranslated(
                &line.source,
                "limits = { queue = …, queue_timeout = \"…\" } of the pool",
            );
        }
        ["timeout", "tunnel", ..] => {
            table.untranslated(
                &line.source,
                "timeouts = { idle = \"…\" } of the route: upgrades know no other bound",
            );
        }
        ["timeout", ..] => table.needless(
            &line.source,
            "timeouts of listeners, routes and pools bound it",
        ),
        [
            "errorfile" | "errorfiles" | "errorloc" | "errorloc302" | "errorloc303" | "http-error",
            ..,
        ] => {
            table.untranslated(&line.source, "error_pages = { \"503\" = { file = \"sorry.html\" } } of a route or listener: the file has the body alone, without status and fields");
        }
        ["compression", ..] => table.untranslated(&line.source, "compress = {} of the route"),
        ["balance" | "fullconn" | "hash-type", ..] => {
            table.untranslated(&line.source, "picker of each pool");
        }
        ["stats", ..] => table.untranslated(
            &line.source,
            "[admin] has the dashboard, /metrics and /status",
        ),
        _ => table.untranslated(
            &line.source,
            "no equal is known: see docs/coming-from-haproxy.md",
        ),
    }
}

/// Words of lines that are read with others.
const FRAME: [&str; 10] = [
    "acl",
    "mode",
    "bind",
    "default_backend",
    "server",
    "maxconn",
    "retries",
    "description",
    "disabled",
    "enabled",
];
