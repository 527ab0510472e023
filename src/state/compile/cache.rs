//! `cache` of a route compiled, with what is stored.

use std::sync::Arc;

use crate::{
    cache::{Disk, KeyRules, QueryRule, RouteCache, Rules, Store},
    config::schema,
    state::Registry,
};

/// The cache, with the answers that it has.
pub(super) fn build(
    registry: &mut Registry,
    route: &Arc<str>,
    written: &schema::Cache,
    authenticated: bool,
) -> RouteCache {
    let max_size = written.max_size.bytes();
    // A written one fits; the default gives way to a small cache.
    let disk_max = written.disk_max.bytes();
    let entry_max = written.entry_max.bytes().min(max_size / 4);
    let entry_max = match written.disk {
        Some(_) => entry_max.min(disk_max / 4),
        None => entry_max,
    };
    let kind = "cache";
    let store = registry.filter(route, kind, route, || Store::new(max_size, entry_max));
    let disk = written.disk.as_ref().map(|folder| {
        // A name may be "..", or that of a file of somebody else.
        let folder = folder.join(format!("route-{route}"));
        let name = folder.display().to_string().into();
        let make = || Disk::new(route, &folder, disk_max, entry_max);
        registry.filter(route, "cache_disk", &name, make)
    });
    let wait_ms = u64::try_from(written.collapse_timeout.as_millis()).unwrap_or(u64::MAX);
    let key = &written.key;
    RouteCache {
        store,
        disk,
        disk_max,
        max_size,
        rules: Rules {
            default_ttl: written.default_ttl.as_secs(),
            negative_ttl: written.negative_ttl.as_secs(),
            stale_while_revalidate: written.stale_while_revalidate,
            stale_if_error: written.stale_if_error.as_secs(),
            client_refresh: written.client_refresh,
            set_cookie: written.set_cookie,
            entry_max,
            wait_ms,
            authenticated,
        },
        key: KeyRules {
            query: match (&key.query_ignore[..], &key.query_keep[..]) {
                ([], []) => QueryRule::All,
                ([], keep) => QueryRule::Only(keep.to_vec()),
                (ignore, _) => QueryRule::Without(ignore.to_vec()),
            },
            headers: key.headers.clone(),
            cookies: key.cookies.clone(),
            any_host: !key.host,
        },
    }
}
