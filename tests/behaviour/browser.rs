//! A browser loads a page over TLS, and uses HTTP/2 or HTTP/3 for all that it does there.
//!
//! `tests/run` installs Chromium; where it is missing the test says so and passes.

use std::process::{Output, Stdio};

use crate::harness::{
    Act, Authority, Backend, Gate, Peer, Port, Proxy, Seen, Settings, answer_bytes, bounded,
    packages,
};

const ALL: &str = r#"
    [listeners.web]
    address = "$web"
    protocols = ["http/1.1", "h2", "h3"]
    tls = { certificates = [{ chain = "a.pem", key = "a.key" }] }
    [routes.page]
    path = "/"
    pool = "app"
    [routes.files]
    path_regex = '^/([0-9a-z]+\.(css|js|gif)|form|large|told|favicon\.ico)$'
    pool = "app"
    [routes.socket]
    path = "/socket"
    pool = "socket"
    [routes.calls]
    path_prefix = "/peer.Echo"
    pool = "calls"
    grpc_web = true
    [pools.app]
    endpoints = ["$app"]
    [pools.socket]
    endpoints = ["$socket"]
    [pools.calls]
    endpoints = ["$calls"]
    protocol = "h2"
"#;

/// The page and what it asks for; its last image comes after its script has told the result.
fn site(told: Gate) -> impl Fn(&Seen) -> Vec<Act> + Send + Sync {
    move |seen| {
        let image = file("image/gif", GIF);
        match seen.target.as_str() {
            "/" => file("text/html", PAGE),
            "/code.js" => file("text/javascript", CODE),
            "/style.css" => file("text/css", b"body { margin: 7px }"),
            "/told.gif" => [vec![Act::Wait(told.clone())], image].concat(),
            "/large" => file("application/octet-stream", &[b'x'; LARGE]),
            "/form" => file("text/plain", b"taken"),
            "/told" => {
                told.open();
                file("text/plain", b"good")
            }
            "/favicon.ico" => answer_bytes("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"),
            _ => image,
        }
    }
}

fn file(kind: &str, body: &[u8]) -> Vec<Act> {
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    vec![Act::Read, Act::Send([head.as_bytes(), body].concat())]
}

/// Has Chromium load the page and print it as it is after all its resources have come; `None`
/// when it is not installed.
async fn load(proxy: &Proxy, trusted: &str, protocol: Spoken) -> Option<Output> {
    let mut command = bounded("chromium");
    command.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-extensions",
        "--no-proxy-server",
    ]);
    match protocol {
        Spoken::Http2 => command.arg("--disable-quic"),
        // Else it would ask over TCP first.
        Spoken::Http3 => {
            command.arg("--enable-quic");
            let origin = proxy.address("web");
            command.arg(format!("--origin-to-force-quic-on={origin}"))
        }
    };
    // The one key that it shall trust, whoever signed it.
    command.arg(format!("--ignore-certificate-errors-spki-list={trusted}"));
    let profile = proxy.folder().join("profile");
    command.arg(format!("--user-data-dir={}", profile.display()));
    command.arg("--dump-dom");
    command.arg(format!("https://{}/", proxy.address("web")));
    command.env("HOME", proxy.folder()).stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output());
    let output = output.await.unwrap().expect("timeout");
    if output.status.code() == Some(127) {
        eprintln!("passed over: chromium is not installed; tests/run installs it");
        return None;
    }
    Some(output)
}

/// Protocol that the browser is to use.
#[derive(Clone, Copy)]
enum Spoken {
    Http2,
    Http3,
}

#[tokio::test]
async fn chromium_loads_a_page_over_http2() {
    loads(Spoken::Http2).await;
}

#[tokio::test]
async fn chromium_loads_a_page_over_http3() {
    loads(Spoken::Http3).await;
}

async fn loads(protocol: Spoken) {
    let (word, logged) = match protocol {
        Spoken::Http2 => ("h2", "HTTP/2.0"),
        Spoken::Http3 => ("h3", "HTTP/3.0"),
    };
    let Some(packages) = packages() else { return };
    let app = Backend::start(site(Gate::new())).await;
    let [socket, calls] = [Port::take(), Port::take()];
    let port = |port: &Port| [port.address().port().to_string()];
    let _socket = Peer::start(&packages, "websocket_server.py", &port(&socket)).await;
    let _calls = Peer::start(&packages, "grpc_server.py", &port(&calls)).await;
    let settings = Settings::new(ALL)
        .backend("app", &app)
        .address("socket", socket.address())
        .address("calls", calls.address());
    let issued = Authority::new("test authority").issue("page", &["127.0.0.1"]);
    issued.write(settings.folder(), "a");
    let proxy = settings.start().await;
    let Some(output) = load(&proxy, &issued.key_digest(), protocol).await else {
        return;
    };
    let page = String::from_utf8_lossy(&output.stdout).into_owned();
    let told = page.split("<pre id=\"told\">").nth(1);
    let told = told.and_then(|rest| rest.split("</pre>").next());
    let faults = String::from_utf8_lossy(&output.stderr).into_owned();
    let told = told.unwrap_or_else(|| panic!("{page}\n{faults}"));
    let told: serde_json::Value =
        serde_json::from_str(told).unwrap_or_else(|error| panic!("{error}: {page}\n{faults}"));
    for (key, expected) in [
        ("protocol", word.into()),
        ("styled", "7px".into()),
        ("post", "200 taken".into()),
        ("large", LARGE.into()),
        ("socket", "chat: hello".into()),
        ("closed", 1000.into()),
        ("call", "hi".into()),
        ("status", "0".into()),
    ] {
        let expected: serde_json::Value = expected;
        assert_eq!(told[key], expected, "{key}: {told}");
    }
    let missing = told["missing"].as_str().unwrap_or_default();
    assert!(missing.contains("destination_not_found"), "{told}");
    let form = app.seen().into_iter().find(|seen| seen.target == "/form");
    assert_eq!(form.unwrap().body.len(), 300_000);
    check_lines(&proxy, protocol, logged).await;
    proxy.finish().await;
}

/// Checks the line of each request in the access log.
async fn check_lines(proxy: &Proxy, protocol: Spoken, logged: &str) {
    for path in [
        "/",
        "/style.css",
        "/code.js",
        "/1.gif",
        "/4.gif",
        "/told.gif",
        "/form",
        "/large",
        "/none",
        "/told",
        "/peer.Echo/Unary",
        "/socket",
    ] {
        // The browser may be gone before the last of them is written.
        proxy.logged(path, |line| line["path"] == path).await;
        let log = proxy.access_log();
        let lines: Vec<_> = log.iter().filter(|line| line["path"] == path).collect();
        assert_eq!(lines.len(), 1, "{path}: {lines:?}");
        assert!(lines[0]["tls"].is_string(), "{path}: {lines:?}");
        // A WebSocket is a stream beside the others (RFC 8441).
        // Over HTTP/3 it has none, so that the browser goes back to TCP for it.
        match (path, protocol) {
            ("/socket", Spoken::Http3) => assert_ne!(lines[0]["protocol"], logged),
            _ => assert_eq!(lines[0]["protocol"], logged, "{path}: {lines:?}"),
        }
        let statuses = match (path, protocol) {
            ("/none", _) => [404; 2],
            // Over a connection of its own the browser leaves without an end of TLS.
            ("/socket", Spoken::Http3) => [101, 499],
            ("/socket", Spoken::Http2) => [101; 2],
            _ => [200; 2],
        };
        let status = &lines[0]["status"];
        assert!(statuses.iter().any(|it| status == it), "{path}: {lines:?}");
    }
}

const PAGE: &[u8] = include_bytes!("peers/page/index.html");
const CODE: &[u8] = include_bytes!("peers/page/code.js");
/// An image of one pixel.
const GIF: &[u8] = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff!\xf9\x04\x01\0\0\0\0,\0\0\0\0\
                     \x01\0\x01\0\0\x02\x02D\x01\0;";
const LARGE: usize = 500_000;
