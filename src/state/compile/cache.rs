//! `cache` of a route compiled, with what is stored.

use std::sync::Arc;

use crate::{
    cache::{KeyRules, QueryRule, RouteCache, Rules, Store},
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
    let entry_max = written.entry_max.bytes().min(max_size / 4);
    let kind = "cache";
    let store = registry.filter(route, kind, route, || Store::new(max_size, entry_max));
    let wait_ms = u64::try_from(written.collapse_timeout.as_millis()).unwrap_or(u64::MAX);
    let key = &written.key;
    RouteCache {
        store,
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
