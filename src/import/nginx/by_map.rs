//! `proxy_pass` by a table of values (`map`): a route for each.

use super::{
    Translator, condition::Condition, level::Level, location::Matcher, server::Server,
    syntax::Directive, value::is_plain,
};
use crate::import::document::{Table, key_part, quoted};

impl<'a> Translator<'a> {
    /// Writes a `proxy_pass` whose address is chosen by a table of values: a route for each.
    pub(super) fn pass_by_map(
        &mut self,
        table: &mut Table,
        server: &Server,
        matcher: &Matcher,
        level: &Level<'a>,
        pass: &'a Directive,
        (variable, scheme): (&str, &str),
    ) -> bool {
        if let Some(shares) = self.shares.get(variable).copied() {
            return self.pass_by_share(table, level, pass, (shares, scheme));
        }
        let Some(map) = self.maps.get(variable).copied() else {
            table.untranslated(
                &pass.source,
                format!("${variable} is set by nothing that is known: write a route for each value, with a pool of its own"),
            );
            return false;
        };
        let by = map.first().trim_start_matches('$').to_owned();
        let mut default = None;
        for entry in map.inner() {
            let target = entry.first();
            if entry.name == "default" {
                default = Some((entry, target));
                continue;
            }
            if matches!(&*entry.name, "hostnames" | "volatile") {
                continue;
            }
            let (sign, value) = match entry.name.strip_prefix("~*") {
                Some(expression) => ("~*", expression),
                None => match entry.name.strip_prefix('~') {
                    Some(expression) => ("~", expression),
                    None => ("=", &*entry.name),
                },
            };
            let condition = Condition::of(&by, sign, value);
            let (Some(condition), true) = (condition, is_plain(target)) else {
                table.untranslated(&entry.source, "a value of the map: write a route for it");
                continue;
            };
            let mut own = self.begin_route(server, matcher, level, Some(&pass.source));
            self.rename(&mut own, target);
            condition.add(&mut own, &entry.source);
            let pool = self.pool(target, scheme, level, pass);
            own.set(&pass.source, "pool", quoted(&pool));
            self.host_of_request(&mut own, level, target);
            self.policies(&mut own, level);
            self.made.routes.push(own);
        }
        level.mark(map);
        let Some((_, target)) = default else {
            table.note(super::remark(
                &map.source,
                "the map has no default: other values have no route",
            ));
            return false;
        };
        let pool = self.pool(target, scheme, level, pass);
        table.set(&pass.source, "pool", quoted(&pool));
        table.note(super::remark(
            &map.source,
            &format!("{} … its default", map.source.text),
        ));
        self.host_of_request(table, level, target);
        true
    }

    /// Writes a `proxy_pass` whose address has a share of the clients: a split of pools.
    fn pass_by_share(
        &mut self,
        table: &mut Table,
        level: &Level<'a>,
        pass: &'a Directive,
        (shares, scheme): (&'a Directive, &str),
    ) -> bool {
        let mut left = 10_000_u32;
        let mut parts = Vec::new();
        for entry in shares.inner() {
            let target = entry.first();
            let share = match &*entry.name {
                "*" => Some(left),
                share => hundredths(share).filter(|it| *it <= left),
            };
            let (Some(share), true) = (share, is_plain(target) && !target.contains("://")) else {
                table.untranslated(
                    &entry.source,
                    "a share of the clients: split = { a = 90, b = 10 } of the route",
                );
                return false;
            };
            left -= share;
            let pool = self.pool(target, scheme, level, pass);
            parts.push((pool, share));
        }
        level.mark(shares);
        if left > 0 {
            table.untranslated(
                &shares.source,
                "the shares are less than all clients: split = { a = 90, b = 10 } of the route",
            );
            return false;
        }
        for (pool, share) in parts.iter().filter(|(_, share)| *share > 0) {
            let key = format!("split.{}", key_part(pool));
            table.set(&shares.source, &key, share.to_string());
        }
        // What other steps ask for.
        table.note("a client stays in its share by a cookie here");
        self.host_of_request(table, level, "unix:");
        true
    }
}

/// A share such as `0.5%` in hundredths of a percent.
fn hundredths(text: &str) -> Option<u32> {
    let number = text.strip_suffix('%')?;
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let part = format!("{part:0<2}");
    let part = part.get(..2).filter(|_| part.len() == 2)?;
    let whole: u32 = whole.parse().ok()?;
    whole.checked_mul(100)?.checked_add(part.parse().ok()?)
}
