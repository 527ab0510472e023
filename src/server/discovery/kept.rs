//! Lists of endpoints kept in `state_dir`: a start while a registry is away uses them.
//!
//! One file for each pool with its source, for its owner only. A list is written some seconds after
//! it has changed, by one disk task at a time. A file that another source or a later version has
//! written is not used.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::{
    config::value::EndpointAddress,
    file,
    server::{errand::InTurn, last_good, outages::Outages},
    upstream::{
        discovery::SourceSpec,
        endpoint::{Endpoint, Standing, stable_hash},
    },
};

/// Writes lists, each after a while.
#[derive(Debug)]
pub(in crate::server) struct KeptLists {
    /// Lists that are not written yet, by file.
    waiting: BTreeMap<PathBuf, KeptList>,
    due: Option<Instant>,
    outages: Arc<Outages>,
    writes: InTurn,
}

/// A list as it is on disk.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct KeptList {
    version: u32,
    pool: String,
    source: String,
    /// Unix time of the list.
    saved: u64,
    endpoints: Vec<KeptEndpoint>,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptEndpoint {
    address: String,
    weight: u32,
    version: Option<semver::Version>,
    zone: Option<String>,
    priority: u32,
    labels: BTreeMap<String, String>,
    host: Option<String>,
    down: Option<String>,
}

impl KeptLists {
    pub(super) fn new(outages: &Arc<Outages>) -> Self {
        Self {
            outages: Arc::clone(outages),
            waiting: BTreeMap::new(),
            due: None,
            writes: InTurn::new(),
        }
    }

    /// Keeps the list of a pool, a while later.
    pub(super) fn keep(
        &mut self,
        state_dir: &Path,
        pool: &str,
        source: &SourceSpec,
        endpoints: &[Arc<Endpoint>],
    ) {
        let kept = KeptList::new(pool, source, endpoints);
        self.waiting.insert(place(state_dir, pool, source), kept);
        self.due.get_or_insert_with(|| Instant::now() + WHILE);
    }

    /// Begins to write what is due.
    pub(in crate::server) fn tick(&mut self) {
        if self.writes.is_busy() || self.due.is_none_or(|due| Instant::now() < due) {
            return;
        }
        self.due = None;
        let waiting = std::mem::take(&mut self.waiting);
        let outages = Arc::clone(&self.outages);
        let write = move || write(waiting, &outages);
        if let Err(error) = self.writes.send("lists", write) {
            tracing::warn!(%error, "cannot keep the lists of endpoints");
            self.outages.note::<()>(UNKEPT, &Err(error));
        }
    }
}

fn write(waiting: BTreeMap<PathBuf, KeptList>, outages: &Outages) {
    let mut went = Ok(());
    for (path, kept) in waiting {
        let Ok(text) = serde_json::to_string(&kept) else {
            continue;
        };
        let folder = path.parent().unwrap_or_else(|| Path::new(""));
        let written = last_good::write(folder, &path, &text);
        if let Err(error) = &written {
            let pool = kept.pool;
            tracing::warn!(pool, file = %path.display(), %error, "cannot keep the list of endpoints");
        }
        went = went.and(written);
    }
    outages.note(UNKEPT, &went);
}

impl KeptList {
    fn new(pool: &str, source: &SourceSpec, endpoints: &[Arc<Endpoint>]) -> Self {
        let saved = SystemTime::now().duration_since(UNIX_EPOCH);
        let endpoints = endpoints.iter().map(|it| KeptEndpoint {
            address: it.label.to_string(),
            weight: it.weight,
            version: it.version.clone(),
            zone: it.zone.as_deref().map(str::to_owned),
            priority: it.priority,
            labels: it.labels.clone(),
            host: it.host.as_deref().map(str::to_owned),
            down: match &it.standing {
                Standing::Up => None,
                Standing::Down(why) | Standing::Leaving(why) => Some(why.to_string()),
            },
        });
        Self {
            version: VERSION,
            pool: pool.to_owned(),
            source: identity(source),
            saved: saved.unwrap_or_default().as_secs(),
            endpoints: endpoints.collect(),
        }
    }

    /// Time of the list.
    pub(super) fn saved(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.saved.min(u32::MAX.into()))
    }

    /// Returns the endpoints.
    pub(super) fn endpoints(self) -> Vec<Arc<Endpoint>> {
        let endpoints = self.endpoints.into_iter().filter_map(|it| {
            let address = EndpointAddress::parse(&it.address, Path::new("/")).ok()?;
            Some(Arc::new(Endpoint {
                weight: it.weight,
                zone: it.zone.map(Into::into),
                priority: it.priority,
                labels: it.labels,
                host: it.host.map(Into::into),
                standing: it
                    .down
                    .map_or(Standing::Up, |why| Standing::Down(why.into())),
                ..Endpoint::new(address, it.version)
            }))
        });
        endpoints.collect()
    }
}

/// Reads the list that was kept of a pool and its source, if there is one; blocks on the disk.
pub(super) fn load(state_dir: &Path, pool: &str, source: &SourceSpec) -> Option<KeptList> {
    let path = place(state_dir, pool, source);
    let text = file::read_to_string(&path, file::WATCHED_BYTES_MAX).ok()?;
    let kept: KeptList = match serde_json::from_str(&text) {
        Ok(kept) => kept,
        Err(error) => {
            tracing::warn!(pool, file = %path.display(), %error, "the kept list of endpoints cannot be read");
            return None;
        }
    };
    let is_ours = kept.version == VERSION && kept.pool == pool && kept.source == identity(source);
    (is_ours && !kept.endpoints.is_empty()).then_some(kept)
}

fn place(state_dir: &Path, pool: &str, source: &SourceSpec) -> PathBuf {
    let hash = stable_hash(format!("{pool}\n{}", identity(source)).as_bytes());
    state_dir.join(format!("endpoints-{hash:016x}.json"))
}

fn identity(source: &SourceSpec) -> String {
    format!("{}: {source}", source.kind())
}

/// Version of the form of the files.
const VERSION: u32 = 1;
/// Time from a change to its writing: one write for many changes.
const WHILE: Duration = Duration::from_secs(1);

/// The outage of the disk.
const UNKEPT: &str = "the lists of endpoints are not kept";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::discovery::{Format, parse};

    #[test]
    fn a_list_is_its_pools_and_sources_own_and_what_is_torn_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let text = r#"[{"address": "10.0.0.1:80", "weight": 3, "version": "1.2.3", "zone": "a", "priority": 2, "labels": {"a": "b"}}, "b:1"]"#;
        let list = parse(text, Format::Json, Path::new("/")).unwrap().endpoints;
        let mut list: Vec<_> = list.into_iter().map(Arc::new).collect();
        let down = Endpoint {
            host: Some("b.internal".into()),
            standing: Standing::Down("critical".into()),
            ..Endpoint::clone(&list[1])
        };
        list[1] = Arc::new(down);
        let source = SourceSpec::File("/a.json".into());
        let path = place(&state, "app", &source);
        let kept = KeptList::new("app", &source, &list);
        write(BTreeMap::from([(path.clone(), kept)]), &Outages::default());
        let read = load(&state, "app", &source).unwrap();
        assert!(read.saved().elapsed().unwrap() < Duration::from_secs(60));
        assert_eq!(read.endpoints(), list);
        assert!(load(&state, "other", &source).is_none());
        assert!(load(&state, "app", &SourceSpec::File("/b.json".into())).is_none());
        let whole = std::fs::read_to_string(&path).unwrap();
        for torn in [
            "",
            "{",
            &whole[..40],
            &whole.replace("\"version\":1,", "\"version\":2,"),
        ] {
            std::fs::write(&path, torn).unwrap();
            assert!(load(&state, "app", &source).is_none(), "{torn}");
        }
    }
}
