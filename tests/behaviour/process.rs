//! The process: nothing outside can stop control or a worker.

use std::{
    cell::RefCell,
    fs::{self, File},
    io::{PipeReader, PipeWriter, Read as _, Write as _, pipe},
    os::{fd::AsFd, unix::net::UnixDatagram},
    time::Duration,
};

use rustix::fs::{CWD, Mode, OFlags, fcntl_getfl, fcntl_setfl, mkfifoat};
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
    let (reader, text) = tokio::time::timeout(Duration::from_secs(10), read)
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
async fn a_standard_error_that_fails_costs_the_lines_and_no_more() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let proxy = Settings::new(SMALL).stderr(full).start().await;
    let dropped = "sluicegate_log_lines_dropped_total";
    // The lines of the start are lost, and nobody can be told.
    eventually("lines of the log are lost", || async {
        (proxy.metric(dropped, &[]).await > 0.5).then_some(())
    })
    .await;
    for _ in 0..200 {
        assert_eq!(proxy.get("/").await.text(), "one");
    }
    assert!(proxy.metric(dropped, &[]).await < 50.0);
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
    proxy.log_says("proxy.toml:7:8").await;
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

const SMALL: &str = r#"
[listeners.web]
address = "$web"
[routes.all]
respond = { status = 200, body = "one" }
"#;

#[tokio::test]
async fn signals_as_soon_as_the_port_answers_kill_nothing() {
    for _ in 0..8 {
        let mut proxy = Settings::new(SMALL).launch();
        eventually("the port answers", || async {
            let stream = TcpStream::connect(proxy.address("web")).await;
            stream.ok()
        })
        .await;
        for signal in [Signal::HUP, Signal::USR1, Signal::USR2] {
            proxy.signal(signal);
        }
        // Another process takes over, and this one drains.
        assert!(proxy.exited().await.success());
        assert_eq!(proxy.get("/").await.text(), "one");
        proxy.signal_newest(Signal::TERM).await;
        proxy.all_end().await;
    }
}

#[tokio::test]
async fn reloads_from_all_sides_at_once_hold_nothing_up() {
    let mut proxy = Settings::new(SMALL).start().await;
    for round in 0..60 {
        proxy.replace(&SMALL.replace("one", &format!("round {round}")));
        proxy.signal(Signal::HUP);
        let asked = proxy.admin("GET", "/ready", "").await.expect("an answer");
        assert_eq!(asked.status, 200);
    }
    eventually("the last one is served", || async {
        (proxy.get("/").await.text() == "round 59").then_some(())
    })
    .await;
    proxy.replace(&SMALL.replace("one", "last"));
    proxy.signal(Signal::HUP);
    proxy.signal(Signal::TERM);
    assert!(proxy.exited().await.success());
}

#[tokio::test]
async fn a_named_pipe_in_the_place_of_a_file_is_refused_and_the_stop_served() {
    let mut proxy = Settings::new(SMALL).start().await;
    let folder = proxy.folder().to_owned();
    let pipe = folder.join("pipe");
    mkfifoat(CWD, &pipe, Mode::from_raw_mode(0o600)).unwrap();
    let tls = SMALL.replace(
        "[routes.all]",
        "tls = { certificates = [{ chain = \"pipe\", key = \"pipe\" }] }\n[routes.all]",
    );
    let log = format!("{SMALL}\n[access_log]\npath = \"pipe\"\n");
    for (text, told) in [(tls, "named pipe"), (log, "a pipe that nobody reads")] {
        proxy.replace(&text);
        proxy.signal(Signal::HUP);
        proxy.log_says(told).await;
        assert_eq!(proxy.get("/").await.text(), "one");
        proxy
            .reload(&SMALL.replace(
                "[routes.all]",
                &format!("# {told}\n[routes.all]\npriority = {}", told.len()),
            ))
            .await;
    }
    fs::rename(&pipe, folder.join("proxy.toml")).unwrap();
    proxy.signal(Signal::HUP);
    proxy
        .log_says("it is a named pipe, not a regular file")
        .await;
    assert_eq!(proxy.get("/").await.text(), "one");
    proxy.signal(Signal::TERM);
    assert!(proxy.exited().await.success());
}

#[tokio::test]
async fn a_service_manager_that_does_not_read_holds_nothing_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    let full = UnixDatagram::unbound().unwrap();
    full.set_nonblocking(true).unwrap();
    while full.send_to(b"full", &path).is_ok() {}
    let mut proxy = Settings::new(SMALL)
        .variable("NOTIFY_SOCKET", path.to_str().unwrap())
        .start()
        .await;
    proxy.reload(&SMALL.replace("one", "two")).await;
    assert_eq!(proxy.get("/").await.text(), "two");
    // What it was to be told comes when it reads again.
    let told = tokio::task::spawn_blocking(move || {
        let mut buffer = [0; 256];
        loop {
            let length = manager.recv(&mut buffer).unwrap();
            if buffer[..length].starts_with(b"READY=1") {
                return manager;
            }
        }
    });
    let _manager = tokio::time::timeout(Duration::from_secs(10), told)
        .await
        .expect("the manager is told")
        .unwrap();
    while full.send_to(b"full", &path).is_ok() {}
    proxy.signal(Signal::TERM);
    assert!(proxy.exited().await.success());
}

#[tokio::test]
async fn in_the_grace_of_a_drain_everything_is_answered_and_a_second_signal_ends_it() {
    let text = format!(
        "[proxy]\ndrain = {{ grace = \"60s\" }}\n{NOISY}\n[admin]\naddress = \"$admin\"\ntoken = \"t\"\n"
    );
    let app = Backend::start(identity("app")).await;
    let mut proxy = Settings::new(&text).backend("app", &app).start().await;
    proxy.signal(Signal::TERM);
    eventually("it is not ready any more", || async {
        let ready = proxy.admin("GET", "/ready", "").await.expect("an answer");
        (ready.status == 503).then_some(())
    })
    .await;
    assert_eq!(proxy.get("/").await.text(), "app");
    let refused = proxy.admin("POST", "/reload", "authorization: Bearer t\n");
    let refused = refused.await.expect("an answer");
    assert_ne!(refused.status, 200, "{}", refused.text());
    // The ticks of control go on: the death of an endpoint is noticed.
    let address = app.address().to_string();
    drop(app);
    let labels = [("pool", "app"), ("endpoint", &*address)];
    proxy
        .metric_becomes("sluicegate_endpoint_healthy", &labels, 0.0)
        .await;
    proxy.signal(Signal::TERM);
    assert!(proxy.exited().await.success());
}

#[tokio::test]
async fn a_number_of_given_sockets_that_is_too_large_takes_nothing_of_ours() {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = Settings::new(SMALL)
        .address("web", socket.local_addr().unwrap())
        .socket(socket)
        .variable("LISTEN_FDS", "40")
        .start()
        .await;
    assert_eq!(proxy.get("/").await.text(), "one");
    proxy.log_says("descriptor 4, which is not used").await;
    proxy.signal(Signal::HUP);
    proxy.log_says("configuration unchanged").await;
    proxy.finish().await;
}

/// As the first process of a container, it has the children of others.
#[tokio::test]
async fn the_first_process_takes_leave_of_orphans() {
    let folder = tempfile::tempdir().unwrap();
    let port = crate::harness::Port::take();
    let text = SMALL.replace("$web", &port.address().to_string());
    fs::write(folder.path().join("proxy.toml"), text).unwrap();
    // The shell's child, which becomes the proxy's, ends after the shell has become it.
    let script = "sleep 0.3 & sleep 0.4 & exec \"$@\"";
    let child = std::process::Command::new("unshare")
        .args(["--pid", "--fork", "--kill-child", "sh", "-c", script, "sh"])
        .arg(crate::harness::binary())
        .current_dir(folder.path())
        .stderr(std::process::Stdio::piped())
        .spawn();
    let Ok(child) = child else {
        return;
    };
    let id = child.id();
    let child = RefCell::new(child);
    let first = eventually("the proxy runs, or may not", || async {
        if child.borrow_mut().try_wait().unwrap().is_some() {
            return Some(None);
        }
        let children = format!("/proc/{id}/task/{id}/children");
        let children = fs::read_to_string(children).ok()?;
        TcpStream::connect(port.address()).await.ok()?;
        Some(children.split_whitespace().next().map(str::to_owned))
    })
    .await;
    // Without the right to make a namespace there is nothing to see.
    if let Some(first) = first {
        eventually("no child is left", || async {
            let children = fs::read_to_string(format!("/proc/{first}/task/{first}/children"));
            children.unwrap().trim().is_empty().then_some(())
        })
        .await;
    }
    let _ = child.borrow_mut().kill();
    let _ = child.borrow_mut().wait();
}
