//! Clients that may use a route, and their rates.

use std::net::IpAddr;

use super::{Translator, level::Level, listen::zone_named, named, syntax::Directive};
use crate::import::document::{Table, quoted};

impl<'a> Translator<'a> {
    pub(super) fn access(&mut self, table: &mut Table, level: &Level<'a>) {
        let lines = level.all_of(&["allow", "deny"]);
        if !table.has("respond.status") && !table.has("access.deny") {
            self.addresses(table, &lines);
        }
        let (realm, file) = (level.one("auth_basic"), level.one("auth_basic_user_file"));
        let mut ways: Vec<(String, Vec<&Directive>)> = Vec::new();
        if let Some(realm) = realm.filter(|it| it.first() != "off") {
            let file = file.filter(|it| !it.first().contains('$') && !realm.first().contains('$'));
            let Some(file) = file else {
                table.close(
                    &realm.source,
                    "auth = { basic = { file = \"users.htpasswd\" } } of the route",
                );
                return;
            };
            let path = self.path_of(file.first());
            let way = format!(
                "{{ basic = {{ file = {}, realm = {} }} }}",
                quoted(&path.to_string_lossy()),
                quoted(realm.first())
            );
            ways.push((way, vec![realm, file]));
        }
        if let Some(request) = level.one("auth_request")
            && request.first() != "off"
        {
            match self.asked_service(request, level) {
                Some(way) => ways.push((way, vec![request])),
                None => table.close(
                    &request.source,
                    "auth = { forward = { pool = \"…\", path = \"…\" } } of the route",
                ),
            }
        }
        let list: Vec<&str> = ways.iter().map(|(way, _)| &**way).collect();
        let value = match list[..] {
            [] => return,
            [one] => one.to_owned(),
            _ => format!("[{}]", list.join(", ")),
        };
        let mut lines = ways.iter().flat_map(|(_, lines)| lines);
        if let Some(first) = lines.next() {
            table.set(&first.source, "auth", value);
        }
        for line in lines {
            table.also(&line.source, "auth");
        }
    }

    /// Writes `allow` and `deny`: in nginx the first line that fits decides, here the longest block.
    fn addresses(&self, table: &mut Table, lines: &[&Directive]) {
        let mut seen: Vec<(bool, &str)> = Vec::new();
        for line in lines {
            let (allows, block) = (line.name == "allow", line.first());
            let contradicts = seen
                .iter()
                .any(|(other, wide)| *other != allows && covers(wide, block));
            if contradicts {
                table.close(
                    &line.source,
                    "an earlier line takes these addresses in nginx; here the longest block decides: access = { allow = [], deny = [] }",
                );
                return;
            }
            seen.push((allows, block));
            match (allows, block) {
                (true, "all") => {}
                (false, "all") => {
                    table.also(&line.source, "access.allow");
                    if !table.has("access.allow") {
                        table.push(&line.source, "access.deny", quoted("0.0.0.0/0"));
                        table.push(&line.source, "access.deny", quoted("::/0"));
                    }
                }
                (_, "unix:") => {
                    table.untranslated(
                        &line.source,
                        "clients of unix sockets have the address 127.0.0.1",
                    );
                }
                (true, block) => table.push(&line.source, "access.allow", quoted(block)),
                (false, block) => table.push(&line.source, "access.deny", quoted(block)),
            }
        }
    }

    /// The service that `auth_request` asks.
    fn asked_service(&mut self, request: &Directive, level: &Level<'a>) -> Option<String> {
        let location = level.find(|it| {
            it.name == "location" && it.args.last().map(String::as_str) == Some(request.first())
        })?;
        let pass = location.inner().iter().find(|it| it.name == "proxy_pass")?;
        let (scheme, rest) = pass.first().split_once("://")?;
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, request.first()),
        };
        if rest.contains('$') {
            return None;
        }
        let inner = Level::within(location.inner(), level);
        let pool = self.pool(authority, scheme, &inner, pass);
        let sets = level.all("auth_request_set");
        let headers = sets.iter().filter_map(|it| {
            let from = it.args.get(1)?.strip_prefix("$upstream_http_")?;
            Some(from.replace('_', "-"))
        });
        let headers: Vec<String> = headers.collect();
        let headers = match headers.is_empty() {
            true => String::new(),
            false => {
                let list = headers.iter().map(String::as_str);
                format!(", headers = {}", crate::import::document::quoted_list(list))
            }
        };
        Some(format!(
            "{{ forward = {{ pool = {}, path = {}{headers} }} }}",
            quoted(&pool),
            quoted(path)
        ))
    }

    /// Writes `limit_req` and `limit_conn`.
    pub(super) fn limits(&mut self, table: &mut Table, level: &Level<'a>) {
        for line in level.all("limit_req") {
            let zone = zone_named(line).and_then(|zone| self.zones.get(zone).copied());
            let is_rate = |it: &&str| it.starts_with(|it: char| it.is_ascii_digit());
            let rate = zone.and_then(|zone| named(zone, "rate=")).filter(is_rate);
            let key = zone.and_then(|zone| key(zone.first()));
            let (Some(zone), Some(rate), Some(key)) = (zone, rate, key) else {
                table.untranslated(&line.source, "rate_limit = { key = \"…\", rate = \"10/s\" }: the key is client_ip, route, or a header, cookie or parameter");
                continue;
            };
            level.mark(zone);
            let rate = rate.replace("r/", "/");
            let burst: u64 = named(line, "burst=")
                .and_then(|it| it.parse().ok())
                .unwrap_or(0);
            let rule = format!(
                "{{ key = {}, rate = {}, burst = {} }}",
                quoted(&key),
                quoted(&rate),
                burst + 1
            );
            table.push(&zone.source, "rate_limit", rule);
            table.also(&line.source, "rate_limit");
            if burst > 0 && !line.args.iter().any(|it| it == "nodelay") {
                table.note(super::remark(
                    &line.source,
                    "nginx delays requests of the burst; here they pass at once",
                ));
            }
        }
        for line in level.all("limit_conn") {
            let zone = self.zones.get(line.first()).copied();
            let key = zone.and_then(|zone| key(zone.first()));
            let (Some(zone), Some(key), Some(max)) = (zone, key, line.args.get(1)) else {
                table.untranslated(
                    &line.source,
                    "concurrency = { per = \"client_ip\", max = 10 }",
                );
                continue;
            };
            let per = if key == "client_ip" {
                "client_ip"
            } else {
                "route"
            };
            if per == "route" && !key.starts_with("route") {
                table.untranslated(
                    &line.source,
                    "concurrency counts for each client or for the route",
                );
                continue;
            }
            level.mark(zone);
            table.push(
                &zone.source,
                "concurrency",
                format!("{{ per = \"{per}\", max = {max} }}"),
            );
            table.also(&line.source, "concurrency");
        }
    }
}

/// Returns the key of a zone.
fn key(variable: &str) -> Option<String> {
    let variable = variable.trim_start_matches('$');
    match variable {
        "binary_remote_addr" | "remote_addr" | "realip_remote_addr" => Some("client_ip".to_owned()),
        "server_name" | "host" | "http_host" => Some("route".to_owned()),
        _ => [
            ("http_", "header"),
            ("cookie_", "cookie"),
            ("arg_", "query"),
        ]
        .iter()
        .find_map(|(start, kind)| {
            let name = variable.strip_prefix(start)?;
            let name = match *kind {
                "header" => name.replace('_', "-"),
                _ => name.to_owned(),
            };
            Some(format!("{kind}:{name}"))
        }),
    }
}

/// Returns true if a block has all addresses of another.
fn covers(wide: &str, narrow: &str) -> bool {
    if wide == "all" || wide == narrow {
        return true;
    }
    let (Some((wide, wide_bits)), Some((narrow, narrow_bits))) = (block(wide), block(narrow))
    else {
        return false;
    };
    wide.len() == narrow.len()
        && wide_bits <= narrow_bits
        && (0..wide_bits).all(|bit| {
            let of = |bytes: &[u8]| bytes[bit / 8] >> (7 - bit % 8) & 1;
            of(&wide) == of(&narrow)
        })
}

fn block(text: &str) -> Option<(Vec<u8>, usize)> {
    let (ip, bits) = text
        .split_once('/')
        .map_or((text, None), |(ip, bits)| (ip, Some(bits)));
    let bytes = match ip.parse::<IpAddr>().ok()? {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let all = bytes.len() * 8;
    let bits = match bits {
        Some(bits) => bits.parse().ok().filter(|bits| *bits <= all)?,
        None => all,
    };
    Some((bytes, bits))
}

#[cfg(test)]
mod tests {
    use super::covers;

    #[test]
    fn a_block_covers_its_addresses() {
        for (wide, narrow, wanted) in [
            ("all", "10.0.0.1", true),
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "10.1.0.0/16", true),
            ("10.1.0.0/16", "10.0.0.0/8", false),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::1", false),
            ("2001:db8::/32", "2001:db8:1::1", true),
        ] {
            assert_eq!(covers(wide, narrow), wanted, "{wide} {narrow}");
        }
    }
}
