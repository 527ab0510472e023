//! `rate_limit`, which a plugin brings.

use super::{matcher::template, syntax::Line};
use crate::import::{
    document::{Table, quoted},
    text::{GO_UNITS, micros, rate},
};

/// Writes a `rate_limit`: a rule for each zone, or the route is closed.
pub(super) fn rate_limit(table: &mut Table, line: &Line) {
    for zone in &line.block {
        match rule(zone) {
            Some(rule) if zone.name() == "zone" => {
                table.push(&zone.source, "rate_limit", rule);
                table.also(&line.source, "rate_limit");
            }
            _ if matches!(zone.name(), "log_key" | "jitter" | "sweep_interval") => {
                table.needless(&zone.source, "429 says when there is room again");
            }
            _ => table.close(&zone.source, LIMIT),
        }
    }
    if line.block.is_empty() {
        table.close(&line.source, LIMIT);
    }
}

/// Returns the rule of a zone: as many events as the window has are let through at once.
fn rule(zone: &Line) -> Option<String> {
    let known = ["key", "events", "window"];
    if !zone.block.iter().all(|it| known.contains(&it.name())) {
        return None;
    }
    let value = |name: &str| {
        let line = zone.block.iter().find(|it| it.name() == name)?;
        line.args().first().copied()
    };
    let key = match value("key")? {
        key if !key.contains('{') => "route".to_owned(),
        key => match template(key).ok()?.trim_matches(['"', '{', '}']) {
            "client_ip" => "client_ip".to_owned(),
            key if key.starts_with("header:") && !key.contains('{') => key.to_owned(),
            _ => return None,
        },
    };
    let events: u64 = value("events")?.parse().ok()?;
    let window = value("window")?;
    let window = micros(window, &GO_UNITS)? / 1000;
    let rate = rate(events, window)?;
    let key = quoted(&key);
    Some(format!(
        "{{ key = {key}, rate = {rate}, burst = {events} }}"
    ))
}

const LIMIT: &str = "rate_limit = { key = \"client_ip\", rate = \"10/s\" } of the route";
