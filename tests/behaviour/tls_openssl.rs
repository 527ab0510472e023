//! A client of TLS that others wrote, openssl, agrees with the listener: sessions resumed,
//! versions refused, protocols agreed on.
//!
//! `tests/run` installs it; where it is missing the tests say so and pass.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::{Authority, Backend, Proxy, Seen, Settings, answer};

const SECURED: &str = r#"
    [proxy]
    workers = 4
    [listeners.web]
    address = "$web"
    [listeners.web.tls]
    certificates = [{ chain = "a.pem", key = "a.key" }]
    [routes.all]
    pool = "app"
    [pools.app]
    endpoints = ["$app"]
"#;

async fn start() -> (Proxy, Backend) {
    let app = Backend::start(|seen: &Seen| answer(&seen.target)).await;
    let settings = Settings::new(SECURED);
    let authority = Authority::new("test authority");
    let issued = authority.issue("shop", &["shop.example"]);
    issued.write(settings.folder(), "a");
    authority.write(settings.folder(), "ca.pem");
    (settings.backend("app", &app).start().await, app)
}

/// Result of one run of openssl.
pub(crate) struct Ran {
    pub(crate) success: bool,
    pub(crate) text: String,
}

/// Runs openssl to its end; none where it is not installed.
pub(crate) async fn openssl(folder: &Path, arguments: &str, input: &str) -> Option<Ran> {
    let mut command = Command::new("openssl");
    command
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let input = input.to_owned();
    let ran = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // A program that wants none may have ended.
            let _ = stdin.write_all(input.as_bytes());
        }
        child.wait_with_output()
    });
    match ran.await.unwrap() {
        Ok(output) => {
            let text = [output.stdout, output.stderr].concat();
            Some(Ran {
                success: output.status.success(),
                text: String::from_utf8_lossy(&text).into_owned(),
            })
        }
        Err(error) => {
            eprintln!("openssl: {error}; tests/run installs it");
            None
        }
    }
}

/// One session with one request, to its end.
pub(crate) async fn s_client(folder: &Path, to: SocketAddr, options: &str) -> Option<Ran> {
    let arguments = format!(
        "s_client -connect {to} -servername shop.example -CAfile ca.pem -ign_eof {options}"
    );
    openssl(folder, &arguments, REQUEST).await
}

#[tokio::test]
async fn a_session_is_resumed_again_and_again_at_any_of_four_workers() {
    for version in ["-tls1_2", "-tls1_3"] {
        let (proxy, _app) = start().await;
        let web = proxy.address("web");
        let first = format!("{version} -sess_out session");
        let Some(ran) = s_client(proxy.folder(), web, &first).await else {
            return;
        };
        assert!(
            ran.text.contains("\nNew, TLSv1."),
            "{version}: {}",
            ran.text
        );
        let again = format!("{first} -sess_in session");
        for turn in 0..AGAIN {
            let ran = s_client(proxy.folder(), web, &again).await.unwrap();
            let text = ran.text;
            assert!(
                text.contains("\nReused, TLSv1."),
                "{version} {turn}: {text}"
            );
            assert!(text.contains("HTTP/1.1 200 "), "{version} {turn}: {text}");
        }
        let resumed = [("listener", "web"), ("result", "resumed")];
        proxy
            .metric_becomes(
                "sluicegate_tls_handshakes_total",
                &resumed,
                f64::from(AGAIN),
            )
            .await;
        proxy.finish().await;
    }
}

#[tokio::test]
async fn an_old_version_is_refused_with_an_alert() {
    let (proxy, app) = start().await;
    for version in ["-tls1", "-tls1_1"] {
        // Without this openssl itself would not offer it.
        let options = format!("{version} -cipher DEFAULT@SECLEVEL=0");
        let Some(ran) = s_client(proxy.folder(), proxy.address("web"), &options).await else {
            return;
        };
        assert!(!ran.success, "{version}: {}", ran.text);
        // Which one depends on what else a hello of that age lacks.
        assert!(
            ran.text.contains("SSL alert number "),
            "{version}: {}",
            ran.text
        );
    }
    assert!(app.seen().is_empty());
    let failed = [("listener", "web"), ("result", "failed")];
    proxy
        .metric_becomes("sluicegate_tls_handshakes_total", &failed, 2.0)
        .await;
    proxy.finish().await;
}

#[tokio::test]
async fn the_protocol_is_the_best_that_both_offer_and_a_stranger_s_is_refused() {
    let (proxy, _app) = start().await;
    for (offered, agreed) in [
        ("-alpn http/1.1", "ALPN protocol: http/1.1"),
        ("-alpn http/1.1,h2", "ALPN protocol: h2"),
        ("-alpn spdy/3,http/1.1", "ALPN protocol: http/1.1"),
        ("", "No ALPN negotiated"),
        ("-alpn spdy/3", "alert no application protocol"),
    ] {
        for version in ["-tls1_2", "-tls1_3"] {
            let options = format!("{version} {offered}");
            let Some(ran) = s_client(proxy.folder(), proxy.address("web"), &options).await else {
                return;
            };
            assert!(ran.text.contains(agreed), "{options}: {}", ran.text);
        }
    }
    proxy.finish().await;
}

const REQUEST: &str = "GET / HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\r\n";
/// Enough that each worker has very likely taken one.
const AGAIN: u32 = 12;
