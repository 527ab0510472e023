use bytes::Bytes;
use http::StatusCode;

use super::*;
use crate::{
    cache::{Arrival, Content, Found, Freshness, Meta, RouteCache, Rules, key::KeyRules, key::Url},
    semantics::Headers,
};

const MIB: u64 = 1 << 20;

fn key(target: &str) -> Key {
    let url = Url {
        scheme: "https",
        host: "shop.example",
        target: target.as_bytes(),
    };
    KeyRules::default().key(url, &Headers::new())
}

/// A cache with a disk in this folder, of which the threads do not run.
fn cache(folder: &Path) -> RouteCache {
    RouteCache {
        store: Arc::new(Store::new(MIB, MIB / 4)),
        disk: Some(Arc::new(Disk::new(&"all".into(), folder, MIB, MIB / 4))),
        max_size: MIB,
        disk_max: MIB,
        rules: Rules::default(),
        key: KeyRules::default(),
    }
}

/// Stores an answer, which is then on its way to the disk.
fn store(cache: &RouteCache, key: &Key) {
    let headers = Headers::new();
    let meta = Meta::new(&Arrival {
        status: StatusCode::OK,
        headers: &headers,
        freshness: Freshness {
            lifetime: 600,
            explicit: true,
            while_revalidate: 0,
            if_error: 0,
            no_cache: false,
        },
        request: &headers,
        cohort: "",
        now: 1000,
        delay: 0,
    });
    let content = Content::new(&[Bytes::from_static(b"body")], None);
    cache.alone(key).whole(Arc::new(meta), Arc::new(content));
}

fn entry(cache: &RouteCache, key: &Key) -> Arc<Entry> {
    match cache.store.find(key, "", &Headers::new(), 1000) {
        Found::Entry(entry) => entry,
        other => panic!("{other:?}"),
    }
}

/// Has the disk do all that waits; returns the number of keys that it then has.
fn settled(cache: &RouteCache) -> u64 {
    cache.start();
    cache.end(Duration::from_secs(20));
    let view = cache.disk.as_ref().unwrap().view();
    assert_eq!((view.waiting, view.failed), (0, 0), "{view:?}");
    view.keys
}

#[test]
fn a_forgotten_answer_does_not_come_back_by_a_write_on_its_way() {
    let folder = tempfile::tempdir().unwrap();
    let cache = cache(folder.path());
    let (kept, forgotten) = (key("/kept"), key("/forgotten"));
    store(&cache, &kept);
    store(&cache, &forgotten);
    cache.forget(&forgotten, &entry(&cache, &forgotten));
    assert_eq!(settled(&cache), 1);
    let index = &cache.disk.as_ref().unwrap().shared.index;
    assert!(index.get(&KeyHash::of(&kept)).is_some());
    assert!(index.get(&KeyHash::of(&forgotten)).is_none());
}

#[test]
fn a_forgotten_answer_does_not_come_back_by_a_read_on_its_way() {
    let folder = tempfile::tempdir().unwrap();
    let cache = cache(folder.path());
    let key = key("/a");
    store(&cache, &key);
    let stored = entry(&cache, &key);
    let read = Entry {
        meta: Arc::clone(&stored.meta),
        content: Arc::clone(&stored.content),
    };
    let mark = cache.store.changes.mark(&key);
    cache.forget(&key, &stored);
    cache.store.adopt(&key, read, mark);
    let found = cache.store.find(&key, "", &Headers::new(), 1000);
    assert!(matches!(found, Found::Nothing), "{found:?}");
}

#[test]
fn a_full_table_of_changed_keys_costs_one_purge_of_everything() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::new(&"all".into(), folder.path(), MIB, MIB / 4);
    let name = FileName {
        key: KeyHash::of(&key("/stays")),
        variant: 0,
    };
    for number in 0..=CHANGED_MAX {
        disk.shared.index.add(name, 1);
        disk.remove(&key(&format!("/{number}")));
        let known = disk.shared.index.get(&name.key).is_some();
        assert_eq!(known, number < CHANGED_MAX, "{number}");
    }
    for number in 0..10 {
        disk.shared.index.add(name, 1);
        disk.remove(&key(&format!("/later/{number}")));
        assert!(disk.shared.index.get(&name.key).is_some(), "{number}");
    }
}

#[test]
fn purges_that_wait_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::new(&"all".into(), folder.path(), MIB, MIB / 4);
    for number in 0..10_000 {
        disk.purge(Purge::Tag(number.to_string()));
    }
    assert!(disk.view().waiting <= 4096, "{:?}", disk.view());
}

#[test]
fn a_disk_that_does_not_take_writes_in_time_is_slow() {
    let folder = tempfile::tempdir().unwrap();
    let cache = cache(folder.path());
    let disk = cache.disk.as_ref().unwrap();
    for number in 0..=1024 {
        assert_ne!(disk.view().standing, Standing::Slow);
        store(&cache, &key(&format!("/{number}")));
    }
    assert_eq!(disk.view().standing, Standing::Slow);
    assert_eq!((disk.view().waiting, disk.view().dropped), (1024, 1));
    settled(&cache);
    assert_ne!(disk.view().standing, Standing::Slow);
}
