//! An upgrade that fails costs the old process nothing; one that is stopped leaves no process
//! behind.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use rustix::process::Signal;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::harness::{Backend, Proxy, Settings, identity};
use crate::takeover::{ALL, upgrade};

/// A program that is none of ours.
fn script(proxy: &Proxy, text: &str) -> String {
    let path = proxy.folder().join("program.sh");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_program_that_does_not_serve_leaves_the_old_process_serving() {
    let app = Backend::start(identity("app")).await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let old = proxy.pid().await;
    for (text, arguments, reason, line) in [
        (
            "echo no such luck >&2; exit 1",
            &[][..],
            ": exit status: 1",
            "no such luck",
        ),
        ("kill -SEGV $$", &[], ": signal: 11", ""),
        (
            "echo waiting >&2; exec sleep 1000",
            &["--timeout", "500ms"],
            "was not ready within 0.5 s",
            "waiting",
        ),
        (
            "exec cat > /dev/null",
            &["--timeout", "500ms"],
            "was not ready within 0.5 s",
            "",
        ),
        (
            "head -c 5 /dev/zero >&0; exec sleep 1000",
            &[],
            "cannot be understood",
            "",
        ),
    ] {
        let binary = script(&proxy, text);
        let arguments = [&["--binary", &*binary], arguments].concat();
        let (code, said) = upgrade(&proxy, &arguments).await;
        assert_eq!(code, Some(1), "{text}: {said}");
        assert!(
            said.contains(reason) && said.contains(line),
            "{text}: {said}"
        );
        assert_eq!(proxy.pid().await, old);
        assert_eq!(proxy.get("/").await.text(), "app");
        proxy.log_says(reason).await;
    }
    let failed = [("result", "failed")];
    assert_eq!(
        proxy.metric("sluicegate_upgrades_total", &failed).await,
        5.0
    );
    // No process is left of them, not even as a zombie.
    let children = fs::read_to_string(format!("/proc/{old}/task/{old}/children")).unwrap();
    assert_eq!(children, "");
    let events = proxy
        .admin("GET", "/events", "accept: application/json\n")
        .await
        .unwrap();
    assert!(events.text().contains("no such luck"), "{}", events.text());
    proxy.upgrade().await;
    assert_eq!(proxy.get("/").await.text(), "app");
    proxy.all_end().await;
}

#[tokio::test]
async fn a_bad_configuration_or_an_address_in_use_ends_the_upgrade_only() {
    let app = Backend::start(identity("app")).await;
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let text = ALL.replace("[proxy]", "[proxy]\nstate_dir = \"state\"\nwatch = false");
    let mut proxy = Settings::new(&text)
        .backend("app", &app)
        .address("taken", taken.local_addr().unwrap())
        .start()
        .await;
    let old = proxy.pid().await;
    proxy.replace(&text.replace("pool = \"app\"", "pool = \"ap\""));
    let (code, said) = upgrade(&proxy, &["--format", "json"]).await;
    assert_eq!(code, Some(1), "{said}");
    let report: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(report["result"], "failed");
    let output = report["output"].to_string();
    assert!(
        output.contains("did you mean \\\\\\\"app\\\\\\\"?") || output.contains("did you mean"),
        "{output}"
    );
    proxy.replace(&format!("{text}\n[listeners.more]\naddress = \"$taken\"\n"));
    let (code, said) = upgrade(&proxy, &[]).await;
    assert_eq!(code, Some(1));
    assert!(said.contains("is in use"), "{said}");
    assert_eq!(proxy.pid().await, old);
    assert_eq!(proxy.get("/").await.text(), "app");
    proxy.all_end().await;
}

#[tokio::test]
async fn a_second_upgrade_at_the_same_time_is_refused() {
    let app = Backend::start(identity("app")).await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let slow = script(&proxy, "echo begun >&2; exec sleep 1000");
    let arguments = ["--binary", &slow, "--timeout", "2s"];
    let first = upgrade(&proxy, &arguments);
    let second = async {
        proxy.log_says("begun").await;
        upgrade(&proxy, &[]).await
    };
    let (first, (code, said)) = tokio::join!(first, second);
    assert_eq!(first.0, Some(1), "{}", first.1);
    assert_eq!(code, Some(1));
    assert!(said.contains("an upgrade is under way already"), "{said}");
    let (code, said) = upgrade(&proxy, &[]).await;
    assert_eq!(code, Some(0), "{said}");
    proxy.all_end().await;
}

#[tokio::test]
async fn a_stop_during_an_upgrade_ends_both() {
    let app = Backend::start(identity("app")).await;
    let mut proxy = Settings::new(ALL).backend("app", &app).start().await;
    let path = script(&proxy, "echo $$ > pid; echo begun >&2; exec sleep 1000");
    let arguments = ["--binary", &path];
    let asked = upgrade(&proxy, &arguments);
    let stop = async {
        proxy.log_says("begun").await;
        proxy.signal(Signal::TERM);
    };
    let ((code, _), ()) = tokio::join!(asked, stop);
    assert_eq!(code, Some(1));
    assert!(proxy.exited().await.success());
    let pid = fs::read_to_string(proxy.folder().join("pid")).unwrap();
    let path = PathBuf::from(format!("/proc/{}", pid.trim()));
    assert!(!path.exists(), "the new one is gone");
}
