//! Fields of requests and of answers.

use super::{
    Translator,
    level::Level,
    syntax::Directive,
    value::{millis, template_with},
};
use crate::import::{
    document::{Table, key_part, quoted},
    framing::{FRAMED, is_framing},
};

impl<'a> Translator<'a> {
    /// Writes the host that the endpoint sees: in nginx that of `proxy_pass`, unless a line says
    /// another.
    pub(super) fn host_of_request(&self, table: &mut Table, level: &Level<'a>, authority: &str) {
        let lines = level.all("proxy_set_header");
        let host = lines
            .iter()
            .find(|it| it.first().eq_ignore_ascii_case("host"));
        let Some(line) = host else {
            if !authority.starts_with("unix:") {
                table.note("nginx sends the name in proxy_pass as Host unless proxy_set_header says another; without this line that of the client is sent");
                table.set_plain("rewrite.host", quoted(authority));
            }
            return;
        };
        match line.args.get(1).map_or("", String::as_str) {
            "$host" | "$http_host" | "$host:$server_port" => {
                table.needless(&line.source, "the host of the client is sent");
            }
            "$proxy_host" => table.set(&line.source, "rewrite.host", quoted(authority)),
            value => match template_with(value, table.text("path_regex").as_deref()) {
                Ok(host) => table.set(&line.source, "rewrite.host", host),
                Err(why) => table.untranslated(&line.source, why),
            },
        }
    }

    pub(super) fn request_headers(&self, table: &mut Table, level: &Level<'a>) {
        for line in level.all_of(&["proxy_set_header", "grpc_set_header"]) {
            let name = line.first().to_ascii_lowercase();
            let value = line.args.get(1).map_or("", String::as_str);
            match &*name {
                "host" => {}
                "x-forwarded-for" | "x-forwarded-proto" | "x-forwarded-host" | "forwarded"
                | "x-request-id"
                    if value.starts_with('$') =>
                {
                    match SENT.contains(&value.trim_matches(['$', '{', '}'])) {
                        true => table.needless(
                            &line.source,
                            "X-Forwarded-For, -Proto, -Host, Forwarded and X-Request-Id are sent",
                        ),
                        false => table.untranslated(
                            &line.source,
                            "the proxy writes this field by itself; what a proxy before this one says is believed if proxy.trusted_proxies has it",
                        ),
                    }
                }
                "connection" | "upgrade" => {
                    table.needless(
                        &line.source,
                        "upgrades such as WebSocket pass by themselves",
                    );
                }
                "accept-encoding" if value.is_empty() => {
                    table.push(&line.source, "headers_request.remove", quoted(&name));
                }
                _ if value.is_empty() => {
                    table.push(&line.source, "headers_request.remove", quoted(&name));
                }
                _ if value == format!("$http_{}", name.replace('-', "_")) => {
                    table.needless(&line.source, "the field of the client is sent");
                }
                _ => match template_with(value, table.text("path_regex").as_deref()) {
                    Ok(value) => {
                        let key = format!("headers_request.set.{}", key_part(&name));
                        table.set(&line.source, &key, value);
                    }
                    Err(why) => self.unknown_value(table, level, line, &why),
                },
            }
        }
        for line in level.all("proxy_pass_request_headers") {
            table.untranslated(
                &line.source,
                "all fields are sent; headers_request.remove takes some away",
            );
        }
    }

    /// Writes a field of the request whose value is not known here: what the client sends in it does
    /// not pass for it. A variable may be a field of the service that `auth_request` asks.
    fn unknown_value(&self, table: &mut Table, level: &Level<'a>, line: &Directive, why: &str) {
        let name = line.first().to_ascii_lowercase();
        let variable = line.args.get(1).and_then(|it| it.strip_prefix('$'));
        let sets = level.all("auth_request_set");
        let from = sets.iter().find_map(|it| {
            let is_it = it.first().strip_prefix('$') == variable;
            let from = it.args.get(1)?.strip_prefix("$upstream_http_")?;
            is_it.then(|| from.replace('_', "-"))
        });
        if let Some(from) = from.filter(|_| level.one("auth_request").is_some()) {
            // The service that is asked gives it.
            if from == name {
                table.mention(&line.source);
            } else {
                let key = format!("headers_request.set.{}", key_part(&name));
                table.set(&line.source, &key, quoted(&format!("{{header:{from}}}")));
            }
            return;
        }
        if is_framing("headers_request.remove", &quoted(&name)) {
            return table.needless(&line.source, FRAMED);
        }
        table.untranslated(
            &line.source,
            format!("{why}; what the client sends in this field is removed"),
        );
        table.push(&line.source, "headers_request.remove", quoted(&name));
    }

    pub(super) fn response_headers(&self, table: &mut Table, level: &Level<'a>) {
        let hidden = level.all("proxy_hide_header");
        let is_hidden = |name: &str| {
            hidden
                .iter()
                .any(|it| it.first().eq_ignore_ascii_case(name))
        };
        let mut added: Vec<String> = Vec::new();
        for line in level.all("add_header") {
            let name = line.first().to_ascii_lowercase();
            let value = line.args.get(1).map_or("", String::as_str);
            if value == "$upstream_cache_status" {
                table.needless(&line.source, "Cache-Status tells it");
                continue;
            }
            if value.is_empty() {
                continue;
            }
            let part = key_part(&name);
            if name == "alt-svc" && self.alt_svc(table, line) {
                continue;
            }
            // A field that only passes once replaces that of the service.
            let key = if is_hidden(&name) {
                format!("headers_response.set.{part}")
            } else {
                format!("headers_response.add.{part}")
            };
            match template_with(value, table.text("path_regex").as_deref()) {
                Ok(_) if added.contains(&name) => table.untranslated(
                    &line.source,
                    "a field is added once: write both values with a comma between them",
                ),
                Ok(value) => {
                    table.set(&line.source, &key, value);
                    added.push(name);
                }
                Err(why) => table.untranslated(&line.source, why),
            }
        }
        if let Some(line) = level.one("expires") {
            let value = match line.args.last().map_or("", String::as_str) {
                "off" => None,
                "epoch" => Some("no-cache".to_owned()),
                "max" => Some("max-age=315360000".to_owned()),
                text if text.starts_with('-') => Some("no-cache".to_owned()),
                text => match millis(text) {
                    Some(millis) => Some(format!("max-age={}", millis / 1000)),
                    None => {
                        table.untranslated(
                            &line.source,
                            "headers_response.set.cache-control of a route",
                        );
                        None
                    }
                },
            };
            if let Some(value) = value {
                table.set(
                    &line.source,
                    "headers_response.set.cache-control",
                    quoted(&value),
                );
            }
        }
        for line in hidden {
            let name = line.first().to_ascii_lowercase();
            if !added.contains(&name) {
                table.push(&line.source, "headers_response.remove", quoted(&name));
            }
        }
        level.all("proxy_pass_header");
    }
}

/// Variables with the values that the proxy sends by itself.
const SENT: [&str; 9] = [
    "proxy_add_x_forwarded_for",
    "remote_addr",
    "http_x_forwarded_for",
    "scheme",
    "host",
    "http_host",
    "host:$server_port",
    "server_name",
    "request_id",
];
