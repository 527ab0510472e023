//! Gates: `if` with an answer, and `limit_except`.
//!
//! The variable of an `if` is a part of the request, or one that `map` or `geo` sets.

use super::{
    Translator, condition::Condition, level::Level, location::Matcher, server::Server,
    syntax::Directive,
};
pub(super) use crate::import::gate::All;
use crate::import::{
    document::{Source, Table, quoted_list},
    gate::{Gate, Kept, behind},
};

impl<'a> Translator<'a> {
    /// Makes gates of the `if` blocks of a block that answer, and of `limit_except`; returns them,
    /// and the line that sends all to HTTPS. Those of a server become routes before its locations
    /// where they can: `rank` is above the ranks of these.
    pub(super) fn gates(
        &mut self,
        server: &Server,
        level: &Level<'a>,
        rank: Option<i32>,
    ) -> (Vec<Gate>, Option<Source>) {
        let mut https = None;
        let mut gates = Vec::new();
        let blocks: Vec<&Directive> = level.rest().collect();
        for block in blocks {
            if block.name == "limit_except" {
                gates.extend(limit_except(block).inspect(|_| level.mark(block)));
                continue;
            }
            let [fields @ .., inner] = block.inner() else {
                continue;
            };
            let is_field = |it: &Directive| matches!(&*it.name, "add_header" | "access_log");
            if block.name != "if" || inner.name != "return" || !fields.iter().all(is_field) {
                continue;
            }
            let text = block.args.join(" ");
            let is_plain = text.contains("$scheme") || text.contains("$https");
            let to = inner.args.last().map_or("", String::as_str);
            if is_plain && to.starts_with("https://$") {
                level.mark(block);
                https = Some(block.source.clone());
                continue;
            }
            let mut answer = Table::default();
            let kept = self.kept(level, block);
            if kept == Kept::Unknown || !self.answer(&mut answer, inner) {
                continue;
            }
            if !fields.is_empty() {
                let own = Level::within(block.inner(), level);
                self.response_headers(&mut answer, &own);
            }
            level.mark(block);
            match (&kept, rank) {
                (Kept::These(sets), Some(rank)) if server.may_rank() => {
                    self.before_locations(server, level, block, (sets, rank), &answer);
                }
                _ => gates.push(Gate {
                    line: block.source.clone(),
                    kept,
                    answer,
                    advice: super::guard::CONDITION,
                }),
            }
        }
        (gates, https)
    }

    /// Makes routes of an `if` of a server, with a rank above its locations.
    fn before_locations(
        &mut self,
        server: &Server,
        level: &Level<'a>,
        block: &Directive,
        (sets, rank): (&[All], i32),
        answer: &Table,
    ) {
        for all in sets {
            let mut table = self.begin_route(server, &Matcher::All, level, Some(&block.source));
            let value = all.first().map_or("", |(_, value)| value);
            self.rename(&mut table, value);
            for (key, value) in all {
                table.remove(key);
                table.set(&block.source, key, &**value);
            }
            table.set(&block.source, "priority", rank.to_string());
            table.append(answer);
            self.made.routes.push(table);
        }
    }

    /// Puts gates before the routes that were made since.
    pub(super) fn guarded(&mut self, since: usize, gates: &[Gate]) {
        if gates.is_empty() {
            return;
        }
        let made = self.made.routes.split_off(since);
        for table in made {
            let refuses = table
                .one("respond.status")
                .is_some_and(|it| it.starts_with('4'));
            if table.name.is_empty() || refuses {
                self.made.routes.push(table);
                continue;
            }
            let made = &mut self.made;
            let all = behind(table, gates, |it| {
                let name = it.name.trim_start_matches("routes.");
                format!("routes.{}", made.name("routes", name))
            });
            self.made.routes.extend(all);
        }
    }

    /// Returns the requests for which the condition of an `if` holds.
    fn kept(&self, level: &Level<'a>, block: &Directive) -> Kept {
        let text = block.args.join(" ");
        let text = text.strip_prefix('(').and_then(|it| it.strip_suffix(')'));
        let mut words = text.unwrap_or_default().trim().splitn(3, ' ');
        let is_name = |it: &&str| {
            it.bytes()
                .all(|it| it.is_ascii_alphanumeric() || it == b'_')
        };
        let variable = words.next().and_then(|it| it.strip_prefix('$'));
        let Some(variable) = variable.filter(is_name) else {
            return Kept::Unknown;
        };
        let (sign, value) = (
            words.next().unwrap_or(""),
            words.next().unwrap_or("").trim(),
        );
        let asks = variable != "ssl_client_verify" || level.one("ssl_client_certificate").is_some();
        if !asks || (value.contains('$') && !sign.contains('~')) {
            return Kept::Unknown;
        }
        if let Some(map) = self.maps.get(variable).copied() {
            level.mark(map);
            return of_map(map, sign, value);
        }
        if let Some(geo) = self.geos.get(variable).copied() {
            level.mark(geo);
            return of_geo(geo, sign, value);
        }
        of_variable(variable, sign, value)
    }
}

/// Returns the requests for which a variable of the request has a value, or has it not.
fn of_variable(variable: &str, sign: &str, value: &str) -> Kept {
    let (is_not, sign) = match sign {
        "!=" => (true, "="),
        "!~" => (true, "~"),
        "!~*" => (true, "~*"),
        sign => (false, sign),
    };
    let one = |key: &str, value: String| vec![vec![(key.to_owned(), value)]];
    let sets = match variable {
        "request_method" => {
            let all = METHODS.iter().copied();
            let fitting: Vec<&str> = all.filter(|it| holds(sign, value, it)).collect();
            match fitting.is_empty() {
                true => return Kept::Unknown,
                false => one("methods", quoted_list(fitting)),
            }
        }
        // HTTP/2 has no such field.
        "http_host" if sign != "=" => return Kept::Unknown,
        "remote_addr" if sign == "=" => one("source", quoted_list([value])),
        "ssl_client_verify" if (sign, value) == ("=", "SUCCESS") => one(
            "client_certificate.subject",
            "{ present = true }".to_owned(),
        ),
        _ => {
            let is_part = ["http_", "cookie_", "arg_"]
                .iter()
                .any(|it| variable.starts_with(it) && variable != "http_host");
            // A missing part is an empty text in nginx.
            let (sign, takes_missing) = match (sign, value) {
                ("=", "") => ("", true),
                _ => (sign, !sign.is_empty() && holds(sign, value, "")),
            };
            let Some(found) = Condition::of(variable, sign, value) else {
                return Kept::Unknown;
            };
            let mut sets = vec![found.pair()];
            if is_part && takes_missing {
                if sign.is_empty() {
                    // Neither missing nor empty.
                    sets[0][0].1 = "{ regex = \"(?s).\" }".to_owned();
                    return match is_not {
                        true => Kept::These(sets),
                        false => Kept::Others(sets),
                    };
                }
                let missing = (sets[0][0].0.clone(), "{ present = false }".to_owned());
                sets.push(vec![missing]);
            }
            sets
        }
    };
    match is_not {
        true => Kept::Others(sets),
        false => Kept::These(sets),
    }
}

/// Returns the requests for which the variable of a `map` has a value.
fn of_map(map: &Directive, sign: &str, value: &str) -> Kept {
    let by = map.first().trim_start_matches('$');
    let by_default = map.inner().iter().find(|it| it.name == "default");
    let is_default = holds(sign, value, by_default.map_or("", Directive::first));
    let (mut sets, mut others) = (Vec::new(), Vec::new());
    for entry in map.inner() {
        match &*entry.name {
            "default" | "hostnames" | "volatile" => continue,
            "include" => return Kept::Unknown,
            _ => {}
        }
        if holds(sign, value, entry.first()) == is_default {
            match is_default {
                // It may stand before one that does not hold.
                true => return Kept::Unknown,
                false => continue,
            }
        }
        let kept = match entry.name.strip_prefix("~*") {
            Some(expression) => of_variable(by, "~*", expression),
            None => match entry.name.strip_prefix('~') {
                Some(expression) => of_variable(by, "~", expression),
                None if matches!(by, "host" | "http_host" | "request_method" | "remote_addr") => {
                    of_variable(by, "=", &entry.name)
                }
                None if entry.name.is_empty() => of_variable(by, "=", ""),
                // Texts are compared without case.
                None => of_variable(by, "~*", &format!("^{}$", regex::escape(&entry.name))),
            },
        };
        match kept {
            Kept::These(more) => sets.extend(more),
            Kept::Others(more) => others.push(more),
            Kept::Unknown => return Kept::Unknown,
        }
    }
    match (is_default, &others[..]) {
        (true, []) if !sets.is_empty() => Kept::Others(sets),
        (false, []) if !sets.is_empty() => Kept::These(sets),
        (false, [one]) if sets.is_empty() => Kept::Others(one.clone()),
        _ => Kept::Unknown,
    }
}

/// Returns the requests for which the variable of a `geo` has a value.
fn of_geo(geo: &Directive, sign: &str, value: &str) -> Kept {
    if geo.args.len() > 1 && geo.first() != "$remote_addr" {
        return Kept::Unknown;
    }
    let by_default = geo.inner().iter().find(|it| it.name == "default");
    let is_default = holds(sign, value, by_default.map_or("", Directive::first));
    let mut blocks = Vec::new();
    for entry in geo.inner().iter().filter(|it| it.name != "default") {
        let is_block = entry
            .name
            .starts_with(|it: char| it.is_ascii_hexdigit() || it == ':')
            && entry.name.contains(['.', ':'])
            && !entry.name.contains('-');
        // A block in another one may have another value.
        if !is_block || holds(sign, value, entry.first()) == is_default {
            return Kept::Unknown;
        }
        blocks.push(&*entry.name);
    }
    if blocks.is_empty() {
        return Kept::Unknown;
    }
    let sets = vec![vec![("source".to_owned(), quoted_list(blocks))]];
    match is_default {
        true => Kept::Others(sets),
        false => Kept::These(sets),
    }
}

/// Returns true if a condition holds for a value; `sign` as in `if`.
fn holds(sign: &str, wanted: &str, value: &str) -> bool {
    let fits = |expression: &str| {
        let expression = regex::Regex::new(expression);
        expression.is_ok_and(|it| it.is_match(value))
    };
    match sign {
        "" => !matches!(value, "" | "0"),
        "=" => value == wanted,
        "!=" => value != wanted,
        "~" => fits(wanted),
        "~*" => fits(&format!("(?i){wanted}")),
        "!~" => !fits(wanted),
        "!~*" => !fits(&format!("(?i){wanted}")),
        _ => false,
    }
}

/// Methods that alone are let in: those that are named, if all others are denied.
fn limit_except(block: &Directive) -> Option<Gate> {
    let [inner] = block.inner() else { return None };
    if inner.name != "deny" || inner.first() != "all" {
        return None;
    }
    let mut methods: Vec<&str> = block.words();
    if methods.contains(&"GET") && !methods.contains(&"HEAD") {
        methods.push("HEAD");
    }
    let mut answer = Table::default();
    answer.set(&inner.source, "respond.status", "403");
    Some(Gate {
        line: block.source.clone(),
        kept: Kept::Others(vec![vec![("methods".to_owned(), quoted_list(methods))]]),
        answer,
        advice: "access = { methods = [\"GET\", \"HEAD\"] } of the route",
    })
}

/// Methods that an expression may mean.
const METHODS: [&str; 24] = [
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "COPY",
    "LOCK",
    "MKCOL",
    "MOVE",
    "PROPFIND",
    "PROPPATCH",
    "SEARCH",
    "UNLOCK",
    "REPORT",
    "PURGE",
    "BIND",
    "LINK",
    "UNLINK",
    "MKCALENDAR",
    "ACL",
];
