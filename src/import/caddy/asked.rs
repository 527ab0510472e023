//! A service that is asked whether a request may go on: `forward_auth`, and what stands behind it, a
//! `reverse_proxy` whose `handle_response` lets the request pass.

use super::{Translator, proxy::Upstream, route::split, syntax::Line};
use crate::import::document::{Table, key_part, quoted, quoted_list};

/// Returns true for a `reverse_proxy` that asks a service: one of its answers lets the request pass
/// to the next directive.
pub(super) fn asks(line: &Line) -> bool {
    line.name() == "reverse_proxy" && line.block.iter().any(passes)
}

/// Returns true for a `handle_response` that answers nothing.
fn passes(line: &Line) -> bool {
    let answers = |it: &Line| !PASSING.contains(&it.name());
    line.name() == "handle_response" && !line.block.iter().any(answers)
}

impl Translator {
    /// Writes a `forward_auth`.
    pub(super) fn forward_auth(&mut self, table: &mut Table, line: &Line, args: &[&str]) {
        let find = |name: &str| line.block.iter().find(|it| it.name() == name);
        let uri = find("uri").and_then(|it| it.args().first().copied());
        let mut copied: Vec<(&Line, &str, &str)> = Vec::new();
        for inner in line.block.iter().filter(|it| it.name() == "copy_headers") {
            let own = inner.args().into_iter().map(|it| (inner, it));
            let block = inner.block.iter().map(|it| (it, it.name()));
            for (line, word) in own.chain(block) {
                let (from, to) = word.split_once('>').unwrap_or((word, word));
                copied.push((line, from, to));
            }
        }
        let rest = line.block.iter();
        let rest: Vec<&Line> = rest
            .filter(|it| !matches!(it.name(), "uri" | "copy_headers"))
            .collect();
        self.forward(table, line, (args, uri), &copied, &rest);
    }

    /// Writes a `reverse_proxy` that asks a service.
    pub(super) fn asked(&mut self, table: &mut Table, line: &Line, args: &[&str]) {
        let find = |name: &str| line.block.iter().find(|it| it.name() == name);
        let uri = find("rewrite").and_then(|it| it.args().last().copied());
        let is_get = find("method").is_some_and(|it| it.args() == ["GET"]);
        let passing: Vec<&Line> = line.block.iter().filter(|it| passes(it)).collect();
        let good = |it: &&str| it.len() == 3 && it.starts_with('2');
        let is_good = |name: &str| {
            let named = find(name).map(Line::args).unwrap_or_default();
            matches!(&named[..], ["status", codes @ ..] if !codes.is_empty() && codes.iter().all(good))
        };
        let one = match passing[..] {
            [one] if is_get => Some(one),
            _ => None,
        };
        let Some(passing) = one.filter(|it| split(it).0.is_some_and(|name| is_good(&name))) else {
            return table.close(&line.source, FORWARD);
        };
        let mut copied: Vec<(&Line, &str, &str)> = Vec::new();
        for inner in &passing.block {
            let from = |value: &'_ str| {
                let name = value
                    .strip_prefix("{http.reverse_proxy.header.")
                    .or_else(|| value.strip_prefix("{rp.header."))?;
                Some(value.len() - name.len())
            };
            match inner.args()[..] {
                [to, value] if inner.name() == "request_header" && from(value).is_some() => {
                    let at = from(value).unwrap_or_default();
                    copied.push((inner, value[at..].trim_end_matches('}'), to));
                }
                _ => return table.close(&inner.source, FORWARD),
            }
        }
        let known = ["rewrite", "method", "handle_response"];
        let rest = line.block.iter();
        let rest = rest.filter(|it| !known.contains(&it.name()) && !it.name().starts_with('@'));
        let rest: Vec<&Line> = rest.collect();
        self.forward(table, line, (args, uri), &copied, &rest);
    }

    /// Writes that a service is asked. `copied` has the fields of its answer, with the names that
    /// the endpoint gets them under.
    fn forward(
        &mut self,
        table: &mut Table,
        line: &Line,
        (args, uri): (&[&str], Option<&str>),
        copied: &[(&Line, &str, &str)],
        rest: &[&Line],
    ) {
        let upstreams: Option<Vec<Upstream>> = args.iter().map(|it| Upstream::of(it)).collect();
        let is_plain = |it: &&str| it.starts_with('/') && !it.contains('{');
        let (Some([first, ..]), Some(uri)) = (upstreams.as_deref(), uri.filter(is_plain)) else {
            return table.close(&line.source, FORWARD);
        };
        let mut pool = Upstream::pool(upstreams.as_deref().unwrap_or_default(), line);
        for inner in rest {
            let args = inner.args();
            let told = args.first().map_or("", |it| *it).to_ascii_lowercase();
            match inner.name() {
                "header_up" if FORWARDED.contains(&&*told) => {
                    table.needless(&inner.source, "the service gets it");
                }
                "header_up" => table.untranslated(
                    &inner.source,
                    "the service is asked with the fields of the client and X-Forwarded-Method, -Uri, -Host, -Proto and -For: let it do without this one",
                ),
                _ => self.option(table, &mut pool, inner, &first.address),
            }
        }
        let pool = self.pool(pool, &first.address);
        let mut headers: Vec<String> = Vec::new();
        for (_, from, _) in copied {
            let from = from.to_ascii_lowercase();
            if !headers.contains(&from) {
                headers.push(from);
            }
        }
        let list = match headers.is_empty() {
            true => String::new(),
            false => format!(
                ", headers = {}",
                quoted_list(headers.iter().map(String::as_str))
            ),
        };
        if table.has("auth") {
            return table.close(
                &line.source,
                "auth = [{ forward = … }, …]: a list, all of which must pass",
            );
        }
        let value = format!(
            "{{ forward = {{ pool = {}, path = {}{list} }} }}",
            quoted(&pool),
            quoted(uri)
        );
        table.set(&line.source, "auth", value);
        for (line, from, to) in copied {
            let (from, to) = (from.to_ascii_lowercase(), to.to_ascii_lowercase());
            if from == to {
                table.also(&line.source, "auth");
            } else {
                let key = format!("headers_request.set.{}", key_part(&to));
                table.set(&line.source, &key, quoted(&format!("{{header:{from}}}")));
            }
        }
    }
}

/// Directives of a `handle_response` that answer nothing.
const PASSING: [&str; 6] = [
    "request_header",
    "header",
    "vars",
    "map",
    "log_append",
    "copy_response_headers",
];
/// Fields that a service is told without a line.
const FORWARDED: [&str; 7] = [
    "x-forwarded-method",
    "x-forwarded-uri",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-for",
    "x-original-url",
    "x-original-method",
];
const FORWARD: &str = "auth = { forward = { pool = \"…\", path = \"…\" } } of the route: the service lets a request pass by a status of 2xx";
