//! Clients that others wrote agree with the proxy about the protocols.
//!
//! `tests/run` installs them; where one is missing its test says so and passes.

use std::path::Path;
use std::process::{Command, Output};

use crate::harness::{Act, Backend, Proxy, Seen, Settings, answer};

const ALL: &str = r#"
    [listeners.web]
    address = "$web"
    [routes.all]
    pool = "app"
    [pools.app]
    endpoints = ["$app"]
"#;

/// Answers a large GET with a large body and all else with its target.
fn script(seen: &Seen) -> Vec<Act> {
    match seen.target.as_str() {
        "/large" => {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {LARGE}\r\n\r\n");
            let body = vec![b'x'; LARGE];
            vec![Act::Read, Act::Send(head.into_bytes()), Act::Send(body)]
        }
        other => answer(other),
    }
}

async fn start() -> (Proxy, Backend) {
    let app = Backend::start(script).await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    (proxy, app)
}

/// Runs a program to its end; `None` when it is not installed.
async fn run(program: &'static str, arguments: Vec<String>, folder: &Path) -> Option<Output> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder);
    let output = tokio::task::spawn_blocking(move || command.output());
    match output.await.unwrap() {
        Ok(output) => Some(output),
        Err(error) => {
            eprintln!("{program}: {error}; tests/run installs it");
            None
        }
    }
}

async fn curl(proxy: &Proxy, arguments: &[&str], target: &str) -> Option<String> {
    let mut all = vec!["-sS".to_owned(), "--max-time".to_owned(), "10".to_owned()];
    all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
    all.push(format!("http://{}{target}", proxy.address("web")));
    let output = run("curl", all, proxy.folder()).await?;
    let faults = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success(),
        "curl {arguments:?} {target}: {faults}"
    );
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[tokio::test]
async fn curl_is_served_over_each_protocol() {
    let (proxy, app) = start().await;
    let upload = proxy.folder().join("upload");
    std::fs::write(&upload, vec![b'y'; 2 * LARGE]).unwrap();
    let mut uploads = 0;
    for protocol in ["--http1.0", "--http1.1", "--http2-prior-knowledge"] {
        let Some(small) = curl(&proxy, &[protocol], "/a?b=c").await else {
            return;
        };
        assert_eq!(small, "/a?b=c", "{protocol}");
        let large = curl(&proxy, &[protocol], "/large").await;
        assert_eq!(large.map(|text| text.len()), Some(LARGE), "{protocol}");
        // Over a megabyte curl asks with Expect: 100-continue first.
        let sent = curl(&proxy, &[protocol, "--data-binary", "@upload"], "/up").await;
        assert_eq!(sent.as_deref(), Some("/up"), "{protocol}");
        uploads += 1;
    }
    let chunked = [
        "--http1.1",
        "-H",
        "transfer-encoding: chunked",
        "-T",
        "upload",
    ];
    assert_eq!(curl(&proxy, &chunked, "/up").await.as_deref(), Some("/up"));
    uploads += 1;
    let head = curl(&proxy, &["-I"], "/a").await.unwrap_or_default();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let bodies = app.seen().into_iter().filter(|seen| seen.target == "/up");
    let whole = bodies.filter(|seen| seen.complete && seen.body.len() == 2 * LARGE);
    assert_eq!(whole.count(), uploads);
    proxy.finish().await;
}

#[tokio::test]
async fn h2load_finds_every_answer() {
    let (proxy, _app) = start().await;
    let url = |target: &str| format!("http://{}{target}", proxy.address("web"));
    for arguments in [
        vec!["-n2000", "-c4", "-m16"],
        vec!["-n2000", "-c4", "-m1", "--h1"],
    ] {
        let mut all: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
        all.push(url("/x"));
        let Some(output) = run("h2load", all, proxy.folder()).await else {
            return;
        };
        let report = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            report.contains("2000 succeeded, 0 failed"),
            "{arguments:?}: {report}"
        );
        assert!(
            report.contains("status codes: 2000 2xx"),
            "{arguments:?}: {report}"
        );
    }
    proxy.finish().await;
}

#[tokio::test]
async fn nghttp_sees_no_fault_in_the_frames() {
    let (proxy, _app) = start().await;
    let base = format!("http://{}", proxy.address("web"));
    let arguments = vec![
        "-nv".to_owned(),
        format!("{base}/a"),
        format!("{base}/large"),
    ];
    let Some(output) = run("nghttp", arguments, proxy.folder()).await else {
        return;
    };
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{report}");
    assert_eq!(report.matches(":status: 200").count(), 2, "{report}");
    assert!(
        !report.contains("INVALID") && !report.contains("recv RST_STREAM"),
        "{report}"
    );
    proxy.finish().await;
}

const LARGE: usize = 700_000;
