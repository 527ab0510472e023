//! Rates in stick tables, and the cache.

use super::{Line, Section, Translator, UNITS, condition::only_test, rule::split};
use crate::import::{
    document::{Source, Table},
    text::{micros, rate, size},
};

/// A rule of `rate_limit`, with the other lines that it came from.
pub(super) struct Limit {
    pub(super) text: String,
    pub(super) others: Vec<Source>,
}

impl Translator<'_> {
    /// Returns the limit that a refusal is: one of requests of an address in the time of a table.
    pub(super) fn limit(&self, section: &Section, line: &Line) -> Option<Limit> {
        let (action, words) = split(line);
        if !matches!(action[..], ["http-request", "deny" | "tarpit", ..]) {
            return None;
        }
        let test = only_test(section, &words)?;
        let ([sample, sign @ ("gt" | "ge"), count]
        | [sample, "-m", "int", sign @ ("gt" | "ge"), count]) = test[..]
        else {
            return None;
        };
        let count = count.parse::<u64>().ok()? + u64::from(sign == "gt");
        let (name, arguments) = match sample.split_once('(') {
            Some((name, arguments)) => (name, arguments.strip_suffix(')')?),
            None => (sample, ""),
        };
        let mut arguments = arguments.split(',').filter(|it| !it.is_empty());
        let (counter, table) = match name {
            "src_http_req_rate" => (None, arguments.next()),
            "sc_http_req_rate" => (arguments.next(), arguments.next()),
            "sc0_http_req_rate" => (Some("0"), arguments.next()),
            "sc1_http_req_rate" => (Some("1"), arguments.next()),
            "sc2_http_req_rate" => (Some("2"), arguments.next()),
            _ => return None,
        };
        let mut others = Vec::new();
        let mut named = table;
        // Who counts: the rule that tracks, and nothing else of this number.
        let lines = || section.defaults.iter().chain(&section.lines);
        let tracks = |it: &&Line| {
            let is_counter = |number: &str| {
                it.words
                    .iter()
                    .any(|word| word.strip_prefix("track-sc") == Some(number))
            };
            counter.is_none_or(is_counter) && it.words.iter().any(|it| it.starts_with("track-sc"))
        };
        let mut found = lines().filter(tracks);
        let track = found.next()?;
        if counter.is_some() && found.next().is_some() {
            return None;
        }
        let at = track
            .words
            .iter()
            .position(|it| it.starts_with("track-sc"))?;
        match track.words()[at + 1..] {
            ["src"] => {}
            ["src", "table", table] => named = named.or(Some(table)),
            _ => return None,
        }
        others.push(track.source.clone());
        let holder = match named {
            Some(name) => self.sections.iter().find(|it| {
                it.name == name && matches!(&*it.kind, "backend" | "frontend" | "listen")
            })?,
            None => section,
        };
        let table = holder.find(&["stick-table"])?;
        let period = table.words.iter().find_map(|it| {
            it.split(',')
                .find_map(|it| it.strip_prefix("http_req_rate(")?.strip_suffix(')'))
        })?;
        let is_of_addresses = table
            .words
            .windows(2)
            .any(|it| it[0] == "type" && matches!(&*it[1], "ip" | "ipv6"));
        others.push(table.source.clone());
        let millis = micros(period, &UNITS)? / 1000;
        let most = count.checked_sub(1).filter(|it| *it > 0)?;
        let rate = rate(most, millis).filter(|_| is_of_addresses)?;
        Some(Limit {
            text: format!("{{ key = \"client_ip\", rate = {rate}, burst = {most} }}"),
            others,
        })
    }

    /// Writes the cache that a section uses for all of its requests.
    pub(super) fn cache(&self, section: &Section, table: &mut Table) {
        let uses = section
            .find(&["http-request", "cache-use"])
            .filter(|it| it.words.len() == 3);
        let Some(line) = uses else { return };
        let name = &line.words[2];
        let mut sections = self.sections.iter();
        let Some(cache) = sections.find(|it| it.kind == "cache" && it.name == *name) else {
            return;
        };
        let number = |key: &str| cache.find(&[key])?.words.get(1)?.parse::<u64>().ok();
        let megabytes = number("total-max-size").unwrap_or(16).clamp(1, 1024);
        table.set(&line.source, "cache.max_size", size(megabytes << 20));
        table.also(&cache.source, "cache.max_size");
        if let Some(bytes) = number("max-object-size") {
            table.set_plain("cache.entry_max", size(bytes));
        }
        for known in ["total-max-size", "max-object-size"] {
            if let Some(line) = cache.find(&[known]) {
                table.also(&line.source, "cache.max_size");
            }
        }
        if let Some(store) = section.find(&["http-response", "cache-store"]) {
            table.also(&store.source, "cache.max_size");
        }
        if let Some(age) = cache.find(&["max-age"]) {
            table.needless(
                &age.source,
                "Cache-Control of the answers says how long; default_ttl is for those without",
            );
        }
        if let Some(vary) = cache.find(&["process-vary"]) {
            table.needless(&vary.source, "Vary is obeyed");
        }
    }
}
