//! The watch on real files, with writers of all kinds.

use std::fs;
use std::os::unix::fs::symlink;

use super::*;

fn watcher(path: &Path) -> Watcher {
    let seen = fs::read(path).unwrap_or_default();
    let mut watcher = Watcher::new(path, ContentHash::of(&seen));
    // Tests of events must not be rescued by the poll.
    watcher.poll = Duration::from_secs(3600);
    watcher
}

/// Runs `edit` after the watcher's first look, and gives what it then sees.
async fn sees(watcher: &mut Watcher, edit: impl FnOnce()) -> bool {
    assert!(timeout(watcher.quiet, watcher.changed()).await.is_err());
    edit();
    timeout(Duration::from_secs(8), watcher.changed())
        .await
        .is_ok()
}

#[tokio::test]
async fn a_write_in_place_is_seen_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proxy.toml");
    fs::write(&path, "a").unwrap();
    let mut watcher = watcher(&path);
    assert!(!watcher.is_polling());
    assert!(sees(&mut watcher, || fs::write(&path, "b").unwrap()).await);
    let again = timeout(Duration::from_millis(700), watcher.changed()).await;
    assert!(again.is_err(), "reading it or its echo is not a change");
}

#[tokio::test]
async fn a_file_replaced_by_renaming_is_seen_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proxy.toml");
    fs::write(&path, "0").unwrap();
    let mut watcher = watcher(&path);
    for content in ["1", "2", "3"] {
        let replace = || {
            let other = folder.path().join(".proxy.toml.swp");
            fs::write(&other, content).unwrap();
            fs::rename(&other, &path).unwrap();
        };
        assert!(sees(&mut watcher, replace).await, "{content}");
    }
}

#[tokio::test]
async fn a_config_map_swap_is_seen_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let publish = |version: &str| {
        fs::create_dir(root.join(version)).unwrap();
        fs::write(root.join(version).join("proxy.toml"), version).unwrap();
        symlink(version, root.join("..data_tmp")).unwrap();
        fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
    };
    publish("..v1");
    let path = root.join("proxy.toml");
    symlink("..data/proxy.toml", &path).unwrap();
    let mut watcher = watcher(&path);
    for version in ["..v2", "..v3"] {
        assert!(sees(&mut watcher, || publish(version)).await, "{version}");
    }
}

#[tokio::test]
async fn a_file_missing_for_a_moment_is_no_change() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proxy.toml");
    fs::write(&path, "a").unwrap();
    let mut watcher = watcher(&path);
    let vanish = || fs::remove_file(&path).unwrap();
    assert!(timeout(watcher.quiet, watcher.changed()).await.is_err());
    vanish();
    let gone = timeout(Duration::from_millis(700), watcher.changed()).await;
    assert!(gone.is_err(), "a missing file is not loaded");
    assert!(sees(&mut watcher, || fs::write(&path, "b").unwrap()).await);
}

#[tokio::test]
async fn a_file_that_stays_missing_is_a_change_once_and_its_return_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proxy.toml");
    fs::write(&path, "a").unwrap();
    let mut watcher = watcher(&path);
    watcher.poll = Duration::from_millis(50);
    assert!(sees(&mut watcher, || fs::remove_file(&path).unwrap()).await);
    let again = timeout(UNUSABLE_MAX + watcher.quiet, watcher.changed()).await;
    assert!(again.is_err(), "it is told once");
    // The content is what it was; that it is there again must be told all the same.
    assert!(sees(&mut watcher, || fs::write(&path, "a").unwrap()).await);
}

#[tokio::test]
async fn a_file_that_is_saved_in_two_halves_is_looked_at_when_it_is_closed() {
    use std::io::Write as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proxy.toml");
    fs::write(&path, "old").unwrap();
    let mut watcher = watcher(&path);
    watcher.poll = Duration::from_millis(50);
    assert!(timeout(watcher.quiet, watcher.changed()).await.is_err());
    let mut file = fs::File::create(&path).unwrap();
    file.write_all(b"first half, ").unwrap();
    let heard = async {
        while !watcher.writer.is_at_work.load(Ordering::Relaxed) {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(10), heard).await.unwrap();
    let half = timeout(Duration::from_secs(2), watcher.changed()).await;
    assert!(half.is_err(), "the writer is not done");
    assert!(
        sees(&mut watcher, || {
            file.write_all(b"second half").unwrap();
            drop(file);
        })
        .await
    );
    assert_eq!(watcher.seen, ContentHash::of(b"first half, second half"));
}

#[tokio::test]
async fn a_mounted_file_whose_source_was_replaced_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proxy.toml");
    fs::write(&path, "a").unwrap();
    let held = fs::File::open(&path).unwrap();
    let descriptor = std::os::fd::AsRawFd::as_raw_fd(&held);
    // As a bind mount does, this path leads to the file whatever becomes of its name.
    let mounted = PathBuf::from(format!("/proc/self/fd/{descriptor}"));
    let mut watcher = Watcher::new(&mounted, ContentHash::of(b"a"));
    assert!(!watcher.look().await.unwrap().is_nameless);
    fs::remove_file(&path).unwrap();
    assert!(watcher.look().await.unwrap().is_nameless);
}

#[tokio::test]
async fn a_slow_writer_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proxy.toml");
    fs::write(&path, "old").unwrap();
    let mut watcher = watcher(&path);
    // Far longer than the writer's pauses, also on a busy machine.
    watcher.quiet = Duration::from_secs(1);
    let writer = async {
        for end in 1..=8 {
            fs::write(&path, &"12345678"[..end]).unwrap();
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
    };
    let (found, ()) = tokio::join!(timeout(Duration::from_secs(8), watcher.changed()), writer);
    assert!(found.is_ok());
    assert_eq!(watcher.seen, ContentHash::of(b"12345678"));
}

#[tokio::test]
async fn a_log_that_grows_beside_it_delays_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proxy.toml");
    fs::write(&path, "a").unwrap();
    let mut watcher = watcher(&path);
    assert!(timeout(watcher.quiet, watcher.changed()).await.is_err());
    let log = async {
        let mut lines = String::new();
        loop {
            lines.push_str("a line\n");
            fs::write(folder.path().join("access.log"), &lines).unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    fs::write(&path, "b").unwrap();
    tokio::select! {
        found = timeout(QUIET_WAIT_MAX * 4 / 5, watcher.changed()) => assert!(found.is_ok()),
        () = log => {}
    }
}

#[tokio::test]
async fn without_events_the_poll_finds_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proxy.toml");
    fs::write(&path, "a").unwrap();
    let mut watcher = watcher(&path);
    watcher.source = None;
    watcher.poll = Duration::from_millis(50);
    assert!(sees(&mut watcher, || fs::write(&path, "b").unwrap()).await);
}

#[tokio::test]
async fn a_file_that_never_comes_to_rest_is_seen_in_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("list.json");
    fs::write(&path, "0").unwrap();
    for pause in [50, 250] {
        let mut watcher = watcher(&path);
        let writing = async {
            for round in 0_u64.. {
                let other = folder.path().join("list.new");
                fs::write(&other, format!("{pause} {round}")).unwrap();
                fs::rename(&other, &path).unwrap();
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
        };
        let seen = timeout(QUIET_WAIT_MAX * 2, watcher.changed());
        tokio::select! {
            () = writing => {}
            seen = seen => assert!(seen.is_ok(), "every {pause} ms"),
        }
    }
}
