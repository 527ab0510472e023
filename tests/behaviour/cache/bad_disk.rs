//! `disk` of a cache on a disk that is full, hangs or loses what it had: requests do not notice.

use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
};

use rustix::{
    fs::{CWD, Mode, mkfifoat},
    process::Signal,
};
use serde_json::{Value, json};

use super::{
    disk::{is_hit, restart, settled},
    purge::{cached, purge},
    start,
};
use crate::harness::{Act, Backend, Proxy, Seen, answer_bytes, eventually, within};

/// A file system in memory, with a size of its own. It belongs to a process that does nothing else,
/// in namespaces of its own: no rights are needed, and nothing is left of it when that ends.
struct SmallDisk {
    keeper: Child,
    shell: ChildStdin,
}

impl SmallDisk {
    /// Makes one, where the system lets its users.
    fn new(size: &str) -> Option<Self> {
        let script = format!("mount -t tmpfs -o size={size} tmpfs /mnt && echo ready && exec sh");
        let mut unshare = Command::new("unshare");
        unshare.args(["--map-root-user", "--mount", "sh", "-c", &script]);
        let keeper = unshare.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut keeper = keeper.expect("unshare");
        let mut said = String::new();
        let output = keeper.stdout.take().expect("a pipe");
        let _ = BufReader::new(output).read_line(&mut said);
        let shell = keeper.stdin.take().expect("a pipe");
        let disk = Self { keeper, shell };
        if said != "ready\n" {
            eprintln!("passed over: no file system can be mounted here");
            return None;
        }
        Some(disk)
    }

    fn path(&self) -> PathBuf {
        format!("/proc/{}/root/mnt", self.keeper.id()).into()
    }

    fn resize(&mut self, size: &str) {
        let command = format!("mount -o remount,size={size} /mnt\n");
        self.shell.write_all(command.as_bytes()).expect("a shell");
    }

    /// Uses up what is left.
    fn fill(&self) -> PathBuf {
        let path = self.path().join("of-others");
        let mut file = File::create(&path).expect("a file");
        let error = loop {
            if let Err(error) = file.write_all(&[1; 4096]) {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        path
    }

    fn cache(&self) -> String {
        let path = self.path().display().to_string();
        format!(
            "cache = {{ disk = {path:?}, disk_max = \"8MiB\", max_size = \"1MiB\", entry_max = \"64KiB\" }}"
        )
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

/// A server of pages of 20 KiB.
async fn pages() -> Backend {
    Backend::start(|seen: &Seen| page(&seen.target)).await
}

fn page(target: &str) -> Vec<Act> {
    let body = target.repeat(20_480 / target.len());
    let length = body.len();
    answer_bytes(&format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\ncache-control: max-age=600\r\n\r\n{body}"
    ))
}

async fn state_becomes(proxy: &Proxy, state: &str) -> Value {
    eventually(format!("the disk is {state}"), || async {
        let disk = cached(proxy).await[0]["disk"].clone();
        (disk["state"] == state).then_some(disk)
    })
    .await
}

/// States of the disk that were told, in their order.
async fn told(proxy: &Proxy) -> Vec<String> {
    let answer = proxy.admin("GET", "/events?last=100", "accept: application/json\n");
    let events: Value = serde_json::from_slice(&answer.await.unwrap().body).unwrap();
    let all = events.as_array().unwrap().iter();
    let ours = all.filter(|event| event["kind"] == "cache_disk");
    ours.map(|event| event["what"]["to"].as_str().unwrap().to_owned())
        .collect()
}

async fn is_failing(proxy: &Proxy, failing: bool) {
    let labels = [("route", "all")];
    proxy
        .metric_becomes("sluicegate_cache_disk_failing", &labels, failing.into())
        .await;
}

#[tokio::test]
async fn on_a_full_disk_older_answers_make_room_for_new_ones() {
    let Some(mut disk) = SmallDisk::new("1m") else {
        return;
    };
    let app = pages().await;
    let mut proxy = start(&disk.cache(), &app).await;
    for number in 0..200 {
        assert_eq!(proxy.get(&format!("/{number}")).await.status, 200);
    }
    let view = settled(&proxy, "full").await;
    assert!(view["bytes"].as_u64() > Some(600 << 10), "{view}");
    assert!(view["bytes_max"].as_u64() <= Some(1 << 20), "{view}");
    assert_eq!(view["failed"], 0, "{view}");
    is_failing(&proxy, false).await;
    assert_eq!(proxy.log().matches("the disk is full").count(), 1);
    eventually("its states are told", || async {
        (told(&proxy).await == ["full"]).then_some(())
    })
    .await;
    // The next process uses it at once, though it is full.
    restart(&mut proxy).await;
    let mut hits = 0;
    for number in 0..200 {
        let target = format!("/{number}");
        let lines = "cache-control: only-if-cached";
        let answer = proxy.request("GET", &target, lines, b"").await;
        hits += u32::from(answer.status == 200);
    }
    assert!(hits >= 25, "{hits}");
    disk.resize("32m");
    eventually("there is room again", || async {
        proxy.get("/more").await;
        (cached(&proxy).await[0]["disk"]["state"] == "ready").then_some(())
    })
    .await;
    let rounds = AtomicUsize::new(0);
    // What finds too many writes before it is left out.
    eventually("it takes more", || async {
        let round = rounds.fetch_add(1, Ordering::SeqCst);
        for number in 0..200 {
            proxy.get(&format!("/again/{round}/{number}")).await;
        }
        (settled(&proxy, "ready").await["bytes"].as_u64() > Some(4 << 20)).then_some(())
    })
    .await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_disk_that_others_fill_costs_hits_alone() {
    let Some(disk) = SmallDisk::new("1m") else {
        return;
    };
    let app = pages().await;
    let proxy = start(&disk.cache(), &app).await;
    settled(&proxy, "ready").await;
    let others = disk.fill();
    for number in 0..50 {
        assert_eq!(proxy.get(&format!("/{number}")).await.status, 200);
    }
    settled(&proxy, "failing").await;
    is_failing(&proxy, true).await;
    fs::remove_file(others).unwrap();
    eventually("answers are written again", || async {
        let number = app.count();
        proxy.get(&format!("/again/{number}")).await;
        let disk = cached(&proxy).await[0]["disk"].clone();
        (disk["state"] == "ready" && disk["written"].as_u64() > Some(0)).then_some(())
    })
    .await;
    is_failing(&proxy, false).await;
    for line in ["cache: the disk works again", "cache: cannot"] {
        assert_eq!(proxy.log().matches(line).count(), 1, "{}", proxy.log());
    }
    assert_eq!(told(&proxy).await, ["failing", "ready"]);
    proxy.finish().await;
}

#[tokio::test]
async fn a_purge_on_a_full_disk_outlives_the_process() {
    for stored in [&["/a"][..], &["/a", "/b", "/c", "/d"]] {
        let Some(disk) = SmallDisk::new("1m") else {
            return;
        };
        let app = pages().await;
        let mut proxy = start(&disk.cache(), &app).await;
        for target in stored {
            proxy.get(target).await;
        }
        eventually("all are written", || async {
            (settled(&proxy, "ready").await["entries"] == stored.len()).then_some(())
        })
        .await;
        disk.fill();
        let what = json!({ "url": "http://shop.example/a" });
        assert_eq!(purge(&proxy, &what).await.0, 200);
        restart_full(&mut proxy).await;
        assert!(!is_hit(&proxy.get("/a").await));
        assert_eq!(app.count(), stored.len() + 1);
        proxy.finish().await;
    }
}

/// The same as `restart`, whatever the state of the disk.
async fn restart_full(proxy: &mut Proxy) {
    proxy.signal(Signal::TERM);
    proxy.exited().await;
    proxy.start_again().await;
    eventually("the disk was looked at", || async {
        let disk = cached(proxy).await[0]["disk"].clone();
        (disk["state"] != "opening").then_some(())
    })
    .await;
}

#[tokio::test]
async fn stored_answers_are_read_from_a_disk_that_is_full_at_the_start() {
    let Some(disk) = SmallDisk::new("1m") else {
        return;
    };
    let app = pages().await;
    let mut proxy = start(&disk.cache(), &app).await;
    proxy.get("/a").await;
    eventually("it is written", || async {
        (settled(&proxy, "ready").await["entries"] == 1).then_some(())
    })
    .await;
    proxy.signal(Signal::TERM);
    proxy.exited().await;
    disk.fill();
    proxy.start_again().await;
    eventually("the file is found", || async {
        (cached(&proxy).await[0]["disk"]["entries"] == 1).then_some(())
    })
    .await;
    assert!(is_hit(&proxy.get("/a").await));
    assert_eq!(app.count(), 1);
    proxy.finish().await;
}

#[tokio::test]
async fn a_disk_that_hangs_on_writes_holds_no_request_and_not_the_end_of_the_process() {
    let app = pages().await;
    let mut proxy = start("cache = { disk = \"cache/\" }", &app).await;
    settled(&proxy, "ready").await;
    // Who opens a pipe for writing waits until somebody reads.
    let purges = proxy.folder().join("cache/route-all/purges");
    let _ = fs::remove_file(&purges);
    mkfifoat(CWD, &purges, Mode::from_raw_mode(0o600)).unwrap();
    let what = json!({ "tag": "any" });
    assert_eq!(purge(&proxy, &what).await.0, 200);
    let mut client = proxy.client().await;
    for number in 0..1100 {
        let target = format!("/{number}");
        assert_eq!(client.request("GET", &target, "", b"").await.status, 200);
    }
    let disk = state_becomes(&proxy, "slow").await;
    assert!(disk["dropped"].as_u64() > Some(0), "{disk}");
    is_failing(&proxy, true).await;
    proxy
        .log_says("cache: the disk does not answer in time")
        .await;
    assert!(is_hit(&proxy.get("/1099").await));
    // It recovers, and then hangs once more.
    let reader = purges.clone();
    let reading = tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        File::open(reader)
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        text
    });
    let text = within("the note of the purge", reading).await.unwrap();
    assert!(text.contains("tag"), "{text}");
    proxy.log_says("cache: the disk answers again").await;
    is_failing(&proxy, false).await;
    assert_eq!(purge(&proxy, &what).await.0, 200);
    proxy.signal(Signal::TERM);
    proxy.exited().await;
}

#[tokio::test]
async fn a_folder_that_is_removed_while_it_is_used_is_made_again() {
    let app = pages().await;
    let mut proxy = start("cache = { disk = \"cache/\" }", &app).await;
    for target in ["/a", "/b", "/c"] {
        proxy.get(target).await;
    }
    eventually("all are written", || async {
        (settled(&proxy, "ready").await["entries"] == 3).then_some(())
    })
    .await;
    restart(&mut proxy).await;
    fs::remove_dir_all(proxy.folder().join("cache")).unwrap();
    for target in ["/a", "/b", "/a"] {
        assert_eq!(proxy.get(target).await.status, 200);
    }
    settled(&proxy, "ready").await;
    let what = json!({ "url": "http://shop.example/b" });
    assert_eq!(purge(&proxy, &what).await.0, 200);
    assert_eq!(app.count(), 5);
    proxy.get("/d").await;
    settled(&proxy, "ready").await;
    restart(&mut proxy).await;
    for (target, hit) in [("/a", true), ("/b", false), ("/d", true)] {
        assert_eq!(is_hit(&proxy.get(target).await), hit, "{target}");
    }
    proxy.finish().await;
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_a_miss_and_is_told_once() {
    let app = pages().await;
    let mut proxy = start("cache = { disk = \"cache/\" }", &app).await;
    proxy.get("/a").await;
    eventually("it is written", || async {
        (settled(&proxy, "ready").await["entries"] == 1).then_some(())
    })
    .await;
    restart(&mut proxy).await;
    let file = super::disk::files(&proxy).remove(0);
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert_eq!(proxy.get("/a").await.status, 200);
    assert_eq!(app.count(), 2);
    proxy.log_says("cache: cannot read an answer on disk").await;
    state_becomes(&proxy, "ready").await;
    proxy.log_says("cache: the disk works again").await;
    assert_eq!(proxy.log().matches("cache: cannot").count(), 1);
    proxy.finish().await;
}
