//! Checks on `cache` of a route.

use std::time::Duration;

use super::Check;
use crate::config::{
    schema::{Cache, Route},
    value::{Name, duration},
};

pub(super) fn check(check: &mut Check<'_>, name: &Name, route: &Route) {
    let Some(cache) = &route.cache else { return };
    let place = format!("routes.{name}.cache");
    let pools = route.destination.pools(check.config);
    if pools.is_empty() && !check.is_broken(&format!("routes.{name}")) {
        let message = format!("{place} has no effect");
        let hint = "the route sends nothing to a pool: remove it";
        check.warn(cache.spans.anchor(), message, hint);
    }
    let names_users = !cache.key.headers.is_empty() || !cache.key.cookies.is_empty();
    if route.auth.is_some() && !names_users {
        let message = format!(
            "{place}: all users whom auth lets in share the answers that say public, s-maxage or must-revalidate"
        );
        let hint = "others are not stored; to store for each user apart: headers_request = { set = { x-user = \"{auth.user}\" } } and cache.key.headers = [\"x-user\"]";
        check.warn(cache.spans.anchor(), message, hint);
    }
    check_sizes(check, &place, cache);
    check_disk(check, &place, cache);
    check_times(check, &place, cache);
    let key = &cache.key;
    if !key.query_ignore.is_empty() && !key.query_keep.is_empty() {
        let message = format!("{place}.key has both query_ignore and query_keep");
        let hint = "name the parameters that count, or those that do not";
        check.error(key.spans.of("query_keep"), message, hint);
    }
    let credentials = ["authorization", "cookie"];
    for header in &key.headers {
        if credentials.contains(&header.as_str()) {
            let message =
                format!("{place}.key.headers has \"{header}\": each user has entries of his own");
            let hint = "name the one cookie that matters in cookies, or let the answer say Vary";
            check.warn(key.spans.of("headers"), message, hint);
        }
    }
}

fn check_sizes(check: &mut Check<'_>, place: &str, cache: &Cache) {
    let (size, entry) = (cache.max_size.bytes(), cache.entry_max.bytes());
    if size < SIZE_MIN {
        let message = format!("{place}.max_size cannot be {}", cache.max_size);
        check.error(cache.spans.of("max_size"), message, "at least 1MiB");
    } else if cache.spans.has("entry_max") && (entry == 0 || entry > size / 4) {
        let message = format!(
            "{place}.entry_max ({}) does not fit max_size ({})",
            cache.entry_max, cache.max_size
        );
        let hint = "from 1B to a quarter of max_size";
        check.error(cache.spans.of("entry_max"), message, hint);
    }
}

fn check_disk(check: &mut Check<'_>, place: &str, cache: &Cache) {
    let size = cache.disk_max.bytes();
    if cache.disk.is_none() {
        if cache.spans.has("disk_max") {
            let message = format!("{place}.disk_max has no effect");
            let hint = "name the folder, too: disk = \"cache/\"";
            check.warn(cache.spans.of("disk_max"), message, hint);
        }
    } else if size < SIZE_MIN {
        let message = format!("{place}.disk_max cannot be {}", cache.disk_max);
        check.error(cache.spans.of("disk_max"), message, "at least 1MiB");
    } else if cache.spans.has("entry_max") && cache.entry_max.bytes() > size / 4 {
        let message = format!(
            "{place}.entry_max ({}) does not fit disk_max ({})",
            cache.entry_max, cache.disk_max
        );
        let hint = "from 1B to a quarter of disk_max";
        check.error(cache.spans.of("entry_max"), message, hint);
    }
}

fn check_times(check: &mut Check<'_>, place: &str, cache: &Cache) {
    for (key, time, max) in [
        ("default_ttl", cache.default_ttl, YEAR),
        ("negative_ttl", cache.negative_ttl, YEAR),
        ("stale_if_error", cache.stale_if_error, YEAR),
        ("collapse_timeout", cache.collapse_timeout, MINUTE),
    ] {
        if time > max {
            let message = format!("{place}.{key} cannot be {}", duration::text(&time));
            let hint = format!("at most {}", duration::text(&max));
            check.error(cache.spans.of(key), message, hint);
        }
    }
    for (key, time) in [
        ("default_ttl", cache.default_ttl),
        ("negative_ttl", cache.negative_ttl),
    ] {
        if !time.is_zero() && time < Duration::from_secs(1) {
            let message = format!("{place}.{key} cannot be {}", duration::text(&time));
            check.error(cache.spans.of(key), message, "0, or at least 1s");
        }
    }
}

const SIZE_MIN: u64 = 1 << 20;
const MINUTE: Duration = Duration::from_secs(60);
const YEAR: Duration = Duration::from_secs(365 * 86_400);
