//! Files of certificates that are renewed in part, too early, or in forms that only some
//! clients can verify.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::{ClientConfig, HandshakeKind};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::{
    Authority, Backend, Issued, Proxy, Seen, Settings, Tunnel, answer, eventually, look, shake,
};
use crate::tls_openssl::openssl;

/// A listener with these lines in its table `tls`, in front of `$app`.
fn secured(tls: &str) -> Settings {
    Settings::new(&format!(
        r#"
        [listeners.web]
        address = "$web"
        [listeners.web.tls]
        {tls}
        [routes.all]
        pool = "app"
        [pools.app]
        endpoints = ["$app"]
        "#
    ))
}

async fn echo() -> Backend {
    Backend::start(|seen: &Seen| answer(&seen.target)).await
}

async fn is_shown(proxy: &Proxy, authority: &Authority, name: &str, issued: &Issued) {
    let web = proxy.address("web");
    eventually(
        format!("the new certificate of {name} is shown"),
        || async {
            let shown = look(web, authority, name).await.ok()?.certificate;
            (shown == issued.der().to_vec()).then_some(())
        },
    )
    .await;
}

const TWO: &str = r#"certificates = [
    { chain = "a.pem", key = "a.key" },
    { chain = "b.pem", key = "b.key" },
]
client_ca = "clients.pem"
client_auth = "optional""#;

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_file_holds_back_no_other_certificate_of_its_listener() {
    let app = echo().await;
    let settings = secured(TWO);
    let authority = Authority::new("test authority");
    let old = authority.issue("a", &["a.example"]);
    old.write(settings.folder(), "a");
    authority
        .issue("b", &["b.example"])
        .write(settings.folder(), "b");
    authority.write(settings.folder(), "clients.pem");
    let proxy = settings.backend("app", &app).start().await;

    std::fs::write(proxy.folder().join("a.key"), "torn").unwrap();
    std::fs::write(proxy.folder().join("clients.pem"), "torn").unwrap();
    let renewed = authority.issue("b", &["b.example"]);
    renewed.write(proxy.folder(), "b");
    is_shown(&proxy, &authority, "b.example", &renewed).await;
    is_shown(&proxy, &authority, "a.example", &old).await;
    let failed = [("result", "failed")];
    let reloads = "sluicegate_certificate_reloads_total";
    proxy.metric_becomes(reloads, &failed, 2.0).await;

    let mended = authority.issue("a", &["a.example"]);
    mended.write(proxy.folder(), "a");
    authority.write(proxy.folder(), "clients.pem");
    is_shown(&proxy, &authority, "a.example", &mended).await;
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_tomorrow_is_refused_and_taken_up_when_its_time_comes() {
    let app = echo().await;
    let settings = secured(r#"certificates = [{ chain = "a.pem", key = "a.key" }]"#);
    let authority = Authority::new("test authority");
    let old = authority.issue("a", &["a.example"]);
    old.write(settings.folder(), "a");
    let proxy = settings.backend("app", &app).start().await;

    // Certificates count in whole seconds.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let begins = UNIX_EPOCH + Duration::from_secs(now.as_secs() + 5);
    let early = authority.issue_from(&["a.example"], begins);
    early.write(proxy.folder(), "a");
    let failed = [("result", "failed")];
    let reloads = "sluicegate_certificate_reloads_total";
    proxy.metric_becomes(reloads, &failed, 1.0).await;
    proxy.log_says("is not valid before").await;
    is_shown(&proxy, &authority, "a.example", &old).await;
    // No file changes from here on.
    is_shown(&proxy, &authority, "a.example", &early).await;
    assert!(SystemTime::now() >= begins);
    assert_eq!(proxy.metric(reloads, &failed).await, 1.0, "told once");
    proxy.finish().await;
}

/// One GET in a session of its own: how the handshake went.
async fn handshake(to: SocketAddr, config: &Arc<ClientConfig>) -> Option<HandshakeKind> {
    let mut session = shake(to, Arc::clone(config), "a.example").await.ok()?;
    let head = "GET / HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n";
    session.write_all(head.as_bytes()).await.ok()?;
    let mut text = Vec::new();
    session.read_to_end(&mut text).await.ok()?;
    text.starts_with(b"HTTP/1.1 200 ").then_some(())?;
    session.get_ref().1.handshake_kind()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_does_not_outlive_the_certificate_of_its_client() {
    let app = echo().await;
    let settings = secured(
        r#"certificates = [{ chain = "a.pem", key = "a.key" }]
        client_ca = "clients.pem""#,
    );
    let authority = Authority::new("test authority");
    authority
        .issue("a", &["a.example"])
        .write(settings.folder(), "a");
    authority.write(settings.folder(), "clients.pem");
    let proxy = settings.backend("app", &app).start().await;
    let web = proxy.address("web");
    let end = SystemTime::now() + Duration::from_secs(4);
    let client = authority.issue_until(&[], end);
    let config = Arc::new(authority.client(Some(&client), &[]));
    assert_eq!(handshake(web, &config).await, Some(HandshakeKind::Full));
    assert_eq!(handshake(web, &config).await, Some(HandshakeKind::Resumed));
    eventually("the session is over with the certificate", || async {
        handshake(web, &config).await.is_none().then_some(())
    })
    .await;
    assert!(SystemTime::now() >= end);
    proxy.finish().await;
}

/// A pair that openssl makes: `STEM.pem` and `STEM.key`.
async fn made(folder: &Path, stem: &str, key: &str, name: &str) -> Option<()> {
    let arguments = format!(
        "req -x509 -newkey {key} -nodes -days 2 -keyout {stem}.key -out {stem}.pem \
         -subj /CN={stem} -addext subjectAltName=DNS:{name}"
    );
    let ran = openssl(folder, &arguments, "").await?;
    assert!(ran.success, "{}", ran.text);
    Some(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_shown_the_certificate_that_it_can_verify() {
    let app = echo().await;
    let settings = secured(
        r#"certificates = [
            { chain = "ecdsa.pem", key = "ecdsa.key" },
            { chain = "rsa.pem", key = "rsa.key" },
        ]"#,
    );
    let ecdsa = "ec -pkeyopt ec_paramgen_curve:P-256";
    if made(settings.folder(), "ecdsa", ecdsa, "a.shop.example")
        .await
        .is_none()
    {
        return;
    }
    made(settings.folder(), "rsa", "rsa:2048", "*.shop.example").await;
    let proxy = settings.backend("app", &app).start().await;
    let web = proxy.address("web");
    for name in [
        "-noservername",
        "-servername other.example",
        "-servername a.shop.example",
    ] {
        for knows in [
            "-sigalgs rsa_pss_rsae_sha256",
            "-tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256",
        ] {
            let arguments = format!("s_client -connect {web} -ign_eof {name} {knows}");
            let request = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
            let ran = openssl(proxy.folder(), &arguments, request).await;
            let text = ran.unwrap().text;
            assert!(text.contains("subject=CN = rsa"), "{name} {knows}: {text}");
            assert!(text.contains("HTTP/1.1 200"), "{name} {knows}: {text}");
        }
    }
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_very_certificate_of_a_peer_is_trusted_as_its_authority() {
    let app = echo().await;
    let own = Issued::by_itself("app", &["127.0.0.1"]);
    let front = Tunnel::from_tls(app.address(), own.server(&["http/1.1"])).await;
    let settings = Settings::new(
        r#"
        [listeners.web]
        address = "$web"
        [listeners.web.tls]
        certificates = [{ chain = "a.pem", key = "a.key" }]
        client_ca = "client.pem"
        [routes.all]
        pool = "app"
        [pools.app]
        endpoints = ["$app"]
        tls = { ca = "app.pem" }
        "#,
    );
    let authority = Authority::new("test authority");
    authority
        .issue("a", &["a.example"])
        .write(settings.folder(), "a");
    own.write(settings.folder(), "app");
    let client = Issued::by_itself("client", &[]);
    client.write(settings.folder(), "client");
    let proxy = settings.address("app", front.address()).start().await;
    let web = proxy.address("web");
    let known = Arc::new(authority.client(Some(&client), &[]));
    assert_eq!(handshake(web, &known).await, Some(HandshakeKind::Full));
    let stranger = Issued::by_itself("client", &[]);
    let stranger = Arc::new(authority.client(Some(&stranger), &[]));
    assert_eq!(handshake(web, &stranger).await, None);
    proxy.finish().await;
}
