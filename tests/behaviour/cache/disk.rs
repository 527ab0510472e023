//! `disk` of a cache: answers outlive the process, and the disk can do no harm.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::{
    fs::{CWD, Mode, mkfifoat},
    process::Signal,
};
use serde_json::{Value, json};

use super::{
    numbered,
    purge::{cached, purge},
    start, status,
};
use crate::harness::{Backend, Proxy, Seen, answer_bytes, eventually};

const CACHE: &str = "cache = { disk = \"cache/\" }";
const FRESH: &str = "cache-control: max-age=600\r\n";

/// State of the disk by `/cache`, once it has nothing to do.
pub(super) async fn settled(proxy: &Proxy, state: &str) -> Value {
    eventually(format!("the disk is settled and {state}"), || async {
        let disk = cached(proxy).await[0]["disk"].clone();
        (disk["state"] == state && disk["waiting"] == 0).then_some(disk)
    })
    .await
}

/// The same once it has this number of keys.
async fn holds(proxy: &Proxy, entries: u64) -> Value {
    eventually(format!("{entries} keys on disk"), || async {
        let disk = settled(proxy, "ready").await;
        (disk["entries"] == entries).then_some(disk)
    })
    .await
}

pub(super) async fn restart(proxy: &mut Proxy) {
    proxy.signal(Signal::TERM);
    proxy.exited().await;
    proxy.start_again().await;
    settled(proxy, "ready").await;
}

/// The files with answers.
pub(super) fn files(proxy: &Proxy) -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name().into_string().unwrap();
            if entry.file_type().unwrap().is_dir() {
                walk(&entry.path(), found);
            } else if name.len() == 49 {
                found.push(entry.path());
            }
        }
    }
    let mut found = Vec::new();
    walk(&proxy.folder().join("cache"), &mut found);
    found
}

pub(super) fn is_hit(answer: &crate::harness::Answer) -> bool {
    status(answer).contains("; hit;")
}

#[tokio::test]
async fn answers_outlive_the_process() {
    let app = Backend::start(|seen: &Seen| {
        let user = seen.fields.get("x-lang").unwrap_or("-").to_owned();
        let body = format!("{user} {}", seen.target);
        answer_bytes(&format!(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n{FRESH}vary: x-lang\r\netag: \"1\"\r\ntrailer: x-sum\r\n\r\n{:x}\r\n{body}\r\n0\r\nx-sum: 7\r\n\r\n",
            body.len()
        ))
    })
    .await;
    let mut proxy = start(CACHE, &app).await;
    for lines in ["", "x-lang: de", "x-lang: fr"] {
        proxy.request("GET", "/a", lines, b"").await;
    }
    proxy.get("/b").await;
    proxy.get("/c").await;
    holds(&proxy, 3).await;
    eventually("all are written", || async {
        (settled(&proxy, "ready").await["written"] == 5).then_some(())
    })
    .await;
    assert_eq!((app.count(), files(&proxy).len()), (5, 5));
    restart(&mut proxy).await;
    for (method, target, lines, code, body) in [
        ("GET", "/a", "x-lang: de", 200, "de /a"),
        ("GET", "/a", "", 200, "- /a"),
        ("GET", "/a", "x-lang: fr\nte: trailers", 200, "fr /a"),
        ("HEAD", "/b", "", 200, ""),
        ("GET", "/b", "if-none-match: \"1\"", 304, ""),
        ("GET", "/c", "range: bytes=2-3", 206, "/c"),
        ("GET", "/c", "cache-control: only-if-cached", 200, "- /c"),
    ] {
        let answer = proxy.request(method, target, lines, b"").await;
        assert_eq!(
            (answer.status, answer.text()),
            (code, body.into()),
            "{target} {lines}"
        );
        assert!(is_hit(&answer), "{target} {lines}: {answer:?}");
        if lines.contains("trailers") {
            assert_eq!(answer.trailers.get("x-sum"), Some("7"));
        }
    }
    assert_eq!(app.count(), 5);
    // Other values of Vary are not there.
    proxy.request("GET", "/a", "x-lang: it", b"").await;
    assert_eq!(app.count(), 6);
    for file in files(&proxy) {
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
    for folder in ["cache", "cache/route-all"] {
        let folder = fs::metadata(proxy.folder().join(folder)).unwrap();
        assert_eq!(folder.permissions().mode() & 0o777, 0o700);
    }
    proxy.finish().await;
}

#[tokio::test]
async fn a_damaged_file_is_a_miss_and_is_removed() {
    let app = Backend::start(numbered(FRESH)).await;
    let mut proxy = start(CACHE, &app).await;
    proxy.get("/a").await;
    holds(&proxy, 1).await;
    let file = files(&proxy).remove(0);
    let whole = fs::read(&file).unwrap();
    let mut number = 1;
    let half = whole.len() / 2;
    let (mut first, mut last) = (whole.clone(), whole.clone());
    first[half] ^= 1;
    *last.last_mut().unwrap() ^= 0x80;
    for damaged in [first, last, whole[..half].to_vec(), Vec::new()] {
        proxy.signal(Signal::TERM);
        proxy.exited().await;
        fs::write(&file, damaged).unwrap();
        proxy.start_again().await;
        settled(&proxy, "ready").await;
        number += 1;
        let answer = proxy.get("/a").await;
        assert_eq!(answer.text(), format!("answer {number}"));
        let disk = eventually("the new answer is written", || async {
            let disk = settled(&proxy, "ready").await;
            (disk["written"] == 1).then_some(disk)
        })
        .await;
        assert_eq!((&disk["damaged"], &disk["failed"]), (&json!(1), &json!(0)));
        assert_eq!(files(&proxy).len(), 1);
    }
    proxy.finish().await;
}

#[tokio::test]
async fn purges_reach_the_disk_and_outlive_the_process() {
    let app = Backend::start(|seen: &Seen| match &*seen.method {
        "GET" => answer_bytes(&format!(
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n{FRESH}cache-tag: t{}\r\n\r\nok",
            &seen.target[1..]
        )),
        _ => answer_bytes("HTTP/1.1 204 No Content\r\n\r\n"),
    })
    .await;
    let mut proxy = start(CACHE, &app).await;
    let targets = ["/a", "/b", "/c", "/d/1", "/e"];
    for target in targets {
        proxy.get(target).await;
    }
    holds(&proxy, 5).await;
    // Nothing is in memory after a restart: the purges are those of the disk.
    restart(&mut proxy).await;
    for what in [
        json!({ "url": "http://shop.example/a" }),
        json!({ "tag": "tb" }),
        json!({ "prefix": "http://shop.example/d/" }),
    ] {
        assert_eq!(purge(&proxy, &what).await.0, 200, "{what}");
    }
    assert_eq!(proxy.request("POST", "/c", "", b"").await.status, 204);
    settled(&proxy, "ready").await;
    restart(&mut proxy).await;
    for target in targets {
        let answer = proxy.get(target).await;
        assert_eq!(is_hit(&answer), target == "/e", "{target}");
    }
    holds(&proxy, 5).await;
    // What came after the purges stays.
    restart(&mut proxy).await;
    for target in targets {
        assert!(is_hit(&proxy.get(target).await), "{target}");
    }
    assert_eq!(purge(&proxy, &json!({ "all": true })).await.0, 200);
    holds(&proxy, 0).await;
    eventually("the files are removed", || async {
        files(&proxy).is_empty().then_some(())
    })
    .await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_disk_that_hangs_costs_hits_alone() {
    let app = Backend::start(numbered(FRESH)).await;
    let mut proxy = start(CACHE, &app).await;
    for target in 0..8 {
        proxy.get(&format!("/{target}")).await;
    }
    holds(&proxy, 8).await;
    restart(&mut proxy).await;
    // Reading a pipe that nobody writes to takes for ever.
    for file in files(&proxy) {
        fs::remove_file(&file).unwrap();
        mkfifoat(CWD, &file, Mode::from_raw_mode(0o600)).unwrap();
    }
    for target in 0..8 {
        let answer = proxy.get(&format!("/{target}")).await;
        assert_eq!(answer.text(), format!("answer {}", target + 9));
    }
    for target in 0..8 {
        assert!(is_hit(&proxy.get(&format!("/{target}")).await));
    }
    assert_eq!(app.count(), 16);
    proxy.finish().await;
}

#[tokio::test]
async fn a_disk_that_fails_costs_hits_alone_and_is_used_again() {
    let app = Backend::start(numbered(FRESH)).await;
    let mut proxy = start(CACHE, &app).await;
    proxy.get("/a").await;
    holds(&proxy, 1).await;
    let folder = proxy.folder().join("cache/route-all");
    let aside = proxy.folder().join("aside");
    fs::rename(&folder, &aside).unwrap();
    fs::write(&folder, "a file in its place").unwrap();
    for _ in 0..2 {
        assert_eq!(proxy.get("/b").await.text(), "answer 2");
    }
    proxy
        .log_says("cache: cannot write an answer on disk")
        .await;
    let disk = settled(&proxy, "failing").await;
    assert!(disk["failed"].as_u64() > Some(0), "{disk}");
    // A purge that cannot be noted holds in memory, and is noted later.
    let what = json!({ "url": "http://shop.example/a" });
    assert_eq!(purge(&proxy, &what).await.0, 200);
    assert_eq!(proxy.get("/a").await.text(), "answer 3");
    fs::remove_file(&folder).unwrap();
    fs::rename(&aside, &folder).unwrap();
    let count = AtomicUsize::new(0);
    eventually("answers are written again", || async {
        let number = count.fetch_add(1, Ordering::SeqCst);
        proxy.get(&format!("/again/{number}")).await;
        let disk = cached(&proxy).await[0]["disk"].clone();
        (disk["written"].as_u64() > Some(1)).then_some(())
    })
    .await;
    proxy.log_says("cache: the disk works again").await;
    settled(&proxy, "ready").await;
    restart(&mut proxy).await;
    assert_ne!(proxy.get("/a").await.text(), "answer 1");
    proxy.finish().await;
}

#[tokio::test]
async fn files_take_no_more_than_they_may() {
    let app = Backend::start(numbered(FRESH)).await;
    let cache = "cache = { max_size = \"1MiB\", entry_max = \"64KiB\", disk = \"cache/\", disk_max = \"1MiB\" }";
    let mut proxy = start(cache, &app).await;
    for number in 0..400 {
        proxy.get(&format!("/{number}")).await;
    }
    let disk = eventually("all are written", || async {
        let disk = settled(&proxy, "ready").await;
        let seen = disk["written"].as_u64()? + disk["dropped"].as_u64()?;
        (seen == 400).then_some(disk)
    })
    .await;
    let bytes = disk["bytes"].as_u64().unwrap();
    assert!(bytes <= 1 << 20 && bytes > 1 << 19, "{disk}");
    let count = files(&proxy).len() as u64;
    assert_eq!(count, disk["entries"].as_u64().unwrap());
    // The next process finds as much of it as fits.
    restart(&mut proxy).await;
    let disk = settled(&proxy, "ready").await;
    let bytes = disk["bytes"].as_u64().unwrap();
    assert!(bytes <= 1 << 20 && bytes > 1 << 19, "{disk}");
    assert_eq!(
        files(&proxy).len() as u64,
        disk["entries"].as_u64().unwrap()
    );
    proxy.finish().await;
}

#[tokio::test]
async fn equal_requests_share_one_read() {
    let app = Backend::start(numbered(FRESH)).await;
    let mut proxy = start(CACHE, &app).await;
    proxy.get("/a").await;
    holds(&proxy, 1).await;
    restart(&mut proxy).await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(proxy.client().await);
    }
    for client in &mut clients {
        client
            .send("GET /a HTTP/1.1\r\nhost: shop.example\r\n\r\n")
            .await;
    }
    for client in &mut clients {
        assert_eq!(client.answer().await.text(), "answer 1");
    }
    assert_eq!(app.count(), 1);
    assert_eq!(settled(&proxy, "ready").await["read"], 1);
    proxy.finish().await;
}

#[tokio::test]
async fn the_process_after_an_upgrade_reads_at_once_and_writes_when_the_old_one_has_ended() {
    let app = Backend::start(numbered(FRESH)).await;
    let proxy = start(CACHE, &app).await;
    proxy.get("/a").await;
    holds(&proxy, 1).await;
    proxy.upgrade().await;
    let hit = eventually("the file is found", || async {
        let answer = proxy.get("/a").await;
        is_hit(&answer).then_some(answer)
    })
    .await;
    assert_eq!(hit.text(), "answer 1");
    settled(&proxy, "ready").await;
    proxy.get("/b").await;
    holds(&proxy, 2).await;
    proxy.all_end().await;
}

#[tokio::test]
async fn answers_that_are_stale_soon_are_kept_in_memory_alone() {
    let app = Backend::start(numbered("cache-control: max-age=9\r\n")).await;
    let proxy = start(CACHE, &app).await;
    proxy.get("/a").await;
    proxy.get("/a").await;
    assert_eq!(app.count(), 1);
    let disk = settled(&proxy, "ready").await;
    assert_eq!((&disk["written"], &disk["dropped"]), (&json!(0), &json!(0)));
    proxy.finish().await;
}
