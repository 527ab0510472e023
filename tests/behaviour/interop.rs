//! Clients that others wrote agree with the proxy about the protocols.
//!
//! `tests/run` installs them; where one is missing its test says so and passes.

use std::path::Path;
use std::process::{Command, Output};

use crate::harness::{Act, Authority, Backend, Proxy, Seen, Settings, answer};

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

/// The same behind TLS, which asks for client certificates at `$web` and for none at `$open`:
/// `me.pem` is one, `stranger.pem` is of another authority, `ca.pem` issued that of the proxy.
async fn start_guarded() -> (Proxy, Backend) {
    let app = Backend::start(|seen: &Seen| {
        let subject = seen.fields.get("x-subject").unwrap_or_default();
        match seen.target.as_str() {
            "/large" => script(seen),
            _ => answer(&format!("{} of {subject}", seen.target)),
        }
    })
    .await;
    let settings = Settings::new(
        r#"
        [listeners.web]
        address = "$web"
        [listeners.web.tls]
        certificates = [{ chain = "shop.pem", key = "shop.key" }]
        client_ca = "ca.pem"
        [listeners.open]
        address = "$open"
        tls = { certificates = [{ chain = "shop.pem", key = "shop.key" }] }
        [routes.all]
        pool = "app"
        headers_request = { set = { x-subject = "{tls.subject}" } }
        [pools.app]
        endpoints = ["$app"]
        "#,
    );
    let authority = Authority::new("test authority");
    let stranger = Authority::new("another authority");
    for (of, name) in [
        (&authority, "shop"),
        (&authority, "me"),
        (&stranger, "stranger"),
    ] {
        let issued = of.issue(name, &["shop.example"]);
        issued.write(settings.folder(), name);
    }
    authority.write(settings.folder(), "ca.pem");
    (settings.backend("app", &app).start().await, app)
}

/// `curl` with this certificate; whether it was served, and all that it says.
async fn curl_tls(
    proxy: &Proxy,
    own: Option<&str>,
    arguments: &[&str],
    target: &str,
) -> Option<(bool, String)> {
    let port = proxy.address("web").port();
    let mut all: Vec<String> = ["-sSv", "--max-time", "10", "--cacert", "ca.pem"]
        .map(str::to_owned)
        .to_vec();
    if let Some(own) = own {
        let (chain, key) = (format!("{own}.pem"), format!("{own}.key"));
        all.extend(["--cert".to_owned(), chain, "--key".to_owned(), key]);
    }
    all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
    all.extend(["-w".to_owned(), " over %{http_version}".to_owned()]);
    all.extend([
        "--resolve".to_owned(),
        format!("shop.example:{port}:127.0.0.1"),
    ]);
    all.push(format!("https://shop.example:{port}{target}"));
    let output = run("curl", all, proxy.folder()).await?;
    let said = [output.stdout, output.stderr].concat();
    Some((
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    ))
}

#[tokio::test]
async fn curl_is_served_by_its_certificate_over_each_version_of_tls() {
    let (proxy, _app) = start_guarded().await;
    for (most, tls) in [("1.2", "TLSv1.2"), ("1.3", "TLSv1.3")] {
        for (protocol, version) in [("--http1.1", "1.1"), ("--http2", "2")] {
            let arguments = ["--tls-max", most, protocol];
            let Some((served, said)) = curl_tls(&proxy, Some("me"), &arguments, "/a").await else {
                return;
            };
            assert!(served, "{arguments:?}: {said}");
            let answer = format!("/a of CN=me over {version}");
            assert!(said.contains(&answer), "{arguments:?}: {said}");
            let session = format!("SSL connection using {tls}");
            assert!(said.contains(&session), "{arguments:?}: {said}");
            for own in [None, Some("stranger")] {
                let (served, said) = curl_tls(&proxy, own, &arguments, "/a").await.unwrap();
                assert!(!served, "{arguments:?} with {own:?}: {said}");
            }
        }
    }
    proxy.finish().await;
}

#[tokio::test]
async fn nghttp_and_h2load_agree_on_http2_over_tls() {
    let (proxy, _app) = start_guarded().await;
    let base = format!("https://{}", proxy.address("web"));
    let shown = ["--cert=me.pem", "--key=me.key"].map(str::to_owned);
    let mut arguments = vec!["-nvy".to_owned(), "-H:authority: shop.example".to_owned()];
    arguments.extend(shown);
    arguments.extend([format!("{base}/a"), format!("{base}/large")]);
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
    // h2load has no certificates to show.
    for arguments in [vec!["-m16"], vec!["-m1", "--h1"]] {
        let mut all: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
        all.extend(["-n1000", "-c4"].map(str::to_owned));
        all.push(format!("https://{}/x", proxy.address("open")));
        let output = run("h2load", all, proxy.folder()).await.unwrap();
        let report = String::from_utf8_lossy(&output.stdout).into_owned();
        let answered = report.contains("status codes: 1000 2xx");
        assert!(answered, "{arguments:?}: {report}");
    }
    proxy.finish().await;
}

#[tokio::test]
async fn uploads_of_h2load_over_tls_are_whole() {
    let (proxy, _app) = start_guarded().await;
    std::fs::write(proxy.folder().join("upload"), vec![b'x'; 5000]).unwrap();
    let url = format!("https://{}/x", proxy.address("open"));
    let arguments = ["-n3000", "-c1", "-m100", "-dupload", &url].map(str::to_owned);
    let Some(output) = run("h2load", arguments.to_vec(), proxy.folder()).await else {
        return;
    };
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(report.contains("status codes: 3000 2xx"), "{report}");
    proxy.finish().await;
}

const LARGE: usize = 700_000;
