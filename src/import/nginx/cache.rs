//! `proxy_cache` and what belongs to it.

use super::{
    Translator,
    condition::Condition,
    level::Level,
    named,
    syntax::Directive,
    value::{Part, bytes, duration, parts, size},
};
use crate::import::document::{Table, quoted};

impl<'a> Translator<'a> {
    pub(super) fn cache(&mut self, table: &mut Table, level: &Level<'a>) {
        let valid = level.all("proxy_cache_valid");
        let (key, stale) = (
            level.one("proxy_cache_key"),
            level.one("proxy_cache_use_stale"),
        );
        let Some(cache) = level.one("proxy_cache").filter(|it| it.first() != "off") else {
            return;
        };
        let zone = self.zones.get(cache.first()).copied();
        if let Some(zone) = zone {
            level.mark(zone);
        }
        let max = zone
            .and_then(|zone| named(zone, "max_size="))
            .and_then(bytes);
        // Theirs is on disk.
        let max = max.unwrap_or(MAX_DEFAULT).clamp(1 << 20, MEMORY_MAX);
        table.set(&cache.source, "cache.max_size", size(max));
        if let Some(zone) = zone {
            table.also(&zone.source, "cache.max_size");
        }
        for line in valid {
            self.cache_valid(table, line);
        }
        if let Some(key) = key {
            cache_key(table, key);
        }
        if let Some(stale) = stale
            && stale.first() == "off"
        {
            table.set(&stale.source, "cache.stale_if_error", "\"0s\"");
        } else if let Some(stale) = stale {
            table.needless(
                &stale.source,
                "a stale answer is used in place of a failure for stale_if_error = \"1m\"",
            );
        }
    }

    fn cache_valid(&self, table: &mut Table, line: &Directive) {
        let Some((time, statuses)) = line.args.split_last() else {
            return;
        };
        let Some(time) = duration(time) else {
            table.untranslated(&line.source, "a time such as \"10m\"");
            return;
        };
        let good = |it: &String| matches!(&**it, "200" | "301" | "302" | "any");
        let bad = |it: &String| matches!(&**it, "404" | "410" | "405" | "any");
        if statuses.is_empty() || statuses.iter().any(good) {
            table.set(&line.source, "cache.default_ttl", &*time);
        }
        if statuses.iter().any(bad) {
            table.set(&line.source, "cache.negative_ttl", time);
        }
        if let Some(other) = statuses.iter().find(|it| !good(it) && !bad(it)) {
            table.untranslated(
                &line.source,
                format!("cache has times for 200 and kin, and for 404 and kin, not for {other}"),
            );
        }
    }

    /// Makes a route without a cache for requests that go past it.
    pub(super) fn bypass(&mut self, table: &mut Table, level: &Level<'a>) {
        let lines = level.all("proxy_cache_bypass");
        level.all("proxy_no_cache");
        let is_on = level
            .one("proxy_cache")
            .is_some_and(|it| it.first() != "off");
        if !is_on || table.has("cache.max_size") || !table.has("pool") {
            return;
        }
        for line in lines {
            for word in &line.args {
                let variable = word.trim_start_matches('$');
                let Some(condition) = Condition::of(variable, "", "") else {
                    table.untranslated(
                        &line.source,
                        format!("{word}: a route without cache for such requests"),
                    );
                    continue;
                };
                let name = table.name.trim_start_matches("routes.");
                let name = self.made.name("routes", &format!("{name}_fresh"));
                let mut own = table.clone();
                own.name = format!("routes.{name}");
                condition.add(&mut own, &line.source);
                let mut fresh = own;
                self.uncached(&mut fresh, level);
                self.made.routes.push(fresh);
            }
        }
    }

    fn uncached(&mut self, table: &mut Table, level: &Level<'a>) {
        // So that it is not done again for this one.
        table.set_plain("cache", "false");
        table.set_plain("cache.max_size", "\"1MiB\"");
        self.policies(table, level);
        table.remove_below("cache");
    }
}

/// Writes parts of a key that tell answers apart.
fn cache_key(table: &mut Table, line: &Directive) {
    let text = line.args.join("");
    for part in parts(&text) {
        let Part::Variable(name) = part else { continue };
        if let Some(header) = name.strip_prefix("http_").filter(|it| *it != "host") {
            table.push(
                &line.source,
                "cache.key.headers",
                quoted(&header.replace('_', "-")),
            );
        } else if let Some(cookie) = name.strip_prefix("cookie_") {
            table.push(&line.source, "cache.key.cookies", quoted(cookie));
        } else if let Some(parameter) = name.strip_prefix("arg_") {
            table.push(&line.source, "cache.key.query_keep", quoted(parameter));
        } else if !KNOWN.contains(&name) {
            table.untranslated(&line.source, format!("cache.key has no ${name}"));
        }
    }
    let has_host = ["$host", "$http_host", "$proxy_host", "$server_name"];
    if !has_host.iter().any(|it| text.contains(it)) {
        table.set(&line.source, "cache.key.host", "false");
    } else if !table.has_below("cache.key") {
        table.needless(&line.source, "scheme, host, path and query are the key");
    }
}

/// Variables of which the key has the part by itself.
const KNOWN: [&str; 12] = [
    "scheme",
    "host",
    "http_host",
    "proxy_host",
    "server_name",
    "request_uri",
    "uri",
    "args",
    "is_args",
    "query_string",
    "request_method",
    "document_uri",
];
/// Size of a cache that has none.
const MAX_DEFAULT: u64 = 256 << 20;
/// Memory for a cache that nginx has on disk.
const MEMORY_MAX: u64 = 1 << 30;
