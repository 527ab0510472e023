//! `cache`: what the caches of the running proxy hold, and purges.

use std::borrow::Cow;

use super::{
    args::{Args, CacheArgs, CacheVerb, OutputFormat, PurgeArgs},
    client::Client,
    exit_code::{CommandError, Exit},
    operate::JSON,
    print,
};
use crate::admin::model::{CacheDisk, CacheDiskState, Purge, Purged, RouteCache};

/// Shows the caches, or removes stored answers.
pub(super) fn cache(args: &Args, asked: &CacheArgs) -> Result<Exit, CommandError> {
    match &asked.verb {
        CacheVerb::Status(ask) => {
            let client = Client::find(args, ask)?;
            let told = client.read::<Vec<RouteCache>>()?;
            if ask.output.format == OutputFormat::Json {
                print::json(&told)?;
                return Ok(Exit::Fine);
            }
            let caches: Vec<RouteCache> = client.understand(told)?;
            let rows: Vec<_> = caches.iter().map(row).collect();
            match rows.is_empty() {
                true => print::answer("no route has a cache")?,
                false => print::answer(&print::columns(&rows))?,
            }
        }
        CacheVerb::Purge(asked) => purge(args, asked)?,
    }
    Ok(Exit::Fine)
}

fn purge(args: &Args, asked: &PurgeArgs) -> Result<(), CommandError> {
    let client = Client::find(args, &asked.ask)?;
    let what = Purge {
        url: asked.what.url.clone(),
        prefix: asked.what.prefix.clone(),
        tag: asked.what.tag.clone(),
        all: asked.what.all,
        route: asked.route.clone(),
    };
    let body = serde_json::to_string(&what).unwrap_or_default();
    let told = client.post("/cache/purge", JSON, body)?;
    if asked.ask.output.format == OutputFormat::Json {
        print::json(&told)?;
        return Ok(());
    }
    let Purged { purged } = client.understand(told)?;
    let keys = if purged == 1 { "key" } else { "keys" };
    print::answer(&format!("purged {purged} {keys}"))?;
    Ok(())
}

fn row(cache: &RouteCache) -> Vec<Cow<'_, str>> {
    let share = cache.bytes * 100 / cache.bytes_max.max(1);
    vec![
        cache.route.as_str().into(),
        format!("{} keys", cache.entries).into(),
        format!("{} KiB ({share} %)", cache.bytes / 1024).into(),
        format!("{} evicted", cache.evicted).into(),
        cache.disk.as_ref().map_or_else(String::new, disk).into(),
    ]
}

fn disk(disk: &CacheDisk) -> String {
    let share = disk.bytes * 100 / disk.bytes_max.max(1);
    let state = match disk.state {
        CacheDiskState::Opening => ", is looked through",
        CacheDiskState::Ready => "",
        CacheDiskState::Reading => ", another process writes",
        CacheDiskState::Failing => ", fails",
        CacheDiskState::Full => ", is full",
        CacheDiskState::Slow => ", is too slow",
    };
    let (keys, mib) = (disk.entries, disk.bytes >> 20);
    format!("disk: {keys} keys, {mib} MiB ({share} %){state}")
}
