//! The process: nothing outside can stop control or a worker.

use std::{
    io::{PipeReader, PipeWriter, Read as _, Write as _, pipe},
    os::fd::AsFd,
};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::Signal;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::harness::{Backend, Settings, eventually, identity};

/// A pipe with no room left, whose writing end waits for room.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = pipe().unwrap();
    let waiting = fcntl_getfl(writer.as_fd()).unwrap();
    fcntl_setfl(writer.as_fd(), waiting | OFlags::NONBLOCK).unwrap();
    while writer.write(&[b'\n'; 1024]).is_ok() {}
    while writer.write(b"\n").is_ok() {}
    fcntl_setfl(writer.as_fd(), waiting).unwrap();
    (reader, writer)
}

const NOISY: &str = r#"
[log]
level = "debug"
[listeners.web]
address = "$web"
[routes.all]
pool = "app"
[pools.app]
endpoints = ["$app", "127.0.0.1:1"]
health = { tcp = {}, interval = "100ms", interval_down = "100ms", timeout = "100ms" }
"#;

#[tokio::test]
async fn a_full_standard_error_stops_nothing() {
    let app = Backend::start(identity("app")).await;
    let (mut reader, writer) = full_pipe();
    let mut proxy = Settings::new(NOISY)
        .backend("app", &app)
        .stderr(writer)
        .start()
        .await;
    // Each says TLS where there is none, which has its line; there is room for none.
    for _ in 0..1500 {
        let mut client = TcpStream::connect(proxy.address("web")).await.unwrap();
        client.write_all(b"\x16\x03\x01\x00\x05").await.unwrap();
        client.read_to_end(&mut Vec::new()).await.unwrap();
    }
    assert_eq!(proxy.get("/").await.text(), "app");
    let dropped = "sluicegate_log_lines_dropped_total";
    eventually("lines of the log are lost", || async {
        (proxy.metric(dropped, &[]).await > 0.5).then_some(())
    })
    .await;
    proxy
        .reload(&NOISY.replace("level = \"debug\"", "level = \"info\""))
        .await;
    assert_eq!(proxy.get("/").await.text(), "app");
    // Somebody reads again: the lines that waited come, and how many are lost.
    let read = tokio::task::spawn_blocking(move || {
        let (mut text, mut piece) = (String::new(), [0; 4096]);
        while !text.contains("lines are lost") {
            let count = reader.read(&mut piece).unwrap();
            text.push_str(str::from_utf8(&piece[..count]).unwrap());
        }
        (reader, text)
    });
    let (reader, text) = tokio::time::timeout(std::time::Duration::from_secs(10), read)
        .await
        .expect("the log goes on")
        .unwrap();
    assert!(text.contains("listening"), "{text}");
    // Nobody reads at the end either.
    drop(reader);
    proxy.signal(Signal::TERM);
    assert!(proxy.exited().await.success());
}

#[tokio::test]
async fn a_full_standard_error_does_not_hold_back_the_end() {
    let app = Backend::start(identity("app")).await;
    let (_reader, writer) = full_pipe();
    let mut proxy = Settings::new(NOISY)
        .backend("app", &app)
        .stderr(writer)
        .start()
        .await;
    assert_eq!(proxy.get("/").await.text(), "app");
    proxy.signal(Signal::TERM);
    assert!(proxy.exited().await.success());
}

#[tokio::test]
async fn each_event_of_the_log_is_one_line() {
    let app = Backend::start(identity("app")).await;
    let mut proxy = Settings::new(NOISY).backend("app", &app).start().await;
    proxy
        .reload(&NOISY.replace("[routes.all]", "[routes.all]\npriority = 1"))
        .await;
    let faulty = NOISY.replace("\"app\"", "\"ap\"");
    proxy.replace(&faulty.replace("interval_down", "intervall_down"));
    proxy.reload_fails().await;
    let log = proxy.log();
    for line in log.lines() {
        let time = line.split_once(' ').map(|(time, _)| time);
        let time = time.filter(|time| time.ends_with('Z') && time.starts_with("20"));
        assert!(time.is_some(), "{line}");
    }
    // The place, what is wrong and how to mend it stand together.
    let fault = log.lines().find(|line| line.contains("proxy.toml:7:8"));
    assert!(
        fault.is_some_and(|line| line.contains("did you mean \"app\"?")),
        "{log}"
    );
    assert!(log.contains("changed: ~ route all: priority"), "{log}");
    proxy.finish().await;
}
