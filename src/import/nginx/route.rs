//! Steps of a route on the way: timeouts, bounds, compression, retries, pages.

use super::{
    Translator,
    level::Level,
    location::Matcher,
    syntax::Directive,
    value::{bytes, duration, size},
};
use crate::import::document::{Table, quoted, quoted_list};

impl<'a> Translator<'a> {
    /// Ends the table of a route.
    pub(super) fn end_route(&mut self, mut table: Table, level: &Level<'a>) {
        self.policies(&mut table, level);
        self.unknown(level, &mut table);
        self.made.routes.push(table);
    }

    /// Writes all that a route does besides its action.
    pub(super) fn policies(&mut self, table: &mut Table, level: &Level<'a>) {
        self.bypass(table, level);
        let has_pool = table.has("pool") || table.has_below("split");
        if has_pool {
            self.timeouts(table, level);
            self.retry(table, level);
            self.request_headers(table, level);
            self.cache(table, level);
            self.compress(table, level);
        }
        self.limits(table, level);
        self.response_headers(table, level);
        self.access(table, level);
        self.error_pages(table, level);
        self.access_log_of(table, level);
        if has_pool {
            self.guard(table, level);
        }
    }

    fn timeouts(&self, table: &mut Table, level: &Level<'a>) {
        for name in [
            "proxy_read_timeout",
            "proxy_send_timeout",
            "grpc_read_timeout",
            "grpc_send_timeout",
        ] {
            let Some(it) = level.one(name) else { continue };
            let Some(time) = duration(it.first()) else {
                continue;
            };
            for key in ["timeouts.total", "timeouts.idle"] {
                if name.ends_with("read_timeout") || key == "timeouts.idle" {
                    if table.has(key) {
                        table.also(&it.source, key);
                    } else if table.has("timeouts.total") && key == "timeouts.idle" {
                        table.set_plain(key, &*time);
                    } else {
                        table.set(&it.source, key, &*time);
                    }
                }
            }
        }
        self.body_max(table, level);
    }

    pub(super) fn body_max(&self, table: &mut Table, level: &Level<'a>) {
        if let Some(it) = level.one("client_max_body_size")
            && let Some(bytes) = bytes(it.first())
        {
            let bound = match bytes {
                0 => "false".to_owned(),
                bytes => size(bytes),
            };
            table.set(&it.source, "body_max", bound);
        }
    }

    fn retry(&self, table: &mut Table, level: &Level<'a>) {
        let Some(it) = level.one("proxy_next_upstream") else {
            return;
        };
        let words = it.words();
        if words.contains(&"off") {
            table.set(&it.source, "retry", "false");
            return;
        }
        let mut on: Vec<String> = Vec::new();
        for word in words {
            match word {
                "error" => on.extend(["connect", "reset", "refused-stream"].map(str::to_owned)),
                "timeout" => on.push("timeout".to_owned()),
                "invalid_header" => on.push("reset".to_owned()),
                "http_429" => on.push("429".to_owned()),
                word if word.starts_with("http_5") => on.push(word[5..].to_owned()),
                "non_idempotent" => table.note(super::remark(
                    &it.source,
                    "non_idempotent: a POST is sent again only with Idempotency-Key and retry.idempotency_key = true",
                )),
                other => {
                    let what = format!("retry.on has no {other}");
                    table.untranslated(&it.source, what);
                }
            }
        }
        on.sort();
        on.dedup();
        table.set(
            &it.source,
            "retry.on",
            quoted_list(on.iter().map(String::as_str)),
        );
        if let Some(tries) = level.one("proxy_next_upstream_tries")
            && let Ok(tries_max @ 1..=10) = tries.first().parse::<u32>()
        {
            table.set(&tries.source, "retry.attempts", tries_max.to_string());
        }
    }

    fn compress(&self, table: &mut Table, level: &Level<'a>) {
        let (types, min, effort) = (
            level.one("gzip_types"),
            level.one("gzip_min_length"),
            level.one("gzip_comp_level"),
        );
        let Some(gzip) = level.one("gzip").filter(|it| it.is_on()) else {
            return;
        };
        table.set(&gzip.source, "compress.encodings", "[\"gzip\"]");
        if let Some(types) = types {
            let mut list: Vec<&str> = types.words();
            if list.contains(&"*") {
                table.needless(&types.source, "all that is worth it is compressed");
            } else {
                if !list.contains(&"text/html") {
                    list.insert(0, "text/html");
                }
                table.set(&types.source, "compress.types", quoted_list(list));
            }
        } else {
            table.set_plain("compress.types", "[\"text/html\"]");
        }
        if let Some(min) = min
            && let Some(bytes) = bytes(min.first())
        {
            table.set(&min.source, "compress.min", size(bytes));
        }
        if let Some(effort) = effort {
            table.set(&effort.source, "compress.level", effort.first());
        }
    }

    fn error_pages(&self, table: &mut Table, level: &Level<'a>) {
        let intercepts = level
            .one("proxy_intercept_errors")
            .is_some_and(Directive::is_on);
        for line in level.all("error_page") {
            let Some((to, statuses)) = line.args.split_last() else {
                continue;
            };
            let is_status =
                |it: &String| it.parse::<u16>().is_ok_and(|it| (400..600).contains(&it));
            let page = to.strip_prefix('/').and_then(|_| self.page(level, to));
            match page {
                Some(file) if statuses.iter().all(is_status) => {
                    let key = format!("error_pages.\"{}\"", statuses.join(","));
                    if !file.is_file() {
                        let what = format!(
                            "{} does not exist: error_pages = {{ \"{}\" = {{ file = \"…\" }} }}",
                            file.display(),
                            statuses.join(",")
                        );
                        table.untranslated(&line.source, what);
                        continue;
                    }
                    let file = quoted(&file.to_string_lossy());
                    table.set(&line.source, &format!("{key}.file"), file);
                    if intercepts {
                        table.set_plain(&format!("{key}.of"), "\"all\"");
                    }
                }
                _ => table.untranslated(
                    &line.source,
                    "error_pages takes a file for statuses from 400 on, and keeps the status",
                ),
            }
        }
    }

    /// Returns the file of a page: below the root of its location, or of the server.
    fn page(&self, level: &Level<'a>, uri: &str) -> Option<std::path::PathBuf> {
        let block = level.find(|it| {
            it.name == "location"
                && matches!(Matcher::of(it), Matcher::Exact(path) | Matcher::Prefix(path) if path == uri)
        });
        let own = block.and_then(|it| it.inner().iter().find(|it| it.name == "root"));
        let root = own.or_else(|| level.one("root"))?;
        Some(self.path_of(root.first()).join(uri.trim_start_matches('/')))
    }

    /// Returns true if a location is there for an error page alone.
    pub(super) fn is_page(&self, matcher: &Matcher, block: &Directive) -> bool {
        let Matcher::Exact(path) = matcher else {
            return false;
        };
        super::blocks(block.inner())
            .iter()
            .any(|it| it.name == "error_page" && it.args.last() == Some(path))
    }
}
