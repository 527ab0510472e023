//! Caches of routes: what they hold, and purges.

use crate::{
    admin::{
        OperationError,
        model::{CacheDisk, CacheDiskState, Purge, Purged, RouteCache},
    },
    cache::{self, DiskView, Standing, Url},
    state::Snapshot,
};

/// The caches, in the order of their routes.
pub(super) fn views(snapshot: &Snapshot) -> Vec<RouteCache> {
    let routes = snapshot.routes.iter();
    let caches = routes.filter_map(|route| {
        let cache = route.filters.cache()?;
        let view = cache.store.view();
        Some(RouteCache {
            route: route.name.to_string(),
            entries: view.entries,
            bytes: view.bytes,
            bytes_max: view.bytes_max,
            evicted: view.evicted,
            disk: cache.disk.as_ref().map(|disk| disk_of(&disk.view())),
        })
    });
    caches.collect()
}

/// Removes stored answers. Takes time in proportion to what is stored.
pub(super) fn purge(snapshot: &Snapshot, asked: &Purge) -> Result<Purged, OperationError> {
    let what = What::of(asked).map_err(OperationError::Conflict)?;
    let wanted = |name: &str| asked.route.as_ref().is_none_or(|route| route == name);
    let routes = snapshot.routes.iter().filter(|it| wanted(&it.name));
    let caches: Vec<_> = routes.filter_map(|route| route.filters.cache()).collect();
    if let (Some(route), true) = (&asked.route, caches.is_empty()) {
        let sentence = format!("no route {route:?} with a cache");
        return Err(OperationError::NotFound(sentence));
    }
    let purged = caches.iter().map(|cache| {
        cache.purge(&match what {
            What::Url(url) => cache::Purge::Url(cache.key.url(url)),
            What::Prefix(url) => cache::Purge::Prefix(cache.key.prefix(url)),
            What::Tag(tag) => cache::Purge::Tag(tag.to_owned()),
            What::All => cache::Purge::All,
        })
    });
    Ok(Purged {
        purged: purged.sum(),
    })
}

fn disk_of(view: &DiskView) -> CacheDisk {
    CacheDisk {
        state: match view.standing {
            Standing::Opening => CacheDiskState::Opening,
            Standing::Ready => CacheDiskState::Ready,
            Standing::Reading => CacheDiskState::Reading,
            Standing::Failing => CacheDiskState::Failing,
            Standing::Full => CacheDiskState::Full,
            Standing::Slow => CacheDiskState::Slow,
        },
        entries: view.keys,
        bytes: view.bytes,
        bytes_max: view.bytes_max,
        waiting: view.waiting,
        read: view.read,
        written: view.written,
        dropped: view.dropped,
        failed: view.failed,
        damaged: view.damaged,
    }
}

/// Object of a purge.
#[derive(Clone, Copy)]
enum What<'a> {
    Url(Url<'a>),
    Prefix(Url<'a>),
    Tag(&'a str),
    All,
}

impl<'a> What<'a> {
    fn of(asked: &'a Purge) -> Result<Self, String> {
        let all = asked.all.then_some(Self::All);
        let named = [
            asked.url.as_deref().map(|it| url(it).map(Self::Url)),
            asked.prefix.as_deref().map(|it| url(it).map(Self::Prefix)),
            asked.tag.as_deref().map(|it| Ok(Self::Tag(it))),
            all.map(Ok),
        ];
        let mut named = named.into_iter().flatten();
        match (named.next(), named.next()) {
            (Some(what), None) => what,
            _ => Err("name exactly one of url, prefix, tag and all".to_owned()),
        }
    }
}

/// Reads a URL as keys have it.
fn url(text: &str) -> Result<Url<'_>, String> {
    let parts = text.split_once("://");
    let known = parts.filter(|(scheme, _)| ["http", "https"].contains(scheme));
    let Some((scheme, rest)) = known else {
        return Err(format!(
            "{text:?} is no URL: write it with scheme and host, such as \"https://shop.example/a\""
        ));
    };
    let at = rest.find('/').unwrap_or(rest.len());
    let (host, target) = rest.split_at(at);
    let target = if target.is_empty() { "/" } else { target };
    Ok(Url {
        scheme,
        host,
        target: target.as_bytes(),
    })
}
